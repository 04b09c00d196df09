"""What is planned, in which order, and what is left to people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ollama_audit.engine import evaluate
from ollama_audit.outcome import Evidence, Severity, Status
from ollama_audit.remedy.plan import Plan, UnknownStepError, plan
from ollama_audit.render.plan import render
from ollama_audit.render.text import Style
from ollama_audit.report import Finding
from ollama_audit.rule import Disruption, Host, Remedy, Rule, Unknown, failed, passed, unread
from tests.hosts import host


def always(_: Host) -> bool:
    return True


def never(_: Host) -> bool:
    return False


def bad_rule(
    name: str,
    *remedies: Remedy,
    severity: Severity = Severity.HIGH,
    cause: str = "",
    fails: bool = True,
) -> Rule:
    """A rule that fails on every host, or on none."""
    bad = failed("is bad", (Evidence("a", "b"),))
    return Rule(
        name=name,
        severity=severity,
        check=lambda _: bad if fails else passed("is well"),
        manual="Is bad.\n",
        path=Path("area") / f"{name.replace('-', '_')}.py",
        remedies=remedies,
        cause=cause,
    )


def remedy(
    name: str = "systemd",
    *,
    applies: Callable[[Host], bool] = always,
    disruption: Disruption = Disruption.NONE,
    opt_in: str = "",
) -> Remedy:
    return Remedy(
        name=name,
        title=f"mend by {name}",
        applies=applies,
        disruption=disruption,
        restarts=lambda _: ("ollama.service",) if disruption is Disruption.RESTART else (),
        opt_in=opt_in,
    )


def planned(*rules: Rule, only: tuple[str, ...] = ()) -> Plan:
    return plan(evaluate(rules, host()), host(), rules, only=only)


def names(made: Plan) -> list[str]:
    return [step.name for step in made.steps]


def shown(made: Plan, width: int = 80) -> str:
    return render(made, Style(width=width))


def test_what_passes_needs_no_step() -> None:
    made = planned(bad_rule("is-bad", remedy(), fails=False))

    assert made.steps == ()
    assert made.by_hand == ()
    assert shown(made) == "Nothing that a script would do.\n"


def test_restarts_come_last_and_the_gravest_first() -> None:
    made = planned(
        bad_rule("low-restart", remedy(disruption=Disruption.RESTART), severity=Severity.LOW),
        bad_rule("critical", remedy(disruption=Disruption.RESTART), severity=Severity.CRITICAL),
        bad_rule("low", remedy(), severity=Severity.LOW),
        bad_rule("medium", remedy(), severity=Severity.MEDIUM),
    )

    assert [(step.number, step.rule) for step in made.steps] == [
        (1, "medium"),
        (2, "low"),
        (3, "critical"),
        (4, "low-restart"),
    ]


def test_the_first_remedy_that_applies_is_taken() -> None:
    made = planned(bad_rule("is-bad", remedy("one", applies=never), remedy("two"), remedy("three")))

    assert names(made) == ["is-bad.two"]


def test_a_failure_without_remedy_is_named() -> None:
    made = planned(bad_rule("is-bad", remedy(applies=never)), bad_rule("worse"))

    assert [one.rule for one in made.by_hand] == ["is-bad", "worse"]
    assert "ollama-audit explain worse" in shown(made)


def test_a_step_closes_what_it_is_the_cause_of() -> None:
    made = planned(bad_rule("cause", remedy()), bad_rule("consequence", cause="cause"))

    assert made.steps[0].closes == ("cause", "consequence")
    assert made.by_hand == ()
    assert "also closes consequence" in shown(made)


def test_what_takes_a_feature_away_is_done_only_when_asked_for() -> None:
    rule = bad_rule("cloud", remedy(opt_in="turns cloud models off"))

    assert planned(rule).steps == ()
    assert planned(rule).by_hand == ()
    assert "remediate --only cloud" in shown(planned(rule))
    assert names(planned(rule, only=("cloud",))) == ["cloud.systemd"]


def test_only_what_is_asked_for() -> None:
    rules = (bad_rule("one", remedy()), bad_rule("two", remedy("a"), remedy("b")))

    assert names(planned(*rules, only=("one",))) == ["one.systemd"]
    assert names(planned(*rules, only=("two.b",))) == ["two.b"]


def test_what_is_asked_for_and_does_not_fail_is_said() -> None:
    made = planned(bad_rule("well", remedy(), fails=False), only=("well",))

    assert made.not_needed == ("well",)
    assert "well does not fail here" in shown(made)


def test_a_plan_says_what_it_could_not_judge() -> None:
    """Nothing to do because nothing was read is no good news."""
    unread_fact = Unknown("only root may read it", "/proc/1/environ", "sudo ollama-audit")
    blind = msgspec.structs.replace(bad_rule("blind"), check=lambda _: unread(unread_fact))

    made = planned(blind, bad_rule("well", fails=False))

    assert made.unjudged == ("blind",)
    text = shown(made)
    assert "1 rule could not be judged: blind" in text
    assert "to settle it: sudo ollama-audit" in text
    only = planned(blind, only=("blind",))
    assert (only.unjudged, only.not_needed) == (("blind",), ())


@pytest.mark.parametrize("width", [40, 80])
def test_a_plan_keeps_to_the_width_but_for_what_is_copied(width: int) -> None:
    long = "can use, replace or delete your models at [::]:11434 without a login " * 3
    wordy = failed(long, (Evidence("a", "b"),))
    rules = [
        msgspec.structs.replace(bad_rule(name, *remedies), check=lambda _: wordy)
        for name, remedies in (
            ("by-hand", ()),
            ("step", (remedy(disruption=Disruption.RESTART),)),
            ("opt-in", (remedy(opt_in=long),)),
        )
    ]
    lines = shown(planned(*rules), width).splitlines()
    assert [line for line in lines if len(line) > width and "ollama-audit " not in line] == []


def test_what_is_asked_for_and_cannot_be_done_is_left_to_people() -> None:
    made = planned(bad_rule("is-bad", remedy(applies=never)), only=("is-bad",))

    assert made.not_needed == ()
    assert [one.rule for one in made.by_hand] == ["is-bad"]


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownStepError, match="nonsense") as refused:
        planned(bad_rule("is-bad", remedy()), only=("nonsense",))

    assert refused.value.known == ("is-bad", "is-bad.systemd")


def test_a_waived_failure_is_left_alone() -> None:
    rule = bad_rule("is-bad", remedy())
    (finding,) = evaluate((rule,), host())
    waived = Finding(
        rule=finding.rule,
        title=finding.title,
        area=finding.area,
        status=Status.WAIVED,
        severity=finding.severity,
        declared_severity=finding.declared_severity,
        summary=finding.summary,
    )

    made = plan((waived,), host(), (rule,))

    assert made.steps == ()
    assert made.by_hand == ()
