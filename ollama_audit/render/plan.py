"""The plan of remedies, for people."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_audit.remedy.plan import ByHand, OptIn, Plan, Step
from ollama_audit.render.text import Style
from ollama_audit.rule import Disruption
from ollama_audit.words import plural

_DISRUPTION = {
    Disruption.NONE: "interrupts nothing",
    Disruption.RELOAD: "reloads a service",
    Disruption.RESTART: "restarts",
}
_HANG = " " * 12


def render(made: Plan, style: Style) -> str:
    """The plan as `ollama-audit remediate` prints it; ends in a newline, uses no colour."""
    lines = [line for step in made.steps for line in _step(step, style)]
    if not made.steps:
        lines.append("Nothing that a script would do.")
    lines += _section("Only when asked for", (_opt_in(one, style) for one in made.opt_in))
    lines += _section("By hand", (_by_hand(one, style) for one in made.by_hand))
    lines += _section("Not needed", ([f"  {name} does not fail here"] for name in made.not_needed))
    lines += _section("Not known", [_unjudged(made, style)] if made.unjudged else [])
    return "\n".join(lines) + "\n"


def _step(step: Step, style: Style) -> list[str]:
    disruption = " ".join([_DISRUPTION[step.disruption], *step.units])
    also = ", ".join(step.closes[1:])
    head = f"{step.number:>3}  {step.severity.upper():<8}  "
    hang = " " * len(head)
    return [
        *style.wrap(f"{step.name}: {step.title}", head, hang),
        *style.wrap(step.summary, hang),
        *style.wrap(disruption + (f"; also closes {also}" if also else ""), hang),
    ]


def _opt_in(one: OptIn, style: Style) -> list[str]:
    return [
        *style.wrap(f"{one.rule}: {one.title} ({one.reason})", "  ", "    "),
        "    " + style.command(f"ollama-audit remediate --only {one.rule}"),
    ]


def _by_hand(one: ByHand, style: Style) -> list[str]:
    head = f"  {one.severity.upper():<8}  "
    also = style.wrap(f"and also {', '.join(one.also)}", _HANG) if one.also else []
    return [
        *style.wrap(f"{one.rule}: {one.summary}", head, _HANG),
        *also,
        f"{_HANG}{style.command(one.advice)}",
    ]


def _unjudged(made: Plan, style: Style) -> list[str]:
    """Which rules nobody could judge: the plan is silent about them, not content."""
    number = plural(len(made.unjudged), "rule")
    lines = style.wrap(f"{number} could not be judged: {', '.join(made.unjudged)}", "  ", "    ")
    for cure in made.cures:
        lines += style.settling(cure, "    ")
    return lines


def _section(heading: str, entries: Iterable[list[str]]) -> list[str]:
    lines = [line for entry in entries for line in entry]
    return ["", heading, *lines] if lines else []
