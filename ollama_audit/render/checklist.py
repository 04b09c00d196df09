"""Every rule with its outcome and evidence, by area."""

from __future__ import annotations

from ollama_audit.outcome import Status
from ollama_audit.render.text import Paint, Style
from ollama_audit.report import Finding, Report

WORDS = {
    Status.PASS: "pass",
    Status.FAIL: "FAIL",
    Status.UNKNOWN: "unknown",
    Status.NOT_APPLICABLE: "n/a",
    Status.MANUAL: "manual",
    Status.WAIVED: "waived",
    Status.ERROR: "error",
}

PAINTS = {
    Status.PASS: Paint.GOOD,
    Status.FAIL: Paint.BAD,
    Status.UNKNOWN: Paint.WARN,
    Status.NOT_APPLICABLE: Paint.DIM,
    Status.MANUAL: Paint.NOTE,
    Status.WAIVED: Paint.NOTE,
    Status.ERROR: Paint.WARN,
}

_HANG = " " * 11


def areas(report: Report, style: Style) -> list[str]:
    """The checklist: areas in the order of the rules, an empty line between them."""
    grades = {area.area: area for area in report.score.areas} if report.score else {}
    lines: list[str] = []
    for area in dict.fromkeys(finding.area for finding in report.findings):
        score = grades.get(area)
        points = f"{score.min}" if score and score.min == score.max else ""
        points = f"{score.min}-{score.max}" if score and not points else points
        title = f"{area}  {points}/100 {score.grade or ''}" if score else area
        lines += (
            [style.paint(style.plain(title), Paint.BOLD)]
            if not lines
            else [
                "",
                style.paint(style.plain(title), Paint.BOLD),
            ]
        )
        for finding in report.findings:
            if finding.area == area:
                lines += _entry(finding, style)
    return lines


def _entry(finding: Finding, style: Style) -> list[str]:
    word = WORDS[finding.status]
    status = f"  {style.paint(word, PAINTS[finding.status])}{' ' * (9 - len(word))}"
    severity = f" ({finding.severity})" if finding.status is Status.FAIL else ""
    lines = [f"{status}{style.paint(finding.rule, Paint.BOLD)}"]
    if len(_HANG + finding.rule + severity) <= style.width:
        lines[0] += severity
    else:
        lines.append(_HANG + severity.strip())
    lines += style.wrap(finding.summary, _HANG)
    if finding.status in (Status.PASS, Status.NOT_APPLICABLE):
        return lines
    for evidence in finding.evidence:
        lines += style.wrap(f"{evidence.source}: {evidence.quote}", f"{_HANG}- ", f"{_HANG}  ")
    if finding.caused_by:
        lines += style.wrap(f"because of {finding.caused_by}", _HANG)
    lines += style.settling(finding.cure, _HANG)
    for remedy in finding.remedies:
        disruption = f" (interrupts: {remedy.disruption})" if remedy.disruption != "none" else ""
        lines += style.wrap(f"fix: {remedy.title}{disruption}", _HANG, f"{_HANG}  ")
    return lines
