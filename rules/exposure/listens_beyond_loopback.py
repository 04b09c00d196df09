"""Ollama listens beyond loopback.

## What it checks

Every socket that an Ollama server or one of its model runners listens on in the host's network
is bound to a loopback address (127.0.0.0/8 or ::1).

## Why it matters

Ollama's API has no login. Binding to loopback is what keeps other machines out even when the
firewall is off, is reloaded, or forgets IPv6. `OLLAMA_HOST=0.0.0.0` opens IPv6 too.

## Fix by hand

Set `OLLAMA_HOST=127.0.0.1` where the service takes its environment from, and restart it:

    sudo systemctl edit ollama        # [Service] Environment=OLLAMA_HOST=127.0.0.1
    sudo systemctl restart ollama
    ss -ltnp | grep ollama            # must show 127.0.0.1:11434 only

A desktop app has a switch for it: "Expose Ollama to the network". To serve other machines on
purpose, put a reverse proxy with a login in front and leave Ollama on loopback.

## Limits

A server in a container has a network of its own, where listening on every address is normal;
who gets there is judged by the `reachable-from-...` rules, as are sockets that forward to Ollama
(`docker-proxy`, `ssh -R`, a proxy). The failure is low when it is proven that nobody outside
this machine gets through, because then the firewall alone keeps others out.

## References

- CWE-1327: Binding to an Unrestricted IP Address
- CWE-306: Missing Authentication for Critical Function
- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 CM-7, SC-7
- CIS Controls v8.1 4.8 Uninstall or Disable Unnecessary Services on Enterprise Assets and Software
- BSI SYS.1.1.A6 Deaktivierung nicht benötigter Dienste
"""

from __future__ import annotations

from ollama_audit.rule import (
    Disruption,
    Evidence,
    Host,
    HostSnapshot,
    Known,
    Listener,
    ManagedServer,
    OllamaServer,
    Outcome,
    Remedy,
    Severity,
    Unknown,
    failed,
    known_or,
    managed_servers,
    need,
    not_applicable,
    passed,
    proven_local,
    rule,
    unread,
    unseen,
)


def _bound(host: Host) -> tuple[ManagedServer, ...]:
    """The servers under systemd that listen beyond loopback."""
    return tuple(
        managed
        for managed in managed_servers(host.snapshot)
        if not all(at.on_loopback for at in managed.listeners)
    )


@rule(
    severity=Severity.HIGH,
    remedies=(
        Remedy(
            name="systemd",
            title="bind to 127.0.0.1 in a drop-in",
            applies=lambda host: bool(_bound(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {
                "settings": [
                    each.setting("bind", "OLLAMA_HOST", f"127.0.0.1:{each.port}")
                    for each in _bound(host)
                ]
            },
            restarts=lambda host: tuple(each.unit.name for each in _bound(host)),
        ),
    ),
)
def listens_beyond_loopback(host: Host) -> Outcome:
    """Judge the bind address of every Ollama socket in the host's network."""
    servers = known_or(host.snapshot.servers, ())
    sockets = _host_sockets(host.snapshot)
    if isinstance(sockets, Unknown):
        return unread(sockets)
    owned = {pid: server for server in servers for pid in _pids(server)}
    ours = [at for at in sockets.value if _owners(at) & owned.keys()]
    beyond = [at for at in ours if not at.on_loopback]
    if beyond:
        closed = proven_local(host.snapshot, host.exposure)
        kept = "; the firewall alone keeps others out" if closed else ""
        return failed(
            f"Ollama accepts connections on {_list(beyond)}{kept}",
            tuple(evidence for at in beyond for evidence in _evidence(at, owned)),
            severity=Severity.LOW if closed else None,
            endpoints=map(str, beyond),
        )
    doubts = (*_unowned(sockets.value, servers), *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    if not ours:
        return not_applicable(
            "no Ollama server listens in the host's own network; a container's is judged by who "
            "reaches it"
        )
    return passed(f"Ollama listens on {_list(ours)} only")


def _host_sockets(snapshot: HostSnapshot) -> Known[tuple[Listener, ...]] | Unknown:
    if isinstance(snapshot.namespaces, Unknown):
        return snapshot.namespaces
    for namespace in snapshot.namespaces.value:
        if namespace.host:
            return namespace.listeners
    return Unknown("the host's own network was not read", snapshot.namespaces.source)


def _owners(at: Listener) -> frozenset[int]:
    return frozenset(at.owners.value) if isinstance(at.owners, Known) else frozenset()


def _pids(server: OllamaServer) -> tuple[int, ...]:
    return (server.pid, *(runner.pid for runner in server.runners))


def _list(sockets: list[Listener]) -> str:
    return ", ".join(dict.fromkeys(at.shown for at in sockets))


def _evidence(at: Listener, owned: dict[int, OllamaServer]) -> list[Evidence]:
    """The socket, and the setting that made it so."""
    pid = min(_owners(at) & owned.keys())
    found = [Evidence(f"process {pid}", f"listens on {at.shown}")]
    server = owned[pid]
    if isinstance(server.environment, Known) and (bound := server.variable("OLLAMA_HOST")):
        found.append(Evidence(server.environment.source, f"OLLAMA_HOST={bound.value}"))
    return found


def _unowned(sockets: tuple[Listener, ...], servers: tuple[OllamaServer, ...]) -> list[Unknown]:
    """Sockets beyond loopback that may be Ollama's: nobody could read who holds them.

    The user id of a socket is there for everybody to read, so that a socket of a user who runs
    no Ollama is not in doubt.
    """
    uids = {known_or(server.process.uid, -1) for server in servers}
    return [
        Unknown(f"who listens on {at.shown}: {at.owners.reason}", at.owners.source, at.owners.cure)
        for at in sockets
        if isinstance(at.owners, Unknown) and not at.on_loopback and (-1 in uids or at.uid in uids)
    ]
