"""Whether a process was told of Ollama, shown by processes that wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ollama_audit.collect.mentions import names_ollama

PYTHON = os.path.realpath(sys.executable)
"""Not by way of a virtual environment, whose folder may have the name."""
WAIT = "import sys; print(flush=True); sys.stdin.read()"


@contextmanager
def waiting(
    *argv: str, folder: Path | None = None, variables: dict[str, str] | None = None
) -> Iterator[int]:
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, env=variables or {}
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdout.readline()  # the kernel shows its arguments some time after execve(2)
        yield child.pid
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(10)


@pytest.mark.parametrize(
    ("words", "variables", "expected"),
    [
        (["-c", WAIT], {}, False),
        (["-c", WAIT, "--port", "111434"], {}, False),
        (["-c", WAIT, "http://127.0.0.1:11434"], {}, True),
        (["-c", WAIT], {"BACKEND": "http://gpu:11434"}, True),
        (["-c", WAIT], {"OLLAMA_BASE_URL": "http://gpu"}, True),
    ],
)
def test_by_command_line_and_environment(
    words: list[str], variables: dict[str, str], *, expected: bool
) -> None:
    with waiting(PYTHON, *words, variables=variables) as pid:
        assert names_ollama(pid) is expected


@pytest.mark.parametrize("by", ["relay.py", "./relay.py", "ABSOLUTE"])
def test_by_the_script_that_an_interpreter_runs(tmp_path: Path, by: str) -> None:
    (tmp_path / "relay.py").write_text(f"BACKEND = ('127.0.0.1', 11434)\n{WAIT}\n")
    (tmp_path / "other.py").write_text(f"BACKEND = ('127.0.0.1', 5432)\n{WAIT}\n")
    script = str(tmp_path / "relay.py") if by == "ABSOLUTE" else by

    with waiting(PYTHON, "-B", script, folder=tmp_path) as pid:
        assert names_ollama(pid)
    with waiting(PYTHON, "-B", "other.py", folder=tmp_path) as pid:
        assert not names_ollama(pid)


def test_of_a_process_that_has_ended_nothing_is_known() -> None:
    with waiting(PYTHON, "-c", "pass") as pid:
        pass

    assert not names_ollama(pid)
