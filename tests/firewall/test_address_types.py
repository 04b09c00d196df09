"""Types of addresses as the kernel's routing gives them; each case was seen on a kernel."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.observed import Known, need
from tests.firewall.rulesets import (
    FROM_LAN,
    FROM_LAN_6,
    NEIGHBOUR,
    ask,
    filter_table,
    with_legacy,
)

ODD_SOURCE = 0x00010203
"""0.1.2.3, which Linux takes for an address like others since version 5.3."""
BROADCAST = 0xC00002FF
"""192.0.2.255"""
NEIGHBOUR_6 = 0x20010DB8 << 96 | 0x77


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        ("--src-type UNICAST", {NEIGHBOUR, ODD_SOURCE}),
        ("--src-type BROADCAST", {BROADCAST}),
        ("! --src-type LOCAL", {NEIGHBOUR, ODD_SOURCE, BROADCAST}),
        ("--dst-type LOCAL", {NEIGHBOUR, ODD_SOURCE, BROADCAST}),
        ("--dst-type UNICAST", set()),
    ],
)
def test_types_of_ipv4(options: str, sources: set[int]) -> None:
    """An own address is local and not unicast."""
    rule = f"-A INPUT -m addrtype {options} -j ACCEPT"
    answer = ask(with_legacy(filter_table(rule, policy="DROP")), FROM_LAN)

    through = {source for source in (NEIGHBOUR, ODD_SOURCE, BROADCAST) if source in answer.surely}
    assert through == sources


def test_mapped_sources_are_refused_where_they_arrive_and_not_on_the_way() -> None:
    """A server of this host takes none; one behind a translation of the source may."""
    mapped = (0xFFFF << 32) | 0x01020304
    nat = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        ":POSTROUTING ACCEPT [0:0]\n"
        "-A PREROUTING -p tcp -j DNAT --to-destination [2001:db8::20]:80\n"
        "-A POSTROUTING -j MASQUERADE\nCOMMIT\n"
    )

    assert mapped in ask(with_legacy(), FROM_LAN_6).blocked
    router = with_legacy(six=nat)
    on = need(router.sysctls) | {"ipv6.conf.all.forwarding": "1"}
    router = msgspec.structs.replace(router, sysctls=Known(on, "test"))
    assert mapped in ask(router, FROM_LAN_6).unknown


@pytest.mark.parametrize(
    ("options", "through"),
    [
        ("--dst-type UNICAST", True),
        ("--src-type UNICAST", True),
        ("--dst-type LOCAL", True),
        ("--src-type MULTICAST", False),
    ],
)
def test_types_of_ipv6(options: str, *, through: bool) -> None:
    """ip6tables tells unicast by the address alone: own addresses are both (match_type6)."""
    rule = f"-A INPUT -m addrtype {options} -j ACCEPT"
    namespace = with_legacy(six=filter_table(rule, policy="DROP"))
    answer = ask(namespace, FROM_LAN_6)

    assert (NEIGHBOUR_6 in answer.surely) is through
    assert (NEIGHBOUR_6 in answer.blocked) is not through
