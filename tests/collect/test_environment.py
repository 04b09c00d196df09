"""Ollama's variables in login files, and the files that could not be read."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from ollama_audit.collect import environment
from ollama_audit.observed import Known
from ollama_audit.snapshot.process import Process
from tests.hosts import process


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    entry = pwd.struct_passwd(("ada", "x", 4711, 4711, "", str(tmp_path / "ada"), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    monkeypatch.setattr(
        environment, "_SYSTEM", (f"{tmp_path}/environment", f"{tmp_path}/profile.d/*.sh")
    )
    (tmp_path / "ada").mkdir()
    (tmp_path / "profile.d").mkdir()
    return tmp_path / "ada"


def read(*servers: Process) -> list[tuple[str, str | None, str, int]]:
    settings, gaps = environment.read_environment_sources(servers)
    assert not gaps
    return [(s.name, s.value, s.path.rpartition("/")[2], s.line) for s in settings]


def test_assignments_with_their_lines(home: Path) -> None:
    (home.parent / "environment").write_text('PATH="/bin"\nOLLAMA_HOST="0.0.0.0"\n')
    (home.parent / "profile.d" / "b.sh").write_text("export OLLAMA_HOST=:8080 # open\n")
    (home.parent / "profile.d" / "a.sh").write_text("  OLLAMA_ORIGINS='*'\n")
    (home.parent / "profile.d" / "a.txt").write_text("OLLAMA_DEBUG=1\n")
    (home / ".bashrc").write_text(
        "# export OLLAMA_HOST=1\n\nexport OLLAMA_API_KEY=s3cr3t\necho OLLAMA_HOST=2\n"
    )
    (home / ".config" / "fish").mkdir(parents=True)
    (home / ".config" / "fish" / "config.fish").write_text("set -gx OLLAMA_HOST 0.0.0.0:1\n")
    assert read() == [
        ("OLLAMA_HOST", "0.0.0.0", "environment", 2),
        ("OLLAMA_ORIGINS", "*", "a.sh", 1),
        ("OLLAMA_HOST", ":8080", "b.sh", 1),
        ("OLLAMA_API_KEY", None, ".bashrc", 3),
        ("OLLAMA_HOST", "0.0.0.0:1", "config.fish", 1),
    ]


def test_what_a_shell_would_compute_is_left_as_it_is(home: Path) -> None:
    (home / ".profile").write_text("export OLLAMA_HOST=$ADDRESS:11434\nexport OLLAMA_HOST='a b\n")
    assert read() == [
        ("OLLAMA_HOST", "$ADDRESS:11434", ".profile", 1),
        ("OLLAMA_HOST", "'a b", ".profile", 2),
    ]


def test_a_file_that_is_no_file_is_a_gap(home: Path) -> None:
    (home / ".profile").mkdir()
    settings, gaps = environment.read_environment_sources((process(uid=Known(4711, "test")),))
    assert settings == ()
    assert gaps == (f"{home}/.profile",)
