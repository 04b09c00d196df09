"""Who is taken to be where, and how that is told."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Exposure, Extent, Zone, ZoneReach
from ollama_audit.exposure.survey import _KNOWN
from ollama_audit.exposure.zones import sources_behind
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import Family, Interface
from tests.exposure.networked import default, link, networked, space
from tests.hosts import host, namespaces


@pytest.mark.parametrize(
    ("own", "nobody", "somebody"),
    [
        ("192.168.1.10/24", "192.168.1.255", "192.168.1.254"),
        ("192.168.0.10/23", "192.168.1.255", "192.168.0.255"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
    ],
)
def test_no_client_has_a_broadcast_address_or_ours(own: str, nobody: str, somebody: str) -> None:
    eth0 = link(own)

    (found,) = sources_behind(space(eth0, routes=()), eth0, Family.IPV4)

    assert ip_address(own.partition("/")[0]) not in found.wider
    assert ip_address(nobody) not in found.wider
    assert ip_address(somebody) in found.core


ALLOW = "-A INPUT -s {} -p tcp -m tcp --dport 11434 -j ACCEPT"


def allowing(*rules: str, policy: str = "DROP", beside: tuple[Interface, ...] = ()) -> Exposure:
    """A host on 192.168.1.0/24, and on the internet, with these rules for what comes in."""
    written = "\n".join(rules)
    answers = "-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"
    saved = f"*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n{written}\n{answers}\nCOMMIT\n"
    found = space(
        link("192.168.1.10/24", "198.51.100.10/32"),
        *beside,
        routes=(default("192.168.1.1"),),
        listening="0.0.0.0:11434",
    )
    capture = replace(
        found.firewall,
        legacy_tables=Known(("filter",), "test"),
        iptables_legacy_save=Known(saved, "test"),
    )
    return assess(host(namespaces=namespaces(replace(found, firewall=capture))).snapshot)


def lan(*allowed: str, policy: str = "DROP") -> ZoneReach:
    """Who of 192.168.1.0/24 gets in where these and nobody else are let in."""
    (endpoint,) = allowing(*map(ALLOW.format, allowed), policy=policy).endpoints
    (part,) = endpoint.toward(Zone.LAN)
    return part


def test_part_of_a_network_is_listed_and_the_rest_counted() -> None:
    part = lan(*(f"192.168.1.{n}/32" for n in range(100, 200, 2)))

    assert part.extent is Extent.SOME
    assert part.networks[:2] == ("192.168.1.100/32", "192.168.1.102/32")
    assert (len(part.networks), part.more_networks) == (32, 50 - 32)


def test_neighbours_are_listed_before_networks_behind_the_router() -> None:
    part = lan("10.0.0.0/8", "172.16.0.0/12", "192.168.1.64/26")

    assert part.extent is Extent.SOME
    assert part.networks == ("192.168.1.64/26", "10.0.0.0/8", "172.16.0.0/12")


KNOWN = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"


def test_what_lets_later_packets_through_is_not_told() -> None:
    """The rule that lets a connection begin decides; with a policy alone, that does."""
    (endpoint,) = allowing(KNOWN, ALLOW.format("192.168.1.0/24")).endpoints
    (part,) = endpoint.toward(Zone.LAN)
    assert ALLOW.format("192.168.1.0/24") in part.because[0]
    assert "ESTABLISHED" not in " ".join(part.because)

    (endpoint,) = allowing(KNOWN, policy="ACCEPT").endpoints
    (part,) = endpoint.toward(Zone.LAN)
    assert part.because[0].endswith("INPUT: policy accept")
    assert "ESTABLISHED" not in " ".join(part.because)


@pytest.mark.parametrize(
    ("rule", "later"),
    [
        (KNOWN, True),
        ("-A INPUT -m state --state ESTABLISHED -j ACCEPT", True),
        ("ct state established,related accept", True),
        ("ct state { established, related } accept", True),
        ("-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT", False),
        ("-A INPUT -m conntrack ! --ctstate ESTABLISHED -j ACCEPT", False),
        ("ct state { established, new } accept", False),
        ("ct state != established accept", False),
        ("ct state new accept", False),
    ],
)
def test_rules_about_connections_that_exist(rule: str, *, later: bool) -> None:
    assert bool(_KNOWN.search(rule)) is later


def test_all_of_a_network_is_one() -> None:
    part = lan("192.168.0.0/16")

    assert (part.extent, part.networks) == (Extent.ALL, ("192.168.1.0/24",))
    assert part.more_networks == 0


def test_the_rule_that_lets_them_in_is_told_alone() -> None:
    """Neither that answers are let out, nor what no rule decided."""
    (because,) = lan("192.168.0.0/16").because

    assert because.endswith(ALLOW.format("192.168.0.0/16"))


def test_where_no_rule_decides_it_is_the_policy_of_the_incoming_chain() -> None:
    assert lan(policy="ACCEPT").because == ("iptables-legacy ip filter INPUT: policy accept",)


def test_what_keeps_them_out_is_told() -> None:
    assert lan().because == ("iptables-legacy ip filter INPUT: policy drop",)


LIMIT = "-A INPUT -s {} -p tcp -m tcp --dport 11434 -m limit --limit 5/sec -j ACCEPT"


def test_a_doubt_is_told_of_those_whom_it_concerns_with_the_rule_as_its_owner_prints_it() -> None:
    """A rule for the internet is no reason why a neighbour may or may not get in."""
    near, far = LIMIT.format("192.168.1.0/24"), LIMIT.format("203.0.113.0/24")
    four = [
        next(part for part in endpoint.toward(zone) if part.family is Family.IPV4)
        for endpoint in allowing(near, far).endpoints
        for zone in (Zone.LAN, Zone.INTERNET)
    ]

    told = ["; ".join(part.because) for part in four]

    assert near in told[0]
    assert "whether `limit` matches cannot be said" in told[0]
    assert far not in told[0]
    assert far in told[1]
    assert near not in told[1]


def test_what_no_reading_settles_a_client_of_theirs_does() -> None:
    (endpoint,) = allowing(LIMIT.format("192.168.1.0/24")).endpoints
    (part,) = [each for each in endpoint.toward(Zone.LAN) if each.family is Family.IPV4]

    tried = "curl -m 3 http://192.168.1.10:11434/api/version"
    assert part.cure == f"{tried} on another machine of your network"


def test_a_host_is_tried_at_the_address_that_clients_there_know_it_by() -> None:
    tunnel = link("10.99.0.1/24", index=2, name="tun0", kind="tun")
    lan = link("192.168.1.10/24", index=3)
    (endpoint,) = assess(networked(tunnel, lan, routes=())).endpoints

    first = {
        part.zone: part.destinations[0] for part in endpoint.reach if part.family is Family.IPV4
    }

    assert (first[Zone.LAN], first[Zone.VPN]) == ("192.168.1.10", "10.99.0.1")


def test_an_own_address_beside_a_network_is_none_of_it() -> None:
    """172.17.255.255 is the broadcast address of docker0, next to the network that gets in."""
    docker0 = link("172.17.0.1/16", index=3, name="docker0", kind="bridge")
    other = link("172.18.0.1/16", index=4, name="br-0123456789ab", kind="bridge")
    (endpoint,) = allowing(ALLOW.format("172.18.0.0/16"), beside=(docker0, other)).endpoints
    (part,) = [each for each in endpoint.toward(Zone.CONTAINER) if each.open]

    assert (part.extent, part.networks) == (Extent.SOME, ("172.18.0.0/16",))
