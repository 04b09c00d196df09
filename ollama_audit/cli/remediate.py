"""`ollama-audit remediate` and `undo`: the plan, the script, and running it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_audit.cli import output, screen, source
from ollama_audit.cli.exits import ExitCode, UsageProblem
from ollama_audit.cli.names import unknown_name
from ollama_audit.render.text import Style

BACKUPS = Path("/var/backups/ollama-audit")
"""Where a script keeps its runs (remedy/templates/keep.sh)."""

SCRIPT_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    only: tuple[str, ...] = ()
    output: str = ""
    apply: bool = False
    yes: bool = False
    snapshot: str | None = None
    probe: bool = True
    width: str | None = None


def remediate(request: Request) -> int:
    """Print the plan, or write the script, or run it; the exit code."""
    if request.apply and request.snapshot:
        raise UsageProblem("--apply works on this host and --snapshot judges another: use -o")
    if request.apply and not request.yes and not sys.stdin.isatty():
        raise UsageProblem("--apply asks before it changes anything: use a terminal, or --yes")
    style = screen.style("never", request.width)
    plan, text = _made(request, style)
    if request.apply:
        return _run_text(text, ["--yes"] if request.yes else [])
    if request.output in ("", output.STDOUT):
        output.write_stdout(text if request.output else plan)
        return ExitCode.OK
    output.write_files([(Path(request.output), text, SCRIPT_MODE)])
    print(plan, end="", file=sys.stderr)  # noqa: T201  # the plan beside the script
    return ExitCode.OK


def _made(request: Request, style: Style) -> tuple[str, str]:
    """The plan in words, and the script."""
    from ollama_audit.engine import evaluate  # noqa: PLC0415
    from ollama_audit.exposure.assess import assess  # noqa: PLC0415
    from ollama_audit.registry import load_rules  # noqa: PLC0415
    from ollama_audit.remedy.plan import UnknownStepError, plan  # noqa: PLC0415
    from ollama_audit.remedy.script import script  # noqa: PLC0415
    from ollama_audit.render.plan import render  # noqa: PLC0415
    from ollama_audit.rule import Host  # noqa: PLC0415

    rules = load_rules()
    terrain = source.obtain(request.snapshot, probe=request.probe)
    host = Host(snapshot=terrain.snapshot, exposure=assess(terrain))
    try:
        made = plan(evaluate(rules, host), host, rules, only=request.only)
    except UnknownStepError as problem:
        raise unknown_name("rule or remedy", problem.name, problem.known) from problem
    return render(made, style), script(made, host, rules)


def undo(run: str = "", *, force: bool = False) -> int:
    """Take a run back, the newest one by default, with the script that made it.

    Raises:
        UsageProblem: There is no such run, or the backups cannot be read.
    """
    try:
        runs = sorted(path.name for path in BACKUPS.iterdir() if (path / "harden.sh").is_file())
    except FileNotFoundError:
        runs = []
    except PermissionError as problem:
        raise UsageProblem(f"only root may read {BACKUPS}: sudo ollama-audit undo") from problem
    if not runs:
        raise UsageProblem(f"there is no run to take back: {BACKUPS} holds none")
    if run and run not in runs:
        raise UsageProblem(f"there is no run {run}; there are: {', '.join(runs)}")
    # Without a name, the script finds the newest run that is still in force, which may be an
    # older one than its own.
    options = ["--undo", *([run] if run else []), *(["--force"] if force else [])]
    return _run(BACKUPS / (run or runs[-1]) / "harden.sh", options)


def _run_text(text: str, options: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="ollama-audit-") as folder:
        path = Path(folder, "harden.sh")
        path.write_text(text, encoding="utf-8")
        return _run(path, options)


def _run(path: Path, options: Sequence[str]) -> int:
    """Run a script of ours in the foreground; its exit code is ours."""
    # An interrupt is the script's to answer: it takes back the step it is in.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pid = os.posix_spawn(
            "/bin/bash",
            ["bash", str(path), *options],
            {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"},
            setsigdef=[signal.SIGINT],
        )
        _, status = os.waitpid(pid, 0)
    finally:
        signal.signal(signal.SIGINT, before)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
