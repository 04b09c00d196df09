"""HAProxy's configuration files: sections, each with what it takes over from `defaults`.

Configuration Manual 2.6, chapters 2 (format) and 4 (sections).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from ollama_audit.observed import Unknown
from ollama_audit.snapshot.configuration import Configuration

_SECTIONS = frozenset(
    {"global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers"}
    | {"mailers", "cache", "program", "ring", "http-errors", "fcgi-app", "crt-list", "log-forward"}
)
_INHERITED = frozenset({"default_backend", "http-request", "tcp-request"})
_MESSAGES = frozenset({".alert", ".diag", ".notice", ".warning"})
_LISTED = re.compile(r"(?m)\bsrc\b([^\n{}]*?)\s-f\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, its words unquoted."""

    words: tuple[str, ...]
    at: str


@dataclass(slots=True)
class Section:
    """One section."""

    kind: str
    name: str
    lines: list[Line] = field(default_factory=list)
    tcp: bool = True
    """`mode tcp`, HAProxy's default."""
    acls: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)


def sections(found: Configuration) -> list[Section]:
    """The sections in order, each with the defaults before it or those it names.

    Raises:
        ValueError: A file could not be read, or is not what HAProxy would read.
    """
    result: list[Section] = []
    defaults = {"": Section("defaults", "")}
    beside = {name for file in found.files for name in _lists(file.text)}
    for file in found.files:
        if file.path in beside:
            continue
        if isinstance(file.text, Unknown):
            raise ValueError(f"{file.path}: {file.text.reason}")  # noqa: TRY004 - no wrong type
        for number, text in enumerate(file.text.value.splitlines(), start=1):
            at = f"{file.path}:{number}"
            try:
                words = _words(text)
            except ValueError as error:
                raise ValueError(f"{at}: {error}") from None
            if not words or words[0] in _MESSAGES:
                continue
            if words[0].startswith("."):
                raise ValueError(f"{at}: {words[0]} is settled when HAProxy starts")
            if words[0] in _SECTIONS:
                result.append(_opened(words, defaults))
            elif result:
                _add(result[-1], Line(words, at))
    return result


def _lists(text: object) -> list[str]:
    value = getattr(text, "value", "")
    return [name for _, name in _LISTED.findall(value)]


def _opened(words: tuple[str, ...], defaults: dict[str, Section]) -> Section:
    name = words[1] if len(words) > 1 and words[1] != "from" else ""
    taken = words[words.index("from") + 1] if "from" in words[:-1] else ""
    around = defaults.get(taken) or defaults[""]
    section = Section(words[0], name)
    if words[0] == "defaults":
        if taken:
            section.lines, section.tcp = list(around.lines), around.tcp
        defaults[""] = section
        if name:
            defaults[name] = section
        return section
    section.tcp = around.tcp
    section.acls = {acl: list(tests) for acl, tests in around.acls.items()}
    section.lines += [line for line in around.lines if line.words[0] in _INHERITED]
    return section


def _words(text: str) -> tuple[str, ...]:
    """The words of a line; a backslash escapes a space and little else (chapter 2.2).

    Raises:
        ValueError: A quote without its end.
    """
    reader = shlex.shlex(text.replace("\\ ", "\0"), posix=True, punctuation_chars="")
    reader.whitespace_split, reader.commenters, reader.escape = True, "#", ""
    return tuple(word.replace("\0", " ") for word in reader)


def _add(section: Section, line: Line) -> None:
    words = line.words
    if words[0] == "mode" and len(words) > 1:
        section.tcp = words[1] != "http"
    elif words[0] == "acl" and len(words) > 2:
        section.acls.setdefault(words[1], []).append(words[2:])
    else:
        section.lines.append(line)
