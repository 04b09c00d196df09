"""Statements of nf_tables that let nobody in and shut nobody out."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.collect.firewall import read_firewall
from tests.collect.netns import Netns, needs_root, value_of
from tests.firewall.rulesets import NEIGHBOUR, ask, captured


@needs_root
@pytest.mark.parametrize("statement", ["meta nftrace set 1", "meta priority set 1:2", "counter"])
def test_a_statement_that_nothing_looks_at_leaves_the_answer_known(statement: str) -> None:
    rules = "add table inet f\nadd chain inet f i { type filter hook input priority 0; }\n"
    rules += f"add rule inet f i ip saddr 192.0.2.77 {statement} drop\n"
    namespace = captured("mixed")
    with Netns() as there:
        there("nft -f -", stdin=rules)
        firewall = there.call(lambda: read_firewall(namespace.interfaces))
    answer = ask(msgspec.structs.replace(namespace, firewall=firewall))

    assert value_of(firewall.nftables).rules
    assert NEIGHBOUR in answer.blocked
    assert not answer.unknown
