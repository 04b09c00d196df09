"""Rules are shown as their owner prints them, and the owner is named."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall import engines, firewalld
from ollama_audit.firewall.answer import Decision, Effect, Rule
from ollama_audit.firewall.wording import describe, owner
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.firewall import FirewallCapture
from tests.firewall.rulesets import captured

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
:ufw-user-output - [0:0]
:ufw-user-forward - [0:0]
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
            "firewalld zone public: rich rule, port 11434/tcp drop - nft inet firewalld"
            " filter_IN_public_deny handle 40: tcp dport 11434 drop",
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
        "ufw rule 1: allow from 192.168.1.0/24 to any port 11434 - nft ip filter ufw-user-input"
        " handle 20: -A ufw-user-input -s 192.168.1.0/24 -p tcp -m tcp --dport 11434 -j ACCEPT"
    )
    assert describe(decision(deny), shown).startswith(
        "ufw rule 2: deny from any to any port 80,443 - "
    )
    assert describe(decision(rule()), shown) == (
        "ufw default: deny (incoming) - nft ip filter INPUT: policy drop"
    )


def owned(where: Rule, shown: FirewallCapture) -> str:
    """What stands before the place of a rule."""
    return describe(decision(where), shown).partition(" - ")[0]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (1, "ufw rule 1: allow from any to any port 22"),
        (2, "ufw rule 2: allow from 192.168.1.0/24 to any port 11434"),
        (3, "ufw rule 3: deny from any to any port 11434"),
        (4, "ufw rule 4: limit from any to any port 2222"),
        (6, "ufw rule 4: limit from any to any port 2222"),
        (7, "ufw"),
        (8, "ufw rule 5: allow from any to any port 8080"),
        (9, "ufw rule 6: allow from any to any port 80,443"),
        (10, "ufw rule 7: allow from any to any port 3000"),
        (11, "ufw rule: allow from any to any port 3000"),
        (12, "ufw rule: allow from any to any port 9090"),
    ],
)
def test_ufw_rules_have_the_numbers_that_ufw_shows(position: int, expected: str) -> None:
    """`ufw status numbered` counted so on this host; behind `allow 3000` it could be one more.

    OpenSSH, 11434/tcp from 192.168.1.0/24, deny 11434/tcp, limit 2222/tcp, log 8080/tcp, WWW Full,
    3000, 9090/tcp.
    """
    shown = captured("ufw").firewall
    where = rule(chain="ufw-user-input", handle=1, position=position)

    assert owned(where, shown) == expected


def test_ufw_counts_its_ipv6_rules_behind_the_others() -> None:
    """Where the rules of IPv4 cannot be counted, those of IPv6 have no number either."""
    six = """\
*filter
:ufw6-user-input - [0:0]
:ufw6-user-output - [0:0]
:ufw6-user-forward - [0:0]
-A ufw6-user-input -p tcp -m tcp --dport 11434 -j DROP
COMMIT
"""
    where = rule(family="ip6", chain="ufw6-user-input", handle=9, position=1)

    def shown(four: str) -> FirewallCapture:
        saved = Known(six, "ip6tables-nft-save")
        return msgspec.structs.replace(capture(saved=four), ip6tables_save=saved)

    both = "-A ufw-user-input -p {} -m {} --dport 53 -j ACCEPT\n"
    twice = UFW.replace("COMMIT", both.format("tcp", "tcp") + both.format("udp", "udp") + "COMMIT")
    routed = UFW.replace("COMMIT", "-A ufw-user-forward -i eth0 -j ACCEPT\nCOMMIT")

    assert owned(where, shown(UFW)) == "ufw rule 3: deny from any to any port 11434"
    assert owned(where, shown(routed)) == "ufw rule 4: deny from any to any port 11434"
    assert owned(where, shown(twice)) == "ufw rule: deny from any to any port 11434"
    assert owned(where, shown("")) == "ufw rule: deny from any to any port 11434"
    first = rule(chain="ufw-user-input", handle=1, position=1)
    assert owned(first, shown(routed)).startswith("ufw rule: ")


def in_firewalld(**parts: object) -> str:
    """What firewalld's rules are called on a host captured with firewalld 1.3."""
    shown = captured("firewalld-zones").firewall
    known = {"family": "inet", "table": "firewalld", "position": 1}
    return owned(rule(**known | parts), shown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp dport 8080 accept", "firewalld zone public: port 8080/tcp"),
        ("tcp dport 9000-9010 accept", "firewalld zone public: port 9000-9010/tcp"),
        (
            "ip saddr 192.168.1.0/24 tcp dport 11434 accept",
            "firewalld zone public: rich rule, from 192.168.1.0/24 port 11434/tcp accept",
        ),
        (
            "ip saddr 192.168.2.0/24 tcp dport 11434 drop",
            "firewalld zone public: rich rule, from 192.168.2.0/24 port 11434/tcp drop",
        ),
    ],
)
def test_firewalld_rules_are_named_by_zone_and_kind(text: str, expected: str) -> None:
    """As `firewall-cmd --zone=public --list-all` has them."""
    listing = known_or(captured("firewalld-zones").firewall.nft_listing, "")
    line = next(
        line for line in listing.splitlines() if line.strip().startswith(f"{text} # handle")
    )
    chain = "filter_IN_public_deny" if text.endswith("drop") else "filter_IN_public_allow"

    assert in_firewalld(chain=chain, handle=int(line.rpartition(" ")[2])) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "meta nfproto ipv4 tcp dport 80 redirect to :11434",
            "forward-port port=80:proto=tcp:toport=11434:toaddr=",
        ),
        (
            "meta nfproto ipv4 tcp dport 80 dnat ip to 10.1.1.2:11434",
            "forward-port port=80:proto=tcp:toport=11434:toaddr=10.1.1.2",
        ),
        (
            "meta nfproto ipv6 tcp dport 80 dnat ip6 to [fd00::2]:11434",
            "forward-port port=80:proto=tcp:toport=11434:toaddr=fd00::2",
        ),
        (
            "meta nfproto ipv4 tcp dport 11434 dnat ip to 10.1.1.2",
            "forward-port port=11434:proto=tcp:toport=:toaddr=10.1.1.2",
        ),
        (
            "ip saddr 192.168.77.0/24 tcp dport 81 redirect to :11434",
            "rich rule, from 192.168.77.0/24 forward-port port=81:proto=tcp:toport=11434:toaddr=",
        ),
    ],
)
def test_forwarded_ports_are_named_as_firewalld_lists_them(text: str, expected: str) -> None:
    """As `firewall-cmd --list-forward-ports` has them."""
    assert firewalld.say("nat_PRE_public_allow", text) == f"zone public: {expected}"


def test_the_end_of_a_zone_is_its_target() -> None:
    """The last rule of a zone's chain refuses what nothing allowed."""
    listing = known_or(captured("firewalld-zones").firewall.nft_listing, "")
    zone = listing.partition("chain filter_IN_public {")[2].partition("}\n")[0]
    last = [line for line in zone.splitlines() if "reject with" in line][-1]
    handle = int(last.rpartition(" ")[2])

    said = in_firewalld(chain="filter_IN_public", handle=handle)
    assert said == "firewalld zone public: target default"


@pytest.mark.parametrize(
    ("chain", "text", "expected"),
    [
        (
            "DOCKER",
            "-A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
            "published port 8080, to 172.17.0.2:80",
        ),
        (
            "DOCKER",
            "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
            "port 80 of container 172.17.0.2",
        ),
        ("DOCKER-USER", "-A DOCKER-USER -s 10.0.0.0/8 -j DROP", "user rule"),
        (
            "NETAVARK_FORWARD",
            "-A NETAVARK_FORWARD -d 10.88.0.0/16 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
            "network 10.88.0.0/16",
        ),
        (
            "nv_2f_dnat",
            "tcp dport 8080 dnat ip to 10.88.0.2:80",
            "published port 8080, to 10.88.0.2:80",
        ),
        ("DOCKER", "-A DOCKER -j RETURN", ""),
    ],
)
def test_rules_of_container_engines_name_the_port(chain: str, text: str, expected: str) -> None:
    """A published port and its container are told from the text of the rule."""
    assert engines.say(chain, text) == expected


def test_dockers_rule_in_the_raw_table_is_dockers() -> None:
    """It stands in a built-in chain, and is known by its form."""
    direct = "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP"
    own = "-A PREROUTING -d 172.17.0.2/32 -i eth1 -j DROP"
    saved = f"*raw\n:PREROUTING ACCEPT [0:0]\n{direct}\n{own}\nCOMMIT\n"
    where = rule(table="raw", chain="PREROUTING", handle=4, position=1)

    shown = capture(saved=saved)
    assert owned(where, shown) == "Docker container 172.17.0.2 through its own bridge only"
    assert owner(msgspec.structs.replace(where, position=2), shown) == ""


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
