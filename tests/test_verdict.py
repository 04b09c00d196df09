"""The one sentence: each stance from what makes it, and never a better one."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.exposure.model import Endpoint, Extent, Gap, Hop, Login, Zone
from ollama_audit.report import NO_OLLAMA
from ollama_audit.verdict import Stance, judge
from tests.reports import LAN4, LOOPBACK, OPEN, V4, V6, endpoint, finding, reach, report

FILTERED = endpoint(
    reach(Zone.LAN, V4, Extent.NONE), reach(Zone.LAN, V6, Extent.NONE),
    address="::", families=(V4, V6),
)  # fmt: skip
UNREAD = endpoint(
    reach(Zone.LAN, V4, Extent.UNKNOWN, LAN4, because=("the packet filter is for root",),
          cure="sudo ollama-audit"),
    address="0.0.0.0",
)  # fmt: skip


def behind_login(login: Login, extent: Extent = Extent.ALL) -> Endpoint:
    return endpoint(
        reach(Zone.LAN, V4, extent, LAN4),
        address="0.0.0.0",
        port=443,
        login=login,
        login_because=("nginx asks for a password at /api/",),
        hops=(Hop(kind="reverse-proxy", name="nginx"), Hop(kind="socket", name="ollama")),
    )


def stance(*endpoints: Endpoint, gaps: tuple[Gap, ...] = ()) -> Stance:
    return judge(report(finding("a"), endpoints=endpoints, gaps=gaps)).stance


def test_loopback_is_local_only() -> None:
    verdict = judge(report(finding("a"), endpoints=(LOOPBACK,)))
    assert verdict.stance is Stance.LOCAL_ONLY
    assert verdict.path == ("127.0.0.1:11434", "not reachable from outside", "no login")


def test_open_to_the_lan_is_exposed_and_names_both_families() -> None:
    verdict = judge(report(finding("a"), endpoints=(LOOPBACK, OPEN)))
    assert verdict.stance is Stance.EXPOSED
    assert "192.0.2.0/24 and 2001:db8:7::/64" in verdict.sentence
    assert "No login is asked" in verdict.sentence
    assert verdict.path == ("*:11434 (IPv4+IPv6)", "nothing filters it", "no login")


def test_filtered_for_everyone_is_protected() -> None:
    verdict = judge(report(finding("a"), endpoints=(FILTERED,)))
    assert verdict.stance is Stance.PROTECTED
    assert verdict.path[1] == "stopped for everyone outside"


def test_what_leads_to_ollama_is_not_said_to_be_ollama() -> None:
    shut = endpoint(
        reach(Zone.LAN, V4, Extent.NONE),
        address="0.0.0.0",
        port=80,
        hops=(Hop(kind="reverse-proxy", name="nginx"), Hop(kind="socket", name="ollama")),
    )
    verdict = judge(report(finding("a"), endpoints=(LOOPBACK, shut)))
    assert verdict.sentence.startswith("0.0.0.0:80 leads to Ollama, and nothing outside")


@pytest.mark.parametrize(
    ("because", "words"),
    [
        ((), "nothing filters it"),
        (("nft ip filter INPUT: policy accept",), "nothing filters it"),
        (("ufw rule 1: allow from any to any port 11434",), "no rule keeps anybody out"),
        (("Docker published port 11434, to 172.17.0.2:11434",), "no rule keeps anybody out"),
    ],
)
def test_rules_that_let_everybody_in_are_told_from_none_and_called_no_firewall(
    because: tuple[str, ...], words: str
) -> None:
    everybody = endpoint(reach(Zone.LAN, V4, Extent.ALL, LAN4, because=because), address="0.0.0.0")
    assert judge(report(finding("a"), endpoints=(everybody,))).path[1] == words


def test_who_surely_gets_in_is_not_hidden_by_who_perhaps_does() -> None:
    known = reach(Zone.LAN, V4, Extent.ALL, LAN4)
    doubtful = reach(Zone.VPN, V6, Extent.UNKNOWN, because=("`limit` cannot be told",))
    verdict = judge(report(finding("a"), endpoints=(endpoint(known, doubtful, address="::"),)))
    assert verdict.path[1] == "filtered in part"


def test_a_long_list_of_networks_is_counted_with_what_the_report_left_out() -> None:
    some = msgspec.structs.replace(
        reach(Zone.LAN, V4, Extent.SOME, *(f"192.0.2.{n}/32" for n in range(0, 64, 2))),
        more_networks=9,
    )
    verdict = judge(report(finding("a"), endpoints=(endpoint(some, address="0.0.0.0"),)))
    assert "at 192.0.2.0, 192.0.2.2, 192.0.2.4 and 38 more can" in verdict.sentence


def test_unread_filter_is_unclear_with_its_reason_and_cure() -> None:
    verdict = judge(report(finding("a"), endpoints=(UNREAD,)))
    assert verdict.stance is Stance.UNCLEAR
    assert "Whether anyone on 192.0.2.0/24 can connect could not be told" in verdict.sentence
    assert "the packet filter is for root" in verdict.sentence
    assert verdict.cure == "sudo ollama-audit"


def test_a_rule_that_is_not_understood_goes_by_its_owners_name_alone() -> None:
    """What its program prints is in the evidence; a sentence has no room for it."""
    limit = (
        "ufw rule 1: limit from any to any port 11434 - nft ip filter ufw-user-input handle 108: "
        "-A ufw-user-input -p tcp -m recent --set -j x: whether `recent` matches cannot be said"
    )
    doubtful = endpoint(
        reach(Zone.LAN, V4, Extent.UNKNOWN, LAN4, because=(limit,)), address="0.0.0.0"
    )
    assert judge(report(finding("a"), endpoints=(doubtful,))).sentence.endswith(
        "could not be told: ufw rule 1: limit from any to any port 11434: whether `recent` "
        "matches cannot be said."
    )


def test_what_is_unread_of_the_whole_world_is_said_in_few_words() -> None:
    cover = [f"{number}.0.0.0/8" for number in range(1, 30)]
    parts = [reach(Zone.INTERNET, V4, Extent.UNKNOWN, *cover)]
    one = endpoint(*parts, address="0.0.0.0")
    assert (
        "anyone on the internet can connect"
        in judge(report(finding("a"), endpoints=(one,))).sentence
    )
    both = endpoint(*parts, reach(Zone.LAN, V4, Extent.UNKNOWN, LAN4), address="0.0.0.0")
    sentence = judge(report(finding("a"), endpoints=(both,))).sentence
    assert "anyone beyond this machine can connect" in sentence


def test_a_socket_of_an_unknown_owner_only_may_lead_to_ollama() -> None:
    strange = msgspec.structs.replace(UNREAD, server=0)
    sentence = judge(report(finding("a"), endpoints=(strange,))).sentence
    assert "may lead to Ollama" in sentence
    assert "0.0.0.0:11434 leads" in judge(report(finding("a"), endpoints=(UNREAD,))).sentence


def test_login_for_all_of_the_api() -> None:
    verdict = judge(report(finding("a"), endpoints=(LOOPBACK, behind_login(Login.REQUIRED))))
    assert verdict.stance is Stance.LOGIN_REQUIRED
    assert "nginx" in verdict.path


def test_login_with_an_unread_filter_is_still_a_login() -> None:
    assert stance(behind_login(Login.REQUIRED, Extent.UNKNOWN)) is Stance.LOGIN_REQUIRED


def test_login_that_cannot_be_told_is_unclear() -> None:
    assert stance(behind_login(Login.UNKNOWN)) is Stance.UNCLEAR


def test_part_of_the_api_without_login_is_exposed_and_said_to_be_part() -> None:
    partly = endpoint(reach(Zone.LAN, V4, Extent.ALL, LAN4), address="0.0.0.0",
                      open_paths=("/api/tags",))  # fmt: skip
    verdict = judge(report(finding("a"), endpoints=(partly,)))
    assert verdict.stance is Stance.EXPOSED
    assert "/api/tags" in verdict.sentence
    assert "delete your models" not in verdict.sentence


def test_gap_is_never_local_only() -> None:
    gap = Gap(subject="container web", reason="the engine did not answer", cure="start it")
    verdict = judge(report(finding("a"), endpoints=(LOOPBACK,), gaps=(gap,)))
    assert verdict.stance is Stance.UNCLEAR
    assert "container web" in verdict.sentence


def test_tunnel_that_only_its_provider_knows_is_unclear() -> None:
    tunnel = endpoint(reach(Zone.INTERNET, V4, Extent.ALL), address="", port=0, certain=False)
    assert stance(LOOPBACK, tunnel) is Stance.UNCLEAR


def test_exposure_outweighs_what_is_unread() -> None:
    gap = Gap(subject="x", reason="y")
    assert stance(UNREAD, OPEN, gaps=(gap,)) is Stance.EXPOSED


def test_some_of_the_lan_is_exposed_to_those() -> None:
    some = endpoint(reach(Zone.LAN, V4, Extent.SOME, "192.0.2.64/26"), address="0.0.0.0")
    verdict = judge(report(finding("a"), endpoints=(some,)))
    assert verdict.stance is Stance.EXPOSED
    assert "192.0.2.64/26" in verdict.sentence
    assert verdict.path[1] == "filtered in part"


@pytest.mark.parametrize(
    ("families", "words"),
    [((V4, V6), "Anyone on the internet can"), ((V6,), "Anyone on the IPv6 internet can"),
     ((V4,), "Anyone on the IPv4 internet can")],
)  # fmt: skip
def test_the_internet_is_named_by_family(families: tuple[str, ...], words: str) -> None:
    parts = [reach(Zone.INTERNET, f, Extent.ALL, "0.0.0.0/1") for f in (V4, V6) if f in families]
    open_to_all = endpoint(*parts, address="::", families=(V4, V6))
    assert words in judge(report(finding("a"), endpoints=(open_to_all,))).sentence


def test_internet_comes_before_lan_in_the_sentence_and_decides_the_path() -> None:
    world = endpoint(reach(Zone.INTERNET, V4, Extent.ALL), address="198.51.100.9", port=8080)
    verdict = judge(report(finding("a"), endpoints=(OPEN, world)))
    assert verdict.sentence.index("internet") < verdict.sentence.index("192.0.2.0/24")
    assert verdict.path[0] == "198.51.100.9:8080"


def test_a_statement_about_the_internet_is_one_of_this_host_alone() -> None:
    beyond = ("the provider decides",)
    parts = (reach(Zone.INTERNET, V4, Extent.ALL), reach(Zone.LAN, V4, Extent.ALL, LAN4))
    world = endpoint(*parts, address="198.51.100.9")
    sentence = judge(report(finding("a"), endpoints=(world,), beyond_host=beyond)).sentence
    assert "your models, as far as this host decides." in sentence
    assert "keeps the internet out" not in sentence


def test_where_only_a_router_keeps_the_internet_out_that_is_said() -> None:
    beyond = ("the router decides",)
    sentence = judge(report(finding("a"), endpoints=(OPEN,), beyond_host=beyond)).sentence
    assert "internet can" not in sentence
    assert "as far as this host decides" not in sentence
    assert sentence.endswith("Only what is beyond this host keeps the internet out.")
    locked = behind_login(Login.REQUIRED)
    sentence = judge(report(finding("a"), endpoints=(locked,), beyond_host=beyond)).sentence
    assert sentence.endswith("Only what is beyond this host keeps the internet out.")
    assert "beyond this host" not in judge(report(finding("a"), endpoints=(OPEN,))).sentence


def test_containers_alone_are_exposure_too() -> None:
    inside = endpoint(reach(Zone.CONTAINER, V4, Extent.ALL, "172.17.0.0/16"), address="172.17.0.1")
    verdict = judge(report(finding("a"), endpoints=(inside,)))
    assert verdict.stance is Stance.EXPOSED
    assert "in containers on this host" in verdict.sentence


def test_installed_but_not_listening() -> None:
    assert stance() is Stance.NOT_SERVING


def test_no_endpoint_with_a_gap_is_unclear() -> None:
    assert stance(gaps=(Gap(subject="processes", reason="hidden"),)) is Stance.UNCLEAR


def test_no_ollama() -> None:
    verdict = judge(report(unrated=NO_OLLAMA, endpoints=()))
    assert verdict.stance is Stance.NO_OLLAMA
    assert "Nothing was rated" in verdict.sentence
