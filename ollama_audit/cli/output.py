"""Where output goes: standard output, or files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ollama_audit.cli.exits import UsageProblem

REPORT_MODE = 0o644
SNAPSHOT_MODE = 0o600
"""A snapshot names users, processes and paths: for its owner's eyes."""
SCRIPT_MODE = 0o700

STDOUT = "-"


def write_files(documents: Sequence[tuple[Path, str, int]]) -> None:
    """Write each text to its path with its mode: all are written beside, then all are renamed.

    An existing regular file is replaced and keeps its own mode where that is narrower, so that
    a report somebody made private stays private. What is not a regular file (a pipe,
    /dev/stderr) is written to as it is, since renaming would replace it.

    Raises:
        UsageProblem: A file cannot be written; none of the regular files has changed then.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, text, mode in documents:
            try:
                if path.exists() and not path.is_file():
                    path.write_bytes(_encoded(text))
                else:
                    staged.append((_staged(path, text, mode), path.resolve()))
            except OSError as problem:
                raise UsageProblem(f"cannot write {path}: {problem.strerror}") from problem
        while staged:
            beside, path = staged[0]
            try:
                beside.replace(path)
            except OSError as problem:
                raise UsageProblem(f"cannot write {path}: {problem.strerror}") from problem
            staged.pop(0)
    finally:
        for beside, _ in staged:
            with contextlib.suppress(OSError):
                beside.unlink()


def _staged(path: Path, text: str, mode: int) -> Path:
    target = path.resolve()  # a link stays a link; what it points to is replaced
    if target.is_file():
        mode &= target.stat().st_mode
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "the file is write-protected")
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encoded(text))
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return beside


def write_stdout(text: str) -> None:
    """Write all of `text` to standard output now.

    Raises:
        BrokenPipeError: The reader has gone; `ollama_audit.__main__` keeps that silent.
        UsageProblem: Standard output is closed or full.
    """
    if sys.stdout is None:
        raise UsageProblem("cannot write to standard output: it is closed")
    try:
        sys.stdout.buffer.write(text.encode(stdout_encoding(), errors="backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise UsageProblem(f"cannot write to standard output: {problem.strerror}") from problem


def stdout_encoding() -> str:
    """The encoding of standard output; ASCII when it has none."""
    return getattr(sys.stdout, "encoding", None) or "ascii"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
