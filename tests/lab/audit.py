"""Ask ollama-audit, inside the host, about every cell, and set it against the truth."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.lab.host import Host
from tests.lab.outer import LabError
from tests.lab.scenario import LOGIN, OPEN, Cell, Scenario
from tests.lab.truth import Truth


class Mark(StrEnum):
    """How a tool did on one cell."""

    RIGHT = "right"
    FALSE_GREEN = "false green"
    """Called shut, or behind a login, what is open."""
    FALSE_RED = "false red"
    """Called open what is shut or behind a login."""
    UNKNOWN = "unknown"

    @property
    def wrong(self) -> bool:
        """Whether the tool said what is not so."""
        return self in {Mark.FALSE_GREEN, Mark.FALSE_RED}


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool says of a cell."""

    reach: str
    """`yes`, `no` or `unknown`."""
    login: str
    """`none`, `required` or `unknown`."""
    because: str = ""

    def __str__(self) -> str:
        login = f", login {self.login}" if self.reach == "yes" else ""
        return f"{self.reach}{login}"


def mark(said: Said, truth: Truth) -> Mark:
    """Judge an answer by what the client got. A login counts as reachable with login required."""
    if said.reach == "unknown":
        return Mark.UNKNOWN
    if truth.outcome not in {OPEN, LOGIN}:
        return Mark.FALSE_RED if said.reach == "yes" else Mark.RIGHT
    if said.reach == "no":
        return Mark.FALSE_GREEN
    if said.login == "unknown":
        return Mark.UNKNOWN
    if truth.outcome == OPEN:
        return Mark.RIGHT if said.login == "none" else Mark.FALSE_GREEN
    return Mark.RIGHT if said.login == "required" else Mark.FALSE_RED


def ask_reach(host: Host, scenario: Scenario, cells: Sequence[Cell]) -> dict[Cell, Said]:
    """`ollama-audit reach` about all cells, one run for each interface that clients come in by.

    Raises:
        LabError: It failed, or did not answer what it was asked.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.source.interface, []).append(cell)
    lines = [
        f"{_reach(name, asked)} >/run/lab/reach.{i} &"
        for i, (name, asked) in enumerate(groups.items())
    ]
    collect = "; ".join(f"cat /run/lab/reach.{i}; echo; echo '---'" for i in range(len(groups)))
    host.run("install -d -m 777 /run/lab")
    script = "\n".join(["rm -f /run/lab/reach.*", *lines, "wait", collect])
    done = host.run(script, user=scenario.user, timeout=120)
    said: dict[Cell, Said] = {}
    for asked, text in zip(groups.values(), done.out.split("---\n"), strict=False):
        said |= _read(asked, text, done.err)
    return said


def _reach(interface: str, cells: Sequence[Cell]) -> str:
    sources = dict.fromkeys(cell.source.address for cell in cells)
    targets = dict.fromkeys(_endpoint(cell.address, cell.port.number) for cell in cells)
    words = ["ollama-audit", "reach", "--format", "json"]
    words += [word for source in sources for word in ("--from", source)]
    words += [word for target in targets for word in ("--to", target)]
    return shlex.join([*words, *(["--in-interface", interface] if interface else [])])


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _read(cells: Sequence[Cell], text: str, err: str) -> dict[Cell, Said]:
    try:
        answers = json.loads(text)["answers"]
    except (ValueError, KeyError) as error:
        raise LabError(f"reach printed no answer: {text[:500]!r} {err[-1500:]}") from error
    by_path: dict[tuple[str, str, int], dict[str, Any]] = {
        (answer["from"], answer["to"], answer["port"]): answer for answer in answers
    }
    said = {}
    for cell in cells:
        answer = by_path.get((cell.source.address, cell.address, cell.port.number))
        if answer is None:
            raise LabError(f"reach has no answer for {cell}")
        because = "; ".join(answer["because"])
        said[cell] = Said(answer["reach"], answer["login"], because)
    return said


def ask_report(host: Host, scenario: Scenario) -> dict[str, Any]:
    """`ollama-audit -f json`.

    Raises:
        LabError: It printed no report.
    """
    done = host.run("ollama-audit -f json", user=scenario.user, check=False, timeout=60)
    try:
        report: dict[str, Any] = json.loads(done.out)
    except ValueError as error:
        raise LabError(f"the audit ended with {done.code}: {done.err[-1500:]}") from error
    return report


def wrong_findings(scenario: Scenario, report: Mapping[str, Any]) -> list[str]:
    """Rules whose status in the report is not what the scenario demands."""
    status = {finding["rule"]: finding["status"] for finding in report["findings"]}
    return [
        f"{rule} is {status.get(rule, 'not in the report')}, not {wanted}"
        for rule, wanted in scenario.findings.items()
        if status.get(rule) != wanted
    ]
