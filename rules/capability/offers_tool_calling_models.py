"""A model that calls tools is open to others.

## What it checks

Whether some model of a server can call tools, and whether anybody beyond this machine uses that
server without a login. On its own such a model is no fault.

## Why it matters

A model that calls tools acts: the program in front of it runs commands, reads files or sends mail
as the model says. Who can use the model, or put another in its place under the same name, steers
those programs.

## Fix by hand

Keep others out (see `reachable-from-lan` and its kin). Give agents their own server, and let them
ask before they act.

## Limits

The server runs no tools itself; which programs use it, and what they let it do, is not seen here.
What a model can do is what the server or its template says.

## References

- OWASP LLM06:2025 Excessive Agency
- MITRE ATLAS AML.T0053 AI Agent Tool Invocation
- NIST SP 800-53 AC-6
- BSI SYS.1.1.A37 Kapselung von sicherheitskritischen Anwendungen und Betriebssystemkomponenten
"""

from __future__ import annotations

from ollama_audit.rule import (
    Evidence,
    Host,
    Login,
    OllamaServer,
    Outcome,
    Severity,
    Unknown,
    Zone,
    failed,
    in_doubt,
    known_or,
    need,
    not_applicable,
    open_without_login,
    passed,
    proven_local,
    rule,
    unread,
    unseen,
)

_OTHERS = (Zone.LAN, Zone.VPN, Zone.INTERNET)


@rule(severity=Severity.INFO, cause="listens-beyond-loopback")
def offers_tool_calling_models(host: Host) -> Outcome:
    """Judge the models of every server, and who uses them."""
    servers = known_or(host.snapshot.servers, ())
    doors = open_without_login(host.exposure, *_OTHERS)
    reached = {endpoint.server for endpoint, _ in doors}
    acting = [(server, name) for server in servers for name in _acting(server)]
    if exposed := [(server, name) for server, name in acting if server.pid in reached]:
        names = ", ".join(dict.fromkeys(name for _, name in exposed))
        return failed(
            f"Models that call tools are open to others: {names}",
            tuple(
                Evidence(f"process {server.pid}, GET /api/tags", f"{name}: tools")
                for server, name in exposed
            ),
            severity=Severity.HIGH,
            endpoints=(
                endpoint.id
                for endpoint, _ in doors
                if any(endpoint.server == server.pid for server, _ in exposed)
            ),
        )
    if proven_local(host.snapshot, host.exposure):
        return passed("No model that calls tools is open to others")
    concerned = _concerned(host, servers)
    doubts = [*unseen(host.snapshot), *(doubt for server in concerned for doubt in _doubts(server))]
    if any(_acting(server) for server in concerned):
        doubts += [doubt for zone in _OTHERS for doubt in in_doubt(host.exposure, zone)]
    if doubts:
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    return passed("No model that calls tools is open to others")


def _concerned(host: Host, servers: tuple[OllamaServer, ...]) -> list[OllamaServer]:
    """The servers that somebody else gets to, or may get to, without a login."""
    exposure = host.exposure
    ways = {
        endpoint.server
        for endpoint, _ in (*exposure.open_to(*_OTHERS), *exposure.maybe_open_to(*_OTHERS))
        if endpoint.login is not Login.REQUIRED
    }
    return [server for server in servers if exposure.gaps or {0, server.pid} & ways]


def _acting(server: OllamaServer) -> list[str]:
    models = known_or(server.api.models, ())
    return [m.name for m in models if "tools" in known_or(m.capabilities, frozenset())]


def _doubts(server: OllamaServer) -> list[Unknown]:
    if isinstance(server.api.models, Unknown):
        return [server.api.models]
    return [
        model.capabilities
        for model in server.api.models.value
        if isinstance(model.capabilities, Unknown)
    ]
