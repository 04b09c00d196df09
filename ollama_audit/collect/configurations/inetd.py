"""Where inetd and xinetd start to read."""

from __future__ import annotations

import re

from ollama_audit.collect.configurations.start import Program, Start, option, words
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _inetd(process: Process, rooted: Rooted) -> Start:
    """The file is the operand (inetd(8) of OpenBSD, GNU and BusyBox)."""
    del rooted
    operands = [word for word in words(process)[1:] if word.startswith("/")]
    main = operands[-1] if operands else "/etc/inetd.conf"
    return Start(main, main.rpartition("/")[0])


def _xinetd(process: Process, rooted: Rooted) -> Start:
    """`-f FILE` (xinetd(8))."""
    del rooted
    main = option(process, "-f") or "/etc/xinetd.conf"
    return Start(main, main.rpartition("/")[0])


INETD = Program(kind="inetd", start=_inetd)
XINETD = Program(
    kind="xinetd",
    start=_xinetd,
    include=re.compile(r"(?m)^[ \t]*(include|includedir)[ \t]+(\S+)[ \t]*$"),
)
