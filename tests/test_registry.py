"""The loader finds rules by path and refuses malformed files by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_audit.registry import RuleLoadError, load_rules, ruleset_digest, shipped_rules

GOOD = '''"""Something is wrong.

## What it checks

One thing.

## Why it matters

It does.

## Fix by hand

Mend it.

## Limits

None.

## References

- CWE-1: A weakness
"""

from ollama_audit.rule import Host, Outcome, Severity, passed, rule


@rule(severity=Severity.LOW)
def {name}(host: Host) -> Outcome:
    """Judge."""
    return passed("fine")
'''


def write(root: Path, name: str, text: str = "", area: str = "area") -> Path:
    path = root / area / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text or GOOD.replace("{name}", name), encoding="utf-8")
    return path


def test_a_rule_takes_name_area_and_manual_from_its_file(tmp_path: Path) -> None:
    write(tmp_path, "is_wrong")
    (found,) = load_rules(tmp_path)
    assert (found.name, found.area) == ("is-wrong", "area")
    assert found.title == "Something is wrong"
    assert found.section("Fix by hand") == "Mend it."
    assert found.references == ("CWE-1: A weakness",)


def test_a_rule_may_have_the_name_of_a_module(tmp_path: Path) -> None:
    write(tmp_path, "json")
    assert [each.name for each in load_rules(tmp_path)] == ["json"]
    import json  # noqa: PLC0415 - that it is still Python's own is the point

    assert hasattr(json, "dumps")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param('"""Nothing."""\n', "defines 0 rules", id="no rule"),
        pytest.param(GOOD.replace("{name}", "other"), "belongs in other.py", id="another name"),
        pytest.param(
            GOOD.replace("{name}", "wrong").replace("## Limits", "## Other"),
            "has no section 'Limits'",
            id="a section missing",
        ),
        pytest.param(
            GOOD.replace("{name}", "wrong").replace("LOW)", 'LOW, cause="no-such-rule")'),
            "no-such-rule is no rule",
            id="a cause that is no rule",
        ),
        pytest.param(
            GOOD.replace("{name}", "wrong").replace("LOW)", 'LOW, cause="wrong")'),
            "its own cause",
            id="its own cause",
        ),
    ],
)
def test_a_malformed_file_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    write(tmp_path, "wrong", text)
    with pytest.raises(RuleLoadError, match=complaint) as error:
        load_rules(tmp_path)
    assert "wrong.py" in str(error.value)


def test_a_template_without_a_remedy_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "wrong").with_name("wrong.systemd.sh.j2").write_text("", encoding="utf-8")
    with pytest.raises(RuleLoadError, match=r"wrong\.systemd\.sh\.j2 has no Remedy"):
        load_rules(tmp_path)


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "wrong", area="one")
    write(tmp_path, "wrong", area="two")
    with pytest.raises(RuleLoadError, match="share a name"):
        load_rules(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleLoadError, match="holds no rules"):
        load_rules(tmp_path)


def test_the_digest_follows_name_severity_and_cause_and_no_order(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two")
    before = load_rules(tmp_path)
    assert ruleset_digest(before) == ruleset_digest(before[::-1])
    write(tmp_path, "two", GOOD.replace("{name}", "two").replace("LOW", "HIGH"))
    assert ruleset_digest(load_rules(tmp_path)) != ruleset_digest(before)


def test_the_shipped_rules_are_beside_the_package_in_a_checkout() -> None:
    assert shipped_rules() == Path(__file__).parents[1] / "rules"
