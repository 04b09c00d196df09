"""Where frp's client starts to read."""

from __future__ import annotations

import os
import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, option, words
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process

_COMMANDS = {"tcp", "udp", "http", "https", "stcp", "xtcp", "sudp", "tcpmux", "nathole"}


def folder_of(process: Process) -> str:
    """Its working directory, as it names it; `/` when that cannot be read."""
    try:
        return os.readlink(f"/proc/{process.pid}/cwd")  # noqa: PTH115 - as the process names it
    except OSError:
        return "/"


def _start(process: Process, rooted: Rooted) -> Start:
    """`-c FILE`, `--config_dir FOLDER`, else ./frpc.ini (frp cmd/frpc/sub/root.go, 0.61)."""
    base = folder_of(process)
    folder = option(process, "--config_dir", "--config-dir")
    if folder:
        folder = posixpath.join(base, folder)
        named = [f"{folder}/{name}" for name in rooted.folder(folder) or ()]
        return Start(named[0] if named else "", base, tuple(named[1:]))
    if _COMMANDS.intersection(words(process)[1:2]):
        return Start(base=base)
    main = option(process, "-c", "--config") or "./frpc.ini"
    return Start(posixpath.normpath(posixpath.join(base, main)), base)


FRPC = Program(
    kind="frp",
    start=_start,
    workers=False,
    # includes = ["./confd/*.toml"], or, of INI, a list with commas of which the first is taken
    include=re.compile(r"""(?m)^\s*"?includes"?\s*[=:]\s*(\[?\s*["']?)([^"',\]\s]+)"""),
    environment=True,
)
