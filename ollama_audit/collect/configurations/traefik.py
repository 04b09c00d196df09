"""Where Traefik starts to read."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, option, words
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import known_or
from ollama_audit.snapshot.process import Process


def _start(process: Process, rooted: Rooted) -> Start:
    """The static file and those of the file provider (doc.traefik.io, "Configuration")."""
    names = [
        f"{folder}/traefik.{ext}"
        for folder in ("/etc/traefik", "/root/.config")
        for ext in ("yml", "yaml", "toml")
    ]
    main = option(process, "--configfile", "--configFile", "-configfile")
    main = main or next(filter(rooted.exists, names), "")
    text = known_or(rooted.text(main), "") if main else ""
    line = " ".join(words(process))
    more: list[str] = []
    for found in re.finditer(
        r"(?i)(directory|filename)\"?\s*[:=]\s*\"?([^\s\"']+)", f"{text}\n{line}"
    ):
        inside = rooted.folder(found[2])
        more += [found[2]] if inside is None else [f"{found[2]}/{name}" for name in inside]
    return Start(main, posixpath.dirname(main), tuple(more))


TRAEFIK = Program(kind="traefik", start=_start)
