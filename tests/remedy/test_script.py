"""Every remedy on every host of its rule's table that fails: bash that is whole and clean."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ollama_audit.engine import evaluate
from ollama_audit.registry import load_rules
from ollama_audit.remedy.plan import plan
from ollama_audit.remedy.script import script
from ollama_audit.remedy.template import render_step
from ollama_audit.rule import FileRole, Host, Remedy, Rule, Status
from tests.hosts import UNIT, files, host, stat
from tests.sealed import SEAL
from tests.test_rules import table

RULES = load_rules()
REMEDIES = [
    pytest.param(rule, remedy, id=f"{rule.name}.{remedy.name}")
    for rule in RULES
    for remedy in rule.remedies
]
EACH = pytest.mark.parametrize(("rule", "remedy"), REMEDIES)
VERBS = frozenset(
    """
    keep keep_attributes keep_tree keep_move
    write_file change_mode change_tree_mode change_owner change_tree_owner restart_unit
    make_user move_tree
    on_loopback has_property has_setting runs_as runs_as_configured
    lacks_mode lacks_mode_below belongs_to may_write printf :
    """.split()  # noqa: SIM905 - a block of words
)


def written(at: Host, *only: str) -> str:
    """The script for a host."""
    findings = evaluate(RULES, at)
    return script(plan(findings, at, RULES, only=only), at, RULES)


def hosts_of(rule: Rule, remedy: Remedy) -> list[Host]:
    """The hosts of the rule's table on which the remedy is for use."""
    failing = [case.host for case in table(rule) if case.status is Status.FAIL]
    return [each for each in failing if remedy.applies(each)]


@EACH
def test_is_for_use_on_some_host_of_the_table(rule: Rule, remedy: Remedy) -> None:
    assert hosts_of(rule, remedy)


def test_the_driver_and_every_step_are_clean(tmp_path: Path) -> None:
    """One script with the steps of every remedy on every host: shellcheck is slow."""
    bodies = {
        render_step(rule, remedy, each, "step_00")
        for rule in RULES
        for remedy in rule.remedies
        for each in hosts_of(rule, remedy)
    }
    steps = [
        body.replace("step_00", f"step_{number:02}")
        for number, body in enumerate(sorted(bodies), start=1)
    ]
    driver, main = written(host(), RULES[0].name).rsplit("main ", 1)
    path = tmp_path / "harden.sh"
    path.write_text("\n".join([driver, *steps, f"main {main}"]))
    subprocess.run(["bash", "-n", path], check=True)

    said = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)

    assert said.stdout == ""


@EACH
def test_every_script_is_whole(rule: Rule, remedy: Remedy) -> None:
    for each in hosts_of(rule, remedy):
        text = written(each, f"{rule.name}.{remedy.name}")
        assert f"# BEGIN step 1 / 1: {rule.name}.{remedy.name}\n" in text
        assert text.endswith(f'# END step 1 / 1: {rule.name}.{remedy.name}\n\nmain "$@"\n')


def test_a_script_of_several_steps_is_clean(tmp_path: Path) -> None:
    changes = {UNIT: (FileRole.UNIT, stat(mode=0o666))}
    text = written(host(files=files(changes)))
    assert "# BEGIN step 2 / 2: not-sandboxed.systemd\n" in text
    path = tmp_path / "harden.sh"
    path.write_text(text)

    said = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)

    assert said.stdout == ""


@EACH
def test_writing_a_script_touches_nothing_but_templates(rule: Rule, remedy: Remedy) -> None:
    at = hosts_of(rule, remedy)[0]
    with SEAL:
        assert remedy.applies(at)
        remedy.values(at)
        remedy.restarts(at)


@EACH
def test_no_value_stands_inside_quotes(rule: Rule, remedy: Remedy) -> None:
    """A quoted value inside quotes would end them."""
    for line in rule.template(remedy).read_text().splitlines():
        outside = re.sub(r"\{\{.*?\}\}", "@", line)
        quoted = re.findall(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"", outside)
        assert not any("@" in text for text in quoted), line


@EACH
def test_steps_use_the_verbs_only(rule: Rule, remedy: Remedy) -> None:
    """A dry run carries out a step with verbs that only show; any other command would act."""
    text = re.sub(r"\{\{#.*?#\}\}", "", rule.template(remedy).read_text(), flags=re.DOTALL)
    text = re.sub(r"\\\n\s*", " ", text)
    for line in text.splitlines():
        words = re.sub(r"\{%.*?%\}", "", line).split()
        if words:
            assert words[0] in VERBS, line
