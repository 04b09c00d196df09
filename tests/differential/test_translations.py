"""The list of translations against the engine: none is missing, and no edge."""

from __future__ import annotations

import random
from collections import Counter
from ipaddress import ip_address

import pytest

from ollama_audit.firewall.answer import Effect, Query, Reach
from ollama_audit.firewall.ports import EVERY_PORT, parted
from ollama_audit.firewall.reach import reach
from ollama_audit.firewall.translations import Kind, Translation, translations
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import NetworkNamespace
from tests.differential.run import Plan, run
from tests.differential.test_differential import need_the_kernel

PLANS = (
    Plan(mode="nft", rulesets=60, seed=21),
    Plan(mode="nft", rulesets=40, seed=22, swarm=True),
    Plan(mode="iptables-nft", rulesets=40, seed=23),
    Plan(mode="iptables-legacy", rulesets=40, seed=24),
    Plan(mode="local", rulesets=25, seed=26),
)


class Examiner:
    """Asks the engine, and holds the list against what it says."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.chance = random.Random(7)

    def __call__(self, namespace: NetworkNamespace, query: Query) -> Reach:
        answer = reach(namespace, query)
        found = translations(namespace)
        assert not isinstance(found, Unknown)
        for decision in answer.decisions:
            if decision.effect is Effect.TRANSLATE and decision.rule is not None:
                self.counts["translated"] += 1
                assert any(
                    each.rule == decision.rule and _covers(each, query, decision.detail)
                    for each in found.translations
                ), f"{decision} of {query} is not listed"
        if found.translations and not found.reason:
            first, last = next(
                span for span in parted(EVERY_PORT, found.edges) if span[0] <= query.port <= span[1]
            )
            self.counts["alike"] += first < last
            other = reach(namespace, _at(query, self.chance.randint(first, last)))
            assert (answer.surely, answer.blocked) == (other.surely, other.blocked), (
                f"{query} and port {other.query.port} differ, edges at {first} and {last + 1}"
            )
        return answer


def _covers(each: Translation, query: Query, detail: str) -> bool:
    address = ip_address(query.address)
    if each.version != address.version or int(address) not in each.addresses:
        return False
    if not each.ports >> query.port & 1:
        return False
    to, _, port = detail.rpartition(":")
    if each.target.kind is Kind.UNKNOWN:
        return True
    if port != str(query.port if each.target.port is None else each.target.port):
        return False
    return each.target.kind is Kind.SOCKET or int(ip_address(to.strip("[]"))) == each.target.address


def _at(query: Query, port: int) -> Query:
    return Query(family=query.family, interface=query.interface, address=query.address, port=port)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.mode}-{plan.seed}")
def test_every_translation_is_listed_and_every_edge(plan: Plan) -> None:
    """What the engine translates is in the list; ports without an edge between them fare alike."""
    need_the_kernel()
    examiner = Examiner()

    run(plan, examiner)

    assert examiner.counts["translated"] > 0
    if plan.mode != "local":
        assert examiner.counts["alike"] > 0
