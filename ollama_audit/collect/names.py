"""The addresses of names as /etc/hosts has them (hosts(5)); no resolver is asked."""

from __future__ import annotations

from ollama_audit.collect.read import read_text
from ollama_audit.observed import known_or


def read_names() -> dict[str, tuple[str, ...]]:
    """The addresses by name of this host's own file; none when it cannot be read."""
    return names_in(known_or(read_text("/etc/hosts", limit=1 << 20, absent=""), ""))


def names_in(text: str) -> dict[str, tuple[str, ...]]:
    """The addresses by name, in lower case, in the order of the file."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found[name.lower()] = (*found.get(name.lower(), ()), address)
    return found
