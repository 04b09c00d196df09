"""What every rule owes: a manual, a table of cases, evidence, purity, a place in the index."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from ollama_audit.engine import judge
from ollama_audit.manual import REGENERATE, index, page
from ollama_audit.registry import load_rules, shipped_rules
from ollama_audit.rule import SECTIONS, Rule, Status
from tests.cases import Case
from tests.sealed import SEAL

RULES = load_rules()
TABLES = Path(__file__).parent / "rules"


def table(rule: Rule) -> list[Case]:
    """The cases of a rule."""
    name = f"tests.rules.{rule.path.stem}"
    cases: list[Case] = importlib.import_module(name).CASES
    return cases


ROWS = [
    pytest.param(rule, case, id=f"{rule.name}: {case}") for rule in RULES for case in table(rule)
]
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@pytest.mark.parametrize(("rule", "case"), ROWS)
def test_case(rule: Rule, case: Case) -> None:
    with SEAL:
        outcome = judge(rule, case.host)
    assert outcome.status is case.status, outcome.summary
    said = "\n".join([outcome.summary, *(f"{e.source}: {e.quote}" for e in outcome.evidence)])
    assert case.says in said
    assert case.cure in outcome.cure
    if case.severity is not None:
        assert (outcome.severity or rule.severity) is case.severity
    if outcome.status in (Status.FAIL, Status.UNKNOWN):
        assert outcome.evidence
    assert all(e.source and e.quote for e in outcome.evidence)


@EACH
def test_table_shows_a_pass_a_failure_and_an_unknown(rule: Rule) -> None:
    shown = {case.status for case in table(rule)}
    assert shown >= {Status.PASS, Status.FAIL, Status.UNKNOWN}


@EACH
def test_rows_of_a_table_have_different_names(rule: Rule) -> None:
    names = [case.name for case in table(rule)]
    assert len(names) == len(set(names))


def test_every_table_has_its_rule() -> None:
    stems = {path.stem for path in TABLES.glob("*.py")}
    assert stems == {rule.path.stem for rule in RULES}


@EACH
def test_manual_has_its_sections_in_order(rule: Rule) -> None:
    headings = re.findall(r"^## (.+)$", rule.manual, re.MULTILINE)
    assert tuple(headings) == SECTIONS
    assert all(rule.section(heading) for heading in SECTIONS)


@EACH
def test_title_is_one_sentence(rule: Rule) -> None:
    first, second, *_ = rule.manual.splitlines()
    assert first.endswith(".")
    assert not second
    assert first[0].isupper()


REFERENCE = re.compile(
    r"""CWE-\d+:\ \S
      | CVE-\d{4}-\d{4,}:\ \S
      | OWASP\ LLM(0[1-9]|10):2025\ \S
      | MITRE\ ATLAS\ AML\.T\d{4}(\.\d{3})?\ \S
      | NIST\ CSF\ 2\.0\ ([A-Z]{2}\.[A-Z]{2}-\d{2}(,\ )?)+$
      | NIST\ SP\ 800-53\ ([A-Z]{2}-\d+(\(\d+\))?(,\ )?)+$
      | CIS\ Controls\ v8\.1\ \d+\.\d+\ \S
      | BSI\ [A-Z]{3,4}(\.\d+)+(\.\d+)*\.A\d+\ \S
      | (Ollama|systemd|Linux|gin-contrib/cors|nft|ufw)\ \S
    """,
    re.VERBOSE,
)


@EACH
def test_references_have_a_known_form(rule: Rule) -> None:
    assert rule.references
    assert [text for text in rule.references if not REFERENCE.match(text)] == []


@EACH
def test_manual_names_only_rules_that_exist(rule: Rule) -> None:
    names = {each.name for each in RULES}
    mentioned = set(re.findall(r"`((?:[a-z0-9]+-){2,}[a-z0-9]+)`", rule.manual))
    commands = {"systemd-socket-proxyd", "iptables-legacy-save"}
    assert mentioned - names - commands == set()


@EACH
def test_manual_fits_a_terminal(rule: Rule) -> None:
    assert [line for line in rule.manual.splitlines() if len(line) > 100] == []


@EACH
def test_page_shows_severity_and_every_section(rule: Rule) -> None:
    text = page(rule)
    assert text.startswith(f"# {rule.name}\n\n{rule.title}.\n")
    assert f"- severity: {rule.severity}\n" in text
    assert all(f"\n## {heading}\n" in text for heading in SECTIONS)


def test_index_is_current() -> None:
    written = (shipped_rules() / "README.md").read_text(encoding="utf-8")
    assert written == index(RULES), f"run: {REGENERATE}"


@pytest.mark.parametrize(("rule", "case"), ROWS)
def test_a_snapshot_read_again_is_judged_alike(rule: Rule, case: Case) -> None:
    again = msgspec.json.decode(msgspec.json.encode(case.host), type=type(case.host))
    assert judge(rule, again) == judge(rule, case.host)
