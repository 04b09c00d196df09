"""Finds and loads rule files, and refuses malformed ones.

`rules/` is content loaded by path, not an import package: the same loader serves the checkout,
the wheel and a user's folder, and no name can collide with another distribution.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from ollama_audit.rule import SECTIONS, Rule

RULESET_VERSION = "1"
"""Goes up when a rule, its severity or its causes change; the changelog says why."""


class RuleLoadError(Exception):
    """A rule file that cannot be used; the message names it and says why."""


def shipped_rules() -> Path:
    """The rules directory: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    inside, beside = package / "rules", package.parent / "rules"
    # The marker keeps an unrelated site-packages/rules from ever being executed.
    if not inside.is_dir() and (package.parent / "pyproject.toml").is_file():
        return beside
    return inside


def load_rules(root: Path | None = None) -> tuple[Rule, ...]:
    """Load every rule below `root`, by area and name.

    Raises:
        RuleLoadError: A file is malformed, two rules share a name, or a cause does not exist.
    """
    root = root or shipped_rules()
    rules = [_load(path, root) for path in sorted(root.glob("*/*.py"))]
    if not rules:
        raise RuleLoadError(f"{root}: holds no rules; reinstall ollama-audit")
    names = {found.name for found in rules}
    if len(names) != len(rules):
        raise RuleLoadError(f"{root}: two rules share a name")
    for found in rules:
        if found.cause and found.cause not in names:
            raise RuleLoadError(f"{found.path}: its cause {found.cause} is no rule")
    causes = {found.name: found.cause for found in rules}
    for found in rules:
        seen = {found.name}
        cause = found.cause
        while cause:
            if cause in seen:
                raise RuleLoadError(f"{found.path}: is its own cause")
            seen.add(cause)
            cause = causes[cause]
    return tuple(rules)


def ruleset_digest(rules: tuple[Rule, ...]) -> str:
    """sha256 over what decides a score: name, severity and causes of each rule."""
    lines = sorted(f"{r.name}:{r.severity}:{r.cause}" for r in rules)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _load(path: Path, root: Path) -> Rule:
    name = ".".join(["ollama_audit_rules", *path.relative_to(root).with_suffix("").parts])
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file always has a spec"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # inspect looks the module up by name
    spec.loader.exec_module(module)
    defined = [value for value in vars(module).values() if isinstance(value, Rule)]
    if len(defined) != 1:
        raise RuleLoadError(f"{path}: defines {len(defined)} rules; a rule file defines one")
    (found,) = defined
    for problem in _problems(found, path):
        raise RuleLoadError(f"{path}: {problem}")
    return found


def _problems(found: Rule, path: Path) -> Iterator[str]:
    if found.name.replace("-", "_") != path.stem:
        yield f"defines {found.name}, which belongs in {found.name.replace('-', '_')}.py"
    if not found.manual:
        yield "has no docstring, which would be its manual page (python -OO strips it)"
    for heading in SECTIONS:
        if not found.section(heading):
            yield f"has no section {heading!r} in its docstring"
    declared = {found.template(remedy) for remedy in found.remedies}
    present = set(path.parent.glob(f"{path.stem}.*.sh.j2"))
    for missing in sorted(declared - present):
        yield f"{missing.name} is missing"
    for orphan in sorted(present - declared):
        yield f"{orphan.name} has no Remedy"
