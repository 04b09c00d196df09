"""What changed between two audits of one host: rules by name, endpoints, then the score."""

from __future__ import annotations

from ollama_audit.exposure.model import Endpoint
from ollama_audit.outcome import Status
from ollama_audit.render.text import Paint, Style
from ollama_audit.report import Finding, Report, Score
from ollama_audit.verdict import judge

_BAD = (Status.FAIL, Status.UNKNOWN, Status.ERROR)


def compare(old: Report, new: Report, style: Style) -> tuple[str, bool]:
    """The changes in words, and whether a rule fails now that did not fail before."""
    before = {finding.rule: finding for finding in old.findings}
    after = {finding.rule: finding for finding in new.findings}
    lines: list[str] = []
    if old.host.hostname != new.host.hostname:
        lines += style.wrap(
            f"These are two hosts: {old.host.hostname} and {new.host.hostname}.", "", "  "
        )
    first, second = judge(old), judge(new)
    turn = f"{first.stance} → " if first.stance != second.stance else ""
    lines.append(style.ours(f"verdict  {turn}{second.stance}"))
    lines.append(style.ours(f"score    {_score(old, new)}"))
    changed = [rule for rule in after if rule in before and _differs(before[rule], after[rule])]
    for rule in changed:
        lines += _change(before[rule], after[rule], style)
    added = [rule for rule in after if rule not in before]
    for rule in added:
        lines += style.wrap(f"new rule {rule}: {after[rule].status}", "  ", "    ")
    lines += [f"  gone     {rule}" for rule in before if rule not in after]
    lines += _endpoints(old, new, style)
    worse = [
        rule
        for rule in after
        if after[rule].status is Status.FAIL
        and (rule not in before or before[rule].status is not Status.FAIL)
    ]
    return "\n".join(lines) + "\n", bool(worse)


def _differs(old: Finding, new: Finding) -> bool:
    return (old.status, old.severity) != (new.status, new.severity) or (
        new.status in _BAD and old.summary != new.summary
    )


def _change(old: Finding, new: Finding, style: Style) -> list[str]:
    was = f"{old.status} ({old.severity})" if old.status is Status.FAIL else f"{old.status}"
    now = f"{new.status} ({new.severity})" if new.status is Status.FAIL else f"{new.status}"
    step = now if was == now else f"{was} → {now}"
    paint = Paint.BAD if new.status is Status.FAIL else Paint.NOTE
    paint = Paint.GOOD if new.status is Status.PASS else paint
    head = f"  {style.paint(new.rule, Paint.BOLD)}  {style.paint(style.ours(step), paint)}"
    return [head, *style.wrap(new.summary, "    ")]


def _score(old: Report, new: Report) -> str:
    if old.score is None or new.score is None:
        return "not comparable: one of the reports is not rated"
    if old.score.model != new.score.model:
        return f"not comparable: {old.score.model} and {new.score.model}"
    if old.tool.ruleset_digest != new.tool.ruleset_digest:
        was, now = _points(old.score), _points(new.score)
        return f"not comparable: the rules differ ({was} then, {now} now)"
    was, now = _points(old.score), _points(new.score)
    return was if was == now else f"{was} → {now}"


def _points(score: Score) -> str:
    interval = str(score.min) if score.min == score.max else f"{score.min}-{score.max}"
    return f"{interval}/100 {score.grade or '(incomplete)'}"


def _endpoints(old: Report, new: Report, style: Style) -> list[str]:
    before = {endpoint.id: endpoint for endpoint in old.endpoints}
    after = {endpoint.id: endpoint for endpoint in new.endpoints}
    lines: list[str] = []
    for name, endpoint in after.items():
        if name not in before:
            lines += style.wrap(f"new endpoint {endpoint.shown}", "  ", "    ")
        elif (before[name].login, before[name].tls, _cells(before[name])) != (
            endpoint.login,
            endpoint.tls,
            _cells(endpoint),
        ):
            lines += style.wrap(f"endpoint {endpoint.shown} is reached otherwise", "  ", "    ")
    for name, endpoint in before.items():
        if name not in after:
            lines += style.wrap(f"endpoint {endpoint.shown} is gone", "  ", "    ")
    return lines


def _cells(endpoint: Endpoint) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(part.zone, part.family, part.extent, part.networks) for part in endpoint.reach]
