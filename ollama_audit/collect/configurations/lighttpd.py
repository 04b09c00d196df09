"""Where lighttpd starts to read."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, option
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(process: Process, _: Rooted) -> Start:
    """`-f FILE` (lighttpd(8))."""
    main = option(process, "-f") or "/etc/lighttpd/lighttpd.conf"
    return Start(main, posixpath.dirname(main))


LIGHTTPD = Program(
    kind="lighttpd",
    start=_start,
    include=re.compile(r"(?m)^\s*include\s+([\"']?)([^\"'\n]+)\1"),
)
