"""Where ssh, the client, starts to read."""

from __future__ import annotations

import re

from ollama_audit.collect.configurations.start import Program, Start, option, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(process: Process, rooted: Rooted) -> Start:
    """`-F FILE`, else the user's file and then the system's (ssh_config(5), FILES)."""
    home = variables(process).get("HOME", "")
    if named := option(process, "-F"):
        return Start("" if named == "none" else named, f"{home}/.ssh")
    usual = (f"{home}/.ssh/config", "/etc/ssh/ssh_config")
    found = [path for path in usual if rooted.exists(path)]
    return Start(found[0] if found else "", f"{home}/.ssh", tuple(found[1:]))


SSH = Program(
    kind="ssh",
    start=_start,
    workers=False,
    include=re.compile(r"(?mi)^[ \t]*Include[ \t]+(\"?)([^\"\n]+?)\1[ \t]*$"),
)
