"""The entries of `ipset save`, as ipset 7.17 printed them."""

from __future__ import annotations

import pytest

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.ipset import parse_ipsets
from tests.firewall.rulesets import NEIGHBOUR, ask, filter_table, with_legacy

CREATED = """\
create c hash:net family inet hashsize 1024 maxelem 65536 timeout 0 comment bucketsize 12 initval 1
"""
DROPPED = filter_table("-A INPUT -m set --match-set c src -j DROP")


def networks(*texts: str) -> AddressSet:
    return AddressSet.from_networks(texts, 4)


@pytest.mark.parametrize(
    ("entries", "blocked", "unknown"),
    [
        ("add c 192.0.2.0/24 timeout 0", True, False),
        ("add c 192.0.2.0/24 timeout 300", False, True),
        ("add c 192.0.2.0/24 timeout 0 nomatch", False, False),
        # what somebody wrote about an entry is no option of it
        ('add c 192.0.2.0/24 timeout 0 comment "nomatch"', True, False),
        ('add c 192.0.2.0/24 timeout 0 comment "not timeout 5"', True, False),
        ('add c 192.0.2.0/24 timeout 0 comment "say \\"no\\" nomatch"', True, False),
        # the most specific entry decides
        ("add c 192.0.2.0/24 timeout 0\nadd c 192.0.2.64/26 timeout 0 nomatch", False, False),
        (
            "add c 192.0.2.0/24 timeout 0\nadd c 192.0.2.64/26 timeout 0 nomatch\n"
            "add c 192.0.2.77 timeout 0",
            True,
            False,
        ),
        ("add c 198.51.100.0/24 timeout 0", False, False),
    ],
)
def test_options_of_an_entry(entries: str, *, blocked: bool, unknown: bool) -> None:
    """Whether 192.0.2.77 is in a set that a rule drops."""
    answer = ask(with_legacy(DROPPED, ipsets=f"{CREATED}{entries}\n"))

    assert (NEIGHBOUR in answer.blocked, NEIGHBOUR in answer.unknown) == (blocked, unknown)


def test_entries_may_overlap_and_touch() -> None:
    """In any order, with single addresses inside of networks."""
    lines = ["10.1.0.0/16", "10.0.0.0/15", "10.2.0.0/16", "10.0.0.1", "192.0.2.1", "192.0.2.0"]
    text = CREATED + "".join(f"add c {line} timeout 0\n" for line in lines)
    answer = ask(with_legacy(DROPPED, ipsets=text))

    clients = networks("10.0.0.0/8", "192.0.2.0/31")
    assert answer.blocked & clients == networks("10.0.0.0/15", "10.2.0.0/16", "192.0.2.0/31")


def test_names_that_need_quotes() -> None:
    """A name may hold a space; the entry is what stands behind it."""
    found = parse_ipsets('create "a b" hash:ip family inet\nadd "a b" 192.0.2.1\nadd b 192.0.2.2\n')

    assert {name: list(each.entries) for name, each in found.items()} == {"a b": ["192.0.2.1"]}
