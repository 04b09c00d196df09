"""Exit codes by the contract: 0, 1, 2, 3, 4, 5, 130, and 4 before 1 before 3 before 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ollama_audit.cli.audit import severity_threshold
from ollama_audit.cli.exits import ExitCode, UsageProblem, verdict_code
from ollama_audit.outcome import Evidence, Severity, Status
from ollama_audit.rule import Known
from tests import hosts
from tests.cli.running import PROGRAM, environment, run, saved
from tests.reports import finding

EVIDENCE = (Evidence("ss", "*:11434"),)
FAIL = finding("f", Status.FAIL, severity=Severity.HIGH, evidence=EVIDENCE)
UNREAD = finding("u", Status.UNKNOWN, severity=Severity.HIGH, evidence=EVIDENCE)
BROKEN = finding("b", Status.ERROR, severity=Severity.HIGH, evidence=EVIDENCE)
FINE = finding("p")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((FINE,), ExitCode.OK),
        ((FINE, FAIL), ExitCode.FINDING),
        ((FINE, UNREAD), ExitCode.INCOMPLETE),
        ((FINE, BROKEN), ExitCode.INCOMPLETE),
        ((UNREAD, FAIL), ExitCode.FINDING),
        ((finding("w", Status.WAIVED),), ExitCode.OK),
        ((finding("m", Status.MANUAL),), ExitCode.OK),
    ],
)
def test_code_of_findings(findings: tuple[object, ...], code: ExitCode) -> None:
    assert verdict_code(findings, Severity.HIGH) is code  # type: ignore[arg-type]


def test_below_the_threshold_neither_fails_nor_is_incomplete() -> None:
    assert verdict_code((FAIL, UNREAD), Severity.CRITICAL) is ExitCode.OK


def test_unread_counts_with_its_declared_severity_too() -> None:
    lowered = finding("u", Status.UNKNOWN, severity=Severity.LOW, declared=Severity.HIGH,
                      evidence=EVIDENCE)  # fmt: skip
    assert verdict_code((lowered,), Severity.HIGH) is ExitCode.INCOMPLETE


def test_allow_incomplete_leaves_failures_alone() -> None:
    assert verdict_code((UNREAD,), Severity.HIGH, allow_incomplete=True) is ExitCode.OK
    assert verdict_code((UNREAD, FAIL), Severity.HIGH, allow_incomplete=True) is ExitCode.FINDING


def test_fail_on_none_and_any() -> None:
    assert severity_threshold("none") is None
    assert severity_threshold("any") is Severity.LOW
    assert verdict_code((FAIL, UNREAD), None) is ExitCode.OK
    with pytest.raises(UsageProblem, match="critical"):
        severity_threshold("critcal")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return saved(hosts.host(), tmp_path)


@pytest.fixture
def rooted(tmp_path: Path) -> Path:
    as_root = hosts.server(process_=hosts.process(uid=0, user="root"))
    return saved(hosts.host(servers=hosts.servers(as_root)), tmp_path)


def test_a_sound_host_is_0(sound: Path) -> None:
    done = run("--snapshot", sound, "--only", "runs-as-root")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_high_finding_is_1(rooted: Path) -> None:
    done = run("--snapshot", rooted, "--only", "runs-as-root")
    assert (done.returncode, done.stderr) == (1, "")
    assert "runs-as-root" in done.stdout


def test_fail_on_raises_the_bar(rooted: Path) -> None:
    assert (
        run("--snapshot", rooted, "--only", "runs-as-root", "--fail-on", "critical").returncode == 0
    )


def test_unread_is_3_unless_allowed(tmp_path: Path) -> None:
    path = saved(hosts.host(servers=hosts.HIDDEN, namespaces=hosts.HIDDEN), tmp_path)
    assert run("--snapshot", path, "--only", "runs-as-root").returncode == 3
    allowed = run("--snapshot", path, "--only", "runs-as-root", "--allow-incomplete")
    assert allowed.returncode == 0


def test_no_ollama_is_5_and_says_so(tmp_path: Path) -> None:
    bare = hosts.host(servers=Known((), "proc"), units=Known((), "systemctl"))
    bare = msgspec.structs.replace(
        bare, snapshot=msgspec.structs.replace(bare.snapshot, installations=())
    )
    path = saved(bare, tmp_path)
    done = run("--snapshot", path)
    assert done.returncode == 5
    assert done.stdout.startswith("No Ollama found (process, unit, container, PATH).")
    assert run("reach", "--snapshot", path).returncode == 5


def test_internal_error_is_4_on_one_line_without_output() -> None:
    code = (
        "import sys, ollama_audit.cli.audit as a\n"
        "def broken(*_, **__): raise ZeroDivisionError('two\\nlines')\n"
        "a.make_report = broken\n"
        "sys.argv = ['ollama-audit']\n"
        "from ollama_audit.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "ZeroDivisionError: two lines" in done.stderr
    loud = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=environment(OLLAMA_AUDIT_DEBUG="1"),
    )  # fmt: skip
    assert loud.returncode == 4
    assert "Traceback" in loud.stderr


def test_interrupt_that_python_wrapped_is_130_too() -> None:
    code = (
        "import sys, ollama_audit.cli.audit as a\n"
        "def broken(*_, **__):\n"
        "    try: raise KeyboardInterrupt\n"
        "    except KeyboardInterrupt as stop: raise RuntimeError('__set_name__') from stop\n"
        "a.make_report = broken\n"
        "sys.argv = ['ollama-audit']\n"
        "from ollama_audit.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment()
    )
    assert (done.returncode, done.stderr) == (130, "ollama-audit: interrupted\n")


def test_interrupt_is_130(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    running = subprocess.Popen(
        [*PROGRAM, "--snapshot", str(pipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(),
    )  # fmt: skip
    with pipe.open("wb"):  # returns once the program has opened the other end and reads
        running.send_signal(signal.SIGINT)
        printed, complaint = running.communicate(timeout=30)
    assert running.returncode == 130
    assert (printed, complaint) == ("", "ollama-audit: interrupted\n")


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["rules"], ["explain", "runs-as-root"]]
)
def test_closed_pipe_is_silent(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, *arguments], stdout=writer, stderr=subprocess.PIPE, check=False,
        env=environment(),
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_closed_pipe_in_the_midst_of_a_report_is_silent(sound: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, "--snapshot", str(sound), "-f", "json"], stdout=writer,
        stderr=subprocess.PIPE, check=False, env=environment(),
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("asked", ["audit", "--help", "audit --help", "--version", "-V", "rules"])
def test_full_standard_output_is_2(asked: str, sound: Path) -> None:
    words = ["--snapshot", str(sound)] if asked == "audit" else asked.split()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, check=False,
            env=environment(),
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"ollama-audit: cannot write")
    assert b"No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1
