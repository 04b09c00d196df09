"""A report: every rule with its outcome on one host, the endpoints and the score."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ollama_audit.exposure.model import Endpoint, Gap
from ollama_audit.outcome import Evidence, Severity, Status
from ollama_audit.rule import Disruption

SCHEMA = "ollama-audit/report/1"

NO_OLLAMA = "no Ollama was found on this host"
"""`Report.unrated` of a host where there was nothing to audit."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What judged."""

    name: str = "ollama-audit"
    version: str
    ruleset_version: str
    """Changes when a rule, its weight or its severity does."""
    ruleset_digest: str
    """sha256 over name, severity and causes of every rule that was loaded, in order."""


class ReportHost(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged."""

    hostname: str
    name: str
    """The operating system, for people."""
    kernel: str
    machine: str
    ollama_versions: tuple[str, ...]
    """Of the servers that said so, in the order of their process ids."""


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """A failure that somebody accepted."""

    reason: str
    expires: str
    owner: str = ""


class FindingRemedy(msgspec.Struct, frozen=True, kw_only=True):
    """A remedy that applies here."""

    name: str
    title: str
    disruption: Disruption


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its outcome on this host."""

    rule: str
    title: str
    area: str
    status: Status
    severity: Severity
    """The effective one: what a failure costs on this host."""
    declared_severity: Severity
    """What the rule weighs in the score, whatever the host."""
    summary: str
    evidence: tuple[Evidence, ...] = ()
    endpoints: tuple[str, ...] = ()
    """For a failure that is about endpoints: their ids, as in `Report.endpoints`."""
    cure: str = ""
    """For an unknown: what would settle it."""
    cause: str = ""
    """The rule whose failure would explain a failure of this one, as declared."""
    caused_by: str = ""
    """`cause`, when both failed, and its failure covers every endpoint of this one: mending it
    mends this one as well."""
    waiver: Waiver | None = None
    remedies: tuple[FindingRemedy, ...] = ()
    references: tuple[str, ...] = ()


class AreaScore(msgspec.Struct, frozen=True, kw_only=True):
    """The score of one area's rules."""

    area: str
    min: int
    max: int
    grade: str | None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Score model 1: an interval from "all unread fails" to "all unread passes"."""

    model: str = "oa-score/1"
    min: int
    max: int
    grade: str | None
    """A letter only when both ends fall in one band."""
    areas: tuple[AreaScore, ...]
    capped_by: str | None
    """The failing rule that holds the upper end down, if one does."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One audit of one host; self-contained."""

    schema: str = SCHEMA
    tool: Tool
    host: ReportHost
    started_at: datetime
    duration_s: float
    privileged: bool
    score: Score | None
    """None for a partial run, for a host without Ollama, or when no rule applied."""
    unrated: str = ""
    """Why there is no score."""
    endpoints: tuple[Endpoint, ...]
    gaps: tuple[Gap, ...] = ()
    beyond_host: tuple[str, ...] = ()
    findings: tuple[Finding, ...]
