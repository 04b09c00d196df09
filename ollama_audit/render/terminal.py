"""The report for people: a first screen of 80x24, and the whole checklist on request.

The first screen answers, in this order: who can do what, by which path, how good it is, what to
do first, what could not be read, and what to type next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from ollama_audit.outcome import Severity, Status
from ollama_audit.render.checklist import areas
from ollama_audit.render.text import Paint, Style, columns
from ollama_audit.report import Finding, Report, Score
from ollama_audit.together import together
from ollama_audit.verdict import Stance, Verdict, judge
from ollama_audit.words import plural

ROWS = 23
"""Of a terminal with 24: the last is the next prompt's."""

SHOWN = 3
"""How many findings the first screen shows."""

PAINTS = {
    Stance.EXPOSED: Paint.BAD,
    Stance.UNCLEAR: Paint.WARN,
    Stance.LOGIN_REQUIRED: Paint.GOOD,
    Stance.PROTECTED: Paint.GOOD,
    Stance.LOCAL_ONLY: Paint.GOOD,
    Stance.NOT_SERVING: Paint.NOTE,
    Stance.NO_OLLAMA: Paint.NOTE,
}

SEVERITY_PAINTS = {
    Severity.CRITICAL: Paint.BAD,
    Severity.HIGH: Paint.BAD,
    Severity.MEDIUM: Paint.WARN,
    Severity.LOW: Paint.NOTE,
    Severity.INFO: Paint.DIM,
}

GRADE_PAINTS = {"A": Paint.GOOD, "B": Paint.GOOD, "D": Paint.BAD, "F": Paint.BAD}

_Fault: TypeAlias = tuple[Finding, tuple[Finding, ...]]
"""A finding, and those that say the same of the same way in."""

_COPIED = ("ollama-audit", "sudo ", "curl ", "openssl ")

_WHERE = re.compile(r" (?:on|in) an?(?:other)? [a-z].*$")
"""Where a command is to be tried, after it."""

_UNREAD = (Status.UNKNOWN, Status.ERROR)


def render(report: Report, style: Style, *, whole: bool = False, closing: str = "") -> str:
    """The first screen, or with `whole` the checklist; `closing` is said last."""
    verdict = judge(report)
    if verdict.stance is Stance.NO_OLLAMA:
        lines = [*style.wrap(verdict.sentence), *_gaps(report, style)]
    elif whole:
        blocks = [
            *_top(report, verdict, style),
            areas(report, style),
            _beyond(report, style),
            _next(report, verdict, style, whole=True),
        ]
        lines = _joined(blocks)
    else:
        lines = first_screen(report, verdict, style)
    if closing:
        lines += ["", *style.wrap(closing, "  ")]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def first_screen(report: Report, verdict: Verdict, style: Style) -> list[str]:
    """Everything that matters in at most `ROWS` rows: evidence gives way first, then findings."""
    faults = together(_faults(report.findings))
    lines: list[str] = []
    for shown, detail in ((SHOWN, 2), (SHOWN, 1), (SHOWN, 0), (2, 0), (1, 0)):
        body = [
            *_findings(report, faults[:shown], style, detail),
            *_more(faults[shown:], style),
            *_unread(report, style),
        ]
        blocks = [*_top(report, verdict, style), body, _next(report, verdict, style)]
        lines = _joined(blocks)
        if len(lines) <= ROWS:
            break
    return lines


def _joined(blocks: Sequence[Sequence[str]]) -> list[str]:
    """The lines of the blocks that have any, an empty line between them."""
    lines: list[str] = []
    for block in blocks:
        lines += ["", *block] if lines and block else block
    return lines


def _top(report: Report, verdict: Verdict, style: Style) -> list[list[str]]:
    return [[_heading(report, style)], _verdict(verdict, style), _score(report, style)]


def _heading(report: Report, style: Style) -> str:
    host = report.host
    ollama = ", ".join(dict.fromkeys(host.ollama_versions))
    tool = f"{report.tool.name} {report.tool.version}"
    about = [tool, host.hostname, host.name, f"Ollama {ollama}" if ollama else ""]
    right = f"{report.duration_s:.1f} s"
    left = style.clip(" · ".join(part for part in about if part), style.width - len(right) - 2)
    return f"{left}{right:>{style.width - len(left)}}"


def _verdict(verdict: Verdict, style: Style) -> list[str]:
    word = f"  {verdict.stance}  "
    hang = " " * len(word)
    lines = style.wrap(verdict.sentence, word, hang)
    painted = style.paint(verdict.stance, PAINTS[verdict.stance])
    lines[0] = f"  {painted}{lines[0][len(word) - 2 :]}"
    room = style.width - len(hang) - 4
    arrow = style.ours(" → ")
    path = columns([style.clip(step, room) for step in verdict.path], arrow, room)
    ahead = [hang, *[hang + arrow[1:]] * len(path)]
    return [*lines, *(lead + line for lead, line in zip(ahead, path, strict=False))]


def _score(report: Report, style: Style) -> list[str]:
    score = report.score
    if score is None:
        return [*style.wrap(f"Not rated: {report.unrated}.", "  "), *_counts(report, style)]
    head = f"  Score {_points(score)}"
    cells = [f"{area.area} {area.grade or '?'}" for area in score.areas]
    hang = " " * (len(head) + 4)
    first, *rest = columns(cells, "   ", style.width - len(hang)) or [""]
    paint = GRADE_PAINTS.get(score.grade or "", Paint.WARN)
    lines = [f"{style.paint(style.ours(head), paint)}    {first}"]
    return [*lines, *(hang + line for line in rest), *_counts(report, style)]


def _points(score: Score) -> str:
    if score.min == score.max:
        return f"{score.max}/100  {score.grade}"
    grade = score.grade or "(incomplete)"
    return f"{score.min}-{score.max}/100  {grade}"


def _counts(report: Report, style: Style) -> list[str]:
    tally = Counter(finding.status for finding in report.findings)
    unread = sum(tally[status] for status in _UNREAD)
    parts = [
        f"{tally[Status.PASS]} pass",
        f"{tally[Status.FAIL]} fail",
        f"{unread} unread",
        f"{tally[Status.NOT_APPLICABLE]} n/a",
    ]
    parts += [f"{tally[Status.MANUAL]} manual"] if tally[Status.MANUAL] else []
    parts += [f"{tally[Status.WAIVED]} waived"] if tally[Status.WAIVED] else []
    rules = plural(len(report.findings), "rule")
    return style.wrap(f"{rules}: {' · '.join(parts)}", "  ", "    ")


def _faults(findings: Sequence[Finding]) -> list[Finding]:
    """The failures that no other failure explains, the most severe first."""
    failed = [finding for finding in findings if finding.status is Status.FAIL]
    names = {finding.rule for finding in failed}
    roots = [finding for finding in failed if finding.caused_by not in names]

    def worst(root: Finding) -> int:
        return max(finding.severity.rank for finding in (root, *_below(root, failed)))

    # Among equals who gets in comes first: it is what makes the others matter.
    return sorted(roots, key=lambda root: (-worst(root), root.area != "exposure", root.rule))


def _below(root: Finding, failed: Sequence[Finding]) -> list[Finding]:
    direct = [finding for finding in failed if finding.caused_by == root.rule]
    return [*direct, *(deeper for finding in direct for deeper in _below(finding, failed))]


def _findings(report: Report, faults: Sequence[_Fault], style: Style, detail: int) -> list[str]:
    lines: list[str] = []
    for number, fault in enumerate(faults, 1):
        lines += _finding(number, fault, report, style, detail)
    return lines


def _finding(number: int, found: _Fault, report: Report, style: Style, detail: int) -> list[str]:
    fault, alike = found
    severity = f"{fault.severity.upper():<8}"
    hang = " " * 14
    room = style.width - len(hang)
    beside = style.width - len(f"  {number} {severity}  {fault.rule}  ")
    summary = style.plain(fault.summary)
    fits = len(summary) <= beside or not detail
    name = style.paint(fault.rule, Paint.BOLD)
    head = f"  {number} {style.paint(severity, SEVERITY_PAINTS[fault.severity])}  {name}"
    lines = [f"{head}  {style.clip(summary, beside)}" if fits else head]
    lines += [] if fits else [hang + style.clip(summary, room)]
    lines += [
        hang + style.clip(f"{evidence.source}: {evidence.quote}", room)
        for evidence in fault.evidence[: max(0, detail - 1)]
    ]
    if detail and fault.remedies:
        lines.append(hang + style.clip(f"fix: {fault.remedies[0].title}", room))
    failed = [finding for finding in report.findings if finding.status is Status.FAIL]
    below = [*alike, *(deeper for each in (fault, *alike) for deeper in _below(each, failed))]
    if detail and below:
        below.sort(key=lambda each: -each.severity.rank)
        names = ", ".join(finding.rule for finding in below)
        worst = below[0].severity
        graver = f" {worst.upper()}" if worst.rank > fault.severity.rank else ""
        also = "and also" if alike else "and so also"
        lines.append(hang + style.clip(f"{also}{graver}: {names}", room))
    return lines


def _more(rest: Sequence[_Fault], style: Style) -> list[str]:
    whole = style.command("ollama-audit --all")
    return [style.ours(f"  … {len(rest)} more: {whole}")] if rest else []


def _unread(report: Report, style: Style) -> list[str]:
    unread = [finding for finding in report.findings if finding.status in _UNREAD]
    if not unread:
        return []
    names = ", ".join(finding.rule for finding in unread)
    return [f"  {style.clip(f'Not read: {names}', style.width - 2)}"]


def _gaps(report: Report, style: Style) -> list[str]:
    lines: list[str] = []
    for gap in report.gaps:
        cure = f" {style.command(gap.cure)}" if gap.cure else ""
        lines += style.wrap(f"{gap.subject}: {gap.reason}.{cure}", "  ", "    ")
    return lines


def _beyond(report: Report, style: Style) -> list[str]:
    lines = _gaps(report, style)
    for thing in report.beyond_host:
        lines += style.wrap(f"Not decided by this host: {thing}", "  ", "    ")
    return lines


def _next(report: Report, verdict: Verdict, style: Style, *, whole: bool = False) -> list[str]:
    """The commands that help from here, at most three."""
    steps: list[tuple[str, str]] = []
    unread = [finding for finding in report.findings if finding.status in _UNREAD]
    cures = Counter(finding.cure for finding in unread if finding.cure)
    if verdict.cure and verdict.cure not in cures:
        cures[verdict.cure] += 0
    for cure, count in cures.most_common(1):
        verb = "reads" if "ollama-audit" in cure else "settles"
        steps.append((cure, f"{verb} {plural(count, 'more rule')}" if count else ""))
    faults = _faults(report.findings)
    if any(finding.remedies for finding in report.findings):
        steps.append(("ollama-audit remediate", "show the fixes, changes nothing"))
    if faults:
        steps.append((f"ollama-audit explain {faults[0].rule}", ""))
    if not steps and not whole:
        steps.append(("ollama-audit --all", "show the whole checklist"))
    copied = [command.startswith(_COPIED) for command, _ in steps]
    steps = [(style.command(command), what) for command, what in steps]
    width = max((len(command) for command, what in steps if what), default=0) + 3
    lines: list[str] = []
    for (command, what), whole_line in zip(steps, copied, strict=True):
        lead = "        " if lines else "  Next  "
        line = f"{lead}{style.plain(command):<{width}}"
        if len(line + what) <= style.width:
            lines.append(line + what)
        elif whole_line:
            # A command stays whole, to be copied; where it is to be tried goes below it.
            where = _WHERE.search(command)
            lines.append(lead + style.plain(_WHERE.sub("", command)))
            lines += [f"          {where[0].strip()}"] if where else []
        else:
            lines += style.wrap(command, lead, "        ")
    return lines
