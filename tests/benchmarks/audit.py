"""What a full audit of this host costs, beside `llm-host-guard --json`, run in turn.

    python -m tests.benchmarks.audit [--runs 9] [--program .venv/bin/ollama-audit] [--no-peer]

Prints wall time, CPU time, peak memory and child processes of each, and the ratio. Run it as
root on an idle host: without root less is read. The peer is installed from the package index
into a folder that is removed afterwards. Child processes are successful execve(2) calls as
strace(1) sees them, the program's own left out; without strace they are not counted.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PEER = "llm-host-guard==0.5.0"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Without the shims of version managers, which start processes of their own."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run, from outside."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    """Of the program or its largest descendant."""


def environment() -> dict[str, str]:
    return {"PATH": SEARCH_PATH, "HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C.UTF-8"}


def once(command: Sequence[str]) -> Cost:
    """Run to the end and measure."""
    with Path(os.devnull).open("r+b") as nowhere:
        started = time.perf_counter()
        running = subprocess.Popen(
            command, stdin=nowhere, stdout=nowhere, stderr=nowhere, env=environment()
        )
        _, _, usage = os.wait4(running.pid, 0)
        wall = time.perf_counter() - started
        running.returncode = 0  # waited for above
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def children(command: Sequence[str]) -> str:
    """How many programs a run starts, and which."""
    strace = shutil.which("strace")
    if strace is None:
        return "not counted: no strace"
    with tempfile.NamedTemporaryFile(mode="r") as trace:
        subprocess.run(
            [strace, "-f", "-qq", "-e", "trace=execve", "-o", trace.name, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=environment(),
        )
        started = re.findall(r'execve\("([^"]+)".* = 0$', trace.read(), re.MULTILINE)
    names = [Path(path).name for path in started[1:]]
    return f"{len(names)} ({', '.join(names)})" if names else "0"


def peer(folder: str) -> list[str]:
    """The command line of the peer, installed into `folder`."""
    venv.create(folder, with_pip=True)
    pip = [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check", PEER]
    subprocess.run(pip, check=True)
    return [f"{folder}/bin/llm-host-guard", "--json"]


def show(name: str, command: Sequence[str], costs: Sequence[Cost]) -> None:
    walls = sorted(cost.wall_s for cost in costs)
    cpu = statistics.median(cost.cpu_s for cost in costs)
    peak = max(cost.peak_mib for cost in costs)
    print(
        f"{name:<16} wall {walls[0]:.3f} / {statistics.median(walls):.3f} / {walls[-1]:.3f} s"
        f" (min / median / max of {len(walls)})  cpu {cpu:.3f} s  peak {peak:.1f} MiB\n"
        f"{'':<16} children: {children(command)}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--program", default=str(Path(sys.executable).with_name("ollama-audit")))
    options.add_argument("--no-peer", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "ollama-audit": [given.program, "-f", "json"],
            "--version": [given.program, "--version"],
        }
        if not given.no_peer:
            commands["llm-host-guard"] = peer(folder)
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for turn in range(given.runs + 1):
            for name, command in commands.items():
                cost = once(command)
                if turn:  # the first turn warms the caches
                    costs[name].append(cost)
        print(f"load {os.getloadavg()[0]:.2f}, root: {os.geteuid() == 0}")
        for name, command in commands.items():
            show(name, command, costs[name])
    if "llm-host-guard" in costs:
        ours, theirs = (
            statistics.median(cost.wall_s for cost in costs[name])
            for name in ("ollama-audit", "llm-host-guard")
        )
        print(f"ratio            {ours / theirs:.2f} of the peer's wall time")


if __name__ == "__main__":
    main()
