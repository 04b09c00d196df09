"""Values are data, never commands; a template that is not whole is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from ollama_audit.remedy.template import RemedyError, comment, environment, render_step
from ollama_audit.rule import Disruption, Remedy, Rule, Severity, passed
from tests.hosts import host

HOSTILE = ["$(touch /tmp/x)", "`id`", "a'b", 'a"b', "a\nb", "; rm -rf /", "-n", "", "${x}", "\\"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_one_word_of_data(value: str) -> None:
    words = "printf '%s|' {{ value }} {{ value | text }} end"
    text = environment().from_string(words).render(value=value)

    said = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)

    assert said.stdout == f"{value}|{value}|end|"


@pytest.mark.parametrize("value", HOSTILE)
def test_a_comment_stays_a_comment(value: str) -> None:
    text = environment().from_string("# {{ value | comment }}\necho end").render(value=value)

    said = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)

    assert said.stdout == "end\n"
    assert "\n" not in comment(value)


def test_bash_lengths_are_no_comments() -> None:
    assert environment().from_string('"${#files[@]}"').render() == '"${#files[@]}"'


def test_an_undefined_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("rm {{ typo }}").render()


def remedy_with(folder: Path, text: str) -> tuple[Rule, Remedy]:
    """A rule with one remedy of this text."""
    (folder / "is_bad.systemd.sh.j2").write_text(text)
    remedy = Remedy(
        name="systemd", title="mend", applies=lambda _: True, disruption=Disruption.NONE
    )
    rule = Rule(
        name="is-bad",
        severity=Severity.LOW,
        check=lambda _: passed("well"),
        manual="Is bad.",
        path=folder / "is_bad.py",
        remedies=(remedy,),
    )
    return rule, remedy


BLOCKS = ("files", "apply", "verify", "undo")


def blocks(*names: str) -> str:
    """A template with these blocks."""
    return '{% extends "step.sh.j2" %}\n' + "".join(
        f"{{% block {name} %}}\n  true\n{{% endblock %}}\n" for name in names
    )


def test_a_step_is_four_functions(tmp_path: Path) -> None:
    text = render_step(*remedy_with(tmp_path, blocks(*BLOCKS)), host(), "step_01")

    assert [line for line in text.splitlines() if line.endswith("() {")] == [
        f"step_01_{name}() {{" for name in BLOCKS
    ]


@pytest.mark.parametrize("missing", BLOCKS)
def test_a_missing_block_is_refused(tmp_path: Path, missing: str) -> None:
    rule, remedy = remedy_with(tmp_path, blocks(*(name for name in BLOCKS if name != missing)))

    with pytest.raises(RemedyError, match=rf"is_bad.systemd.sh.j2: Required block '{missing}'"):
        render_step(rule, remedy, host(), "step_01")
