"""Score model 1 (`oa-score/1`): a weighted share with caps, as an interval.

What could not be read is counted once as failing and once as passing, so that it never raises
a score and is always in sight. The model is fixed by number; a report carries it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ollama_audit.outcome import Severity, Status
from ollama_audit.report import AreaScore, Finding, Score

MODEL = "oa-score/1"

WEIGHTS = {
    Severity.CRITICAL: 10,
    Severity.HIGH: 6,
    Severity.MEDIUM: 3,
    Severity.LOW: 1,
    Severity.INFO: 0,
}
"""By declared severity, so that the denominator is the same on every host."""

CAPS = {Severity.CRITICAL: 39, Severity.HIGH: 69, Severity.MEDIUM: 89}
"""By effective severity: the most a host can score while such a rule fails."""

BANDS = ((90, "A"), (75, "B"), (60, "C"), (40, "D"), (0, "F"))

_COUNTED = (Status.PASS, Status.FAIL, Status.UNKNOWN, Status.ERROR)
_UNREAD = (Status.UNKNOWN, Status.ERROR)


def rate(findings: tuple[Finding, ...], *, complete: bool = True) -> tuple[Score | None, str]:
    """The score, or None and the reason why there is none."""
    if not complete:
        return None, "only some of the rules were asked for"
    interval = _interval(findings)
    if interval is None:
        return None, "no rule applies to this host"
    low, high = interval
    areas = dict.fromkeys(finding.area for finding in findings)
    return (
        Score(
            min=low,
            max=high,
            grade=grade(low, high),
            areas=tuple(
                _area(area, [finding for finding in findings if finding.area == area])
                for area in areas
                if _interval([finding for finding in findings if finding.area == area])
            ),
            capped_by=_capped_by(findings),
        ),
        "",
    )


def grade(low: int, high: int) -> str | None:
    """The letter, when both ends of the interval fall in the same band."""
    at_low, at_high = (next(name for floor, name in BANDS if end >= floor) for end in (low, high))
    return at_low if at_low == at_high else None


def _area(area: str, findings: list[Finding]) -> AreaScore:
    interval = _interval(findings)
    assert interval is not None, "areas without a counted rule are left out"
    low, high = interval
    return AreaScore(area=area, min=low, max=high, grade=grade(low, high))


def _interval(findings: Iterable[Finding]) -> tuple[int, int] | None:
    counted = [finding for finding in findings if finding.status in _COUNTED]
    total = sum(WEIGHTS[finding.declared_severity] for finding in counted)
    if not total:
        return None
    failing = [finding for finding in counted if finding.status is Status.FAIL]
    unread = [finding for finding in counted if finding.status in _UNREAD]
    return _points(total, counted, [*failing, *unread]), _points(total, counted, failing)


def _points(total: int, counted: list[Finding], failing: list[Finding]) -> int:
    lost = _charge("", counted, {finding.rule for finding in failing})
    return min(100 * (total - lost) // total, _cap(failing))


def _charge(cause: str, counted: list[Finding], failing: set[str]) -> int:
    """What the failures below `cause` cost ("" for the rules that have no counted cause).

    A failed rule and the failures it explains are one fault: the larger of the two is charged.
    Taking the larger, rather than the cause alone, keeps the model monotone: learning that a
    cause failed can never raise a score.
    """
    names = {finding.rule for finding in counted}
    charge = 0
    for finding in counted:
        if (finding.cause if finding.cause in names else "") != cause:
            continue
        below = _charge(finding.rule, counted, failing)
        own = WEIGHTS[finding.declared_severity] if finding.rule in failing else 0
        charge += max(own, below)
    return charge


def _cap(failing: list[Finding]) -> int:
    return min((CAPS.get(finding.severity, 100) for finding in failing), default=100)


def _capped_by(findings: tuple[Finding, ...]) -> str | None:
    failing = [finding for finding in findings if finding.status is Status.FAIL]
    worst = min(failing, key=lambda finding: CAPS.get(finding.severity, 100), default=None)
    return worst.rule if worst and worst.severity in CAPS else None
