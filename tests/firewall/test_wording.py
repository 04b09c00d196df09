"""Rules are shown as their owner prints them, and the owner is named."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Decision, Effect, Rule
from ollama_audit.firewall.wording import describe, owner
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.firewall import FirewallCapture

LISTING = """\
table ip filter { # handle 1
	chain INPUT { # handle 1
		type filter hook input priority filter; policy drop;
		ip saddr 192.0.2.0/24 tcp dport 11434 accept # handle 7
	}
}
table inet firewalld { # handle 2
	chain filter_IN_public_deny { # handle 12
		tcp dport 11434 drop # handle 40
	}
}
"""

UFW = """\
*filter
:INPUT DROP [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-user-input
-A ufw-user-input -s 192.168.1.0/24 -p tcp -m tcp --dport 11434 -j ACCEPT
-A ufw-user-input -p tcp -m multiport --dports 80,443 -j DROP
COMMIT
"""

UNREAD = Unknown("not captured", "test")


def capture(listing: str = "", saved: str = "") -> FirewallCapture:
    text: Observed[str] = Known(saved, "iptables-nft-save")
    return FirewallCapture(
        nftables=UNREAD,
        nft_listing=Known(listing, "nft -a list ruleset"),
        iptables_save=text,
        ip6tables_save=UNREAD,
        legacy_tables=Known((), "test"),
        legacy6_tables=Known((), "test"),
        iptables_legacy_save=text,
        ip6tables_legacy_save=UNREAD,
        ipsets=UNREAD,
        unmodelled=Known((), "test"),
    )


def rule(**parts: object) -> Rule:
    known = {"backend": "nftables", "family": "ip", "table": "filter", "chain": "INPUT"}
    return msgspec.convert(known | parts, Rule)


def decision(where: Rule | None, effect: Effect = Effect.DROP, detail: str = "") -> Decision:
    sources = AddressSet.everything(4)
    return Decision(effect=effect, sources=sources, rule=where, detail=detail)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (
            rule(handle=7, position=1),
            "nft ip filter INPUT handle 7: ip saddr 192.0.2.0/24 tcp dport 11434 accept",
        ),
        (
            rule(
                family="inet",
                table="firewalld",
                chain="filter_IN_public_deny",
                handle=40,
                position=1,
            ),
            "firewalld - nft inet firewalld filter_IN_public_deny handle 40: tcp dport 11434 drop",
        ),
        (rule(), "nft ip filter INPUT: policy drop"),
        (rule(handle=99, position=9), "nft ip filter INPUT handle 99: drop"),
    ],
)
def test_rules_are_found_by_handle(where: Rule, expected: str) -> None:
    """A rule is shown by nft's text, a policy as such, and one not captured by its effect."""
    assert describe(decision(where), capture(LISTING)) == expected


def test_ufw_rules_are_said_in_the_words_of_ufw() -> None:
    """A user's rule names who is allowed and where; the default is known by ufw's chains."""
    shown = capture(saved=UFW)
    allow = rule(chain="ufw-user-input", handle=20, position=1)
    deny = rule(chain="ufw-user-input", handle=21, position=2)

    assert describe(decision(allow, Effect.ACCEPT), shown) == (
        "ufw rule: allow from 192.168.1.0/24 to any port 11434 - nft ip filter ufw-user-input"
        " handle 20: -A ufw-user-input -s 192.168.1.0/24 -p tcp -m tcp --dport 11434 -j ACCEPT"
    )
    assert describe(decision(deny), shown).startswith(
        "ufw rule: deny from any to any port 80,443 - "
    )
    assert describe(decision(rule()), shown) == "ufw default - nft ip filter INPUT: policy drop"


def test_legacy_rules_are_found_by_place() -> None:
    """The nth rule of a chain is the nth line of its save."""
    where = rule(backend="iptables-legacy", position=1)

    assert describe(decision(where), capture(saved=UFW)) == (
        "ufw - iptables-legacy ip filter INPUT rule 1: -A INPUT -j ufw-user-input"
    )


def test_a_save_that_leaves_rules_out_is_not_used() -> None:
    """iptables-nft-save prints native rules as others, and says so in a comment alone."""
    saved = "# Table `filter' contains incompatible base-chains, use 'nft' tool to list them.\n"
    where = rule(chain="ufw-user-input", handle=20, position=1)

    assert "192.168.1.0" not in describe(decision(where), capture(saved=saved + UFW))


@pytest.mark.parametrize(
    ("table", "chain", "expected"),
    [
        ("filter", "DOCKER-USER", "Docker"),
        ("docker-bridges", "filter-FORWARD", "Docker"),
        ("netavark", "INPUT", "podman"),
        ("filter", "f2b-sshd", "fail2ban"),
        ("filter", "ts-input", "tailscale"),
        ("filter", "LIBVIRT_INP", "libvirt"),
        ("mine", "input", ""),
    ],
)
def test_owners_are_told_by_names(table: str, chain: str, expected: str) -> None:
    """Names are those that the programs give; other rules are nobody's."""
    assert owner(rule(table=table, chain=chain), capture()) == expected


def test_the_ip_layer_speaks_for_itself() -> None:
    """Where no rule decided, the reason is shown."""
    shown = describe(decision(None, detail="no route back to the source"), capture())

    assert shown == "no route back to the source"
