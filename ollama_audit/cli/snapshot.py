"""`ollama-audit snapshot`: what was read, for another day or another machine."""

from __future__ import annotations

from pathlib import Path

from ollama_audit.cli import output, source
from ollama_audit.cli.exits import ExitCode
from ollama_audit.collect.edge import Beyond
from ollama_audit.snapshot.codec import encode


def save(path: str, *, probe: bool, beyond: frozenset[Beyond]) -> int:
    """Read this host and write the redacted snapshot."""
    text = encode(source.obtain(None, probe=probe, beyond=beyond).snapshot).decode()
    if path == output.STDOUT:
        output.write_stdout(text)
    else:
        output.write_files([(Path(path), text, output.SNAPSHOT_MODE)])
    return ExitCode.OK
