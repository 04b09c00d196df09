"""lighttpd.conf as lighttpd reads it: contexts in their order, each with its settings.

Grammar of lighttpd 1.4.69, src/configparser.y and the tokenizer in src/configfile.c; the rules of
merging were tried with that version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import join
from typing import TypeAlias

from ollama_audit.observed import Unknown
from ollama_audit.snapshot.configuration import Configuration

_DEEPEST = 32
_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r]+|\#[^\n]*)
    | (?P<eol>\n)
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | '(?P<single>[^']*)'
    | (?P<masked>\*\*\*)
    | (?P<number>\d+)
    | (?P<sign>=~|!~|==|!=|=\^|=\$|=>|\+=|:=|[=+(),{}\[\]$])
    | (?P<word>[A-Za-z_][\w.-]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HARMLESS_SHELL = ("create-mime.assign.pl", "create-mime.conf.pl")
"""Debian's scripts that print `mimetype.assign` and nothing else."""
_IPV6_SHELL = re.compile(r"\S*/use-ipv6\.pl\s+(\d+)")
"""Debian's script that prints a listener for IPv6, encrypted on port 443."""


class SyntaxProblemError(Exception):
    """lighttpd would read it otherwise, or not at all."""

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason)
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Entry:
    """One element of a list; the key is empty where it has none."""

    key: str
    value: Value
    at: str


Value: TypeAlias = str | int | tuple[Entry, ...]


@dataclass(slots=True)
class Context:
    """The global scope, or a condition with what is set for the requests that meet it."""

    number: int
    parent: Context | None = None
    previous: Context | None = None
    """The condition of which this is the `else`."""
    kind: str = ""
    """What is looked at: `HTTP url`, `SERVER socket`; empty for the global scope and for a bare
    `else`."""
    sign: str = ""
    text: str = ""
    """What it is compared with."""
    at: str = ""
    settings: dict[str, Value] = field(default_factory=dict)

    def look_up(self, name: str) -> Value | None:
        """The value of a setting or variable here, or in the scopes around."""
        scope: Context | None = self
        while scope is not None:
            if name in scope.settings:
                return scope.settings[name]
            scope = scope.parent
        return None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: str


def contexts(found: Configuration) -> list[Context]:
    """Every context in the order in which lighttpd lays their settings over one another.

    Raises:
        SyntaxProblemError: A file was not read, or is not what lighttpd would read.
    """
    reader = _Reader(found)
    reader.file(found.main, reader.all[0], 0)
    return reader.all


class _Reader:
    def __init__(self, found: Configuration) -> None:
        self.found = found
        self.all = [Context(0)]

    def file(self, path: str, scope: Context, depth: int) -> None:
        file = self.found.file(path)
        if file is None or isinstance(file.text, Unknown):
            unread = file.text if file is not None and isinstance(file.text, Unknown) else None
            raise SyntaxProblemError(
                f"{path}: {unread.reason if unread else 'was not read'}",
                unread.cure if unread else "",
            )
        self.text(file.text.value, path, scope, depth)

    def text(self, text: str, path: str, scope: Context, depth: int) -> None:
        if depth > _DEEPEST:
            raise SyntaxProblemError(f"{path} includes itself")
        lines = _Lines(list(_tokens(text, path)), path)
        self.block(lines, scope, depth)
        if lines.peek() is not None:
            raise SyntaxProblemError(f"{lines.at}: a }} closes nothing")

    def block(self, lines: _Lines, scope: Context, depth: int) -> None:
        """The lines of a file or between braces."""
        last: Context | None = None
        while (token := lines.peek()) is not None and token.text != "}":
            if token.kind == "eol":
                lines.next()
            elif token.text == "$":
                last = self.condition(lines, scope, None, depth)
            elif token.kind == "word" and token.text == "else":
                lines.next()
                last = self.condition(lines, scope, last, depth)
            elif token.kind == "word":
                last = None
                self.line(lines, scope, depth)
            else:
                raise SyntaxProblemError(f"{token.at}: {token.text} is not expected")

    def line(self, lines: _Lines, scope: Context, depth: int) -> None:
        name = lines.next()
        if name.text == "global":
            lines.skip_to("{")
            self.block(lines, self.all[0], depth)
            lines.expect("}")
        elif name.text == "include":
            self.include(str(self.value(lines, scope)), scope, depth, name.at)
        elif name.text == "include_shell":
            self.shell(str(self.value(lines, scope)), scope, depth, name.at)
        else:
            sign = lines.next().text
            if sign not in {"=", "+=", ":="}:
                raise SyntaxProblemError(f"{name.at}: {name.text} is not followed by =")
            key = name.text if "." in name.text else f"var.{name.text}"
            value = self.value(lines, scope)
            before = scope.look_up(key) if sign == "+=" else None
            scope.settings[key] = value if before is None else _sum(before, value, name.at)

    def condition(
        self, lines: _Lines, scope: Context, previous: Context | None, depth: int
    ) -> Context:
        """`$HTTP["url"] =~ "..." { ... }`, or the bare block of an `else`."""
        token = lines.next()
        kind, sign, text = "", "", ""
        if token.text == "$":
            area = lines.next().text
            lines.expect("[")
            kind = f"{area} {lines.next().text}"
            lines.expect("]")
            sign = lines.next().text
            text = str(self.value(lines, scope))
            lines.skip_to("{")
        elif token.text != "{" or previous is None:
            raise SyntaxProblemError(f"{token.at}: {token.text} is not expected")
        inner = Context(len(self.all), scope, previous, kind, sign, text, token.at)
        for known in self.all:
            # The same condition again goes on with the block that it has, be that of an `else`
            # (configparser.y: one context for each condition of a scope).
            if kind and previous is None and _same(known, inner):
                inner = known
        if inner.number == len(self.all):
            self.all.append(inner)
        self.block(lines, inner, depth)
        lines.expect("}")
        lines.skip_ends_before_else()
        return inner

    def include(self, name: str, scope: Context, depth: int, at: str) -> None:
        path = join(self.found.base, name)
        if re.search(r"[*?\[]", path):
            for file in self.found.files:
                if file.path.count("/") == path.count("/") and fnmatchcase(file.path, path):
                    self.file(file.path, scope, depth + 1)
        elif self.found.file(path) is None:
            raise SyntaxProblemError(f"{at}: {path} was not read")
        else:
            self.file(path, scope, depth + 1)

    def shell(self, command: str, scope: Context, depth: int, at: str) -> None:
        """What a command prints is part of the configuration; only Debian's two are known."""
        if command.rpartition("/")[2] in _HARMLESS_SHELL:
            return
        ipv6 = _IPV6_SHELL.fullmatch(command)
        if ipv6 is None:
            cure = f"put what `{command}` prints into a file and include that"
            raise SyntaxProblemError(f"{at}: what `{command}` prints is not known", cure)
        engine = 'ssl.engine = "enable"' if ipv6[1] == "443" else ""
        self.text(f'$SERVER["socket"] == "[::]:{ipv6[1]}" {{ {engine} }}\n', at, scope, depth)

    def value(self, lines: _Lines, scope: Context) -> Value:
        """A sum of strings, numbers, variables and lists."""
        total = self.term(lines, scope)
        while (token := lines.peek()) is not None and token.text == "+" and token.kind == "sign":
            lines.next()
            total = _sum(total, self.term(lines, scope), token.at)
        return total

    def term(self, lines: _Lines, scope: Context) -> Value:
        token = lines.next()
        if token.kind == "string":
            return token.text
        if token.kind == "number":
            return int(token.text)
        if token.text == "(":
            return self.entries(lines, scope)
        if token.kind == "word":
            name = token.text if "." in token.text else f"var.{token.text}"
            found = scope.look_up(name)
            if found is None:
                raise SyntaxProblemError(f"{token.at}: the value of {token.text} is not known")
            return found
        raise SyntaxProblemError(f"{token.at}: {token.text} is not a value")

    def entries(self, lines: _Lines, scope: Context) -> tuple[Entry, ...]:
        found: list[Entry] = []
        while True:
            lines.skip_ends()
            token = lines.peek()
            if token is None:
                raise SyntaxProblemError(f"{lines.at}: a ( does not end")
            if token.text in {")", ","} and token.kind == "sign":
                lines.next()
                if token.text == ")":
                    return tuple(found)
                continue
            value, key = self.value(lines, scope), ""
            lines.skip_ends()
            after = lines.peek()
            if after is not None and after.text == "=>":
                lines.next()
                lines.skip_ends()
                key, value = str(value), self.value(lines, scope)
            found.append(Entry(key, value, token.at))


class _Lines:
    """Tokens, read one after another."""

    def __init__(self, tokens: list[_Token], path: str) -> None:
        self.tokens = tokens
        self.index = 0
        self.at = path

    def peek(self) -> _Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def next(self) -> _Token:
        token = self.peek()
        if token is None:
            raise SyntaxProblemError(f"{self.at}: the file ends too early")
        self.index += 1
        self.at = token.at
        return token

    def expect(self, text: str) -> None:
        token = self.next()
        if token.text != text:
            raise SyntaxProblemError(f"{token.at}: {token.text.strip()} where {text} is expected")

    def skip_ends(self) -> None:
        while (token := self.peek()) is not None and token.kind == "eol":
            self.index += 1

    def skip_to(self, text: str) -> None:
        self.skip_ends()
        self.expect(text)

    def skip_ends_before_else(self) -> None:
        """An `else` may begin on a line of its own."""
        start = self.index
        self.skip_ends()
        token = self.peek()
        if token is None or token.text != "else":
            self.index = start


def _tokens(text: str, path: str) -> Iterator[_Token]:
    index, line = 0, 1
    while index < len(text):
        found = _TOKEN.match(text, index)
        at = f"{path}:{line}"
        if found is None:
            raise SyntaxProblemError(f"{at}: {text[index : index + 20]!r} is not understood")
        index, line = found.end(), line + found[0].count("\n")
        kind = str(found.lastgroup)
        if kind == "double":
            unescaped = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), found["double"])
            yield _Token("string", unescaped, at)
        elif kind in {"single", "masked"}:
            yield _Token("string", found[kind], at)
        elif kind != "space":
            yield _Token(kind, found[0], at)


def _same(one: Context, other: Context) -> bool:
    return (one.parent, one.kind, one.sign, one.text) == (
        other.parent,
        other.kind,
        other.sign,
        other.text,
    )


def _sum(one: Value, other: Value, at: str) -> Value:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one + other
    if isinstance(one, tuple) or isinstance(other, tuple):
        raise SyntaxProblemError(f"{at}: a list and a word do not add up")
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return f"{one}{other}"
