"""`render`, `diff` and `doctor`: stored reports, and what could not be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from ollama_audit.observed import Unknown
from ollama_audit.outcome import Evidence, Severity, Status
from ollama_audit.render.compare import compare
from ollama_audit.render.json import render
from ollama_audit.render.text import Style
from ollama_audit.snapshot.codec import encode
from ollama_audit.snapshot.edge import Edge
from ollama_audit.snapshot.process import Process
from tests import hosts
from tests.cli.running import run, saved
from tests.reports import LOOPBACK, OPEN, finding, report

EVIDENCE = (Evidence("ss", "*:11434"),)
FINE = report(finding("a"), finding("b"), endpoints=(LOOPBACK,))
WORSE = report(
    finding("a", Status.FAIL, severity=Severity.CRITICAL, evidence=EVIDENCE, summary="a broke"),
    finding("b"),
    endpoints=(OPEN,),
)


def stored(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_stored_report_says_what_the_audit_said(tmp_path: Path) -> None:
    path = saved(hosts.host(), tmp_path)
    audited = run(
        "--snapshot", path, "--all", "-f", "json", "-o", tmp_path / "r.json", "-f", "terminal"
    )
    again = run("render", tmp_path / "r.json", "--all")
    assert again.returncode == 0
    assert again.stdout == audited.stdout
    rewritten = run("render", tmp_path / "r.json", "-f", "json")
    assert rewritten.stdout == (tmp_path / "r.json").read_text()


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"schema": "ollama-audit/report/9"}', '{"schema": "ollama-audit/report/1"}',
     "[" * 1_000_000, '{"schema": 7}'],
)  # fmt: skip
def test_what_is_no_report_is_2(text: str, tmp_path: Path) -> None:
    path = stored(tmp_path, "bad.json", text)
    for done in (run("render", path), run("diff", path, path)):
        assert done.returncode == 2
        assert str(path) in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_diff_names_what_got_worse_and_ends_1(tmp_path: Path) -> None:
    old = stored(tmp_path, "old.json", render(FINE))
    new = stored(tmp_path, "new.json", render(WORSE))
    done = run("diff", old, new)
    assert done.returncode == 1
    assert "LOCAL ONLY → EXPOSED" in done.stdout
    assert "100/100 A → 37/100 F" in done.stdout
    assert "a broke" in done.stdout
    assert "new endpoint *:11434" in done.stdout
    assert run("diff", new, old).returncode == 0


def test_diff_of_a_report_with_itself_is_empty() -> None:
    text, worse = compare(FINE, FINE, Style())
    assert not worse
    assert text.splitlines() == ["verdict  LOCAL ONLY", "score    100/100 A"]


def test_new_rule_that_fails_is_worse_and_a_rule_that_went_is_named() -> None:
    other = report(finding("b"), finding("c", Status.FAIL, evidence=EVIDENCE))
    text, worse = compare(FINE, other, Style())
    assert worse
    assert "new rule c: fail" in text
    assert "gone     a" in text


def test_unread_that_became_a_failure_is_worse() -> None:
    before = report(finding("a", Status.UNKNOWN, evidence=EVIDENCE))
    after = report(finding("a", Status.FAIL, evidence=EVIDENCE))
    assert compare(before, after, Style())[1]


def test_doctor_names_what_is_unread_with_its_cure(tmp_path: Path) -> None:
    path = saved(hosts.host(servers=hosts.HIDDEN), tmp_path)
    done = run("doctor", "--snapshot", path)
    assert done.returncode == 3
    assert "only root may read it" in done.stdout
    assert "$.servers" in done.stdout
    assert "sudo ollama-audit" in done.stdout
    assert "runs-as-root" in done.stdout


def test_doctor_names_alike_together_and_apart_what_nobody_can_read(tmp_path: Path) -> None:
    """Root cures the first, nothing the second, which is no reason to run it again."""

    def process(pid: int) -> Process:
        link = Unknown("only root may look at it", f"/proc/{pid}/exe", "sudo ollama-audit")
        return replace(hosts.process(pid), executable=link)

    running = hosts.host(processes=tuple(process(pid) for pid in range(40, 46)))
    edge = Edge(cloud=Unknown("this machine does not describe itself", "/sys/class/dmi/id"))
    path = tmp_path / "host.json"
    path.write_bytes(encode(replace(running.snapshot, edge=edge)))

    lines = run("doctor", "--snapshot", path).stdout.splitlines()

    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads[1:3] == ["Could not be read", "Is not to be read here"]
    told = lines[lines.index(heads[1]) + 1 : lines.index(heads[2])]
    assert " ".join(" ".join(told).split()).startswith(
        "/proc/40/exe, /proc/41/exe, /proc/42/exe and 3 more: only root may look at it"
    )
    assert sum("to settle it: sudo ollama-audit" in line for line in told) == 1
