"""What a client chooses cannot keep it out, and what it could choose may let it in."""

from __future__ import annotations

import pytest

from ollama_audit.firewall.reach import BY_CHOICE
from tests.firewall.rulesets import (
    FROM_HERE,
    HERE,
    NEIGHBOUR,
    ask,
    filter_table,
    raw_table,
    with_legacy,
)


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -p tcp -m tcp ! --tcp-flags ALL SYN -m conntrack --ctstate NEW -j DROP",
        "-A INPUT -p tcp -m tcp --sport 0:1023 -j DROP",
        "-A OUTPUT -p tcp -m tcp --dport 8080 -j DROP",
        "-A OUTPUT -p tcp -m multiport --dports 25,8000:8090 -j DROP",
    ],
)
def test_an_ordinary_client_is_not_kept_out(rule: str) -> None:
    """Rules against odd flags and against other services concern nobody who need not choose so."""
    answer = ask(with_legacy(filter_table(rule)))

    assert NEIGHBOUR in answer.surely
    assert not answer.unknown


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -p tcp -m tcp --sport 53 -j ACCEPT",
        "-A INPUT -p tcp -m tcp --sport 0:1023 -j ACCEPT",
        "-A INPUT -p tcp -m tcp ! --tcp-flags ALL SYN -j ACCEPT",
    ],
)
def test_who_could_choose_its_way_in_is_not_called_shut_out(rule: str) -> None:
    """Whoever sends from port 53 gets through here: neither yes nor no, and the reason is said."""
    answer = ask(with_legacy(filter_table(rule, policy="DROP")))

    assert NEIGHBOUR in answer.unknown
    assert answer.reasons == (BY_CHOICE,)


def test_a_local_client_is_let_in_by_what_lets_in_its_port_alone() -> None:
    """Over lo the answer passes INPUT too, with the client's port as its destination."""
    shut = filter_table("-A INPUT -p tcp -m tcp --dport 8080 -j DROP")
    open_to_one = filter_table("-A INPUT -p tcp -m tcp --dport 11434 -j ACCEPT", policy="DROP")

    assert HERE in ask(with_legacy(shut), FROM_HERE).surely
    assert HERE in ask(with_legacy(open_to_one), FROM_HERE).unknown


@pytest.mark.parametrize(
    ("output", "state"), [("-A OUTPUT -j CT --notrack", "UNTRACKED"), ("", "INVALID")]
)
def test_the_answer_to_an_untracked_packet_has_no_connection(output: str, state: str) -> None:
    """A SYN+ACK whose SYN connection tracking did not see is invalid, or untracked like it."""
    raw = raw_table("-A PREROUTING -j CT --notrack", output)
    drop = f"-A OUTPUT -m conntrack --ctstate {state} -j DROP"
    accept = f"-A OUTPUT -m conntrack --ctstate {state} -j ACCEPT"

    assert ask(with_legacy(raw + "\n" + filter_table(drop))).blocked.full
    through = ask(with_legacy(raw + "\n" + filter_table(accept, output="DROP")))
    assert NEIGHBOUR in through.surely


def test_a_third_packet_without_its_answer_is_invalid() -> None:
    """Connection tracking that did not see the SYN+ACK does not take the ACK for established."""
    raw = raw_table("-A OUTPUT -j CT --notrack")
    rule = "-A INPUT -m conntrack --ctstate INVALID -j DROP"

    assert ask(with_legacy(raw + "\n" + filter_table(rule))).blocked.full


@pytest.mark.parametrize(("direction", "kept_out"), [("src", False), ("dst", True)])
def test_the_client_is_the_destination_of_its_answer(direction: str, *, kept_out: bool) -> None:
    """An ipset of clients is met by the answer as destinations."""
    rule = f"-A OUTPUT -p tcp -m set --match-set clients {direction} -j DROP"
    sets = "create clients hash:net family inet\nadd clients 192.0.2.64/26\n"
    answer = ask(with_legacy(filter_table(rule), ipsets=sets))

    assert (NEIGHBOUR in answer.blocked) is kept_out
    assert not answer.unknown


def test_a_local_client_whose_source_is_translated_comes_in_again_by_another() -> None:
    """What POSTROUTING makes of it is what PREROUTING of lo sees."""
    client = HERE + 8
    nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o lo -j MASQUERADE\nCOMMIT\n"
    mangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 127.0.0.9 -j DROP\nCOMMIT\n"

    assert client in ask(with_legacy(mangle), FROM_HERE).blocked
    assert client in ask(with_legacy(nat + mangle), FROM_HERE).unknown
