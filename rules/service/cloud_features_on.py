"""Ollama may send prompts to its cloud.

## What it checks

Cloud features of a running server are off: the server says so itself (`/api/status`), or its
environment does (OLLAMA_NO_CLOUD).

## Why it matters

A model whose name ends in `cloud` runs at ollama.com: prompts leave this machine. On a server that
is signed in, whoever can reach it spends the owner's plan, and may search the web in the owner's
name.

## Fix by hand

If you do not use cloud models: `sudo systemctl edit ollama`, add

    [Service]
    Environment=OLLAMA_NO_CLOUD=1

and `sudo systemctl restart ollama`. If you do, keep strangers out and accept this finding.

## Limits

Whether the server is signed in is not asked, since the question goes to ollama.com. Versions from
0.12.0 to 0.16.1 have cloud features and say nothing about them; older ones have none.

## References

- OWASP LLM02:2025 Sensitive Information Disclosure
- MITRE ATLAS AML.T0057 LLM Data Leakage, AML.T0034 Cost Harvesting
- NIST SP 800-53 CM-7, AC-20
"""

from __future__ import annotations

from ollama_audit.rule import (
    Disruption,
    DropInSetting,
    Evidence,
    Host,
    Known,
    OllamaServer,
    Outcome,
    Remedy,
    Severity,
    Unknown,
    UnobservedError,
    Zone,
    before,
    boolean,
    failed,
    known_or,
    managed_servers,
    need,
    not_applicable,
    open_without_login,
    passed,
    rule,
    unread,
    unseen,
    variable,
)

_OTHERS = (Zone.LAN, Zone.VPN, Zone.INTERNET)


def _settings(host: Host) -> tuple[DropInSetting, ...]:
    """What turns the cloud off on every server where it is on; or none at all."""
    managed = {each.server.pid: each for each in managed_servers(host.snapshot)}
    on = [
        server.pid
        for server in known_or(host.snapshot.servers, ())
        if not known_or(_disabled(server), default=True)
    ]
    if not set(on) <= managed.keys():
        return ()
    return tuple(managed[pid].setting("cloud", "OLLAMA_NO_CLOUD", "1") for pid in on)


@rule(
    severity=Severity.LOW,
    remedies=(
        Remedy(
            name="systemd",
            title="turn cloud models and web search off",
            applies=lambda host: bool(_settings(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {"settings": _settings(host)},
            restarts=lambda host: tuple(each.unit for each in _settings(host)),
            opt_in="somebody may use them",
        ),
    ),
)
def cloud_features_on(host: Host) -> Outcome:
    """Judge what each server says of its cloud features."""
    servers = known_or(host.snapshot.servers, ())
    states = [(server, _disabled(server)) for server in servers]
    on = [s for s, state in states if isinstance(state, Known) and not state.value]
    if on:
        reached = {endpoint.server for endpoint, _ in open_without_login(host.exposure, *_OTHERS)}
        abused = any(server.pid in reached for server in on)
        return failed(
            "Cloud features are on, and others can use them"
            if abused
            else "Cloud features are on: prompts to cloud models leave this machine",
            tuple(Evidence(f"process {s.pid}, GET /api/status", "cloud disabled: no") for s in on),
            severity=Severity.MEDIUM if abused else None,
        )
    doubts = [state for _, state in states if isinstance(state, Unknown)]
    if doubts := [*doubts, *unseen(host.snapshot)]:
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    return passed("Cloud features are off")


def _disabled(server: OllamaServer) -> Known[bool] | Unknown:
    said = server.api.cloud_disabled
    if isinstance(said, Known):
        return said
    version = known_or(server.api.version, "")
    if before(version, "0.12.0"):
        return Known(value=True, source=f"Ollama {version} has no cloud features")
    try:
        if boolean(variable(server, "OLLAMA_NO_CLOUD")):
            return Known(value=True, source=f"/proc/{server.pid}/environ")
    except UnobservedError as unobserved:
        return unobserved.fact
    return said
