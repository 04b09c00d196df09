"""nginx's configuration language: text to tokens to a tree of directives, includes resolved.

As ngx_conf_read_token() in nginx src/core/ngx_conf_file.c (1.26) reads it: words end at white
space, `;` or `{`; quotes count only at the start of a word; a backslash keeps the next character.
A test compares the tokens with those of crossplane, which is not used here because it reads the
files itself, and here there is only their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import join

from ollama_audit.observed import Unknown
from ollama_audit.snapshot.configuration import Configuration

_TOKEN = re.compile(
    r"""(?P<space> \s+ | \#[^\n]*)
      | (?P<mark> [;{}])
      | (?P<quoted> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*') (?= [\s;{)] | $)
      | (?P<word> (?: \\. | \$\{ | [^\s;{}"'\\]) (?: \\. | \$\{ | [^\s;{\\])*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LUA = re.compile(
    r"--\[\[.*?\]\] | --[^\n]* | \[\[.*?\]\] | \"(?:[^\"\\]|\\.)*\" | '(?:[^'\\]|\\.)*' | [{}]",
    re.VERBOSE | re.DOTALL,
)
_CODES = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}
_DEEPEST = 40


class SyntaxProblemError(Exception):
    """nginx itself would refuse this configuration, or it cannot be read; says where."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive and, when it has a block, what is in it."""

    name: str
    args: tuple[str, ...]
    at: str
    """File and line."""
    block: tuple[Directive, ...] | None = None


@dataclass(slots=True)
class _Open:
    name: str
    args: tuple[str, ...]
    at: str
    inside: list[Directive] = field(default_factory=list)


def tokens(text: str, path: str = "") -> Iterator[tuple[str, int, bool]]:
    """The tokens of a text as (token, line from 1, whether it was quoted).

    Raises:
        SyntaxProblemError: A quote without its end.
    """
    position, line, first = 0, 1, ""
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise SyntaxProblemError(f"{path}:{line}: nginx would not read this")
        end = found.end()
        if found["quoted"] is not None:
            yield _unescaped(found["quoted"][1:-1]), line, True
        elif found["word"] is not None:
            first = first or found["word"]
            yield _unescaped(found["word"]), line, False
        elif found["mark"]:
            yield found["mark"], line, False
            if found["mark"] == "{" and first.endswith("_by_lua_block"):
                end = _end_of_lua(text, end)
            first = ""
        line += text.count("\n", position, end)
        position = end


def _end_of_lua(text: str, start: int) -> int:
    """Where the brace is that closes a block of Lua."""
    depth = 1
    for found in _LUA.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth:
            return found.start()
    return len(text)


def _unescaped(word: str) -> str:
    if "\\" not in word:
        return word
    return _ESCAPED.sub(lambda found: _CODES.get(found[1], found[0]), word)


def tree(found: Configuration) -> tuple[Directive, ...]:
    """The whole configuration, with the directives of included files in their places.

    Raises:
        SyntaxProblemError: A file is missing, unreadable or not what nginx would read.
    """
    return _file(found, found.main, 0)


def _file(  # noqa: C901 - one loop over the tokens
    found: Configuration, path: str, depth: int
) -> tuple[Directive, ...]:
    file = found.file(path)
    if file is None:
        raise SyntaxProblemError(f"{path} was not read")
    if isinstance(file.text, Unknown):
        raise SyntaxProblemError(f"{path}: {file.text.reason}", file.text.cure)
    if depth > _DEEPEST:
        raise SyntaxProblemError(f"{path} includes itself")
    stack = [_Open("", (), path)]
    words: list[str] = []
    start = 0
    for token, line, quoted in tokens(file.text.value, path):
        if quoted or token not in {";", "{", "}"}:
            start = start if words else line
            words.append(token)
            continue
        at = f"{path}:{start or line}"
        if token == "{":
            stack.append(_Open(words[0] if words else "", tuple(words[1:]), at))
        elif token == ";" and words:
            name, *args = words
            if name == "include" and args:
                stack[-1].inside += _included(found, args[0], depth)
            else:
                stack[-1].inside.append(Directive(name, tuple(args), at))
        elif token == "}":
            if len(stack) == 1 or words:
                raise SyntaxProblemError(f'{path}:{line}: unexpected "}}"')
            closed = stack.pop()
            block = Directive(closed.name, closed.args, closed.at, tuple(closed.inside))
            stack[-1].inside.append(block)
        words = []
    if len(stack) > 1 or words:
        raise SyntaxProblemError(f"{path}: unexpected end of file")
    return tuple(stack[0].inside)


def _included(found: Configuration, pattern: str, depth: int) -> list[Directive]:
    path = join(found.base, pattern)
    if not re.search(r"[*?\[]", path):
        return list(_file(found, path, depth + 1))
    # glob(3), as nginx calls it, sorts; and a wildcard does not cross a slash.
    depth_of_path = path.count("/")
    matching = [
        file.path
        for file in found.files
        if file.path.count("/") == depth_of_path and fnmatchcase(file.path, path)
    ]
    return [each for match in sorted(matching) for each in _file(found, match, depth + 1)]
