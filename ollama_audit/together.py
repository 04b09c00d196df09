"""Findings that say the same of one way in, to be told together."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_audit.report import Finding


def together(findings: Iterable[Finding]) -> list[tuple[Finding, tuple[Finding, ...]]]:
    """Each finding with the later ones that it explains, or that have its cause and its endpoint.

    Who comes in from the internet by a published port comes from the local network as well, through
    the same firewall: those are three findings, and one thing to do.
    """
    groups: list[tuple[Finding, list[Finding]]] = []
    for finding in findings:
        alike = (rest for head, rest in groups if _same_way(head, finding))
        rest = next(alike, None)
        if rest is None:
            groups.append((finding, []))
        else:
            rest.append(finding)
    return [(head, tuple(rest)) for head, rest in groups]


def _same_way(one: Finding, other: Finding) -> bool:
    if other.caused_by == one.rule:
        return True
    same = bool(one.cause) and one.cause == other.cause
    return same and not set(one.endpoints).isdisjoint(other.endpoints)
