"""Where stunnel starts to read."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, folder, words
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(process: Process, rooted: Rooted) -> Start:
    """The file on its command line (stunnel(8)); it reads `include = FOLDER` from there."""
    del rooted
    named = [word for word in words(process)[1:] if not word.startswith("-")]
    here = folder(process) or "/"
    main = posixpath.normpath(
        posixpath.join(here, named[0] if named else "/etc/stunnel/stunnel.conf")
    )
    return Start(main, here)


STUNNEL = Program(
    kind="stunnel",
    start=_start,
    include=re.compile(r"(?m)^\s*include\s*=\s*(\"?)([^\"\s]+)\1\s*$"),
)
