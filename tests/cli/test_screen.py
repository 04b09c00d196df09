"""How the program calls itself where somebody is to type a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_audit.cli import screen
from ollama_audit.render.text import Style


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system folder where sudo looks, the user's own, and an environment in neither path."""
    for name in ("system", "own", "venv"):
        (tmp_path / name).mkdir()
        script = tmp_path / name / "ollama-audit"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    monkeypatch.setattr(screen, "_SECURE_PATH", str(tmp_path / "system"))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "started", "expected"),
    [
        (("system",), "system", ("ollama-audit", "sudo ollama-audit")),
        (("own", "system"), "own", ("ollama-audit", "sudo {}")),
        (("own",), "own", ("ollama-audit", "sudo {}")),
        (("system",), "venv", ("{}", "sudo {}")),
        ((), "venv", ("{}", "sudo {}")),
    ],
)
def test_a_command_is_one_that_can_be_typed(
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: tuple[str, ...],
    started: str,
    expected: tuple[str, str],
) -> None:
    monkeypatch.setenv("PATH", ":".join(str(folders / name) for name in path))
    script = str(folders / started / "ollama-audit")

    assert screen.typed(script) == tuple(each.format(script) for each in expected)


def test_a_path_is_quoted_and_python_m_has_none() -> None:
    assert screen.typed("/a b/ollama-audit") == ("'/a b/ollama-audit'", "sudo '/a b/ollama-audit'")
    assert screen.typed("/x/ollama_audit/__main__.py") == ("ollama-audit", "sudo ollama-audit")


@pytest.mark.parametrize(
    ("advice", "expected"),
    [
        ("sudo ollama-audit", "sudo ./oa"),
        ("sudo ollama-audit undo", "sudo ./oa undo"),
        ("ollama-audit explain runs-as-root", "./oa explain runs-as-root"),
        ("ollama-audits", "ollama-audits"),
        ("leave out --no-probe", "leave out --no-probe"),
        ("sudo systemctl restart ollama", "sudo systemctl restart ollama"),
        ("", ""),
    ],
)
def test_advice_that_is_no_command_of_ours_stays(advice: str, expected: str) -> None:
    assert Style(program="./oa", as_root="sudo ./oa").command(advice) == expected
