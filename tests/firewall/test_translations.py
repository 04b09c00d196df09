"""Which destinations the nat rules of iptables may translate, rule by rule.

What nf_tables does, and that nothing is missing, is for `tests/differential/test_translations.py`.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from msgspec.structs import replace

from ollama_audit.firewall.ports import EVERY_PORT, runs
from ollama_audit.firewall.translations import Kind, Target, Translations, translations
from ollama_audit.observed import Known, Unknown
from tests.exposure.networked import link, space


def listed(rules: str, filters: str = "", ipsets: str = "") -> Translations:
    """What `-A ...` rules of the table nat may do."""
    saved = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n"
    saved += f"{rules}\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n{filters}\nCOMMIT\n"
    namespace = space(link("192.0.2.10/24"), routes=())
    capture = replace(
        namespace.firewall,
        legacy_tables=Known(("nat", "filter"), "test"),
        iptables_legacy_save=Known(saved, "test"),
        ipsets=Known(ipsets, "test"),
    )
    found = translations(replace(namespace, firewall=capture))
    assert not isinstance(found, Unknown)
    return found


@pytest.mark.parametrize(
    ("match", "ports"),
    [
        ("-p tcp -m tcp --dport 8080", [(8080, 8080)]),
        ("-p tcp -m tcp --dport 8000:8010", [(8000, 8010)]),
        ("-p tcp -m tcp ! --dport 22", [(0, 21), (23, 0xFFFF)]),
        ("-p tcp -m multiport --dports 80,443,8000:8010", [(80, 80), (443, 443), (8000, 8010)]),
        ("-p tcp -m conntrack --ctorigdstport 8080", [(8080, 8080)]),
        ("-p tcp -m tcp --sport 8080", [(0, 0xFFFF)]),
        ("-i eth0", [(0, 0xFFFF)]),
    ],
)
def test_a_rule_translates_the_ports_that_it_names(
    match: str, ports: list[tuple[int, int]]
) -> None:
    (found,) = listed(f"-A PREROUTING {match} -j REDIRECT --to-ports 11434").translations

    assert list(runs(found.ports)) == ports
    assert found.target == Target(Kind.SOCKET, port=11434)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "-j DNAT --to-destination 172.17.0.2:80",
            Target(Kind.ADDRESS, int(IPv4Address("172.17.0.2")), 80),
        ),
        ("-j DNAT --to-destination 172.17.0.2", Target(Kind.ADDRESS, 0xAC110002, None)),
        ("-j DNAT --to-destination :11434", Target(Kind.SOCKET, port=11434)),
        ("-j REDIRECT", Target(Kind.SOCKET)),
        ("-j DNAT --to-destination 172.17.0.2-172.17.0.9", Target(Kind.UNKNOWN)),
        ("-j NETMAP --to 10.0.0.0/8", Target(Kind.UNKNOWN)),
    ],
)
def test_a_rule_sends_where_its_target_says(target: str, expected: Target) -> None:
    (found,) = listed(f"-A OUTPUT -p tcp -m tcp --dport 80 {target}").translations

    assert found.target == expected


def test_a_chain_is_about_what_all_rules_that_lead_to_it_ask_for() -> None:
    found = listed(
        "-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 8000:8999 -j DOCKER\n"
        "-A DOCKER -p tcp -m tcp --dport 8500:9500 -j DNAT --to-destination 172.17.0.2:80"
    )

    (only,) = found.translations
    assert list(runs(only.ports)) == [(8500, 8999)]
    assert [str(network) for network in only.addresses.networks()] == ["192.0.2.10/32"]


def test_what_translates_nothing_is_not_listed() -> None:
    found = listed(
        "-A PREROUTING -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353\n"
        "-A PREROUTING -p tcp -j RETURN\n"
        "-A DOCKER -j DNAT --to-destination 172.17.0.2",
        filters="-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
    )

    assert found == Translations()


def test_every_port_that_any_rule_names_is_an_edge_and_what_follows_it() -> None:
    found = listed(
        "-A PREROUTING -j REDIRECT --to-ports 11434\n"
        "-A PREROUTING -p tcp -m set --match-set some dst -j ACCEPT",
        filters="-A INPUT -p tcp -m conntrack --ctorigdstport 8080:8090 -j DROP",
        ipsets="create some bitmap:port range 0-1000\nadd some 443\n",
    )

    edges = [first for first, _ in runs(found.edges)]
    assert set(edges) >= {443, 8080, 8091}
    assert found.edges >> 444 & 1
    assert found.translations[0].ports == EVERY_PORT


def test_a_ruleset_that_was_not_read_says_so() -> None:
    namespace = space(link("192.0.2.10/24"), routes=())
    hidden = Unknown("only root may read it", "nf_tables")
    unread = replace(namespace, firewall=replace(namespace.firewall, nftables=hidden))

    assert translations(unread) == hidden
