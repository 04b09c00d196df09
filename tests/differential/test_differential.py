"""The short run: some 500 random rulesets against the kernel."""

from __future__ import annotations

import os
import shutil

import pytest
from msgspec.structs import replace

from ollama_audit.collect.nftables import read_nftables
from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.reach import reach
from ollama_audit.snapshot.network import NetworkNamespace
from tests.differential.run import Plan, run

SHORT = (
    Plan(mode="nft", rulesets=90, seed=11),
    Plan(mode="nft", rulesets=80, seed=12, swarm=True),
    Plan(mode="nft-json", rulesets=30, seed=18),
    Plan(mode="nft-json", rulesets=20, seed=19, swarm=True),
    Plan(mode="iptables-nft", rulesets=30, seed=14),
    Plan(mode="iptables-legacy", rulesets=30, seed=15),
    Plan(mode="mixed", rulesets=15, seed=16),
    Plan(mode="local", rulesets=15, seed=17),
)
MODELLED = (
    Plan(mode="nft", rulesets=60, seed=13, unmodelled=0.0),
    Plan(mode="iptables-nft", rulesets=40, seed=18, unmodelled=0.0),
    Plan(mode="saves", rulesets=20, seed=22, unmodelled=0.0),
    Plan(mode="iptables-legacy", rulesets=40, seed=19, unmodelled=0.0),
    Plan(mode="mixed", rulesets=30, seed=20, unmodelled=0.0),
    Plan(mode="local", rulesets=60, seed=21, unmodelled=0.0),
)
"""Some 30,000 probes; of local clients 1,000, since each is a connection of its own."""
PROGRAMS = ("nft", "ip", "ipset", "iptables-nft-restore", "iptables-legacy-restore")


def missing() -> str:
    """Why the kernel cannot be asked here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(absent)}" if absent else ""


def need_the_kernel() -> None:
    """Skip where the kernel cannot be asked; in CI that is a failure."""
    reason = missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"the differential tests cannot be skipped in CI: {reason}")
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("plan", SHORT, ids=lambda plan: f"{plan.mode}-{plan.seed}")
def test_the_engine_agrees_with_the_kernel(plan: Plan) -> None:
    """No source gets through that is called blocked, and none fails that surely gets through."""
    need_the_kernel()

    tally = run(plan)

    assert not tally.bad, str(tally)
    assert tally.counts["kernel-accept"] > 0
    assert tally.counts["kernel-block"] > 0


@pytest.mark.parametrize("plan", MODELLED, ids=lambda plan: plan.mode)
def test_what_is_modelled_is_known(plan: Plan) -> None:
    """Where every generated match is modelled, at most 1 % of the probes has no answer."""
    need_the_kernel()

    tally = run(plan)

    assert not tally.bad, str(tally)
    assert tally.counts["unknown"] <= 0.01 * tally.counts["probes"], str(tally)


def test_a_listing_never_contradicts_the_dump() -> None:
    """What `nft -j list ruleset` and the kernel's dump say of the same random rulesets."""
    need_the_kernel()
    contradictions: list[str] = []

    def ask(namespace: NetworkNamespace, query: Query) -> Reach:
        capture = replace(namespace.firewall, nftables=read_nftables(), given=())
        dumped = reach(replace(namespace, firewall=capture), query)
        listed = reach(namespace, query)
        if listed.surely & dumped.blocked or listed.blocked & dumped.surely:
            contradictions.append(f"{query}\n{namespace.firewall.given[0].text}")
        return listed

    tally = run(Plan(mode="nft-json", rulesets=25, seed=20), ask)

    assert tally.counts["kernel-block"] > 0
    assert contradictions == []
