"""Relays: programs that pass a TCP connection on as it is, as their arguments say."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address

from ollama_audit.exposure.forwarders.clients import NOBODY, Clients
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})$")


def literal(host: str) -> str:
    """The address that a host names without a resolver: a literal, or localhost; else empty."""
    if host in {"", "localhost", "localhost4", "ip4-localhost"}:
        return "127.0.0.1"
    if host in {"localhost6", "ip6-localhost", "ip6-loopback"}:
        return "::1"
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


def toward(process: Process, namespace: NetworkNamespace, where: str) -> Onward:
    """The step to `HOST:PORT` or `[V6]:PORT`; an unclear one when the host needs a resolver."""
    found = _HOST_PORT.match(where)
    address = literal(found["v6"] or found["host"]) if found else ""
    if found is None or not address or int(found["port"]) > 65535:
        reason = f"{process.name} leads to {where}, a name that was not looked up"
        return unclear(process, reason, kind="relay")
    return Onward(
        hop=Hop(kind="relay", name=f"{process.name} to {where}", pid=process.pid),
        namespace=namespace,
        address=address,
        port=int(found["port"]),
    )


def socat(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`socat TCP-LISTEN:8080,fork TCP:127.0.0.1:11434` (socat(1), ADDRESS SPECIFICATIONS)."""
    del terrain, listener
    specifications = [argument for argument in _arguments(process)[1:] if argument[:1] != "-"]
    if len(specifications) != 2:
        return (_not_understood(process),)
    listening, *listening_options = specifications[0].split(",")
    connecting, *_ = specifications[1].split(",")
    kind, _, where = connecting.partition(":")
    if kind.upper().partition("-")[0] not in {"TCP", "TCP4", "TCP6"} or "LISTEN" in kind.upper():
        return (unclear(process, f"socat passes connections to {connecting}", kind="relay"),)
    encrypted = listening.upper().startswith(("OPENSSL-LISTEN", "SSL-L"))
    options = dict(option.partition("=")[::2] for option in listening_options)
    asks = encrypted and options.get("verify", "1") != "0"  # socat(1): verify=1 is the default
    step = toward(process, namespace, where)
    return (
        replace(
            step,
            admits=_range(options.get("range", "")),
            login=Login.REQUIRED if asks else step.login,
            tls=Encryption.TLS if encrypted else Encryption.PLAIN,
        ),
    )


def _range(text: str) -> Clients | None:
    """The sources that `range=ADDRESS/BITS` admits; None without the option."""
    network = text.replace("[", "").replace("]", "")
    if not network:
        return None
    try:
        return Clients.within(network)
    except ValueError:
        return NOBODY


def redir(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`redir 0.0.0.0:8080 127.0.0.1:11434` (redir(1) 3.x)."""
    del terrain, listener
    targets = [argument for argument in _arguments(process)[1:] if _HOST_PORT.match(argument)]
    if len(targets) != 2:
        return (_not_understood(process),)
    return (toward(process, namespace, targets[1]),)


def socket_proxyd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`systemd-socket-proxyd 127.0.0.1:11434` (systemd-socket-proxyd(8))."""
    del terrain, listener
    targets = [argument for argument in _arguments(process)[1:] if argument[:1] != "-"]
    if not targets:
        return (_not_understood(process),)
    return (toward(process, namespace, targets[-1]),)


def activated(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A socket that systemd holds for a service: it leads where the service leads."""
    sockets = terrain.snapshot.socket_units
    if isinstance(sockets, Unknown):
        return (unclear(process, sockets.reason, kind="relay", cure=sockets.cure),)
    for unit in sockets.value:
        if not any(_HOST_PORT.match(at) and _same(at, listener) for at in unit.listens):
            continue
        if isinstance(unit.arguments, Unknown):
            return (unclear(process, unit.arguments.reason, cure=unit.arguments.cure),)
        program = unit.arguments.value[0].rpartition("/")[2] if unit.arguments.value else ""
        if program != "systemd-socket-proxyd":
            reason = f"systemd starts {program or unit.service} for whoever connects to {listener}"
            return (unclear(process, reason),)
        targets = [argument for argument in unit.arguments.value[1:] if argument[:1] != "-"]
        return (toward(process, namespace, targets[-1]),) if targets else ()
    return (unclear(process, f"systemd listens at {listener} for a unit that was not found"),)


def _same(text: str, listener: Listener) -> bool:
    """Whether `Listen=` of `systemctl show` names this socket."""
    found = _HOST_PORT.match(text)
    return found is not None and (
        int(found["port"]) == listener.port
        and (found["v6"] or found["host"]) in {listener.address, str(listener.ip)}
    )


def kubectl(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`kubectl port-forward`: where it leads is in a cluster."""
    del terrain, namespace, listener
    return (unclear(process, "kubectl port-forward leads into a cluster", kind="relay"),)


def ssh(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`ssh -L`: the other machine decides where it leads (ssh(1))."""
    del terrain, namespace, listener
    return (unclear(process, "an SSH tunnel leads to another machine", kind="tunnel"),)


def sshd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The SSH server itself passes nothing on; a session of it may hold a remote forward.

    sshd(8) titles its processes `sshd: /usr/sbin/sshd -D [listener] ...` and `sshd: user@pts/0`.
    """
    del terrain, namespace
    title = " ".join(_arguments(process))
    if "[listener]" in title or not title.startswith("sshd: "):
        return ()
    reason = (
        f"an SSH session ({title}) listens at {listener} for its client (ssh -R), who decides "
        "where it leads"
    )
    return (unclear(process, reason, kind="tunnel", cure="ask the user of that session"),)


def holds_only(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A container engine that keeps a published port reserved and never answers at it.

    Translation takes the packets before they get there; moby
    daemon/libnetwork/portallocator/osallocator_linux.go, podman's conmon.
    """
    del terrain, namespace, listener, process
    return ()


def unread(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A program that is there to pass connections on, by a configuration nobody reads here.

    rinetd(8), xinetd.conf(5) `redirect`, ncat(1).
    """
    del terrain, namespace, listener
    reason = f"{process.name} ({process.pid}) passes connections on; where to is not read"
    return (unclear(process, reason, kind="relay"),)


def _arguments(process: Process) -> tuple[str, ...]:
    return () if isinstance(process.arguments, Unknown) else process.arguments.value


def _not_understood(process: Process) -> Onward:
    reason = f"the arguments of {process.name} ({process.pid}) are not understood"
    if isinstance(process.arguments, Unknown):
        reason = process.arguments.reason
    return unclear(process, reason, kind="relay")
