"""Laying out text for a terminal: width, colour, and nothing that a terminal would obey."""

from __future__ import annotations

import textwrap
from enum import StrEnum

import msgspec

PROGRAM = "ollama-audit"

_ASCII = str.maketrans({"→": "->", "·": "-", "…": "..."})


class Paint(StrEnum):
    """SGR parameters (ECMA-48 8.3.117) for what they are used for here."""

    BOLD = "1"
    DIM = "2"
    GOOD = "1;32"
    WARN = "1;33"
    BAD = "1;31"
    NOTE = "36"


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """How to print."""

    width: int = 80
    """Columns."""
    color: bool = False
    unicode: bool = True
    """Whether the output can carry characters beyond ASCII."""
    program: str = PROGRAM
    """What starts this program in the shell that it was started from."""
    as_root: str = f"sudo {PROGRAM}"
    """The same as root: sudo has a search path of its own."""

    def command(self, text: str) -> str:
        """Advice that may be a command of this program, as it can be typed here."""
        for named, typed in ((f"sudo {PROGRAM}", self.as_root), (PROGRAM, self.program)):
            if text == named or text.startswith(f"{named} "):
                return typed + text.removeprefix(named)
        return text

    def settling(self, cure: str, indent: str, hang: str | None = None) -> list[str]:
        """What would settle something that is not known, on lines; none where nothing does."""
        return self.wrap(f"to settle it: {self.command(cure)}", indent, hang) if cure else []

    def paint(self, text: str, paint: Paint) -> str:
        """`text` in a colour, where colour is wanted."""
        return f"\x1b[{paint}m{text}\x1b[0m" if self.color and text else text

    def wrap(self, text: str, indent: str = "", hang: str | None = None) -> list[str]:
        """`text` as lines no wider than the screen, the first after `indent`, others `hang`."""
        return textwrap.wrap(
            self.plain(text),
            self.width,
            initial_indent=indent,
            subsequent_indent=indent if hang is None else hang,
            break_on_hyphens=False,
        )

    def clip(self, text: str, room: int) -> str:
        """`text` on one line of at most `room` columns."""
        line = self.plain(text)
        mark = self.ours("…")
        if len(line) <= room:
            return line
        return line[: room - len(mark)].rstrip() + mark if room > len(mark) else ""

    def plain(self, text: str) -> str:
        """Anybody's `text` on one line, without control characters, in what can be shown."""
        return self.ours(printable(text))

    def ours(self, text: str) -> str:
        """Text of our own, spaces kept, in ASCII where that is all that can be shown."""
        if self.unicode:
            return text
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def printable(text: str) -> str:
    """`text` on one line, what a terminal would obey or reorder shown as an escape.

    Names and file contents come from other people: an escape sequence in a model's name must
    not repaint the verdict. White space of any kind becomes one space.
    """
    words = " ".join(text.split())
    if words.isprintable():
        return words
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in words
    )


def columns(cells: list[str], gap: str, width: int) -> list[str]:
    """`cells` joined by `gap`, broken into lines of at most `width` columns."""
    lines: list[str] = []
    for cell in cells:
        if lines and len(lines[-1]) + len(gap) + len(cell) <= width:
            lines[-1] += gap + cell
        else:
            lines.append(cell)
    return lines
