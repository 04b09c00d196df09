"""The engine turns every way a rule can end into a finding, and loses none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_audit.engine import Selection, evaluate, found_ollama, judge, report
from ollama_audit.registry import load_rules
from ollama_audit.rule import (
    Check,
    Evidence,
    Extent,
    Host,
    Known,
    Outcome,
    Rule,
    Severity,
    Status,
    Unknown,
    failed,
    need,
    passed,
    unknown,
    unread,
)
from tests.hosts import HIDDEN, endpoint, exposure, host, namespace, namespaces, servers

RULES = load_rules()


def made(name: str, check: Check, *, cause: str = "") -> Rule:
    """A rule of no file."""
    return Rule(
        name=name,
        severity=Severity.HIGH,
        check=check,
        manual=f"{name} happens.\n",
        path=Path("rules/area/x.py"),
        cause=cause,
    )


def fails(_: Host, /) -> Outcome:
    """Fail always."""
    return failed("bad", (Evidence("here", "it is"),))


def passes(_: Host, /) -> Outcome:
    """Pass always."""
    return passed("good")


def breaks(_: Host, /) -> Outcome:
    """Be broken."""
    raise LookupError("a mistake of ours")


def needs(given: Host, /) -> Outcome:
    """Need what may be unread."""
    need(given.snapshot.servers)
    return passed("read")


def test_a_needed_fact_that_was_not_read_is_unknown_with_its_reason_and_cure() -> None:
    outcome = judge(made("needs", needs), host(servers=HIDDEN))
    assert outcome.status is Status.UNKNOWN
    assert HIDDEN.reason in outcome.summary
    assert outcome.cure == HIDDEN.cure


@pytest.mark.parametrize(
    ("reason", "source", "said"),
    [
        ("Permission denied", "/proc/1/environ", "Permission denied (/proc/1/environ)"),
        ("only root may read it", "nf_tables by netlink", "read it (nf_tables by netlink)"),
        ("/proc hides others (hidepid=)", "/proc", "/proc hides others (hidepid=)"),
        ("who gets to port 80 is not known", "port 80", "port 80 is not known"),
        ("it is not known", "", "cannot tell: it is not known"),
    ],
)
def test_an_unknown_names_what_could_not_be_read(reason: str, source: str, said: str) -> None:
    assert unread(Unknown(reason, source)).summary.endswith(said)


def test_a_broken_rule_is_an_error_that_says_so() -> None:
    outcome = judge(made("breaks", breaks), host())
    assert outcome.status is Status.ERROR
    assert "a mistake of ours" in outcome.summary
    assert outcome.evidence


def test_a_broken_rule_ends_nothing_and_never_raises_the_score() -> None:
    rules = (made("breaks", breaks), made("passes", passes))
    found = report(host(), Selection(rules), duration_s=0.1)
    assert [finding.status for finding in found.findings] == [Status.ERROR, Status.PASS]
    assert found.score is not None
    assert (found.score.min, found.score.max) == (50, 100)
    assert found.score.grade is None


def test_a_failure_names_its_cause_only_when_that_failed_too() -> None:
    both = (made("cause", fails), made("effect", fails, cause="cause"))
    assert [finding.caused_by for finding in evaluate(both, host())] == ["", "cause"]
    one = (made("cause", passes), made("effect", fails, cause="cause"))
    assert [finding.caused_by for finding in evaluate(one, host())] == ["", ""]


def test_a_cause_explains_only_what_is_about_its_own_endpoints() -> None:
    """Ollama on loopback cures its own socket, and not the proxy that lets others in as well."""

    def about(*endpoints: str) -> Check:
        def check(_: Host, /) -> Outcome:
            return failed("bad", (Evidence("here", "it is"),), endpoints=endpoints)

        return check

    def causes(effect: Check) -> list[str]:
        rules = (made("cause", about("a", "b")), made("effect", effect, cause="cause"))
        return [finding.caused_by for finding in evaluate(rules, host())]

    assert causes(about("a")) == ["", "cause"]
    assert causes(about("b", "a")) == ["", "cause"]
    assert causes(about("a", "c")) == ["", ""]
    assert causes(about("c")) == ["", ""]


def test_a_way_in_beside_ollamas_own_socket_is_a_fault_of_its_own() -> None:
    """A user's server that the firewall shuts is not why a container's port is open."""
    beside = host(
        namespaces=namespaces(namespace("0.0.0.0:11500")),
        exposure=exposure(
            endpoint("0.0.0.0:11500"), endpoint("0.0.0.0:11435", lan=Extent.ALL, server=900)
        ),
    )
    found = {finding.rule: finding for finding in evaluate(RULES, beside)}
    assert found["listens-beyond-loopback"].endpoints == ("0.0.0.0:11500",)
    assert found["reachable-from-lan"].endpoints == ("0.0.0.0:11435",)
    for rule in ("listens-beyond-loopback", "reachable-from-lan"):
        assert found[rule].status is Status.FAIL
        assert not found[rule].caused_by


def test_a_part_of_the_rules_is_not_rated() -> None:
    found = report(host(), Selection((made("passes", passes),), complete=False), duration_s=0.1)
    assert found.score is None
    assert found.unrated


def test_a_host_without_ollama_is_not_rated() -> None:
    empty = host(servers=servers(), installed=False)
    assert not found_ollama(empty.snapshot)
    found = report(empty, Selection(RULES), duration_s=0.1)
    assert found.score is None
    assert "no Ollama" in found.unrated


def test_a_host_whose_processes_cannot_be_listed_may_have_ollama() -> None:
    assert found_ollama(host(servers=HIDDEN, installed=False).snapshot)


def test_a_failure_and_an_unknown_need_evidence() -> None:
    with pytest.raises(ValueError, match="failure needs evidence"):
        failed("because", ())
    with pytest.raises(ValueError, match="could not be read"):
        unknown("because", ())


def test_unread_shows_every_fact_once_and_the_first_cure() -> None:
    other = Unknown("it hangs", "nft", "")
    outcome = unread(other, HIDDEN, HIDDEN)
    assert [e.source for e in outcome.evidence] == ["nft", HIDDEN.source]
    assert outcome.cure == HIDDEN.cure
    with pytest.raises(ValueError, match="could not be read"):
        unread()


def test_nothing_read_is_never_green() -> None:
    """The law: a host of which nothing could be read passes no rule and has no grade."""
    blind = host(
        servers=HIDDEN,
        unseen=HIDDEN,
        namespaces=HIDDEN,
        units=HIDDEN,
        files=(),
        exposure=exposure(filtering=()),
        root=False,
    )
    found = report(blind, Selection(RULES), duration_s=0.1)
    assert [f.rule for f in found.findings if f.status is Status.PASS] == []
    assert found.score is not None
    assert found.score.grade is None
    assert found.score.min < 40  # a rule that a failed cause explains is not charged again


def test_hidden_processes_leave_no_rule_about_servers_green() -> None:
    """One process that may be Ollama: only rules that are not about servers may pass."""
    found = evaluate(RULES, host(unseen=1))
    about_files_or_filters = {"no-default-deny", "no-rules-loaded", "unit-writable-by-others"}
    assert {f.rule for f in found if f.status is Status.PASS} <= about_files_or_filters


def test_an_open_host_is_graded_f_by_one_cause() -> None:
    anywhere = host(
        namespaces=namespaces(namespace("[::]:11434")),
        exposure=exposure(endpoint("[::]:11434", lan=Extent.ALL, internet=Extent.ALL)),
    )
    found = report(anywhere, Selection(RULES), duration_s=0.1)
    by_name = {finding.rule: finding for finding in found.findings}
    assert by_name["reachable-from-internet"].caused_by == "listens-beyond-loopback"
    assert found.score is not None
    assert found.score.grade == "F"
    assert found.score.max <= 39


def test_the_same_host_gives_the_same_findings() -> None:
    assert evaluate(RULES, host()) == evaluate(RULES, host())


def test_a_report_carries_the_versions_that_servers_told() -> None:
    found = report(host(), Selection(RULES), duration_s=0.1)
    assert isinstance(host().snapshot.servers, Known)
    assert found.host.ollama_versions == ("0.35.1",)
    assert found.tool.ruleset_digest
