"""One run: many random rulesets of one mode, each judged against the kernel."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ollama_audit.firewall.reach import reach
from tests.differential import nft_rulesets
from tests.differential.compare import Ask, Case, Kernel, Tally, judge, keep
from tests.differential.local import Local, judge_local
from tests.differential.modes import MODES, Mode, feed
from tests.differential.packets import forget_connections
from tests.differential.reasons import shown
from tests.differential.topology import topology

ALL_MODES = (*MODES, "local")
FLUSH_EVERY = 60
"""Cases after which connections are forgotten, so that client ports can be used again."""


@dataclass(frozen=True)
class Plan:
    """What a run does."""

    mode: str
    rulesets: int
    seed: int = 1
    unmodelled: float = 0.12
    swarm: bool = False
    case: int | None = None
    keep: Path | None = None
    stop_at_first: bool = False
    reasons: bool = False
    """Count why probes are unknown."""


def run(plan: Plan, ask: Ask = reach) -> Tally:
    """Run a plan in namespaces of its own; the calling thread stays where it is."""
    found: list[Tally | BaseException] = []

    def work() -> None:
        try:
            found.append(_run(plan, ask))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _run(plan: Plan, ask: Ask) -> Tally:
    nft_rulesets.SWARM = plan.swarm
    target = frozenset({11434, 8080} if plan.swarm else {11434, 8080, 22, 80})
    container = frozenset({80} if plan.swarm else {80, 8080, 11434})
    mode = Local() if plan.mode == "local" else MODES[plan.mode]()
    name = f"{os.getpid()}"
    with topology(name, target, container) as namespaces:
        kernel = Kernel(namespaces, ask)
        mode.prepare(kernel)
        tally = Tally()
        started = time.monotonic()
        chance = random.Random(plan.seed)
        while tally.counts["rulesets"] < plan.rulesets:
            seed = plan.case if plan.case is not None else chance.getrandbits(48)
            _one(plan, mode, kernel, seed, tally)
            if plan.stop_at_first and tally.disagreements:
                break
        tally.seconds = time.monotonic() - started
        return tally


def _one(plan: Plan, mode: Mode, kernel: Kernel, seed: int, tally: Tally) -> None:
    ruleset = mode.make(random.Random(seed), plan.unmodelled)
    mode.clear()
    if not all(feed(command, given) for command, given in ruleset.inputs):
        tally.counts["refused"] += 1
        return
    namespace = mode.observe(kernel)
    compare = judge_local if plan.mode == "local" else judge
    printed = shown(namespace) if plan.reasons else None
    compare(kernel, Case(seed, namespace, ruleset.edges, printed), tally)
    if seed in tally.bad and plan.keep is not None:
        keep(plan.keep, seed, ruleset.text)
    if tally.counts["rulesets"] % FLUSH_EVERY == 0:
        forget_connections()
