"""Who is taken to be where, and how that is told."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Extent, Zone, ZoneReach
from ollama_audit.exposure.zones import sources_behind
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import Family
from tests.exposure.networked import link, space
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


def lan(*allowed: str, policy: str = "DROP") -> ZoneReach:
    """Who of 192.168.1.0/24 gets in where these and nobody else are let in."""
    rules = "\n".join(map(ALLOW.format, allowed))
    answers = "-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"
    saved = f"*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}\n{answers}\nCOMMIT\n"
    found = space(link("192.168.1.10/24"), routes=(), listening="0.0.0.0:11434")
    capture = replace(
        found.firewall,
        legacy_tables=Known(("filter",), "test"),
        iptables_legacy_save=Known(saved, "test"),
    )
    snapshot = host(namespaces=namespaces(replace(found, firewall=capture))).snapshot
    (endpoint,) = assess(snapshot).endpoints
    (part,) = endpoint.toward(Zone.LAN)
    return part


def test_part_of_a_network_is_listed_and_the_rest_counted() -> None:
    part = lan(*(f"192.168.1.{n}/32" for n in range(100, 200, 2)))

    assert part.extent is Extent.SOME
    assert part.networks[:2] == ("192.168.1.100/32", "192.168.1.102/32")
    assert (len(part.networks), part.more_networks) == (32, 50 - 32)


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
