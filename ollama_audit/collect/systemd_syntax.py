"""systemd's text formats: unit files, environment files, and what `systemctl show` prints.

Ported from systemd 252: `src/shared/conf-parser.c` and systemd.syntax(7) for unit files,
`src/basic/extract-word.c` for quoting, `src/basic/env-file.c` for environment files,
`src/basic/escape.c` shell_maybe_quote() for the output of `systemctl show`. Pure.

Bytes that are not UTF-8 are lone surrogates in texts of files here (PEP 383): where they stand,
systemd stops reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_WHITESPACE = " \t\n\r"
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "s": " ",
}
_CODED = re.compile(r"x([0-9A-Fa-f]{2})|([0-7]{3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_STRAY = re.compile(r"[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Assignment(msgspec.Struct, frozen=True):
    """`Key=Value` in a unit file, an environment file or a profile."""

    name: str
    value: str
    line: int
    """Where it begins, counted from 1."""
    section: str = ""


def unit_assignments(text: str) -> Iterator[Assignment]:
    """The assignments of a unit file in order, values with continuation lines joined.

    A line that is not UTF-8 ends the file for systemd (conf-parser.c, parse_line()); see `cut_off`.
    """
    section = ""
    for number, line in _logical_lines(text):
        if not _utf8(line):
            return
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        name, separator, value = line.partition("=")
        if separator:
            yield Assignment(name.rstrip(), value.strip(_WHITESPACE), number, section)


def cut_off(text: str) -> int:
    """The line of a unit file that is not UTF-8, from which on systemd ignores it; 0 for none."""
    return next((number for number, line in _logical_lines(text) if not _utf8(line)), 0)


def _utf8(text: str) -> bool:
    return _STRAY.search(text) is None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, joined at a trailing backslash; comments between do not end one."""
    started, pending = 0, ""
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.lstrip(_WHITESPACE)
        if line.startswith(("#", ";")):
            continue
        if not pending and not line.strip(_WHITESPACE):
            continue
        started = started if pending else number
        line = line.rstrip("\r")
        if _ends_in_escape(line):
            pending += line[:-1] + " "
            continue
        yield started, (pending + line).strip(_WHITESPACE)
        pending = ""
    if pending:
        yield started, pending.strip(_WHITESPACE)


def _ends_in_escape(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def words(value: str) -> list[str]:
    """A value split as Environment= is: quotes removed, C escapes resolved.

    As in systemd, a broken quote or escape ends the list; the words before it count.
    """
    found: list[str] = []
    at = 0
    while True:
        while at < len(value) and value[at] in _WHITESPACE:
            at += 1
        if at == len(value):
            return found
        try:
            word, at = _word(value, at)
        except ValueError:
            return found
        found.append(word)


def _word(value: str, at: int) -> tuple[str, int]:
    """One word from `at`, and where it ends.

    Raises:
        ValueError: An escape that is none, or a quote without its other half.
    """
    out: list[str] = []
    quote = ""
    while at < len(value):
        char = value[at]
        if char == "\\":
            piece, at = _unescaped(value, at + 1)
            out.append(piece)
            continue
        if quote:
            if char == quote:
                quote = ""
            else:
                out.append(char)
        elif char in "'\"":
            quote = char
        elif char in _WHITESPACE:
            break
        else:
            out.append(char)
        at += 1
    if quote:
        raise ValueError("unbalanced quote")
    return "".join(out), at


def _unescaped(value: str, at: int) -> tuple[str, int]:
    if coded := _CODED.match(value, at):
        digits = next(filter(None, coded.groups()))
        return chr(int(digits, 8 if coded[2] else 16)), coded.end()
    if at < len(value) and value[at] in _ESCAPES:
        return _ESCAPES[value[at]], at + 1
    raise ValueError("not an escape")


def environment_assignments(value: str) -> list[tuple[str, str]]:
    """The variables of one Environment= value; specifiers (`%h`) are left, but `%%` is a `%`."""
    pairs = (word.replace("%%", "%").partition("=") for word in words(value))
    return [(name, text) for name, separator, text in pairs if separator and _NAME.fullmatch(name)]


def environment_file(text: str) -> list[Assignment]:
    """The variables of a file named by EnvironmentFile=, in order.

    Not a shell script: `export` is no keyword here, and a name must be one. systemd 252 skips the
    line after a comment that ends in a backslash (measured); later ones set it, and so it is here.

    Raises:
        ValueError: A name or a value is not UTF-8: systemd takes nothing of the file then
            (env-file.c, check_utf8ness_and_warn()).
    """
    found: list[Assignment] = []
    at, line = 0, 1
    text = text.removeprefix("\ufeff")
    while at < len(text):
        char = text[at]
        if char in _WHITESPACE:
            line += char == "\n"
            at += 1
            continue
        end = _line_end(text, at)
        equals = text.find("=", at, end)
        if char in "#;" or equals < 0:
            at, line = end + 1, line + 1
            continue
        name = text[at:equals].rstrip(_WHITESPACE)
        value, after = _file_value(text, equals + 1)
        if not _utf8(name + value):
            raise ValueError(f"line {line} is not UTF-8")
        if _NAME.fullmatch(name):
            found.append(Assignment(name, value, line))
        line += text.count("\n", at, after)
        at = after
    return found


def _line_end(text: str, at: int) -> int:
    end = re.compile(r"[\n\r]").search(text, at)
    return end.start() if end else len(text)


def _file_value(text: str, at: int) -> tuple[str, int]:
    """A value of an environment file and what follows its line (env-file.c, states *_VALUE)."""
    value = ""
    kept = 0  # how much of it the white space at its end does not belong to
    bare = False
    while at < len(text) and text[at] not in "\n\r":
        char = text[at]
        if char == "\\":
            value += text[at + 1 : at + 2].strip("\n\r")
            at, bare = at + 2, True
        elif char in "'\"" and not bare:
            piece, at = _quoted(text, at)
            value += piece
        else:
            at += 1
            bare = bare or char not in _WHITESPACE
            value += char if bare else ""
            if char in _WHITESPACE:
                continue
        kept = len(value)
    return value[:kept], at + 1


_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\\?$)', re.DOTALL)


def _quoted(text: str, at: int) -> tuple[str, int]:
    """What stands in quotes from `at`, and what follows; quotes may be left open."""
    if text[at] == "'":
        end = text.find("'", at + 1)
        return (text[at + 1 :], len(text)) if end < 0 else (text[at + 1 : end], end + 1)
    found = _DOUBLE.match(text, at)
    if found is None:
        return text[at + 1 :], len(text)

    def resolved(escape: re.Match[str]) -> str:
        return escape[1] if escape[1] in '"\\`$' else "" if escape[1] == "\n" else escape[0]

    return re.sub(r"\\(.)", resolved, found[1], flags=re.DOTALL), found.end()


def show_blocks(output: str) -> list[dict[str, list[str]]]:
    """The units of `systemctl show A B ...` in order; a property may have several lines."""
    blocks: list[dict[str, list[str]]] = [{}]
    for line in output.split("\n"):
        if line:
            name, _, value = line.partition("=")
            blocks[-1].setdefault(name, []).append(value)
        elif blocks[-1]:
            blocks.append({})
    return [block for block in blocks if block]


_SHOWN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_SHOWN_ESCAPE = re.compile(r"\\(?:([0-7]{3})|(.))", re.DOTALL)


def shown_words(value: str) -> list[str]:
    """The strings of an array that `systemctl show` prints, quoted where they need it."""
    return [plain or _SHOWN_ESCAPE.sub(_shown, quoted) for quoted, plain in _SHOWN.findall(value)]


def _shown(escape: re.Match[str]) -> str:
    """What an escape stands for: control characters as in C, others for themselves."""
    if escape[1]:
        return chr(int(escape[1], 8))
    return _ESCAPES[escape[2]] if escape[2] in "abfnrtv" else escape[2]
