"""Score model 1: its stated properties, for any findings, and the worked scenarios."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_audit.outcome import Severity, Status
from ollama_audit.report import Finding
from ollama_audit.score import CAPS, rate

COUNTED = (Status.PASS, Status.FAIL, Status.UNKNOWN, Status.ERROR)


def finding(
    rule: str,
    status: Status,
    declared: Severity,
    *,
    severity: Severity | None = None,
    cause: str = "",
) -> Finding:
    return Finding(
        rule=rule,
        title=rule,
        area="area",
        status=status,
        severity=severity or declared,
        declared_severity=declared,
        summary="",
        cause=cause,
    )


def score(findings: list[Finding]) -> tuple[int, int] | None:
    rated, _ = rate(tuple(findings))
    return (rated.min, rated.max) if rated else None


@st.composite
def reports(draw: st.DrawFn, *, least: int = 1) -> list[Finding]:
    """Findings with causes as rules have them: an earlier rule, so never in a circle."""
    found: list[Finding] = []
    for number in range(draw(st.integers(least, 12))):
        earlier = ["", *(each.rule for each in found)]
        declared = draw(st.sampled_from(Severity))
        found.append(
            finding(
                f"rule-{number}",
                draw(st.sampled_from(Status)),
                declared,
                severity=draw(st.sampled_from([declared, *Severity])),
                cause=draw(st.sampled_from(earlier)),
            )
        )
    return found


def turned(each: Finding, status: Status) -> Finding:
    return msgspec.structs.replace(each, status=status)


@given(reports())
def test_an_interval_lies_within_0_and_100(findings: list[Finding]) -> None:
    interval = score(findings)
    if interval is not None:
        low, high = interval
        assert 0 <= low <= high <= 100


@given(reports(), st.randoms())
def test_order_does_not_matter(findings: list[Finding], random: object) -> None:
    shuffled = list(findings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score(shuffled) == score(findings)


@given(reports(), st.data())
def test_reading_more_never_widens_the_interval(
    findings: list[Finding], data: st.DataObject
) -> None:
    """An unknown that turns out well never lowers an end, one that turns out ill raises none."""
    at = data.draw(st.integers(0, len(findings) - 1))
    before = [*findings[:at], turned(findings[at], Status.UNKNOWN), *findings[at + 1 :]]
    well = [*findings[:at], turned(findings[at], Status.PASS), *findings[at + 1 :]]
    ill = [*findings[:at], turned(findings[at], Status.FAIL), *findings[at + 1 :]]
    unread = score(before)
    if unread is None:
        return
    low, high = unread
    good, bad = score(well), score(ill)
    assert good is not None
    assert bad is not None
    assert good[0] >= low
    assert good[1] == high
    assert bad[1] <= high
    assert bad[0] == low


@given(reports(), st.sampled_from(Severity))
def test_another_unknown_never_raises_the_lower_end(
    findings: list[Finding], declared: Severity
) -> None:
    before = score(findings)
    after = score([*findings, finding("another", Status.UNKNOWN, declared)])
    if before is not None and after is not None:
        assert after[0] <= before[0]


@given(reports(), st.data())
def test_a_fault_never_raises_a_score(findings: list[Finding], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(findings) - 1))
    passing = [*findings[:at], turned(findings[at], Status.PASS), *findings[at + 1 :]]
    failing = [*findings[:at], turned(findings[at], Status.FAIL), *findings[at + 1 :]]
    good, bad = score(passing), score(failing)
    if good is not None and bad is not None:
        assert bad[0] <= good[0]
        assert bad[1] <= good[1]


@given(reports(), st.sampled_from([Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM]))
def test_a_failure_caps_the_score(findings: list[Finding], effective: Severity) -> None:
    failing = finding("failing", Status.FAIL, Severity.CRITICAL, severity=effective)
    interval = score([*findings, failing])
    assert interval is not None
    assert interval[1] <= CAPS[effective]


@given(reports())
def test_what_is_not_counted_changes_nothing(findings: list[Finding]) -> None:
    extra = [
        finding(f"extra-{status}", status, Severity.CRITICAL)
        for status in Status
        if status not in COUNTED
    ]
    assert score([*findings, *extra]) == score(findings)


@given(reports())
def test_a_letter_stands_only_where_both_ends_agree(findings: list[Finding]) -> None:
    rated, why = rate(tuple(findings))
    if rated is None:
        assert why
    elif rated.grade is not None:
        floors = {"A": 90, "B": 75, "C": 60, "D": 40, "F": 0}
        floor = floors[rated.grade]
        assert rated.min >= floor
        assert rated.grade == "A" or all(
            rated.max < above for above in floors.values() if above > floor
        )


@given(reports())
def test_a_part_of_the_rules_is_never_rated(findings: list[Finding]) -> None:
    assert rate(tuple(findings), complete=False)[0] is None


# The worked scenarios: 40 rules, 4 critical, 8 high, 16 medium, 12 low (4 * 10 + 8 * 6 +
# 16 * 3 + 12 * 1 = 148 points), some of which turn out otherwise.
FORTY = (
    *([Severity.CRITICAL] * 4),
    *([Severity.HIGH] * 8),
    *([Severity.MEDIUM] * 16),
    *([Severity.LOW] * 12),
)


def forty(**turned_out: dict[Severity, int]) -> list[Finding]:
    """The forty rules: all pass but so many of each severity; the first failure is the cause."""
    left = {Status(name): dict(counts) for name, counts in turned_out.items()}
    found = []
    for number, severity in enumerate(FORTY):
        status = Status.PASS
        for each, counts in left.items():
            if counts.get(severity, 0):
                counts[severity] -= 1
                status = each
                break
        found.append(finding(f"rule-{number}", status, severity))
    return found


C, H, L = Severity.CRITICAL, Severity.HIGH, Severity.LOW
TEN = {C: 4, H: 6}


@pytest.mark.parametrize(
    ("findings", "low", "high", "grade"),
    [
        pytest.param(forty(), 100, 100, "A", id="A: all pass"),
        pytest.param(forty(fail={C: 1}), 39, 39, "F", id="B: one critical fails"),
        pytest.param(forty(fail={L: 10}), 93, 93, "A", id="C: ten low fail"),
        # 148 - 40 - 36 = 72 points are left of 148 when all ten fail: 48, capped at 39.
        pytest.param(forty(unknown=TEN), 39, 100, None, id="D: ten unread"),
        pytest.param(forty(fail=TEN), 39, 39, "F", id="E: the same ten fail"),
        # Three of 148 points: 97.97, rounded down.
        pytest.param(forty(unknown={L: 3}), 97, 100, "A", id="I: three low unread"),
        pytest.param(forty(unknown={H: 1}), 69, 100, None, id="J: one high unread"),
    ],
)
def test_scenario(findings: list[Finding], low: int, high: int, grade: str | None) -> None:
    rated, _ = rate(tuple(findings))
    assert rated is not None
    assert (rated.min, rated.max, rated.grade) == (low, high, grade)


def test_scenario_every_rule_not_applicable() -> None:
    rated, why = rate(tuple(turned(each, Status.NOT_APPLICABLE) for each in forty()))
    assert rated is None
    assert "no rule applies" in why


def test_one_cause_is_charged_once() -> None:
    """A cause of weight 6 and what it explains, of 6 and 1, cost the 6 of one of 7 + 13 points."""
    cause = finding("cause", Status.FAIL, Severity.HIGH, severity=Severity.LOW)
    effects = [
        finding("effect", Status.FAIL, Severity.HIGH, severity=Severity.LOW, cause="cause"),
    ]
    rest = [finding("rest", Status.PASS, Severity.HIGH)]
    assert score([cause, *effects, *rest]) == (66, 66)
    unrelated = [msgspec.structs.replace(each, cause="") for each in effects]
    assert score([cause, *unrelated, *rest]) == (33, 33)


def test_the_rule_that_holds_the_score_down_is_named() -> None:
    rated, _ = rate((*forty(fail={H: 1, L: 2}),))
    assert rated is not None
    assert rated.capped_by == "rule-4"
    assert rated.max == 69


def test_an_area_is_rated_by_its_own_rules() -> None:
    good = finding("good", Status.PASS, Severity.HIGH)
    bad = msgspec.structs.replace(finding("bad", Status.FAIL, Severity.LOW), area="other")
    rated, _ = rate((good, bad))
    assert rated is not None
    assert [(area.area, area.min, area.max) for area in rated.areas] == [
        ("area", 100, 100),
        ("other", 0, 0),
    ]
