"""What a rule says of a host."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from ollama_audit.observed import Unknown


class Severity(StrEnum):
    """What a failure costs the owner, from nothing to everything."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return list(Severity).index(self)


class Status(StrEnum):
    """How a rule turned out (XCCDF 1.2 has the same states under other names)."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    MANUAL = "manual"
    WAIVED = "waived"
    ERROR = "error"


class Evidence(msgspec.Struct, frozen=True):
    """One thing that was read: where, and what it said, verbatim or nearly so."""

    source: str
    quote: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one rule. Use the constructors below, which demand what each status needs."""

    status: Status
    summary: str
    evidence: tuple[Evidence, ...] = ()
    severity: Severity | None = None
    """The effective severity where the circumstances change the declared one."""
    cure: str = ""
    """For an unknown: the command or action that would settle it."""
    endpoints: tuple[str, ...] = ()
    """For a failure: the ids of the endpoints that it is about, where it is about endpoints."""


def passed(summary: str, evidence: tuple[Evidence, ...] = ()) -> Outcome:
    """The host is as it should be."""
    return Outcome(status=Status.PASS, summary=summary, evidence=evidence)


def failed(
    summary: str,
    evidence: tuple[Evidence, ...],
    *,
    severity: Severity | None = None,
    endpoints: Iterable[str] = (),
) -> Outcome:
    """The host is not as it should be, and this is how we know.

    Raises:
        ValueError: No evidence was given.
    """
    if not evidence:
        raise ValueError("a failure needs evidence")
    return Outcome(
        status=Status.FAIL,
        summary=summary,
        evidence=evidence,
        severity=severity,
        endpoints=tuple(dict.fromkeys(endpoints)),
    )


def unknown(
    summary: str,
    evidence: tuple[Evidence, ...],
    *,
    cure: str = "",
    severity: Severity | None = None,
) -> Outcome:
    """It could not be decided; the evidence says what was missing.

    Raises:
        ValueError: No evidence was given.
    """
    if not evidence:
        raise ValueError("an unknown needs the thing that could not be read")
    return Outcome(
        status=Status.UNKNOWN, summary=summary, evidence=evidence, cure=cure, severity=severity
    )


def not_applicable(summary: str) -> Outcome:
    """The question does not arise on this host."""
    return Outcome(status=Status.NOT_APPLICABLE, summary=summary)


def manual_review(summary: str) -> Outcome:
    """Only a person can answer; by declaration, never because something could not be read."""
    return Outcome(status=Status.MANUAL, summary=summary)


def unread(*facts: Unknown) -> Outcome:
    """The outcome of a rule that needed facts nobody could read.

    Raises:
        ValueError: No fact was given.
    """
    evidence = tuple(dict.fromkeys(Evidence(fact.source, fact.reason) for fact in facts))
    if not evidence:
        raise ValueError("an unknown needs the thing that could not be read")
    cures = [fact.cure for fact in facts if fact.cure]
    return unknown(f"cannot tell: {_said(facts[0])}", evidence, cure=cures[0] if cures else "")


def _said(fact: Unknown) -> str:
    """Why it is not known, with what was looked at where the reason does not name it."""
    looked_at = fact.source.split()[-1:]
    if not looked_at or looked_at[0] in fact.reason:
        return fact.reason
    return f"{fact.reason} ({fact.source})"
