"""Where rathole starts to read."""

from __future__ import annotations

import posixpath

from ollama_audit.collect.configurations.frpc import folder_of
from ollama_audit.collect.configurations.start import Program, Start, words
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(process: Process, _: Rooted) -> Start:
    """The file named on its command line (rathole src/cli.rs, 0.5)."""
    named = [each for each in words(process)[1:] if each[:1] != "-"]
    base = folder_of(process)
    return Start(posixpath.normpath(posixpath.join(base, named[0])) if named else "", base)


RATHOLE = Program(kind="rathole", start=_start, workers=False)
