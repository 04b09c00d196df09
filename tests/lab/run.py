"""Run scenarios side by side and print what came of them."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from tests.lab.audit import Mark, Said, ask_reach, ask_report, mark, wrong_findings
from tests.lab.host import Host, end_all
from tests.lab.lab import booted, prepare
from tests.lab.outer import LabError, firewall_fingerprint
from tests.lab.peer import ask_peer
from tests.lab.report_zones import zone_contradictions
from tests.lab.scenario import Cell, Scenario, cells
from tests.lab.truth import Truth, contradicted, contradictions, measure

WORKERS = 3


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of one scenario."""

    scenario: Scenario
    measured: dict[Cell, Truth] = field(default_factory=dict)
    marks: dict[str, Counter[Mark]] = field(default_factory=dict)
    """By tool."""
    broken: list[str] = field(default_factory=list)
    """What is wrong with the scenario or the lab itself."""
    wrong: list[str] = field(default_factory=list)
    """What the audit got wrong."""
    unknown: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        """What makes this scenario fail: a pending one fails only by passing."""
        if self.broken:
            return self.broken
        if not self.scenario.pending:
            return self.wrong
        if self.marks and not self.wrong:
            return [f"passes, so `pending` is out of date: {self.scenario.pending}"]
        return []

    @property
    def verdict(self) -> str:
        """One word for the table."""
        if self.problems:
            return "FAIL"
        return "pending" if self.scenario.pending and self.marks else "ok"


def run_scenario(scenario: Scenario, *, audit: bool = True, peer: bool = False) -> Result:
    """Boot, measure, ask, compare; nothing raises."""
    result = Result(scenario=scenario)
    started = time.monotonic()
    try:
        with booted(scenario, product=audit, peer=peer) as host:
            result.measured = measure(host, cells(scenario))
            # A busy machine may answer too late: whatever is in doubt is asked again, patiently.
            doubted = contradicted(scenario, result.measured)
            result.measured |= measure(host, doubted, timeout=5.0)
            result.broken += contradictions(scenario, result.measured)
            if audit:
                _audit(host, result)
            if peer:
                said = ask_peer(host, result.measured)
                result.marks["llm-host-guard"] = _count(said, result.measured)
    except LabError as error:
        result.broken.append(str(error))
    except Exception:  # noqa: BLE001 - one scenario must not take the others along
        result.broken.append(traceback.format_exc())
    result.seconds = time.monotonic() - started
    return result


def _audit(host: Host, result: Result) -> None:
    """Set the audit against the truth; an audit that fails is wrong, not the lab."""
    scenario = result.scenario
    result.marks["ollama-audit"] = Counter()
    try:
        report = ask_report(host, scenario)
        said = ask_reach(host, scenario, list(result.measured))
    except LabError as error:
        result.wrong.append(str(error))
        return
    disputed = [cell for cell in said if mark(said[cell], result.measured[cell]).wrong]
    result.measured |= measure(host, disputed, timeout=5.0)
    result.marks["ollama-audit"] = _count(said, result.measured)
    for cell, answer in said.items():
        truth = result.measured[cell]
        told = mark(answer, truth)
        line = f"{told}: {cell} is {truth.outcome} ({truth.detail}), said {answer}"
        if told.wrong:
            result.wrong.append(f"{line} because {answer.because}")
        elif told is Mark.UNKNOWN:
            result.unknown.append(f"{line} because {answer.because}")
    result.wrong += wrong_findings(scenario, report)
    result.wrong += zone_contradictions(report, result.measured)


def _count(said: dict[Cell, Said], measured: dict[Cell, Truth]) -> Counter[Mark]:
    return Counter(mark(answer, measured[cell]) for cell, answer in said.items())


def run(
    scenarios: Sequence[Scenario], *, audit: bool = True, peer: bool = False, verbose: bool = False
) -> list[Result]:
    """Run these side by side, print each as it ends and the table at the end.

    Raises:
        LabError: The outer machine's packet filter is not what it was before.
    """
    before = firewall_fingerprint()
    prepare({scenario.suite for scenario in scenarios}, product=audit, peer=peer)
    started = time.monotonic()
    results = []
    pool = ThreadPoolExecutor(WORKERS)
    try:
        waiting = [pool.submit(run_scenario, each, audit=audit, peer=peer) for each in scenarios]
        for done in as_completed(waiting):
            results.append(done.result())
            _tell(results[-1], verbose=verbose)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end_all()
        raise
    pool.shutdown()
    order = {scenario.name: i for i, scenario in enumerate(scenarios)}
    results.sort(key=lambda result: order[result.scenario.name])
    print_table(results, time.monotonic() - started)
    if firewall_fingerprint() != before:
        raise LabError("the outer machine's packet filter has changed")
    return results


def _tell(result: Result, *, verbose: bool) -> None:
    lines = [f"{result.verdict:8}{result.scenario.name}  ({result.seconds:.1f} s)"]
    told = result.problems if not verbose else result.broken + result.wrong + result.unknown
    lines += [f"    {line}" for line in _shortened(told, 200 if verbose else 12)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _shortened(lines: Sequence[str], most: int) -> Iterable[str]:
    yield from lines[:most]
    if len(lines) > most:
        yield f"... and {len(lines) - most} more"


def print_table(results: Sequence[Result], seconds: float) -> None:
    """Scenarios, and cells by tool: right, wrong both ways, unknown."""
    tools = list(dict.fromkeys(tool for result in results for tool in result.marks))
    width = max((len(result.scenario.name) for result in results), default=8)
    heads = "".join(f"  {tool:>28}" for tool in tools)
    print(f"\n{'scenario':{width}}  {'verdict':8}{'open':>5}{'login':>6}{'shut':>6}{heads}")
    print(" " * (width + 27) + "".join(f"  {'right  green!  red!   ?':>28}" for _ in tools))
    totals: dict[str, Counter[Mark]] = {tool: Counter() for tool in tools}
    for result in results:
        truths = Counter(truth.outcome for truth in result.measured.values())
        shut = truths["nothing"] + truths["other"]
        row = f"{result.scenario.name:{width}}  {result.verdict:8}"
        row += f"{truths['open']:5}{truths['login']:6}{shut:6}"
        for tool in tools:
            marks = result.marks.get(tool, Counter())
            totals[tool] += marks
            row += _columns(marks)
        print(row)
    counted = sum(len(result.measured) for result in results)
    print(f"{len(results)} scenarios, {counted} cells, {seconds:.0f} s")
    for tool, marks in totals.items():
        print(
            f"{tool}: {marks[Mark.RIGHT]} right, {marks[Mark.FALSE_GREEN]} false green, "
            f"{marks[Mark.FALSE_RED]} false red, {marks[Mark.UNKNOWN]} unknown"
        )
    print(", ".join(f"{n} {word}" for word, n in Counter(r.verdict for r in results).items()))


def _columns(marks: Counter[Mark]) -> str:
    numbers = [marks[each] for each in (Mark.RIGHT, Mark.FALSE_GREEN, Mark.FALSE_RED, Mark.UNKNOWN)]
    return f"  {numbers[0]:11}{numbers[1]:6}{numbers[2]:6}{numbers[3]:5}"
