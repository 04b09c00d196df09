"""The rules of Traefik's routers: for which requests and clients they hold.

doc.traefik.io/traefik, "Rules & Priority" of v3, and of v2 as far as the names are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    NEVER,
    NOBODY,
    Clients,
    Fork,
    among,
    doubted,
    proven,
    truth,
)

_TOKEN = re.compile(
    r"\s*(?:(?P<sign>&&|\|\||[!(),])|`(?P<tick>[^`]*)`|\"(?P<quote>(?:[^\"\\]|\\.)*)\"|(?P<word>\w+))"
)
_SECRET = re.compile(r"(?i)auth|key|token|secret|cookie")
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks, as far as rules look at it."""

    method: str
    path: str
    host: str
    tls: bool
    believed: bool
    """Whether a header of PROXY protocol may say who the client is."""


class Rule:
    """A rule, taken apart once and tried often."""

    def __init__(self, text: str) -> None:
        """Take it apart.

        Raises:
            ValueError: It is not one.
        """
        self.text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._tree = self._either(0)
        if self._at != len(self._tokens):
            raise ValueError(f"{text} does not end where it should")
        self.hosts = _hosts(self._tree)
        """The names that it asks for; empty when it takes others, too."""

    def prefixes(self) -> Iterator[str]:
        """The literal beginnings of the paths that it speaks of."""
        for name, values in _calls(self._tree):
            if name.startswith("path"):
                for value in values:
                    if found := re.match(r"(?:/[\w.-]+)+", value.lstrip("^")):
                        yield re.split(r"/(?:api|v1)(?:/|$)", found[0])[0]

    def holds(self, request: Request) -> Fork:
        """For whom it holds."""
        return _evaluated(self._tree, request)

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise ValueError(f"{self.text} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _either(self, depth: int) -> _Node:
        parts = [self._both(depth)]
        while self._peek() == "||":
            self._next()
            parts.append(self._both(depth))
        return _Node("||", inside=tuple(parts))

    def _both(self, depth: int) -> _Node:
        parts = [self._one(depth)]
        while self._peek() == "&&":
            self._next()
            parts.append(self._one(depth))
        return _Node("&&", inside=tuple(parts))

    def _one(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise ValueError("a rule nests too deeply")
        kind, text = self._next()
        if text == "!" and kind == "sign":
            return _Node("!", inside=(self._one(depth + 1),))
        if text == "(" and kind == "sign":
            found = self._either(depth + 1)
            self._close()
            return found
        if kind != "word" or self._next() != ("sign", "("):
            raise ValueError(f"{self.text} is not understood at {text}")
        values: list[str] = []
        while self._peek() != ")" or self._tokens[self._at][0] != "sign":
            kind, value = self._next()
            if kind == "text":
                values.append(value)
            elif value != ",":
                raise ValueError(f"{self.text} is not understood at {value}")
        self._close()
        return _Node(text.lower(), tuple(values))

    def _close(self) -> None:
        if self._next() != ("sign", ")"):
            raise ValueError(f"{self.text} lacks a )")


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    values: tuple[str, ...] = ()
    inside: tuple[_Node, ...] = ()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    index, text = 0, text.strip()
    while index < len(text):
        found = _TOKEN.match(text, index)
        if found is None:
            raise ValueError(f"{text} is not understood at {text[index : index + 10]}")
        index = found.end()
        kind = str(found.lastgroup)
        yield ("text" if kind in {"tick", "quote"} else kind), found[kind]


def _calls(node: _Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    if node.values:
        yield node.name, node.values
    for inner in node.inside:
        yield from _calls(inner)


def _hosts(node: _Node) -> frozenset[str]:
    if node.name in {"host", "hostheader"}:
        return frozenset(value.lower() for value in node.values)
    parts = [_hosts(inner) for inner in node.inside]
    if node.name == "||":
        return frozenset().union(*parts) if all(parts) else frozenset()
    if node.name == "&&":
        return next((part for part in parts if part), frozenset())
    return frozenset()


def _evaluated(node: _Node, request: Request) -> Fork:
    if node.name in {"||", "&&"}:
        settling, rest = (ALWAYS, NEVER) if node.name == "||" else (NEVER, ALWAYS)
        total = rest
        for inner in node.inside:
            part = _evaluated(inner, request)
            if part is settling:
                return settling
            if part is not rest:  # most are settled, and the algebra is dear
                joined = total | part if node.name == "||" else total & part
                total = part if total is rest else joined
        return total
    if node.name == "!":
        inside = _evaluated(node.inside[0], request)
        return {id(ALWAYS): NEVER, id(NEVER): ALWAYS}.get(id(inside)) or ~inside
    return _called(node.name, node.values, request)


def _called(  # noqa: C901, PLR0911 - a table
    name: str, values: tuple[str, ...], request: Request
) -> Fork:
    path = request.path
    patterned = any(re.search(r"\{\w+", value) for value in values)  # v2: {name:pattern}
    match name:
        case "host" | "hostheader":
            return truth(value=request.host in {value.lower() for value in values})
        case "hostregexp":
            return CHOICE
        case "path" if not patterned:
            return truth(value=path in values)
        case "pathprefix" if not patterned:
            return truth(value=path.startswith(values))
        case "pathregexp":
            try:
                return truth(value=any(re.search(value, path) for value in values))
            except re.error:
                pass
        case "method":
            return truth(value=request.method in {value.upper() for value in values})
        case "clientip":
            return addressed(values, request, f"traefik: ClientIP({', '.join(values)})")
        case "header" | "headers" if len(values) == 2:
            secret = _SECRET.search(values[0]) and len(values[1].replace("***", "x" * 8)) >= 8
            return proven(f"traefik: Header({values[0]})") if secret else CHOICE
        case "query":
            return CHOICE
        case _:
            pass
    return doubted(f"traefik: {name}({', '.join(values)})")


def addressed(values: tuple[str, ...], request: Request, because: str) -> Fork:
    """Whether a client is in one of these networks."""
    clients = NOBODY
    try:
        for value in values:
            clients |= Clients.within(value)
    except ValueError:
        return doubted(because)
    return doubted(because) if request.believed else among(clients)
