"""The first screen and the checklist: what is on them, and that they fit."""

from __future__ import annotations

import re

import msgspec
import pytest

from ollama_audit.exposure.model import Gap
from ollama_audit.outcome import Evidence, Severity, Status
from ollama_audit.render.terminal import render
from ollama_audit.render.text import Style, printable
from ollama_audit.report import NO_OLLAMA, Finding, Report
from tests.reports import OPEN, finding, report

EVIDENCE = (
    Evidence("ss", "*:11434 ollama(812)"),
    Evidence("/etc/systemd/system/ollama.service.d/override.conf:3", "OLLAMA_HOST=0.0.0.0"),
)
AREAS = ("exposure", "firewall", "privilege", "service", "storage", "supply", "capability")


def failure(rule: str, severity: Severity = Severity.HIGH, **given: str) -> Finding:
    return finding(
        rule, Status.FAIL, severity=severity, evidence=EVIDENCE,
        summary=given.get("summary", f"{rule} fails"), caused_by=given.get("caused_by", ""),
        remedy=given.get("remedy", ""), area=given.get("area", "exposure"),
    )  # fmt: skip


def worst_case() -> Report:
    """Long names and words everywhere, and more of everything than a screen holds."""
    failures = [
        failure(
            f"a-rule-with-quite-a-long-name-indeed-{number}",
            Severity.CRITICAL,
            summary="Strangers on the internet can use Ollama without a login " * 3,
            remedy="bind to 127.0.0.1 in a drop-in that sorts after every other one",
            area=AREAS[number % len(AREAS)],
        )
        for number in range(12)
    ]
    consequences = [failure(f"of-{rule.rule}", caused_by=rule.rule) for rule in failures]
    unread = [
        finding(f"unread-{n}", Status.UNKNOWN, evidence=EVIDENCE, cure="sudo ollama-audit")
        for n in range(9)
    ]
    return report(*failures, *consequences, *unread, endpoints=(OPEN,), beyond_host=("router",))


@pytest.mark.parametrize("color", [True, False])
def test_first_screen_fits_80x24_with_a_row_for_the_prompt(*, color: bool) -> None:
    lines = render(worst_case(), Style()).splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert len(render(worst_case(), Style(color=color)).splitlines()) == len(lines)


@pytest.mark.parametrize("width", [40, 60, 100, 200])
@pytest.mark.parametrize("whole", [True, False])
def test_every_width_is_kept_but_for_what_is_copied(width: int, *, whole: bool) -> None:
    text = render(worst_case(), Style(width=width), whole=whole)
    long = [line for line in text.splitlines() if len(line) > width]
    copied = ("a-rule-with", "of-a-rule-with", "unread-", "ollama-audit")
    assert [line for line in long if not any(name in line for name in copied)] == []
    assert width < 80 or long == []


def test_at_most_three_findings_the_most_severe_first() -> None:
    text = render(
        report(
            failure("low-one", Severity.LOW),
            failure("high-one"),
            failure("medium-one", Severity.MEDIUM),
            failure("critical-one", Severity.CRITICAL),
        ),
        Style(),
    )
    shown = [
        line.split()[2] for line in text.splitlines() if line.strip()[:2] in {"1 ", "2 ", "3 "}
    ]
    assert shown == ["critical-one", "high-one", "medium-one"]
    assert "1 more: ollama-audit --all" in text
    assert "low-one" not in text


def test_consequence_is_folded_under_its_cause() -> None:
    text = render(
        report(
            failure("bound-widely", Severity.MEDIUM),
            failure("reached", Severity.CRITICAL, caused_by="bound-widely"),
            failure("other"),
        ),
        Style(),
    )
    lines = text.splitlines()
    cause = next(i for i, line in enumerate(lines) if line.startswith("  1 "))
    assert "bound-widely" in lines[cause], "a consequence raises its cause"
    assert any("and so also CRITICAL: reached" in line for line in lines[cause + 1 : cause + 4])
    numbered = [line.split() for line in lines if re.match(r"  \d [A-Z]+  ", line)]
    assert [words[2] for words in numbered] == ["bound-widely", "other"]


def test_counts_every_status() -> None:
    text = render(
        report(
            finding("p"), failure("f"),
            finding("u", Status.UNKNOWN, evidence=EVIDENCE),
            finding("e", Status.ERROR, evidence=EVIDENCE),
            finding("n", Status.NOT_APPLICABLE), finding("m", Status.MANUAL),
        ),
        Style(),
    )  # fmt: skip
    assert "6 rules: 1 pass · 1 fail · 2 unread · 1 n/a · 1 manual" in text


def test_open_interval_is_called_incomplete_and_has_no_letter() -> None:
    text = render(report(finding("p"), finding("u", Status.UNKNOWN, evidence=EVIDENCE)), Style())
    assert "Score 50-100/100  (incomplete)" in text


def test_partial_run_is_not_rated() -> None:
    text = render(report(finding("p"), unrated="only some of the rules were asked for"), Style())
    assert "Not rated: only some of the rules were asked for." in text
    assert "Score" not in text


def test_unread_rules_are_named_with_the_command_that_reads_them() -> None:
    text = render(
        report(
            finding("u-1", Status.UNKNOWN, evidence=EVIDENCE, cure="sudo ollama-audit"),
            finding("u-2", Status.UNKNOWN, evidence=EVIDENCE, cure="sudo ollama-audit"),
        ),
        Style(),
    )
    assert "Not read: u-1, u-2" in text
    assert "sudo ollama-audit   reads 2 more rules" in text


def test_what_helps_and_is_no_command_is_wrapped() -> None:
    cure = "look at the tunnel's public hostnames and access policies in its provider's dashboard"
    text = render(report(finding("a", Status.UNKNOWN, cure=cure)), Style(width=60))
    assert cure in " ".join(text.split())
    assert all(len(line) <= 60 for line in text.splitlines())


def test_a_command_that_reads_nothing_settles_a_rule() -> None:
    cure = "curl -m 3 http://192.0.2.1/api/version on a machine there"
    text = render(report(finding("a", Status.UNKNOWN, cure=cure)), Style(width=100))
    assert f"{cure}   settles 1 more rule" in text


@pytest.mark.parametrize(
    "where",
    ["on another machine of your network", "in a container", "on a machine of 192.168.1.0/24"],
)
def test_where_a_command_is_to_be_tried_stands_below_it(where: str) -> None:
    """The command stays whole, to be copied, and nothing leaves an 80-column terminal."""
    asked = "curl -m 3 http://[2001:db8:100::10]:11434/api/version"
    text = render(report(finding("a", Status.UNKNOWN, cure=f"{asked} {where}")), Style(width=80))
    assert f"  Next  {asked}\n          {where}\n" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_one_way_in_is_told_once() -> None:
    at = ("0.0.0.0:80",)
    failed = [
        msgspec.structs.replace(failure(name), cause="listens", endpoints=at)
        for name in ("reachable-from-a", "reachable-from-b")
    ]
    lines = render(report(*failed, failure("unlike")), Style()).splitlines()
    assert lines[lines.index("              and also: reachable-from-b") - 1].strip()
    assert not [line for line in lines if re.match(r"  \d \w+ +reachable-from-b", line)]
    assert any(re.match(r"  2 \w+ +unlike", line) for line in lines)


def test_a_severity_that_does_not_fit_beside_its_rule_stands_below() -> None:
    failed = report(finding("container-published-here", Status.FAIL, severity=Severity.CRITICAL))
    lines = render(failed, Style(width=40), whole=True).splitlines()
    at = lines.index("  FAIL     container-published-here")
    assert lines[at + 1].strip() == "(critical)"


def test_remediate_is_offered_only_when_something_can_be_remedied() -> None:
    assert "remediate" in render(report(failure("a", remedy="bind to loopback")), Style())
    assert "remediate" not in render(report(failure("a")), Style())


def test_no_ollama_is_one_sentence_and_what_could_not_be_seen() -> None:
    gap = Gap(subject="processes", reason="40 hid their executable", cure="sudo ollama-audit")
    text = render(report(unrated=NO_OLLAMA, endpoints=(), gaps=(gap,)), Style())
    assert text.startswith("No Ollama found (process, unit, container, PATH). Nothing was rated.")
    assert "40 hid their executable" in text
    assert "Score" not in text


def test_whole_checklist_has_every_rule_once_by_area() -> None:
    rules = [finding(f"rule-{n}", area=AREAS[n % len(AREAS)]) for n in range(14)]
    text = render(report(*rules, failure("broken")), Style(), whole=True)
    for rule in rules:
        assert sum(line.split()[1:2] == [rule.rule] for line in text.splitlines()) == 1
    titles = [line.split()[0] for line in text.splitlines() if line and not line.startswith(" ")]
    assert titles[1:] == list(AREAS)
    assert "/etc/systemd/system/ollama.service.d/override.conf:3" in text


def test_no_colour_means_no_escape_at_all() -> None:
    assert "\x1b" not in render(worst_case(), Style(), whole=True)
    assert "\x1b[1;31mEXPOSED\x1b[0m" in render(worst_case(), Style(color=True))


def test_ascii_terminal_gets_ascii() -> None:
    for whole in (True, False):
        assert render(worst_case(), Style(unicode=False), whole=whole).isascii()


def test_escape_sequences_of_the_host_are_shown_and_not_obeyed() -> None:
    hostile = "evil\x1b[2J\x1b]0;owned\x07\u202egnp.exe\r\nEXPOSED"
    text = render(
        report(
            finding("a", Status.FAIL, evidence=(Evidence("model", hostile),), summary=hostile),
        ),
        Style(),
        whole=True,
    )
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J" in text


def test_printable_keeps_ordinary_text() -> None:
    assert printable("Größe: 8 GB\n\tπ") == "Größe: 8 GB π"


def test_closing_words_come_last() -> None:
    assert render(report(finding("a")), Style(), closing="Exit 0.").endswith("\n\n  Exit 0.\n")
