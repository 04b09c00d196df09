"""Caddy's request matchers, and who can bring about that they match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    NEVER,
    NOBODY,
    Clients,
    Fork,
    Gate,
    among,
    doubted,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.keys import is_key
from ollama_audit.snapshot.redact import MASK

_PRIVATE = ("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8", "127.0.0.1/8", "fd00::/8", "::1")
"""What `private_ranges` stands for."""


@dataclass(frozen=True, slots=True)
class State:
    """A request on its way through the routes, and who sends it."""

    method: str
    asked: str
    path: str
    gate: Gate
    name: str = ""
    """The Host header, one that a matcher names; empty for any other."""
    groups: frozenset[str] = frozenset()
    ended: bool = False
    failed: bool = False
    """Whether an error is being answered."""


@dataclass(frozen=True, slots=True)
class Matchers:
    """The matchers of one server."""

    tls: bool
    believes: bool
    """Whether it takes the client's address from a header of some peers."""

    def matched(self, sets: Any, state: State) -> Fork:
        """Any of the sets; in a set, every matcher."""
        if not sets:
            return ALWAYS
        result = NEVER
        for matchers in sets:
            every = ALWAYS
            for name, wanted in matchers.items():
                every &= self._matcher(name, wanted, state)
            result |= every
        return result

    def _matcher(  # noqa: C901, PLR0911 - a table
        self, name: str, wanted: Any, state: State
    ) -> Fork:
        match name:
            case "host":
                return _named(wanted, state.name)
            case "protocol":
                return truth(value=(wanted == "https") == self.tls)
            case "path":
                return truth(value=any(_fits(str(each), state.path) for each in wanted))
            case "path_regexp":
                try:
                    found = re.search(str(wanted.get("pattern")), state.path)
                except re.error:
                    return doubted("caddy: a path_regexp cannot be tried")
                return truth(value=bool(found))
            case "method":
                return truth(value=state.method in wanted)
            case "remote_ip" | "client_ip":
                return self._addressed(name, wanted)
            case "header" | "query":
                return _keyed(wanted)
            case "header_regexp":
                return _patterned(wanted)
            case "not":
                return ~self.matched(wanted, state)
            case "file":
                return NEVER  # no file has the name of a request that Ollama answers
            case _:
                return doubted(f"caddy: the matcher {name}")

    def _addressed(self, name: str, wanted: dict[str, Any]) -> Fork:
        clients = NOBODY
        for text in wanted.get("ranges") or ():
            for network in _PRIVATE if text == "private_ranges" else (str(text),):
                clients |= Clients.within(network)
        if (name == "client_ip" and self.believes) or wanted.get("forwarded"):
            return among(clients) & CHOICE | doubted("caddy: a header says who the client is")
        return among(clients)


def names_in(value: Any) -> Iterator[str]:
    """The names that host matchers have, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "host" and isinstance(inner, list):
                yield from map(str, inner)
            else:
                yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def _named(wanted: Any, name: str) -> Fork:
    """Whether a Host header is one of these; a `*` stands for one label."""
    names = [str(each).lower() for each in wanted]
    if any("{" in each for each in names):
        return CHOICE
    patterns = (re.escape(each).replace(r"\*", "[^.]*") for each in names)
    return truth(value=any(re.fullmatch(each, name) for each in patterns))


def _fits(pattern: str, path: str) -> bool:
    """A path matcher: exact, or with `*` at an end, or as a glob; letter case does not count."""
    pattern, path = pattern.lower(), path.lower()
    if pattern in {"", "*"}:
        return pattern == "*"
    parts = [re.escape(part) for part in pattern.split("*")]
    across = pattern.count("*") == 1 and (pattern[0] == "*" or pattern[-1] == "*")
    anything = ".*" if across or (pattern[0] == pattern[-1] == "*") else "[^/]*"
    return bool(re.fullmatch(anything.join(parts), path))


def _keyed(wanted: dict[str, Any]) -> Fork:
    """Headers or query parameters: all of them, each with one of its values."""
    result = ALWAYS
    for name, values in wanted.items():
        # No header has a space at an end: that is what is left of a variable that is not set.
        given = [value for value in map(str, values or ()) if value.strip() == value]
        if values and not given:
            return NEVER
        # `*` and `Bearer *` are met by whoever sends anything.
        keys = bool(given) and all(is_key(name, each) for each in given)
        result &= proven(f"caddy: {name}") if keys else CHOICE
    return result


def _patterned(wanted: dict[str, Any]) -> Fork:
    """Headers against patterns: all of them."""
    result = ALWAYS
    for name, regexp in wanted.items():
        pattern = str((regexp or {}).get("pattern", ""))
        key = MASK in pattern or is_key(name, pattern)
        result &= proven(f"caddy: {name}") if key else CHOICE
    return result
