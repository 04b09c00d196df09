"""Lists, numbers and places in a sentence, for people."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 3
"""How many of a list a sentence names before it counts the rest."""


def joined(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = [*names] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def listed(names: Iterable[str], more: int = 0) -> str:
    """The first of the names, each once, and how many there are beside them, `more` included."""
    each = list(dict.fromkeys(names))
    left = len(each) - MOST + more
    if left <= more and not more:
        return joined(each)
    return f"{', '.join(each[:MOST])} and {max(left, more):,} more"


def plural(number: int, one: str, many: str = "") -> str:
    """`1 process`, `2 processes`."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def authority(host: str, port: int | str) -> str:
    """`192.0.2.1:80` or `[2001:db8::1]:80` of a host, in brackets already or not (RFC 3986)."""
    return f"[{host.strip('[]')}]:{port}" if ":" in host else f"{host}:{port}"
