"""The README says what the program does now; `python -m tests.test_readme` mends the blocks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ollama_audit.cli.exits import ExitCode

README = Path(__file__).parent.parent / "README.md"


def help_block() -> str:
    """What `ollama-audit audit --help` prints at 80 columns, as a code block."""
    printed = subprocess.run(
        [sys.executable, "-m", "ollama_audit", "audit", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=README.parent,
        env={"COLUMNS": "80", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    ).stdout
    return "\n".join(["```", *(line.rstrip() for line in printed.strip().splitlines()), "```"])


def exit_codes() -> str:
    """The table of exit codes."""
    rows = [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def current(text: str) -> str:
    """The README with its generated blocks made anew."""
    for name, block in (("help begins", help_block()), ("exit codes begin", exit_codes())):
        end = name.replace("begins", "ends").replace("begin", "end")
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- {end} -->")
        text = f"{before}<!-- {name} -->\n{block}\n<!-- {end} -->{after}"
    return text


def test_the_generated_blocks_are_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert "<!-- help begins -->" in text
    assert "<!-- exit codes begin -->" in text
    assert text == current(text), "run: python -m tests.test_readme"


def test_every_command_that_the_readme_names_exists() -> None:
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"ollama-audit ([a-z]+)", text.split("<!-- help")[0]))
    printed = subprocess.run(
        [sys.executable, "-m", "ollama_audit", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=README.parent,
        env={"COLUMNS": "80", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    ).stdout
    commands = set(re.findall(r"^  ([a-z]+)  ", printed, re.MULTILINE))
    assert named - {"audit"} <= commands


if __name__ == "__main__":
    README.write_text(current(README.read_text(encoding="utf-8")), encoding="utf-8")
