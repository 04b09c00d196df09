"""Ollama writes what people ask into its logs.

## What it checks

No running server has OLLAMA_DEBUG_LOG_REQUESTS on, which keeps whole requests in files, or
OLLAMA_DEBUG at a level that logs what models answer. Plain debug logging is noted as well.

## Why it matters

Prompts hold what people would not write anywhere else. In a log they outlive the conversation, are
copied to backups and log servers, and are read by everybody who may read logs.

## Fix by hand

Take the variables out where they are set (`systemctl cat ollama` shows the place) and restart. Then
delete what was kept: `ls -d /tmp/ollama-request-logs-*`.

## Limits

Logs of proxies in front of Ollama, and of the programs that use it, are not looked at.

## References

- CWE-532: Insertion of Sensitive Information into Log File
- OWASP LLM02:2025 Sensitive Information Disclosure
- NIST CSF 2.0 PR.DS-01
- NIST SP 800-53 AU-9
- BSI OPS.1.1.5.A5 Einhaltung rechtlicher Rahmenbedingungen
"""

from __future__ import annotations

from ollama_audit.rule import (
    Disruption,
    DropInSetting,
    Evidence,
    Host,
    OllamaServer,
    Outcome,
    Remedy,
    Severity,
    Unknown,
    UnobservedError,
    boolean,
    failed,
    known_or,
    log_level,
    managed_servers,
    need,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
    variable,
)

_TRACE = -8


def _settings(host: Host) -> tuple[DropInSetting, ...]:
    """What turns logging off on every server that logs too much; or none at all."""
    managed = {each.server.pid: each for each in managed_servers(host.snapshot)}
    found = []
    for server in known_or(host.snapshot.servers, ()):
        if isinstance(server.environment, Unknown) or not _logging(server):
            continue
        if server.pid not in managed:
            return ()
        each = managed[server.pid]
        if boolean(variable(server, "OLLAMA_DEBUG_LOG_REQUESTS")):
            found.append(each.setting("log-requests", "OLLAMA_DEBUG_LOG_REQUESTS", "false"))
        if log_level(variable(server, "OLLAMA_DEBUG")) < 0:
            found.append(each.setting("debug", "OLLAMA_DEBUG", "false"))
    return tuple(found)


@rule(
    severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            name="systemd",
            title="turn debug logging off; what was logged stays",
            applies=lambda host: bool(_settings(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {"settings": _settings(host)},
            restarts=lambda host: tuple(dict.fromkeys(each.unit for each in _settings(host))),
        ),
    ),
)
def logs_prompts(host: Host) -> Outcome:
    """Judge the environment of every running server."""
    found: list[tuple[Severity, Evidence]] = []
    doubts: list[Unknown] = []
    for server in known_or(host.snapshot.servers, ()):
        try:
            found += _logging(server)
        except UnobservedError as unobserved:
            doubts.append(unobserved.fact)
    if found:
        worst = max((severity for severity, _ in found), key=lambda severity: severity.rank)
        kept = "prompts and answers" if worst is Severity.MEDIUM else "more than it should"
        return failed(
            f"Ollama logs {kept}", tuple(evidence for _, evidence in found), severity=worst
        )
    if doubts := [*doubts, *unseen(host.snapshot)]:
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    return passed("Ollama's logs hold no prompts")


def _logging(server: OllamaServer) -> list[tuple[Severity, Evidence]]:
    source = f"process {server.pid}, /proc/{server.pid}/environ"
    found = []
    requests = variable(server, "OLLAMA_DEBUG_LOG_REQUESTS")
    if boolean(requests):
        evidence = Evidence(source, f"OLLAMA_DEBUG_LOG_REQUESTS={requests}")
        found.append((Severity.MEDIUM, evidence))
    debug = variable(server, "OLLAMA_DEBUG")
    level = log_level(debug)
    if level < 0:
        severity = Severity.MEDIUM if level <= _TRACE else Severity.LOW
        found.append((severity, Evidence(source, f"OLLAMA_DEBUG={debug}")))
    return found
