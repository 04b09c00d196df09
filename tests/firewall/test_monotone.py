"""What nobody models moves sources into unknown only, and order that does not matter does not.

On rulesets that a kernel had: assorted nf_tables and iptables-nft, ufw, firewalld, and saves of
iptables-legacy.
"""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.effects import Verdict
from ollama_audit.firewall.machine import ACCEPT, DROP
from ollama_audit.firewall.netlink import rules
from ollama_audit.firewall.ruleset import compile_namespace
from ollama_audit.observed import Known, need
from ollama_audit.snapshot.network import Family, NetworkNamespace
from tests.firewall.messages import (
    elements_in_order,
    expressions,
    split,
    swapped,
    unmodelled,
    with_expression,
)
from tests.firewall.rulesets import (
    FROM_HERE,
    NEIGHBOUR,
    ask,
    captured,
    filter_table,
    with_legacy,
)

HOSTS = ("mixed", "ufw", "firewalld-zones")
SAMPLE = 40
"""Rules tried of each host; all of them would take minutes."""


def queries(namespace: NetworkNamespace) -> list[Query]:
    """Questions in both families, and one of a client of the host itself."""
    eth0 = next(link for link in need(namespace.interfaces) if link.name == "eth0")
    found = [
        Query(family=family, interface="eth0", address=address.address, port=port)
        for family in Family
        for address in eth0.addresses
        if address.family is family and address.scope == "global"
        for port in (11434, 8080)
    ]
    return [*found, FROM_HERE]


@cache
def answers(name: str) -> list[Reach]:
    """What the engine says of a host as it was captured."""
    namespace = captured(name)
    return [ask(namespace, query) for query in queries(namespace)]


def with_rules(namespace: NetworkNamespace, messages: bytes) -> NetworkNamespace:
    """The host with other rules."""
    dump = msgspec.structs.replace(need(namespace.firewall.nftables), rules=messages)
    firewall = msgspec.structs.replace(namespace.firewall, nftables=Known(dump, "test"))
    return msgspec.structs.replace(namespace, firewall=firewall)


def only_doubt_was_added(before: list[Reach], namespace: NetworkNamespace) -> None:
    """Nothing is sure now that was not sure before."""
    for old in before:
        new = ask(namespace, old.query)
        assert new.surely <= old.surely
        assert new.blocked <= old.blocked


def places(name: str) -> list[int]:
    """Some places of rules in the dump of a host."""
    count = len(split(need(captured(name).firewall.nftables).rules))
    return sorted(random.Random(count).sample(range(count), min(count, SAMPLE)))


CASES = [(name, place) for name in HOSTS for place in places(name)]


@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_rule_that_nobody_models_only_adds_doubt(name: str, place: int) -> None:
    """A rule of a newer kernel, in place of one that is understood."""
    namespace = captured(name)
    messages = split(need(namespace.firewall.nftables).rules)
    messages[place] = unmodelled(messages[place])

    only_doubt_was_added(answers(name), with_rules(namespace, b"".join(messages)))


@pytest.mark.parametrize(("name", "place"), CASES[::4])
def test_an_expression_that_nobody_knows_only_adds_doubt(name: str, place: int) -> None:
    """A newer kernel may put one anywhere into a rule."""
    namespace = captured(name)
    messages = split(need(namespace.firewall.nftables).rules)
    at = random.Random(place).randint(0, len(expressions(messages[place])))
    messages[place] = with_expression(messages[place], at, b"from_the_future\0")

    only_doubt_was_added(answers(name), with_rules(namespace, b"".join(messages)))


def test_the_doubt_of_a_rule_that_everybody_meets_is_everybodys() -> None:
    """The property above is not kept by saying nothing at all, or by passing such rules over."""
    namespace = with_legacy(filter_table("-A INPUT -j FROM_THE_FUTURE"))

    answer = ask(namespace)
    assert not answer.surely
    assert NEIGHBOUR in answer.unknown
    reason = "ip filter INPUT rule 1: the target FROM_THE_FUTURE is not modelled"
    assert answer.reasons == (reason,)
    assert not ask(with_legacy(filter_table("-A OUTPUT -o lo -j FROM_THE_FUTURE"))).unknown


LINES = st.lists(
    st.builds(
        "-A INPUT -s {}/{} -p tcp -m tcp --dport {} -j {}".format,
        st.sampled_from(["10.0.0.0", "192.0.2.0", "192.0.2.64", "203.0.113.0", "0.0.0.0"]),
        st.sampled_from([0, 8, 24, 28]),
        st.sampled_from(["11434", "22", "8000:12000"]),
        st.sampled_from(["ACCEPT", "DROP", "RETURN"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(lines=LINES, place=st.integers(0, 7), kind=st.sampled_from(["target", "match"]))
def test_lines_that_nobody_models_only_add_doubt(lines: list[str], place: int, kind: str) -> None:
    """The same for iptables-save, for unknown targets and for unknown matches."""
    before = [ask(with_legacy(filter_table(*lines, policy="DROP")))]
    place %= len(lines)
    head, _, verdict = lines[place].partition(" -j ")
    future = f"{head} -m from_the_future --odd 3 -j {verdict}"
    lines[place] = "-A INPUT -j FROM_THE_FUTURE" if kind == "target" else future

    only_doubt_was_added(before, with_legacy(filter_table(*lines, policy="DROP")))


@settings(max_examples=60, deadline=None)
@given(lines=LINES, chance=st.randoms(use_true_random=False))
def test_lines_with_one_verdict_have_no_order(lines: list[str], chance: random.Random) -> None:
    """Accepts among each other commute, whatever they look at."""
    alike = [f"{line.rpartition(' ')[0]} ACCEPT" for line in lines]
    before = ask(with_legacy(filter_table(*alike, policy="DROP")))
    chance.shuffle(alike)
    after = ask(with_legacy(filter_table(*alike, policy="DROP")))

    assert (before.surely, before.blocked) == (after.surely, after.blocked)


def independent(name: str) -> list[int]:
    """Places of rules that only look and then give one verdict, before another such rule."""
    namespace = captured(name)
    records = list(rules(need(namespace.firewall.nftables).rules))
    verdicts: dict[tuple[str, str, str, int], int] = {}
    for chain in compile_namespace(namespace).hooks.chains.values():
        for program in chain.programs:
            last = program.instructions[-1] if program.instructions else None
            if isinstance(last, Verdict) and last.code in (ACCEPT, DROP) and not program.writes:
                rule = program.rule
                verdicts[rule.family, rule.table, rule.chain, rule.handle] = last.code
    keys = [record[:4] for record in records]
    return [
        place
        for place, (key, following) in enumerate(pairwise(keys))
        if key[:3] == following[:3] and key in verdicts and verdicts[key] == verdicts.get(following)
    ]


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name in HOSTS[1:] for place in independent(name)[:15]]
)
def test_independent_rules_have_no_order(name: str, place: int) -> None:
    """Neighbours with the same verdict change places, and nothing else changes."""
    namespace = captured(name)
    messages = split(need(namespace.firewall.nftables).rules)

    turned = with_rules(namespace, swapped(messages, place, place + 1))
    for before in answers(name):
        after = ask(turned, before.query)
        assert (before.surely, before.blocked) == (after.surely, after.blocked)


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize("seed", range(3))
def test_elements_have_no_order(name: str, seed: int) -> None:
    """The elements of every set in another order are the same set."""
    namespace = captured(name)
    dump = need(namespace.firewall.nftables)
    chance = random.Random(seed)

    def shuffled(items: list[bytes]) -> list[bytes]:
        return chance.sample(items, len(items))

    turned = msgspec.structs.replace(dump, elements=elements_in_order(dump.elements, shuffled))
    assert name != "mixed" or turned.elements != dump.elements
    firewall = msgspec.structs.replace(namespace.firewall, nftables=Known(turned, "test"))
    other = msgspec.structs.replace(namespace, firewall=firewall)
    for before in answers(name):
        after = ask(other, before.query)
        assert (before.surely, before.blocked) == (after.surely, after.blocked)
