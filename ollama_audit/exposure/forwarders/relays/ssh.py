"""SSH's forwards: a client's own listeners (`-L`, `-D`), and a server's for its clients (`-R`)."""

from __future__ import annotations

from ipaddress import ip_address

from ollama_audit.exposure.forwarders.relays.ssh_client import Told, told
from ollama_audit.exposure.forwarders.relays.target import arguments, toward
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration, stale
from ollama_audit.exposure.sockets import candidates
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_SERVERS = frozenset({"sshd", "sshd-session"})


def ssh(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`ssh -L` and LocalForward: the server decides where it leads, unless that is this host."""
    said = _told(terrain, process)
    server = _server(terrain, namespace, said)
    for forward in said.local:
        if server is not None and forward.port == listener.port:
            return (toward(terrain, server, process, authority(forward.host, forward.target)),)
    where = f" to {said.host}" if said.host else ""
    reason = f"where an SSH tunnel{where} leads is for that machine to say"
    if any(forward.port == listener.port for forward in said.dynamic):
        reason = f"ssh -D{where}: whoever speaks SOCKS to it gets wherever that machine gets"
    elif server is not None:
        reason = (
            f"ssh{where} was told of port {listener.port} after it had started (ssh -O forward)"
        )
    return (unclear(process, reason, kind="tunnel"),)


def _told(terrain: Terrain, client: Process) -> Told:
    """What a client was told; files that changed since it read them count for nothing."""
    found = configuration(terrain, (client.pid,))
    return told(arguments(client)[1:], None if found is None or stale(found) else found)


def _server(terrain: Terrain, namespace: NetworkNamespace, said: Told) -> NetworkNamespace | None:
    """The network of the server that a client talks to, when that surely runs on this host.

    Behind another port of this host may be the server of a virtual machine or a container.
    """
    own = terrain.wires.interface(namespace, said.address) if said.address else None
    if own is None or said.jumps or terrain.translated_ports(namespace) >> said.port & 1:
        return None
    family = Family.IPV6 if ip_address(said.address).version == 6 else Family.IPV4
    listeners = known_or(namespace.listeners, ())
    held = candidates(listeners, family, said.address, said.port, own.name)
    pids = {pid for each in held for pid in known_or(each.owners, (0,))} - {1}  # 1: ssh.socket
    servers = [terrain.processes.get(pid) for pid in sorted(pids)]
    if not servers or any(each is None or _SERVERS.isdisjoint(each.called) for each in servers):
        return None
    inodes = {known_or(each.network_namespace, 0) for each in servers if each}
    return terrain.namespaces.get(inodes.pop()) if len(inodes) == 1 else None


def sshd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The SSH server itself passes nothing on; a session of it may hold a remote forward.

    sshd(8) titles its processes `sshd: /usr/sbin/sshd -D [listener] ...`, `sshd: user@pts/0` and,
    since OpenSSH 9.8, `sshd-session: user@pts/0`.
    """
    del namespace
    title = " ".join(" ".join(arguments(process)).split())
    if "[listener]" in title or not title.startswith(("sshd: ", "sshd-session: ")):
        return ()
    session = terrain.sessions.get(process.pid)
    if session is not None and not isinstance(session.client, Unknown):
        client = terrain.processes.get(session.client.value)
        steps = _client_side(terrain, listener, client) if client is not None else ()
        if steps:
            return steps
    peer = f" from {session.peer}" if session and session.peer else ""
    reason = (
        f"an SSH session ({title}{peer}) listens at {listener} for its client (ssh -R), who "
        "decides where it leads"
    )
    cure = "ask the user of that session, or set GatewayPorts no in sshd_config"
    return (unclear(process, reason, kind="tunnel", cure=cure),)


def _client_side(terrain: Terrain, listener: Listener, client: Process) -> tuple[Onward, ...]:
    """Where a client on this very host takes what its server accepts for it."""
    inode = client.network_namespace
    space = None if isinstance(inode, Unknown) else terrain.namespaces.get(inode.value)
    if space is None:
        return ()
    said = _told(terrain, client)
    return tuple(
        toward(terrain, space, client, authority(forward.host, forward.target))
        for forward in said.remote
        if forward.port == listener.port and forward.host
    )
