"""A row of a rule's table: a host, and what the rule must say of it."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_audit.rule import Host, Severity, Status


@dataclass(frozen=True)
class Case:
    """One host, one outcome."""

    name: str
    """What is different about this host, in words."""
    host: Host
    status: Status
    says: str = ""
    """Part of the summary or of a piece of evidence."""
    severity: Severity | None = None
    """The effective severity, where the row is about it."""
    cure: str = ""
    """Part of what would settle an unknown."""

    def __str__(self) -> str:
        return self.name
