"""Where HAProxy starts to read."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, option, options, words
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process


def _start(process: Process, rooted: Rooted) -> Start:
    """`-f FILE`, several of them, folders as their `*.cfg` files (haproxy(1))."""
    line = words(process)
    named = options(process, "-f")
    if "--" in line:
        named += line[line.index("--") + 1 :]
    base = option(process, "-C") or "/"
    paths: list[str] = []
    for path in (posixpath.join(base, name) for name in named or ["/etc/haproxy/haproxy.cfg"]):
        inside = rooted.folder(path)
        paths += [path] if inside is None else [f"{path}/{n}" for n in inside if n[-4:] == ".cfg"]
    return Start(paths[0] if paths else "", base, tuple(paths[1:]))


HAPROXY = Program(
    kind="haproxy",
    start=_start,
    # Lists of addresses; other files of values may hold keys.
    include=re.compile(r"(?m)\bsrc\b([^\n{}]*?)\s-f\s+(\S+)"),
)
