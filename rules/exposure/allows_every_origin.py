"""Any web page may use Ollama through a visitor's browser.

## What it checks

OLLAMA_ORIGINS of every running server holds no entry that a stranger's web page satisfies: `*`, or
a pattern such as `http://*`. And nothing that leads to Ollama on this host answered a request like
those that a stranger's page makes a browser send, as a proxy does that takes the Origin header away
or adds CORS headers of its own.

## Why it matters

A browser on this machine or its network can reach what its user can reach. With such an entry every
page that this user opens may list, use, replace and delete the models, even when Ollama listens on
127.0.0.1 only.

## Fix by hand

Set OLLAMA_ORIGINS to the origins that need it, such as `chrome-extension://ID` or
`https://chat.example.org`, where the service takes its environment from, and restart. Pages served
from this machine (`localhost`) need no entry. In a proxy, pass the Origin header on as it came, and
remove `Access-Control-Allow-Origin *`.

## Limits

This is no access control: a program that is no browser sends whatever origin it likes.

## References

- CWE-942: Permissive Cross-domain Policy with Untrusted Domains
- MITRE ATLAS AML.T0078 Drive-by Compromise
- NIST CSF 2.0 PR.AA-05
- NIST SP 800-53 AC-3
"""

from __future__ import annotations

from ollama_audit.rule import (
    BrowserCheck,
    Disruption,
    DropInSetting,
    Evidence,
    Host,
    Login,
    OllamaServer,
    Outcome,
    Remedy,
    Severity,
    Unknown,
    UnobservedError,
    failed,
    known_or,
    managed_servers,
    need,
    not_applicable,
    on_disk,
    origins,
    passed,
    place,
    rule,
    unread,
    unseen,
    variable,
)


def _settings(host: Host) -> tuple[DropInSetting, ...]:
    """The entries that no stranger satisfies, for every server that is open; or none at all."""
    managed = {each.server.pid: each for each in managed_servers(host.snapshot)}
    found = []
    for server in known_or(host.snapshot.servers, ()):
        if isinstance(server.environment, Unknown):
            continue
        listed = origins(variable(server, "OLLAMA_ORIGINS"))
        if not listed.open_entries:
            continue
        kept = ",".join(entry for entry in listed.added if entry not in listed.open_entries)
        each = managed.get(server.pid)
        if each is None or not each.takes(kept):
            return ()
        found.append(each.setting("origins", "OLLAMA_ORIGINS", kept))
    return tuple(found)


@rule(
    severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            name="systemd",
            title="take the entries that any page satisfies out of OLLAMA_ORIGINS",
            applies=lambda host: bool(_settings(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {"settings": _settings(host)},
            restarts=lambda host: tuple(each.unit for each in _settings(host)),
        ),
    ),
)
def allows_every_origin(host: Host) -> Outcome:
    """Judge OLLAMA_ORIGINS of every running server."""
    open_to_all: list[Evidence] = []
    named: set[int] = set()
    doubts: list[Unknown] = []
    for server in known_or(host.snapshot.servers, ()):
        try:
            value = variable(server, "OLLAMA_ORIGINS")
        except UnobservedError as unobserved:
            doubts.append(unobserved.fact)
            written = _written(host, server)
            open_to_all += written
            named |= {server.pid} if written else set()
            continue
        if entries := origins(value).open_entries:
            source = f"process {server.pid}, /proc/{server.pid}/environ"
            open_to_all.append(Evidence(source, f"OLLAMA_ORIGINS holds {', '.join(entries)}"))
            named.add(server.pid)
    open_to_all += _answering(host, named)
    if open_to_all:
        return failed("Any web page may use Ollama through a browser here", tuple(open_to_all))
    if doubts := [*doubts, *unseen(host.snapshot)]:
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    return passed("No stranger's web page may use Ollama through a browser")


def _answering(host: Host, servers: set[int]) -> list[Evidence]:
    """The endpoints that answered a stranger's page, but for sockets of servers named already."""
    return [
        Evidence(each.shown, "answered a request with the Origin of a stranger's page")
        for each in host.exposure.endpoints
        if each.origin_check is BrowserCheck.NONE and each.login is not Login.REQUIRED
        if not (each.server in servers and len(each.hops) == 1)
    ]


def _written(host: Host, server: OllamaServer) -> list[Evidence]:
    """What the files of its unit admit, where the server's own environment was not read."""
    unit = next((m.unit for m in managed_servers(host.snapshot) if m.server == server), None)
    try:
        setting = on_disk(unit).get("OLLAMA_ORIGINS") if unit else None
    except UnobservedError:
        return []
    entries = origins(setting.value).open_entries if setting else ()
    if not entries or setting is None:
        return []
    return [Evidence(place(setting), f"OLLAMA_ORIGINS holds {', '.join(entries)}")]
