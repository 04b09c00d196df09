"""Ollama's variables where they are set outside units: system-wide files and login files.

They matter for servers that a person starts, and mislead when they are taken for a service's
(systemd reads none of them but `environment.d`). Only plain assignments are read: what a shell
would compute is not.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
from collections.abc import Iterable, Sequence
from glob import glob

from ollama_audit.collect.read import read_text
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot import redact
from ollama_audit.snapshot.process import Process, Setting

_SYSTEM = (
    "/etc/environment",
    "/etc/environment.d/*.conf",
    "/usr/lib/environment.d/*.conf",
    "/etc/profile",
    "/etc/profile.d/*.sh",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zshenv",
    "/etc/zsh/zshenv",
    "/etc/default/ollama",
    "/etc/sysconfig/ollama",
    "/etc/conf.d/ollama",
    "/etc/rc.conf",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d/*.conf",
    "/var/snap/ollama/common/*.env",
)
_HOME = (
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".bashrc",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".config/fish/config.fish",
    ".config/environment.d/*.conf",
    ".pam_environment",
)
_PLAIN = re.compile(r"\s*(?:export\s+|DefaultEnvironment=\s*)?[\"']?(OLLAMA_\w+)=(.*)")
_FISH = re.compile(r"\s*set\s+(?:-\w+\s+|--\w+\s+)*(OLLAMA_\w+)\s+(.*)")


def read_environment_sources(
    servers: Iterable[Process],
) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """Settings with their file and line, and the files that exist but could not be read."""
    settings: list[Setting] = []
    gaps: list[str] = []
    for path in _files(servers):
        text = read_text(path, limit=1 << 20, absent="")
        if isinstance(text, Unknown):
            gaps.append(path)
            continue
        settings += _settings(path, text.value)
    return tuple(settings), tuple(gaps)


def _files(servers: Iterable[Process]) -> list[str]:
    homes = sorted({_home(known_or(server.uid, -1)) for server in servers} | {_home(os.geteuid())})
    patterns = [*_SYSTEM, *(f"{home}/{name}" for home in homes if home for name in _HOME)]
    return [path for pattern in patterns for path in _matches(pattern)]


def _matches(pattern: str) -> Sequence[str]:
    return sorted(glob(pattern)) if "*" in pattern else (pattern,)  # noqa: PTH207 - absolute


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir.rstrip("/")
    except (KeyError, OverflowError):
        return ""


def _settings(path: str, text: str) -> list[Setting]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _PLAIN.match(line) or _FISH.match(line)
        if match:
            found.append(redact.setting(match[1], _value(match[2]), path=path, line=number))
    return found


def _value(text: str) -> str:
    """The first word of a shell assignment, unquoted; verbatim where its quotes are open."""
    try:
        return next(
            iter(shlex.split(text.strip("\"'") if text.count('"') % 2 else text, comments=True)), ""
        )
    except ValueError:
        return text.strip()
