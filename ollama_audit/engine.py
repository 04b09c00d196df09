"""Judges a host by every rule, and puts the report together."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from ollama_audit import __version__
from ollama_audit.observed import Known, UnobservedError
from ollama_audit.outcome import Evidence, Outcome, Status, unread
from ollama_audit.registry import RULESET_VERSION, ruleset_digest
from ollama_audit.report import NO_OLLAMA, Finding, FindingRemedy, Report, ReportHost, Tool
from ollama_audit.rule import Host, Rule
from ollama_audit.score import rate
from ollama_audit.snapshot.host import HostSnapshot


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rules are judged: all, or a part, which is then never rated."""

    rules: tuple[Rule, ...]
    complete: bool = True


def judge(rule: Rule, host: Host) -> Outcome:
    """The outcome of one rule; an exception of ours becomes `error`, never silence."""
    try:
        return rule.check(host)
    except UnobservedError as unobserved:
        return unread(unobserved.fact)
    except Exception as mistake:  # noqa: BLE001  # a broken rule must not end the audit
        where = traceback.extract_tb(mistake.__traceback__)[-1]
        return Outcome(
            status=Status.ERROR,
            summary=f"internal error in this rule: {type(mistake).__name__}: {mistake}",
            evidence=(Evidence(f"{where.name}:{where.lineno}", repr(mistake)),),
        )


def evaluate(rules: tuple[Rule, ...], host: Host) -> tuple[Finding, ...]:
    """A finding for every rule, in the order of the rules."""
    outcomes = {rule.name: judge(rule, host) for rule in rules}
    return tuple(_finding(rule, outcomes[rule.name], host, outcomes) for rule in rules)


def report(host: Host, selection: Selection, *, duration_s: float) -> Report:
    """Judge `host` by the selected rules."""
    findings = evaluate(selection.rules, host)
    score, unrated = rate(findings, complete=selection.complete)
    if not found_ollama(host.snapshot):
        score, unrated = None, NO_OLLAMA
    return Report(
        tool=Tool(
            version=__version__,
            ruleset_version=RULESET_VERSION,
            ruleset_digest=ruleset_digest(selection.rules),
        ),
        host=_report_host(host.snapshot),
        started_at=host.snapshot.started_at,
        duration_s=duration_s,
        privileged=host.snapshot.privileges.root,
        score=score,
        unrated=unrated,
        endpoints=host.exposure.endpoints,
        gaps=host.exposure.gaps,
        beyond_host=host.exposure.beyond_host,
        findings=findings,
    )


def found_ollama(snapshot: HostSnapshot) -> bool:
    """Whether there is anything to audit: a server, an installation, or no way to tell."""
    running = not isinstance(snapshot.servers, Known) or bool(snapshot.servers.value)
    return running or bool(snapshot.installations)


def _explains(cause: Outcome | None, effect: Outcome) -> bool:
    """Whether one failure is all that is behind another: it covers every endpoint of it."""
    if cause is None or cause.status is not Status.FAIL or effect.status is not Status.FAIL:
        return False
    return not effect.endpoints or set(effect.endpoints) <= set(cause.endpoints)


def _finding(rule: Rule, outcome: Outcome, host: Host, outcomes: Mapping[str, Outcome]) -> Finding:
    is_failure = outcome.status is Status.FAIL
    remedies = [remedy for remedy in rule.remedies if is_failure and remedy.applies(host)]
    return Finding(
        rule=rule.name,
        title=rule.title,
        area=rule.area,
        status=outcome.status,
        severity=outcome.severity or rule.severity,
        declared_severity=rule.severity,
        summary=outcome.summary,
        evidence=outcome.evidence,
        endpoints=outcome.endpoints,
        cure=outcome.cure,
        cause=rule.cause,
        caused_by=rule.cause if _explains(outcomes.get(rule.cause), outcome) else "",
        remedies=tuple(
            FindingRemedy(name=r.name, title=r.title, disruption=r.disruption) for r in remedies
        ),
        references=rule.references,
    )


def _report_host(snapshot: HostSnapshot) -> ReportHost:
    platform = snapshot.platform
    servers = snapshot.servers.value if isinstance(snapshot.servers, Known) else ()
    versions = (server.api.version for server in servers)
    return ReportHost(
        hostname=platform.hostname,
        name=platform.name,
        kernel=platform.kernel,
        machine=platform.machine,
        ollama_versions=tuple(v.value for v in versions if isinstance(v, Known)),
    )
