"""`ollama-audit audit`: read, judge, print."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_audit.cli import output, screen, source
from ollama_audit.cli.exits import ExitCode, UsageProblem, verdict_code
from ollama_audit.cli.names import choose
from ollama_audit.cli.select import select
from ollama_audit.collect.edge import Beyond
from ollama_audit.outcome import Severity
from ollama_audit.render.text import Style
from ollama_audit.report import NO_OLLAMA, Report

FORMATS = ("terminal", "json")

FAIL_ON = ("none", "low", "medium", "high", "critical", "any")

_BY_SUFFIX = {".json": "json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A format, and the file it goes to; standard output for `-`."""

    format: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    destinations: tuple[Destination, ...]
    whole: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fail_on: str = "high"
    allow_incomplete: bool = False
    snapshot: str | None = None
    probe: bool = True
    beyond: frozenset[Beyond] = frozenset()
    color: str = "auto"
    width: str | None = None
    verbose: bool = False


def audit(request: Request) -> int:
    """Audit and print; the exit code."""
    started = time.perf_counter()
    # Mistakes of the caller come first: a host is not read for nothing.
    style = screen.style(request.color, request.width)
    threshold = severity_threshold(request.fail_on)
    report = make_report(request, started)
    code = exit_code(report, threshold, allow_incomplete=request.allow_incomplete)
    closing = f"Exit {int(code)}: {code.meaning.replace('`', '')}." if request.verbose else ""
    deliver(report, request.destinations, style, whole=request.whole, closing=closing)
    return code


def make_report(request: Request, started: float) -> Report:
    """Read and judge."""
    from ollama_audit.engine import report  # noqa: PLC0415
    from ollama_audit.exposure.assess import assess  # noqa: PLC0415
    from ollama_audit.registry import load_rules  # noqa: PLC0415
    from ollama_audit.rule import Host  # noqa: PLC0415

    selection = select(load_rules(), request.only, request.skip)
    terrain = source.obtain(request.snapshot, probe=request.probe, beyond=request.beyond)
    host = Host(snapshot=terrain.snapshot, exposure=assess(terrain))
    judged = report(host, selection, duration_s=0.0)
    import msgspec  # noqa: PLC0415

    return msgspec.structs.replace(judged, duration_s=round(time.perf_counter() - started, 3))


def severity_threshold(name: str) -> Severity | None:
    """The least severity that fails a run; None for `none`.

    Raises:
        UsageProblem: `name` is no severity.
    """
    choose("value of --fail-on", name, FAIL_ON)
    if name == "none":
        return None
    return Severity.LOW if name == "any" else Severity(name)


def exit_code(
    report: Report, threshold: Severity | None, *, allow_incomplete: bool = False
) -> ExitCode:
    """What the report means for whoever waits for the exit code."""
    if report.unrated == NO_OLLAMA:
        return ExitCode.NO_OLLAMA
    return verdict_code(report.findings, threshold, allow_incomplete=allow_incomplete)


def destinations(
    order: Sequence[str], formats: Sequence[str], outputs: Sequence[str], *, quiet: bool
) -> tuple[Destination, ...]:
    """Pair formats with files in the order in which they were given.

    An `-o` belongs to the `-f` before it; one that comes first, to the `-f` after it, or to the
    format of its suffix. What no `-o` takes goes to standard output, which without such a
    format carries the report for people.

    Raises:
        UsageProblem: A format is unknown, or an `-o` or standard output has two claims on it.
    """
    left = {"formats": iter(formats), "outputs": iter(outputs)}
    pairs: list[tuple[str | None, str | None]] = []
    for name in [name for name in order if name in left]:
        value = next(left[name])
        if not value:
            raise UsageProblem(f"{'-f' if name == 'formats' else '-o'} is given an empty name")
        if name == "formats":
            value = choose("format", value, FORMATS)
            if pairs and pairs[-1][0] is None:
                pairs[-1] = (value, pairs[-1][1])
            else:
                pairs.append((value, None))
        elif pairs and pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], value)
        elif pairs:
            raise UsageProblem(f"-o {value} has no -f of its own; give one before it")
        else:
            pairs.append((None, value))
    found = [_destination(*pair) for pair in pairs]
    printed = [each for each in found if each.path == output.STDOUT]
    if len(printed) > 1:
        raise UsageProblem("two formats cannot share standard output; give one of them an -o FILE")
    files = [each.path for each in found if each.path != output.STDOUT]
    if len(set(files)) != len(files):
        raise UsageProblem("two formats cannot share one file")
    if not printed and not quiet:
        found.append(Destination(format="terminal", path=output.STDOUT))
    return tuple(found)


def _destination(format_: str | None, path: str | None) -> Destination:
    if format_ is None:
        format_ = _BY_SUFFIX.get(Path(path or "").suffix, "terminal")
    return Destination(format=format_, path=path or output.STDOUT)


def deliver(
    report: Report,
    wanted: Sequence[Destination],
    style: Style,
    *,
    whole: bool = False,
    closing: str = "",
) -> None:
    """Render everything first, then write the files, then standard output."""
    documents: list[tuple[Path, str, int]] = []
    printed = ""
    for each in wanted:
        if each.path == output.STDOUT:
            printed = _rendered(report, each.format, style, whole=whole, closing=closing)
        else:
            in_file = Style(width=style.width)
            text = _rendered(report, each.format, in_file, whole=whole, closing=closing)
            documents.append((Path(each.path), text, output.REPORT_MODE))
    output.write_files(documents)
    if printed:
        output.write_stdout(printed)


def _rendered(report: Report, format_: str, style: Style, *, whole: bool, closing: str) -> str:
    if format_ == "json":
        from ollama_audit.render import json  # noqa: PLC0415

        return json.render(report)
    from ollama_audit.render import terminal  # noqa: PLC0415

    return terminal.render(report, style, whole=whole, closing=closing)
