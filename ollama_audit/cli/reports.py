"""`ollama-audit render` and `diff`: reports of another day, without another audit."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ollama_audit.cli import output, screen, source
from ollama_audit.cli.audit import Destination, deliver
from ollama_audit.cli.exits import ExitCode, UsageProblem
from ollama_audit.render.compare import compare
from ollama_audit.report import SCHEMA, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    file: str
    destinations: tuple[Destination, ...]
    whole: bool = False
    color: str = "auto"
    width: str | None = None


def render(request: Request) -> int:
    """Print a stored report in the formats asked for."""
    style = screen.style(request.color, request.width)
    deliver(load(request.file), request.destinations, style, whole=request.whole)
    return ExitCode.OK


def diff(old: str, new: str, *, color: str, width: str | None) -> int:
    """Print what changed between two reports; 1 when a rule fails that did not before."""
    style = screen.style(color, width)
    text, worse = compare(load(old), load(new), style)
    output.write_stdout(text)
    return ExitCode.FINDING if worse else ExitCode.OK


class _Header(msgspec.Struct):
    schema: str


def load(file: str) -> Report:
    """The report in a file, `-` for standard input.

    Raises:
        UsageProblem: It cannot be read, or is no report of this schema.
    """
    data = source.read(file)
    try:
        header = msgspec.json.decode(data, type=_Header)
        if header.schema != SCHEMA:
            raise UsageProblem(
                f"{file}: $.schema is {header.schema[:60]!r}, this program reads {SCHEMA!r}"
            )
        return msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        reason = str(problem)[:200]
        raise UsageProblem(f"{file}: no report that this program reads: {reason}") from problem
