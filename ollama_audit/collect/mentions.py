"""Whether a program that holds a socket was told of Ollama, by whatever it was told.

A program that nobody knows may pass requests on to Ollama, and hardly does so without its name or
its usual port in the command line, the environment or the script that it runs. None of what is read
here is kept.
"""

from __future__ import annotations

import os
import posixpath
import re

from ollama_audit.collect.proc import executable_of, raw_arguments
from ollama_audit.collect.read import read_bytes
from ollama_audit.observed import known_or
from ollama_audit.snapshot.process import INTERPRETER

_NAMED = re.compile(rb"ollama|(?<!\d)11434(?!\d)", re.IGNORECASE)
_LARGEST = 256 << 10
_MOST_WORDS = 6
"""A script comes early on a command line."""


def names_ollama(pid: int) -> bool:
    """Whether the command line, the environment at start or the script of a process does."""
    texts = [f"/proc/{pid}/cmdline", f"/proc/{pid}/environ"]
    if INTERPRETER.fullmatch(posixpath.basename(known_or(executable_of(pid), ""))):
        texts += _scripts(pid)
    return any(_NAMED.search(known_or(read_bytes(path, limit=_LARGEST), b"")) for path in texts)


def _scripts(pid: int) -> list[str]:
    """The files that an interpreter's first arguments name, by its own root and folder."""
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - not resolved by our root
    except OSError:
        folder = "/"
    words = known_or(raw_arguments(pid), ())[1:_MOST_WORDS]
    paths = (posixpath.normpath(posixpath.join(folder, word)) for word in words if word[:1] != "-")
    return [f"/proc/{pid}/root{path}" for path in paths]
