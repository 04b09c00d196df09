"""Runs the program as people do: a process of its own, in a plain environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ollama_audit.rule import Host
from ollama_audit.snapshot.codec import encode

PROGRAM = (sys.executable, "-m", "ollama_audit")
ROOT = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    """What a process needs to start, without what the caller's terminal set."""
    plain = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    return plain | changes


def run(*arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run to the end without input; `changes` are environment variables, output is text."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(**changes),
        encoding="utf-8",
    )


def saved(host: Host, folder: Path, name: str = "host.json") -> Path:
    """The snapshot of a host as a file."""
    path = folder / name
    path.write_bytes(encode(host.snapshot))
    return path
