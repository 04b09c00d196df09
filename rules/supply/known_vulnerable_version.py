"""The Ollama server has known vulnerabilities.

## What it checks

The version that each running server names is none with a known vulnerability that a newer version
mends. The list is curated and dated; the date is part of the evidence.

## Why it matters

Several of these flaws need no login and one request: they read the server's memory, write files or
run code. Whoever can reach the port can use them, and so can a web page or a model file.

## Fix by hand

Install the current version the way you installed this one, for example by Ollama's install script
or `docker pull ollama/ollama`, and restart. Version 0.31.2 or later mends every flaw below that has
a fix.

## Limits

Flaws published after the date of the list are not in it. Flaws without a fixed version, and those
whose range nobody confirmed, are shown as evidence and decide nothing. That the API asks no login
(CVE-2025-63389) is no matter of versions; the rules of reach judge it.

## References

- CWE-1395: Dependency on Vulnerable Third-Party Component
- OWASP LLM03:2025 Supply Chain
- MITRE ATLAS AML.T0049 Exploit Public-Facing Application
- NIST CSF 2.0 PR.PS-02, ID.RA-01
- NIST SP 800-53 SI-2, RA-5
- CIS Controls v8.1 7.7 Remediate Detected Vulnerabilities
- BSI OPS.1.1.3.A15 Regelmäßige Aktualisierung von IT-Systemen und Software
"""

from __future__ import annotations

from ollama_audit.rule import (
    DATA_OF,
    Advisory,
    Evidence,
    Host,
    Known,
    OllamaServer,
    Outcome,
    Severity,
    Unknown,
    advisories_for,
    before,
    failed,
    known_or,
    listed,
    need,
    not_applicable,
    passed,
    proven_local,
    rule,
    unread,
    unseen,
)


@rule(severity=Severity.HIGH)
def known_vulnerable_version(host: Host) -> Outcome:
    """Judge the version of every running server."""
    servers = known_or(host.snapshot.servers, ())
    system = host.snapshot.platform.system
    found: list[tuple[OllamaServer, str, Advisory]] = []
    doubts: list[Unknown] = []
    for server in servers:
        version = server.api.version
        if isinstance(version, Unknown):
            doubts.append(version)
            continue
        try:
            advisories = advisories_for(version.value, system)
        except ValueError as problem:
            doubts.append(Unknown(str(problem), version.source))
            continue
        found += [(server, version.value, advisory) for advisory in advisories]
    decisive = [entry for entry in found if entry[2].confirmed and entry[2].fixed]
    if decisive:
        return _failure(host, decisive, found)
    if doubts := [*doubts, *unseen(host.snapshot)]:
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    versions = ", ".join(
        dict.fromkeys(s.api.version.value for s in servers if isinstance(s.api.version, Known))
    )
    return passed(
        f"No known vulnerability of {versions} has a confirmed fix (list of {DATA_OF})",
        _evidence(found),
    )


def _failure(
    host: Host,
    decisive: list[tuple[OllamaServer, str, Advisory]],
    found: list[tuple[OllamaServer, str, Advisory]],
) -> Outcome:
    worst = max(entry[2].score for entry in decisive)
    local = proven_local(host.snapshot, host.exposure)
    severity = Severity.CRITICAL if worst >= 9.0 and not local else Severity.HIGH
    if worst < 7.0 or local:
        severity = Severity.MEDIUM
    names = ", ".join(dict.fromkeys(entry[2].id for entry in decisive))
    version = decisive[0][1]
    return failed(
        f"Ollama {version} has known vulnerabilities, update to {_mended(found)} or later: {names} "
        f"(list of {DATA_OF})",
        _evidence(found),
        severity=severity,
    )


def _mended(found: list[tuple[OllamaServer, str, Advisory]]) -> str:
    """The first version without any of these that have a fix."""
    newest = ""
    for _, _, advisory in found:
        if advisory.fixed and (not newest or before(newest, advisory.fixed)):
            newest = advisory.fixed
    return newest


def _evidence(found: list[tuple[OllamaServer, str, Advisory]]) -> tuple[Evidence, ...]:
    """Each vulnerability of a version once, with the processes of that version."""
    processes: dict[tuple[str, Advisory], list[str]] = {}
    for server, version, advisory in found:
        processes.setdefault((version, advisory), []).append(str(server.pid))
    return tuple(_vulnerable(pids, *key) for key, pids in processes.items())


def _vulnerable(pids: list[str], version: str, advisory: Advisory) -> Evidence:
    which = f"process{'es' * (len(pids) > 1)} {listed(pids)}"
    cure = f"fixed in {advisory.fixed}" if advisory.fixed else "no fixed version"
    sure = "" if advisory.confirmed else ", range not confirmed"
    return Evidence(
        f"{which}, {version}",
        f"{advisory.id} ({advisory.score}): {advisory.what}; {cure}{sure}; {advisory.reference}",
    )
