"""The plan as one bash script that stands alone."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_audit.remedy.plan import Plan
from ollama_audit.remedy.template import TEMPLATES, environment, render_step
from ollama_audit.rule import Host, Rule

PARTS = ("look.sh", "keep.sh", "verbs.sh", "run.sh")
"""The driver, in the order of the script; plain bash."""


def script(plan: Plan, host: Host, rules: Iterable[Rule]) -> str:
    """The bash script that carries out `plan`: to be read, run, run again and undone.

    It says what it needs and does in its own head and `--help`. For a plan without steps it is
    a script that changes nothing.

    Raises:
        RemedyError: A remedy's template cannot be rendered.
    """
    remedies = {
        f"{rule.name}.{remedy.name}": (rule, remedy) for rule in rules for remedy in rule.remedies
    }
    # The name of the step is part of the name of its functions and of its folder in the backup.
    functions = [f"step_{step.number:02}" for step in plan.steps]
    bodies = [
        render_step(*remedies[step.name], host, function)
        for step, function in zip(plan.steps, functions, strict=True)
    ]
    return (
        environment()
        .get_template("script.sh.j2")
        .render(
            plan=plan,
            functions=functions,
            bodies=bodies,
            parts=[(TEMPLATES / part).read_text().strip() + "\n" for part in PARTS],
        )
    )
