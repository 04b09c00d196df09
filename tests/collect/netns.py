"""Network namespaces of the tests' own, and what the system's tools say of them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from ollama_audit.collect.namespaces import inside
from ollama_audit.observed import Known, Observed, Unknown

T = TypeVar("T")

_numbers = count(1)


def may_make_namespaces() -> bool:
    return os.geteuid() == 0 and Path("/usr/sbin/ip").exists()


needs_root = pytest.mark.skipif(
    not may_make_namespaces(), reason="needs root and ip(8) to make network namespaces"
)


class Netns:
    """A network namespace; use as a context manager, so that nothing is left of it."""

    def __init__(self) -> None:
        self.name = f"oa-net-{os.getpid()}-{next(_numbers)}"
        self.path = f"/run/netns/{self.name}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self("ip link set lo up")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def __call__(self, *lines: str, stdin: str | None = None) -> str:
        """Runs command lines inside, and gives what they print."""
        printed = ""
        for line in lines:
            done = subprocess.run(
                ["ip", "netns", "exec", self.name, *line.split()],
                check=False,
                capture_output=True,
                text=True,
                input=stdin,
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            printed += done.stdout
        return printed

    def json(self, line: str) -> Any:
        return json.loads(self(line))

    def call(self, function: Callable[[], T]) -> T:
        """Calls a function inside."""
        result = inside(self.path, function)
        assert not (isinstance(result, Unknown) and result.source == self.path), result
        return result  # type: ignore[return-value]

    def start(self, *argv: str) -> int:
        """Starts a process inside; its id, once it is there."""
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *argv])
        self.processes.append(process)
        inode = Path(self.path).stat().st_ino
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with suppress(OSError):
                if Path(f"/proc/{process.pid}/ns/net").stat().st_ino == inode:
                    return process.pid
            time.sleep(0.005)
        pytest.fail("the process did not enter the namespace")


def value_of(observed: Observed[T]) -> T:
    assert isinstance(observed, Known), observed
    return observed.value


def reason_of(observed: object) -> str:
    assert isinstance(observed, Unknown), observed
    return observed.reason
