"""Which way packets come and answers go, and what that does to who reaches Ollama."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.answer import Answer
from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Zone
from ollama_audit.exposure.path import answer
from ollama_audit.observed import Known
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, Interface, PolicyRule, Route
from tests.exposure.networked import LO, RULES, address, default, link, networked
from tests.hosts import namespaces

LAN = link("192.168.1.10/24", "2001:db8:1::10/64")
UPLINK = link("198.51.100.10/24", "2001:db8:100::10/64", index=3, name="eth1")
TUNNEL = replace(link("10.8.0.2/24", index=4, name="wg0", kind="wireguard"), point_to_point=True)
OUT = (default("192.168.1.1"), default("2001:db8:1::1"))


def ask(host: HostSnapshot, source: str, to: str, by: str = "") -> Answer:
    return answer(host, (ip_address(source),), ((ip_address(to), 11434),), by).answers[0]


def ruled(host: HostSnapshot, *rules: PolicyRule) -> HostSnapshot:
    assert isinstance(host.namespaces, Known)
    (found,) = host.namespaces.value
    return replace(
        host,
        namespaces=namespaces(replace(found, policy_rules=Known((*RULES, *rules), "test"))),
    )


def shared(family: Family, *hops: int) -> Route:
    whole = "0.0.0.0" if family is Family.IPV4 else "::"
    return Route(family=family, destination=whole, prefix_length=0, table=254, hops=hops)


@pytest.mark.parametrize(
    ("source", "to", "by"),
    [
        ("192.168.1.20", "192.168.1.10", "eth0"),
        ("192.168.1.20", "198.51.100.10", "eth0"),  # a neighbour does not come by the uplink
        ("203.0.113.7", "198.51.100.10", "eth1"),
        ("192.168.1.10", "198.51.100.10", "lo"),
        ("203.0.113.7", "203.0.113.200", "eth0"),  # an address of no link
        ("192.168.1.20", "127.0.0.1", "eth0"),
        ("fe80::7", "2001:db8:1::10", "eth0"),
        ("fe80::7%eth1", "2001:db8:1::10", "eth1"),  # as the client itself says
    ],
)
def test_by_which_interface_a_client_comes(source: str, to: str, by: str) -> None:
    lo = replace(LO, addresses=(*LO.addresses, address("203.0.113.200/32")))
    host = networked(LAN, UPLINK, routes=OUT)
    assert isinstance(host.namespaces, Known)
    (space,) = host.namespaces.value
    space = replace(space, interfaces=Known((lo, LAN, UPLINK), "test"))
    assert ask(replace(host, namespaces=namespaces(space)), source, to).in_interface == by


@pytest.mark.parametrize("to", ["192.168.1.99", "192.168.1.255", "0.0.0.0", "203.0.113.9"])
def test_an_address_of_somebody_else_is_not_asked_about(to: str) -> None:
    """A neighbour sends to it past this host, whose rules say nothing of that."""
    found = ask(networked(LAN, UPLINK, routes=OUT), "192.168.1.20", to)
    assert (found.reach, found.in_interface) == ("unknown", "")


def test_an_address_that_a_route_makes_the_hosts_own() -> None:
    """`ip route add local 203.0.113.128/25 dev lo`."""
    mine = Route(
        family=Family.IPV4,
        destination="203.0.113.128",
        prefix_length=25,
        table=255,
        type="local",
        interface=1,
    )
    found = ask(networked(LAN, routes=(*OUT, mine)), "192.168.1.20", "203.0.113.130")
    assert (found.reach, found.in_interface) == ("yes", "eth0")


def test_a_port_of_a_bridge_is_its_bridge() -> None:
    port = Interface(index=7, name="enp3s0", master=2, master_kind="bridge")
    host = networked(replace(LAN, name="br0", kind="bridge"), port, routes=OUT)
    assert ask(host, "192.168.1.20", "192.168.1.10", "enp3s0").in_interface == "br0"


def test_nothing_comes_in_by_a_link_that_is_down() -> None:
    host = networked(LAN, replace(UPLINK, up=False), routes=OUT)
    shut = ask(host, "203.0.113.7", "198.51.100.10", "eth1")
    assert (shut.reach, shut.because) == ("no", ("nothing comes in by eth1, which is down",))


def test_an_address_of_a_link_that_is_down_is_still_taken() -> None:
    """The internet gets to a public IPv4 address by the other link."""
    host = networked(LAN, replace(UPLINK, up=False), routes=OUT)
    assert ask(host, "203.0.113.7", "198.51.100.10").reach == "yes"
    (endpoint,) = assess(host).endpoints
    (internet,) = (p for p in endpoint.toward(Zone.INTERNET) if p.family is Family.IPV4)
    assert internet.destinations == ("198.51.100.10",)


@pytest.mark.parametrize("family", list(Family))
def test_a_default_route_by_two_links_leads_to_the_internet_by_both(family: Family) -> None:
    host = networked(LAN, UPLINK, routes=(shared(family, 2, 3),))
    four = family is Family.IPV4
    source, to = ("203.0.113.7", "198.51.100.10") if four else ("2001:db8:f::1", "2001:db8:100::10")
    assert ask(host, source, to).reach == "yes"
    (endpoint,) = assess(host).endpoints
    internet = [part for part in endpoint.toward(Zone.INTERNET) if part.family is family]
    assert [part.open for part in internet] == [True]


def test_a_default_route_whose_links_are_down_is_none() -> None:
    host = networked(LAN, UPLINK, routes=(replace(default("192.168.1.1"), dead=True),))
    assert ask(host, "203.0.113.7", "192.168.1.10").reach == "no"


def test_an_answer_that_leaves_by_another_link_than_the_neighbour_is_on() -> None:
    """`ip rule add from 198.51.100.10 table 200`, as hosts with two uplinks have it."""
    away = replace(default("198.51.100.1", 3), table=200)
    rule = PolicyRule(family=Family.IPV4, priority=100, table=200, source="198.51.100.10/32")
    host = ruled(networked(LAN, UPLINK, routes=(*OUT, away)), rule)
    found = ask(host, "192.168.1.20", "198.51.100.10")
    assert found.reach == "unknown"
    assert found.because[0] == "the answer leaves by eth1, not by eth0, where the client is"
    assert ask(host, "192.168.1.20", "192.168.1.10").reach == "yes"
    assert ask(host, "203.0.113.7", "198.51.100.10").reach == "yes"
    assert ask(host, "203.0.113.7", "198.51.100.10", "eth0").reach == "yes"


def test_an_answer_that_leaves_by_a_tunnel() -> None:
    """wg-quick with AllowedIPs = 0.0.0.0/0: the far end takes what it likes."""
    whole = replace(default("10.8.0.1", 4), table=51820, gateway="")
    rules = (
        PolicyRule(family=Family.IPV4, priority=10, table=254, suppress_prefix_length=0),
        PolicyRule(
            family=Family.IPV4, priority=11, table=51820, mark=1, mark_mask=~0 % 2**32, invert=True
        ),
    )
    host = ruled(networked(LAN, TUNNEL, routes=(*OUT, whole)), *rules)
    assert ask(host, "203.0.113.7", "192.168.1.10").reach == "unknown"
    assert ask(host, "192.168.1.20", "192.168.1.10").reach == "yes"
    assert ask(host, "10.8.0.9", "10.8.0.2").reach == "yes"


def test_an_anycast_address_takes_no_connection() -> None:
    """A router has one in each of its networks (RFC 4291, 2.6.1)."""
    anycast = Route(
        family=Family.IPV6, destination="2001:db8:1::", prefix_length=128, table=255, type="anycast"
    )
    host = networked(LAN, routes=(*OUT, anycast))
    found = ask(host, "2001:db8:1::20", "2001:db8:1::", "eth0")
    assert found.reach == "no"
    assert found.because == ("TCP does not answer at an anycast address",)


def test_a_socket_bound_to_a_device_serves_the_hosts_own_address_there() -> None:
    host = networked(LAN, UPLINK, routes=OUT)
    assert isinstance(host.namespaces, Known)
    (space,) = host.namespaces.value
    assert isinstance(space.listeners, Known)
    bound = tuple(replace(each, device="eth0") for each in space.listeners.value)
    host = replace(host, namespaces=namespaces(replace(space, listeners=Known(bound, "test"))))
    assert ask(host, "192.168.1.10", "192.168.1.10").reach == "yes"
    assert ask(host, "127.0.0.1", "192.168.1.10").reach == "no"
    assert ask(host, "192.168.1.10", "198.51.100.10").reach == "no"
    assert ask(host, "127.0.0.1", "127.0.0.1").reach == "no"
    assert ask(host, "192.168.1.20", "192.168.1.10").reach == "yes"
