"""Which remedies, in which order, and what is left to do by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ollama_audit.outcome import Severity, Status
from ollama_audit.report import Finding
from ollama_audit.rule import Disruption, Host, Remedy, Rule
from ollama_audit.together import together

_UNREAD = (Status.UNKNOWN, Status.ERROR)


class UnknownStepError(ValueError):
    """`only` names neither a rule nor one of its remedies."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no rule or remedy is called {name!r}")
        self.name = name
        self.known = known


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One remedy to be applied."""

    number: int
    """From 1, in the order of the script."""
    rule: str
    remedy: str
    title: str
    disruption: Disruption
    units: tuple[str, ...] = ()
    """The systemd units that it restarts, all steps together once."""
    severity: Severity
    summary: str
    """What the finding says of this host."""
    closes: tuple[str, ...]
    """Rules that pass afterwards: its own, and those of which it is the cause."""

    @property
    def name(self) -> str:
        """`rule.remedy`, as `--only` takes it."""
        return f"{self.rule}.{self.remedy}"


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """A failed finding for which no script is written."""

    rule: str
    severity: Severity
    title: str
    summary: str
    advice: str
    """A command to run, or why no script is written."""
    also: tuple[str, ...] = ()
    """Other rules that fail for it, or say the same of the same way in."""


class OptIn(msgspec.Struct, frozen=True, kw_only=True):
    """A remedy that is only applied when it is asked for by name."""

    rule: str
    remedy: str
    title: str
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done to one host, and what would not."""

    hostname: str
    audited_at: str
    """ISO 8601, UTC."""
    tool_version: str
    steps: tuple[Step, ...]
    by_hand: tuple[ByHand, ...] = ()
    opt_in: tuple[OptIn, ...] = ()
    not_needed: tuple[str, ...] = ()
    """What `only` named and does not fail on this host."""
    unjudged: tuple[str, ...] = ()
    """The rules that could not be judged, and so may want a step that is not here."""
    cures: tuple[str, ...] = ()
    """What would settle those."""


def plan(
    findings: Iterable[Finding],
    host: Host,
    rules: Iterable[Rule],
    *,
    only: Iterable[str] = (),
) -> Plan:
    """The steps for every failed finding, or for those that `only` names.

    `only` holds names of rules or `RULE.REMEDY`. Steps that restart a service come last, the
    gravest first among equals, so that the script restarts each service once.

    Raises:
        UnknownStepError: A name in `only` is neither a rule nor one of its remedies.
    """
    by_name = {rule.name: rule for rule in rules}
    wanted = tuple(only)
    _check_names(wanted, by_name)
    findings = tuple(findings)
    failed = [finding for finding in findings if finding.status is Status.FAIL]
    steps: list[Step] = []
    opt_in: list[OptIn] = []
    for finding in failed:
        rule = by_name.get(finding.rule)
        remedy = _chosen(rule, host, wanted) if rule else None
        if rule is None or remedy is None:
            continue
        if remedy.opt_in and not wanted:
            opt_in.append(_opt_in(rule, remedy))
            continue
        steps.append(_step(finding, remedy, host, failed))
    ordered = sorted(steps, key=lambda s: (s.disruption is not Disruption.NONE, -s.severity.rank))
    numbered = tuple(msgspec.structs.replace(s, number=n) for n, s in enumerate(ordered, start=1))
    handled = {rule for s in numbered for rule in s.closes} | {o.rule for o in opt_in}
    left = [f for f in _gravest(failed) if f.rule not in handled and _named(f.rule, wanted)]
    open_ = [f for f in findings if f.status in _UNREAD and _named(f.rule, wanted)]
    judged_well = {f.rule for f in findings if f.status not in (Status.FAIL, *_UNREAD)}
    snapshot = host.snapshot
    return Plan(
        hostname=snapshot.platform.hostname,
        audited_at=snapshot.started_at.isoformat(timespec="seconds"),
        tool_version=snapshot.tool_version,
        steps=numbered,
        by_hand=tuple(_by_hand(finding, alike) for finding, alike in together(left)),
        opt_in=tuple(opt_in),
        not_needed=tuple(name for name in wanted if name.partition(".")[0] in judged_well),
        unjudged=tuple(finding.rule for finding in open_),
        cures=tuple(dict.fromkeys(finding.cure for finding in open_ if finding.cure)),
    )


def _check_names(wanted: tuple[str, ...], rules: dict[str, Rule]) -> None:
    remedies = [f"{r.name}.{remedy.name}" for r in rules.values() for remedy in r.remedies]
    known = (*rules, *remedies)
    for name in wanted:
        if name not in known:
            raise UnknownStepError(name, known)


def _named(rule: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(name.partition(".")[0] == rule for name in wanted)


def _chosen(rule: Rule, host: Host, wanted: tuple[str, ...]) -> Remedy | None:
    """The first remedy that applies here, among the wanted ones if any are named."""
    for remedy in rule.remedies:
        named = not wanted or rule.name in wanted or f"{rule.name}.{remedy.name}" in wanted
        if named and remedy.applies(host):
            return remedy
    return None


def _step(finding: Finding, remedy: Remedy, host: Host, failed: list[Finding]) -> Step:
    caused = [other.rule for other in failed if other.caused_by == finding.rule]
    return Step(
        number=0,
        rule=finding.rule,
        remedy=remedy.name,
        title=remedy.title,
        disruption=remedy.disruption,
        units=tuple(remedy.restarts(host)),
        severity=finding.severity,
        summary=finding.summary,
        closes=(finding.rule, *caused),
    )


def _opt_in(rule: Rule, remedy: Remedy) -> OptIn:
    return OptIn(rule=rule.name, remedy=remedy.name, title=remedy.title, reason=remedy.opt_in)


def _by_hand(finding: Finding, alike: tuple[Finding, ...]) -> ByHand:
    return ByHand(
        rule=finding.rule,
        severity=finding.severity,
        title=finding.title,
        summary=finding.summary,
        advice=f"ollama-audit explain {finding.rule}",
        also=tuple(other.rule for other in alike),
    )


def _gravest(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: -finding.severity.rank)
