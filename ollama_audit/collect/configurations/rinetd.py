"""Where rinetd starts to read."""

from __future__ import annotations

from ollama_audit.collect.configurations.start import Program, Start, option
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(process: Process, rooted: Rooted) -> Start:
    """`-c FILE` (rinetd(8))."""
    del rooted
    main = option(process, "-c", "--conf-file") or "/etc/rinetd.conf"
    return Start(main, main.rpartition("/")[0])


RINETD = Program(kind="rinetd", start=_start)
