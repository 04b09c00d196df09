"""What goes where: formats and files in pairs, colour, width and characters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ollama_audit.cli.audit import Destination, destinations
from tests import hosts
from tests.cli.running import environment, run, saved


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return saved(hosts.host(), tmp_path)


def pairs(*given: str, quiet: bool = False) -> list[tuple[str, str]]:
    """Destinations of `-f` and `-o` in this order: a word with a dot or a dash is a file."""
    order = ["outputs" if "." in word or word == "-" else "formats" for word in given]
    formats = [word for word, kind in zip(given, order, strict=True) if kind == "formats"]
    files = [word for word, kind in zip(given, order, strict=True) if kind == "outputs"]
    found = destinations(order, formats, files, quiet=quiet)
    return [(each.format, each.path) for each in found]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [("terminal", "-")]),
        (["json"], [("json", "-")]),
        (["json", "-"], [("json", "-")]),
        (["json", "a.json"], [("json", "a.json"), ("terminal", "-")]),
        (["json", "a.json", "terminal"], [("json", "a.json"), ("terminal", "-")]),
        (["terminal", "json", "a.json"], [("terminal", "-"), ("json", "a.json")]),
        (["a.txt", "json"], [("json", "a.txt"), ("terminal", "-")]),
        (["a.json"], [("json", "a.json"), ("terminal", "-")]),
        (["a.txt"], [("terminal", "a.txt"), ("terminal", "-")]),
    ],
)
def test_formats_and_files_pair_in_order(given: list[str], expected: list[tuple[str, str]]) -> None:
    assert pairs(*given) == expected


@pytest.mark.parametrize("empty", [("-o", ""), ("-f", ""), ("-f", "json", "-o", "")])
def test_an_empty_variable_is_no_file_and_no_format(empty: tuple[str, ...], sound: Path) -> None:
    done = run("--snapshot", sound, *empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{empty[-2]} is given an empty name" in done.stderr


def test_quiet_prints_only_what_was_asked_for() -> None:
    assert destinations([], [], [], quiet=True) == ()
    assert pairs("json", "a.json", quiet=True) == [("json", "a.json")]
    assert destinations(["formats"], ["json"], [], quiet=True) == (
        Destination(format="json", path="-"),
    )


def test_one_run_writes_both(sound: Path, tmp_path: Path) -> None:
    done = run("--snapshot", sound, "-f", "json", "-o", tmp_path / "r.json", "-f", "terminal")
    assert "LOCAL ONLY" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["host"]["hostname"] == "neo"


def test_two_audits_of_one_host_differ_in_their_duration_only(sound: Path) -> None:
    first, second = (run("--snapshot", sound, "-f", "json").stdout.splitlines() for _ in range(2))
    assert len(first) == len(second)
    different = [line for line, other in zip(first, second, strict=True) if line != other]
    assert all('"duration_s"' in line for line in different)


def test_audit_is_the_default_command(sound: Path) -> None:
    bare, named = run("--snapshot", sound, "--all"), run("audit", "--all", "--snapshot", sound)
    assert bare.stdout.splitlines()[1:] == named.stdout.splitlines()[1:]


def test_piped_output_has_no_escapes_and_80_columns(sound: Path) -> None:
    done = run("--snapshot", sound, "--all")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "variables", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"CLICOLOR_FORCE": "1"}, True),
        ([], {"CLICOLOR_FORCE": "0"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour(
    options: list[str], variables: dict[str, str], *, colored: bool, sound: Path
) -> None:
    done = run("--snapshot", sound, *options, **variables)
    assert ("\x1b[" in done.stdout) is colored


def test_ascii_locale_gets_ascii(sound: Path) -> None:
    done = run("--snapshot", sound, PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert "127.0.0.1:11434 -> not reachable from outside" in done.stdout


def test_verbose_says_why_it_exits_so(sound: Path) -> None:
    done = run("--snapshot", sound, "-v", "--only", "runs-as-root")
    assert "Exit 0: complete" in done.stdout


def test_version_is_quick_and_plain() -> None:
    for option in ("--version", "-V"):
        done = run(option)
        assert (done.returncode, done.stdout) == (0, "ollama-audit 0.1.0\n")


def test_version_imports_nothing_heavy() -> None:
    heavy = {"typer", "rich", "msgspec", "jinja2", "psutil", "pydantic"}
    code = (
        "import sys; sys.argv = ['ollama-audit', '--version']\n"
        "from ollama_audit.__main__ import main\n"
        "try: main()\nexcept SystemExit: print(*sorted(m for m in sys.modules if '.' not in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert heavy.isdisjoint(done.stdout.split())


def test_audit_of_a_snapshot_imports_no_conversion_library(sound: Path) -> None:
    code = (
        f"import sys; sys.argv = ['ollama-audit', '--snapshot', {str(sound)!r}]\n"
        "from ollama_audit.__main__ import main\n"
        "try: main()\nexcept SystemExit: print(*sorted(m for m in sys.modules if '.' not in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert {"pydantic", "rich", "jinja2", "psutil"}.isdisjoint(done.stdout.split())


def test_completion_offers_commands_rules_and_the_options_of_audit() -> None:
    def offered(words: str, at: int) -> str:
        return run(
            _OLLAMA_AUDIT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(at)
        ).stdout

    assert "explain" in offered("ollama-audit ", 1).split()
    assert "runs-as-root" in offered("ollama-audit explain runs", 2).split()
    assert "--snapshot" in offered("ollama-audit --snap", 1).split()
    assert "--fail-on" in offered("ollama-audit --all --fail", 2).split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed(shell: str) -> None:
    done = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "_OLLAMA_AUDIT_COMPLETE" in done.stdout
