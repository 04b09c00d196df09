"""Which rules are judged: `--only` and `--skip`, by rule, area or pattern."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ollama_audit.cli.exits import UsageProblem
from ollama_audit.cli.names import unknown_name
from ollama_audit.engine import Selection
from ollama_audit.rule import Rule


def select(rules: tuple[Rule, ...], only: Sequence[str], skip: Sequence[str]) -> Selection:
    """The rules that `only` names (all when empty) without those that `skip` names.

    A name is a rule, an area, `area/rule`, or a pattern of them with `*`, `?` or `[...]`;
    several may be joined by commas.

    Raises:
        UsageProblem: A name fits no rule: a misspelt `--skip` must not pass for a clean host.
    """
    only, skip = _patterns(only, rules), _patterns(skip, rules)
    left = tuple(
        rule
        for rule in rules
        if (not only or _named(rule, only)) and not (skip and _named(rule, skip))
    )
    if not left:
        raise UsageProblem("--only and --skip leave no rule to judge")
    return Selection(rules=left, complete=len(left) == len(rules))


def _patterns(names: Sequence[str], rules: tuple[Rule, ...]) -> tuple[str, ...]:
    patterns = tuple(part for name in names for part in name.split(","))
    for pattern in patterns:
        if not any(_named(rule, (pattern,)) for rule in rules):
            areas = dict.fromkeys(rule.area for rule in rules)
            raise unknown_name("rule or area", pattern, [*(r.name for r in rules), *areas])
    return patterns


def _named(rule: Rule, patterns: Sequence[str]) -> bool:
    names = (rule.name, rule.area, f"{rule.area}/{rule.name}")
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
