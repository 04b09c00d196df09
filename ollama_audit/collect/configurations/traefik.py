"""Where Traefik starts to read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ollama_audit.collect.configurations.start import (
    Program,
    Start,
    folder,
    option,
    variables,
    words,
)
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import known_or
from ollama_audit.snapshot.process import Process

_PROVIDED = re.compile(r"(?i)(?:directory|filename)[\"']?\s*[:=]\s*[\"']?([^\s\"']+)")
_ENDINGS = (".toml", ".yaml", ".yml")
_DEEPEST = 4


def _start(process: Process, rooted: Rooted) -> Start:
    """The static file and those of the file provider (doc.traefik.io, "Configuration")."""
    here, environment = folder(process), variables(process)
    home = environment.get("HOME", "")
    folders = ("/etc/traefik", environment.get("XDG_CONFIG_HOME", ""), f"{home}/.config", here)
    usual = (f"{at}/traefik{ending}" for at in folders if at for ending in _ENDINGS)
    main = option(process, "--configfile", "--configFile", "-configfile")
    main = posixpath.join(here, main) if main else next(filter(rooted.exists, usual), "")
    text = known_or(rooted.text(main), "") if main else " ".join(words(process))
    more = [
        path
        for found in _PROVIDED.finditer(text)
        for path in _inside(rooted, posixpath.join(here, found[1]), 0)
    ]
    return Start(main, posixpath.dirname(main), tuple(more))


def _inside(rooted: Rooted, path: str, depth: int) -> Iterator[str]:
    """A file, or those of a folder and of the folders in it."""
    names = rooted.folder(path)
    if names is None:
        yield path
    elif depth < _DEEPEST:
        for name in names:
            yield from _inside(rooted, posixpath.join(path, name), depth + 1)


TRAEFIK = Program(kind="traefik", start=_start, environment=True)
