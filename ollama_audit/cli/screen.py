"""What the terminal can show: width, colour, and characters beyond ASCII."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

from ollama_audit.cli.exits import UsageProblem
from ollama_audit.cli.names import choose
from ollama_audit.cli.output import stdout_encoding
from ollama_audit.render.text import PROGRAM, Style

COLOR = ("auto", "always", "never")
NARROWEST = 40
WIDEST = 1000
_SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where sudo looks (sudoers(5), secure_path as distributions set it)."""
LONGEST_LINE = 100
"""Longer lines are hard to read, however wide the terminal is; `--width` overrides it."""


def style(color: str = "auto", width: str | None = None) -> Style:
    """How to print on standard output.

    Raises:
        UsageProblem: `color` or `width` is not what the options allow.
    """
    program, as_root = typed(sys.argv[0])
    return Style(
        width=_width(width),
        color=_color(choose("value of --color", color, COLOR)),
        unicode=_encodes_unicode(),
        program=program,
        as_root=as_root,
    )


def typed(started: str) -> tuple[str, str]:
    """What to type to start this program again, as oneself and as root.

    That is its name only where the search path has it, which it has not in an environment that is
    not activated; and sudo looks into the folders of the system alone.
    """
    if os.path.basename(started) != PROGRAM:  # noqa: PTH119  # python -m, or a test
        return PROGRAM, f"sudo {PROGRAM}"
    found = shutil.which(PROGRAM)
    named = found is not None and os.path.realpath(found) == os.path.realpath(started)
    here = shlex.quote(started)
    program = PROGRAM if named else here
    system = shutil.which(PROGRAM, path=_SECURE_PATH)
    safe = system is not None and os.path.realpath(system) == os.path.realpath(started)
    return program, f"sudo {PROGRAM if safe else here}"


def _width(given: str | None) -> int:
    if given is None:
        return max(NARROWEST, min(shutil.get_terminal_size().columns, LONGEST_LINE))
    if not given.isascii() or not given.isdigit() or not NARROWEST <= int(given[:9]) <= WIDEST:
        raise UsageProblem(f"--width {given!r} is not a number from {NARROWEST} to {WIDEST}")
    return int(given)


def _color(choice: str) -> bool:
    """Whether to colour, by no-color.org, force-color.org and bixense.com/clicolors."""
    if choice != "auto":
        return choice == "always"
    environment = os.environ  # noqa: TID251  # how to print, nothing of the host
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environment.get(name, "0") not in ("", "0"):
            return True
    return _is_terminal() and environment.get("TERM") != "dumb"


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _encodes_unicode() -> bool:
    try:
        "→·…".encode(stdout_encoding())
    except (UnicodeEncodeError, LookupError):
        return False
    return True
