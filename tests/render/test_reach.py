"""The table of who gets through, and single answers: what fits a screen and says why."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.model import Endpoint, Exposure, Extent, Gap, Hop, Zone
from ollama_audit.render.reach import zones
from ollama_audit.render.text import Style
from tests.reports import LAN4, LAN6, V4, V6, endpoint, reach

CONTAINERS = replace(
    endpoint(address="::", families=(V4, V6)),
    id="[::]:11434 in container llm (docker)",
    reach=(
        reach(Zone.HOST, V4, Extent.ALL),
        reach(Zone.LAN, V4, Extent.ALL, LAN4),
        *(reach(zone, V6, Extent.ABSENT) for zone in Zone),
    ),
)
PROXY = endpoint(
    reach(Zone.LAN, V4, Extent.SOME, *(f"192.0.2.{n}/32" for n in range(40))),
    reach(Zone.INTERNET, V4, Extent.NONE, because=("ufw default: deny (incoming)",)),
    address="255.255.255.255",
    port=65535,
    open_paths=("/api/tags",),
    hops=(Hop(kind="reverse-proxy", name="nginx", detail="/etc/nginx/sites-enabled/site:4"),),
)
TUNNEL = replace(
    endpoint(reach(Zone.VPN, V6, Extent.ALL, "fd7a::/48"), families=(V6,), address=""),
    id="tunnel tailscale",
    name="https://" + "box." * 20 + "ts.net",
)
DOUBTFUL = endpoint(
    reach(Zone.LAN, V6, Extent.UNKNOWN, LAN6, because=("only root may read it",),
          cure="sudo ollama-audit"),
    address="2001:db8:7:1:2:3:4:5", families=(V6,),
)  # fmt: skip


def shown(*endpoints: Endpoint, width: int = 80, gaps: tuple[Gap, ...] = ()) -> str:
    return zones(Exposure(endpoints=endpoints, gaps=gaps), Style(width=width))


@pytest.mark.parametrize("width", [40, 66, 67, 72, 80, 132])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    text = shown(CONTAINERS, PROXY, TUNNEL, DOUBTFUL, width=width)
    unbroken = ("in container", "https://box.box")  # headings are clipped, words are not cut
    assert [line for line in text.splitlines() if len(line) > width] == []
    assert all(part in text for part in unbroken)


def test_a_narrow_screen_says_in_sentences_what_the_table_says() -> None:
    narrow, wide = shown(PROXY, width=40), shown(PROXY, width=80)
    assert "ENDPOINT" in wide
    assert "ENDPOINT" not in narrow
    assert "lan IPv4 part" in narrow
    assert "login: none" in narrow


def test_a_family_without_a_way_in_has_no_row() -> None:
    table = shown(CONTAINERS).partition("yes: all of it")[0]
    assert ("IPv4" in table, "IPv6" in table) == (True, False)


def test_an_endpoint_goes_by_the_place_that_it_is_in() -> None:
    assert "\n*:11434 in container llm (docker)\n" in shown(CONTAINERS)


def test_a_name_too_long_for_the_table_loses_what_says_least() -> None:
    named = replace(CONTAINERS, id="[::]:11434 in container ollama (docker)")
    table = shown(named, width=80).partition("yes: all of it")[0]
    assert "\n*:11434 in ollama (docker)    IPv4  yes" in table


def test_a_list_of_networks_names_three() -> None:
    said = " ".join(shown(PROXY).split())
    assert "lan IPv4 part (192.0.2.0, 192.0.2.1, 192.0.2.2 and 37 more)" in said


def test_what_is_open_without_a_rule_is_said_to_be_unfiltered() -> None:
    assert "lan IPv4 yes: nothing filters it" in shown(endpoint(reach(Zone.LAN, V4, Extent.ALL)))


def test_an_unknown_says_what_settles_it() -> None:
    gap = Gap(subject="processes", reason="they are hidden", cure="sudo ollama-audit")
    assert "to settle it: sudo ollama-audit" in shown(DOUBTFUL)
    assert "to settle it: sudo ollama-audit" in shown(PROXY, gaps=(gap,))
