"""What is said of clients whom no packet filter keeps out, and who get to no Ollama."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Endpoint, Extent, Login, Zone, ZoneReach
from ollama_audit.exposure.path import answer
from ollama_audit.observed import Known
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family
from tests.exposure.networked import default, link, networked
from tests.exposure.proxied import PROXY, configured
from tests.hosts import PID, listener, namespaces, process

CONF = "/etc/nginx/nginx.conf"
ALLOW = "allow 203.0.113.0/24; deny all;"
LOGIN = "auth_basic x; auth_basic_user_file /etc/nginx/users;"


def proxied(server: str) -> HostSnapshot:
    """nginx on every IPv4 address of a host on the internet, in front of Ollama on loopback."""
    host = networked(link("203.0.113.10/24"), routes=(default("203.0.113.1"),))
    assert isinstance(host.namespaces, Known)
    (space,) = host.namespaces.value
    sockets = (
        listener("127.0.0.1:11434", owners=PID),
        listener("0.0.0.0:80", owners=PROXY),
    )
    text = (
        "http { server { listen 80;\n"
        f"{server}\n"
        "location / {\n"
        "proxy_pass http://127.0.0.1:11434; proxy_set_header Host localhost; } } }"
    )
    return replace(
        host,
        namespaces=namespaces(replace(space, listeners=Known(sockets, "sock_diag"))),
        processes=(process(PROXY, name="nginx", executable="/usr/sbin/nginx"),),
        configurations=(configured("nginx", {CONF: text}),),
    )


def at_port_80(host: HostSnapshot) -> list[Endpoint]:
    return [endpoint for endpoint in assess(host).endpoints if endpoint.port == 80]


def of(endpoint: Endpoint, zone: Zone) -> ZoneReach:
    return next(p for p in endpoint.toward(zone) if p.family is Family.IPV4)


def test_a_proxy_that_serves_others_is_named() -> None:
    (found,) = at_port_80(proxied(ALLOW))

    (why,) = of(found, Zone.INTERNET).because
    assert why.startswith("not served by nginx (/etc/nginx/nginx.conf:")
    assert of(found, Zone.INTERNET).extent is Extent.NONE
    (told,) = answer(
        proxied(ALLOW), (ip_address("198.51.100.7"),), ((ip_address("203.0.113.10"), 80),)
    ).answers
    assert told.because == (why,)


def test_of_the_hosts_own_addresses_those_are_listed_that_get_in() -> None:
    """The others are holes: 127.0.0.1 says nothing of 127.0.0.2."""
    (found,) = at_port_80(proxied("allow 127.0.0.1; deny all;"))

    assert of(found, Zone.HOST).extent is Extent.SOME
    assert of(found, Zone.HOST).networks == ("127.0.0.1/32",)


def test_those_who_are_served_are_not_said_to_be_kept_out() -> None:
    (found,) = at_port_80(proxied(ALLOW))

    assert of(found, Zone.LAN).extent is Extent.ALL
    assert of(found, Zone.LAN).because == ()


def test_a_part_of_a_zone_has_who_keeps_the_rest_out() -> None:
    (found,) = at_port_80(proxied("allow 203.0.113.0/25; deny all;"))

    assert of(found, Zone.LAN).extent is Extent.SOME
    assert of(found, Zone.LAN).because[0].startswith("not served by nginx (")


@pytest.mark.parametrize(
    ("login", "zone", "expected"),
    [
        (Login.NONE, Zone.INTERNET, "a login is asked of them"),
        (Login.REQUIRED, Zone.LAN, "no login is asked of them"),
    ],
)
def test_who_logs_in_and_who_need_not_are_told_apart(
    login: Login, zone: Zone, expected: str
) -> None:
    found = at_port_80(proxied(f"satisfy any; {ALLOW} {LOGIN}"))

    (part,) = (endpoint for endpoint in found if endpoint.login is login)
    (why,) = of(part, zone).because
    assert why.startswith("nginx (/etc/nginx/nginx.conf:")
    assert why.endswith(f"): {expected}")
