"""Who imports whom: rules only their interface, and nothing but `collect` touches the host."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ollama_audit"

PURE_STANDARD = {
    "__future__", "bisect", "collections", "dataclasses", "enum", "functools", "ipaddress",
    "itertools", "math", "posixpath", "re", "typing",
}  # fmt: skip
"""What a rule may use of the standard library: nothing that can do I/O."""


def imports(path: Path) -> set[str]:
    """The modules that a file imports, dotted; of `from a import b` both a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(*parts: str) -> list[Path]:
    """The files of a module or package of ours."""
    path = PACKAGE.joinpath(*parts)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def below(name: str, imported: set[str]) -> set[str]:
    """The imports that are this module or inside it."""
    return {each for each in imported if each == name or each.startswith(f"{name}.")}


@pytest.mark.parametrize("path", sorted((ROOT / "rules").rglob("*.py")), ids=lambda p: p.stem)
def test_a_rule_imports_its_interface_and_nothing_that_can_do_io(path: Path) -> None:
    tops = {each for each in imports(path) if each.partition(".")[0] != "ollama_audit"}
    assert {each.partition(".")[0] for each in tops} <= PURE_STANDARD
    ours = {each for each in imports(path) if each.partition(".")[0] == "ollama_audit"}
    assert ours == below("ollama_audit.rule", ours)


PURE = [
    "accounts", "observed", "outcome", "snapshot", "exposure", "firewall", "addresses",
    "envconfig", "origins",
    "permissions", "reachability", "advisories", "configured", "managed", "rule", "engine",
    "score", "report", "manual", "verdict", "words",
]  # fmt: skip
TOUCHES = {
    "ctypes", "distro", "fcntl", "glob", "grp", "http", "multiprocessing", "os", "psutil", "pty",
    "pwd", "select", "shutil", "signal", "socket", "subprocess", "tempfile", "threading", "time",
    "urllib.request",
}  # fmt: skip


@pytest.mark.parametrize("name", PURE)
def test_pure_code_touches_nothing_and_knows_no_collector(name: str) -> None:
    for path in modules(name):
        imported = imports(path)
        assert not [name for name in TOUCHES if below(name, imported)], path
        for outer in ("collect", "cli", "render", "remedy"):
            assert not below(f"ollama_audit.{outer}", imported), path


LAYERS = [
    (("observed",), ("snapshot", "outcome", "exposure", "rule", "engine")),
    (("snapshot",), ("exposure", "firewall", "outcome", "rule", "engine", "report")),
    (("addresses",), ("exposure", "firewall", "snapshot", "rule")),
    (("firewall",), ("exposure", "rule", "engine", "report")),
    (("exposure",), ("rule", "engine", "report", "score", "outcome")),
    (("permissions",), ("rule", "engine", "report", "exposure")),
    (("rule",), ("engine", "report", "registry", "score")),
    (("collect",), ("rule", "engine", "report", "score", "registry", "exposure", "render", "cli")),
]


@pytest.mark.parametrize(("layer", "above"), LAYERS, ids=lambda names: names[0])
def test_no_layer_knows_one_above_it(layer: tuple[str, ...], above: tuple[str, ...]) -> None:
    for path in modules(*layer):
        for name in above:
            assert not below(f"ollama_audit.{name}", imports(path)), path


def test_every_file_of_the_package_has_a_docstring() -> None:
    bare = [p for p in modules() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert bare == []
