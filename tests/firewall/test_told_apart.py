"""Addresses that rules tell apart have different keys; what they do not is one."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest

from ollama_audit.firewall.told_apart import ToldApart
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import Family, NetworkNamespace, PolicyRule
from tests.firewall.rulesets import captured, filter_table, with_legacy

HERE, THERE, BRIDGE = (int(ip_address(f"192.0.2.{last}")) for last in (10, 11, 129))


def kinds(namespace: NetworkNamespace) -> int:
    apart = ToldApart(namespace, 4)
    return len({apart.key(address) for address in (HERE, THERE, BRIDGE)})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-A INPUT -s 192.0.2.10/32 -j DROP", 1),
        ("-A INPUT -d 192.0.2.10/32 -j DROP", 2),
        ("-A INPUT ! -d 192.0.2.10/32 -p tcp -m tcp --dport 22 -j DROP", 2),
        ("-A INPUT -d 192.0.2.0/24 -j DROP", 1),
        ("-A INPUT -m iprange --dst-range 192.0.2.11-192.0.2.20 -j DROP", 2),
        ("-A INPUT -m conntrack --ctorigdst 192.0.2.128/25 -j DROP", 2),
        ("-A INPUT -m set --match-set some dst -j DROP", 3),
        ("-A INPUT -m set --match-set some src -j DROP", 1),
    ],
)
def test_of_iptables(rule: str, expected: int) -> None:
    ipsets = "create some hash:ip family inet\nadd some 192.0.2.10\n"
    assert kinds(with_legacy(filter_table(rule), ipsets=ipsets)) == expected


def test_of_the_policy_of_routes() -> None:
    namespace = with_legacy()
    rule = PolicyRule(family=Family.IPV4, priority=100, table=7, source="192.0.2.129/32")
    assert kinds(namespace) == 1
    assert kinds(msgspec.structs.replace(namespace, policy_rules=Known((rule,), "test"))) == 2


def test_who_asks_for_what_everybody_is_sent_to() -> None:
    """That connection is not translated, which `--ctstate DNAT` tells."""
    to = "-A PREROUTING -p tcp -m tcp --dport 11434 -j DNAT --to-destination 192.0.2.10"
    assert kinds(with_legacy(f"*nat\n:PREROUTING ACCEPT [0:0]\n{to}\nCOMMIT\n")) == 2


def test_of_nftables() -> None:
    """`assorted` translates what is sent to 192.0.2.10."""
    apart = ToldApart(captured("assorted"), 4)
    assert apart.key(HERE) != apart.key(THERE)


@pytest.mark.parametrize("name", ["docker", "firewalld", "firewalld-zones", "ufw"])
@pytest.mark.parametrize("version", [4, 6])
def test_what_stock_firewalls_ask_of_addresses_is_read(name: str, version: int) -> None:
    """Masks too: else each address of a large host would have to be asked about."""
    apart = ToldApart(captured(name), version)
    beside = [
        int(ip_address("192.0.2.200" if version == 4 else "2001:db8:9::1")) + n for n in (0, 1)
    ]
    assert apart.key(beside[0]) == apart.key(beside[1])


def test_a_network_whose_length_is_no_whole_number_of_bytes() -> None:
    """ufw lets in DHCPv6 from and to fe80::/10."""
    apart = ToldApart(captured("ufw"), 6)
    near, site = (apart.key(int(ip_address(text))) for text in ("fe80::1", "fec0::1"))
    assert near != site
