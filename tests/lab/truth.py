"""Measure a scenario's cells with packets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab.host import HERE, Host
from tests.lab.outer import LabError
from tests.lab.scenario import Cell, Scenario


@dataclass(frozen=True, slots=True)
class Truth:
    """What a client got."""

    outcome: str
    """One of `scenario.OUTCOMES`."""
    detail: str
    """Statuses by path, or the error of the connection."""


def namespace(host: Host, name: str) -> Path:
    """The network namespace of a `Source`."""
    if name.startswith("/"):
        pid = host.run(f"cat {name}").out.strip()
        return host.root / "proc" / pid / "ns" / "net"
    return host.network(name)


def measure(host: Host, cells: Sequence[Cell], timeout: float = 2.0) -> dict[Cell, Truth]:
    """Ask all of these cells at once; a client waits `timeout` seconds for a connection."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.source.namespace, []).append(cell)

    def ask(item: tuple[str, list[Cell]]) -> dict[Cell, Truth]:
        where, asked = item
        return _measure(namespace(host, where), asked, timeout)

    with ThreadPoolExecutor(len(groups) or 1) as pool:
        return {
            cell: truth for part in pool.map(ask, groups.items()) for cell, truth in part.items()
        }


def _measure(network: Path, cells: Sequence[Cell], timeout: float) -> dict[Cell, Truth]:
    questions = [
        {
            "source": cell.source.address,
            "to": cell.address,
            "port": cell.port.number,
            "tls": cell.port.tls,
            "host": cell.port.host,
            "prefix": cell.port.prefix,
            "login": cell.port.login,
            "paths": cell.port.paths,
            "sign_in": cell.port.sign_in,
        }
        for cell in cells
    ]
    enter = ["nsenter", f"--net={network}", sys.executable, "-I", str(HERE / "probe.py")]
    done = subprocess.run(
        [*enter, str(timeout)],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(questions),
        timeout=60 + 20 * timeout,
    )
    if done.returncode:
        raise LabError(f"the probe failed: {done.stderr[-2000:]}")
    return {
        cell: Truth(answer["outcome"], answer["detail"])
        for cell, answer in zip(cells, json.loads(done.stdout), strict=True)
    }


def contradicted(scenario: Scenario, measured: dict[Cell, Truth]) -> list[Cell]:
    """The cells of which the scenario says something else."""
    return [
        cell
        for cell, truth in measured.items()
        if any(
            cell.matches(pattern) and truth.outcome != outcome
            for pattern, outcome in scenario.truth.items()
        )
    ]


def contradictions(scenario: Scenario, measured: dict[Cell, Truth]) -> list[str]:
    """Where packets are at odds with what the scenario says of itself: the set-up is broken."""
    found = []
    for pattern, outcome in scenario.truth.items():
        spoken_of = [cell for cell in measured if cell.matches(pattern)]
        if not spoken_of:
            found.append(f"no cell matches {pattern!r}")
        found += [
            f"{cell} is {measured[cell].outcome} ({measured[cell].detail}), not {outcome}"
            for cell in spoken_of
            if measured[cell].outcome != outcome
        ]
    return found
