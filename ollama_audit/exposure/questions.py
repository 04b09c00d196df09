"""Which listeners may be asked what a client without credentials gets, and which are left alone.

A request must change nothing and lead to no other machine. So only those are asked whose program
speaks HTTP, stands where web servers usually do or was told of Ollama, and where it is known to
pass requests on, the way is followed to its end first.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import TypeAlias

from ollama_audit.exposure.forwarders import Onward, forwarder, no_way, onward, passes_on
from ollama_audit.exposure.forwarders.relays.target import literal
from ollama_audit.exposure.forwarders.step import PASSES_BYTES
from ollama_audit.exposure.sockets import candidates
from ollama_audit.exposure.terrain import Terrain, terrain_of
from ollama_audit.exposure.ways import ways
from ollama_audit.firewall.answer import LOCAL_CLIENT, Effect, Query
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.probe import Question
from ollama_audit.snapshot.process import Process

_WEB_PORTS = frozenset(
    {80, 81, 443, 591, 1234, 1337, 2080, 3080, 4000, 4321, 4443, 5173, 5678, 6060, 7000, 7080}
    | {7860, 7861, 8501, 8765, 8800, 8880, 8888, 9080, 9443, 10080, 11435, 18789, 28080}
    | {*range(3000, 3011), *range(5000, 5004), *range(8000, 8009), *range(8010, 8100)}
    | {8180, 8181, 8280, 8443, 8444, 11434}
)
"""Where web applications and their proxies usually listen: the defaults of those that pass on to
Ollama, and the ports that people choose for a web server. 8009 is Tomcat's AJP."""

_NEVER = frozenset(
    {21, 22, 23, 25, 53, 110, 111, 139, 143, 179, 389, 445, 465, 514, 515, 587, 631, 636, 853}
    | {873, 993, 995, 1433, 1521, 1883, 2049, 2375, 2376, 3260, 3306, 3389, 5060, 5222, 5432}
    | {5672, 5900, 6000, 6379, 8883, 9042, *range(9100, 9108), 9418, 10050, 11211, 27017}
)
"""Where a request could do harm or is senseless whoever listens; a raw printer port prints it."""

_ELSEWHERE = frozenset(
    {"ssh", "sshd", "kubectl", "cloudflared", "ngrok", "frpc", "frps", "chisel", "rathole", "bore"}
    | {"tailscaled", "squid", "privoxy", "tor", "microsocks", "sockd", "tinyproxy", "gost"}
    | {"3proxy", "danted"}
)
"""Programs that carry connections to other machines."""

_RESERVES = frozenset({"dockerd", "conmon"})
"""They hold published ports so that nobody else takes them, and answer at none of them."""

_ACTIVATES = frozenset({"systemd", "xinetd", "inetd", "init"})
"""They start a program for whoever connects."""

_MOST_HOPS = 8

_Seen: TypeAlias = tuple[tuple[int, Listener], ...]
"""The listeners that the way so far has passed, by the inode of their network namespace."""


def questions(host: HostSnapshot | Terrain) -> tuple[Question, ...]:
    """A question for every listener, with the reason for each that is not to be asked."""
    terrain = terrain_of(host)
    return tuple(
        Question(
            namespace=namespace.inode,
            pid=namespace.pid,
            address=listener.address,
            port=listener.port,
            at=listener.at_hand,
            server=_is_server(terrain, listener),
            forwards=passes_on(terrain, listener),
            unasked=_left_alone(terrain, namespace, listener)
            or _settled(terrain, namespace, listener)
            or _astray(terrain, namespace, listener),
        )
        for namespace in terrain.namespaces.values()
        for listener in _distinct(known_or(namespace.listeners, ()))
    )


def _distinct(listeners: Iterable[Listener]) -> Iterable[Listener]:
    return {(each.address, each.port): each for each in listeners}.values()


def _is_server(terrain: Terrain, listener: Listener) -> bool:
    return any(pid in terrain.servers for pid in known_or(listener.owners, ()))


def _settled(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> str:
    """Why there is nothing to learn: bytes are passed on to where the question is put anyway."""
    if _is_server(terrain, listener) or isinstance(listener.owners, Unknown):
        return ""
    if not passes_on(terrain, listener):
        return ""
    steps = onward(terrain, namespace, listener, listener.owners.value)
    if steps and all(step.namespace and step.hop.kind in PASSES_BYTES for step in steps):
        return f"what it leads to is asked ({steps[0].hop.name})"
    return ""


def _astray(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> str:
    """Why a request would not get to this socket, or not surely stay here; empty when it does."""
    if listener.device:
        return f"it serves {listener.device} only"
    at = listener.at_hand
    if not listener.ip.is_loopback and not listener.wildcard:
        owner = terrain.wires.interface(namespace, at)
        if owner is None or listener.ip.is_link_local:
            return f"{at} is not an address of this host that can be asked"
    if not terrain.translated_ports(namespace) >> listener.port & 1:
        return ""
    query = Query(
        family=Family.IPV6 if ":" in at else Family.IPV4,
        interface=LOCAL_CLIENT,
        address=at,
        port=listener.port,
    )
    if any(
        each.effect is Effect.TRANSLATE for each in terrain.filtered(namespace, query).decisions
    ):
        return "a rule of the packet filter may send the request elsewhere"
    return ""


def _left_alone(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, seen: _Seen = ()
) -> str:
    """Why this listener is not asked; empty when it may be."""
    if _is_server(terrain, listener):
        return ""
    if listener.port in _NEVER:
        return f"port {listener.port} is not for web servers"
    if isinstance(listener.owners, Unknown):
        return _by_port(listener, "its owner is hidden")
    owners = listener.owners.value
    processes = [terrain.processes[pid] for pid in owners if pid in terrain.processes]
    if reason := _unfit(terrain, processes):
        return reason
    known = any(map(forwarder, processes))
    steps = onward(terrain, namespace, listener, owners) if known else ()
    if not steps:
        told = not known and any(process.names_ollama for process in processes)
        why = "leads nowhere as it is configured" if known else "is not known to speak HTTP"
        return "" if told else _by_port(listener, f"{processes[0].name} {why}")
    passed = (*seen, (namespace.inode, listener))
    reasons = (_leads(terrain, listener, step, passed) for step in steps)
    return next(filter(None, reasons), "")


def _by_port(listener: Listener, why: str) -> str:
    return "" if listener.port in _WEB_PORTS else f"{why}, and port {listener.port} is unusual"


def _unfit(terrain: Terrain, processes: list[Process]) -> str:
    """Why whoever holds a listener is not asked, whatever the port is."""
    serving = [each for each in processes if each.name not in _ACTIVATES]
    if not processes:
        return "who listens there is gone"
    if not serving:
        return f"{processes[0].name} would start a program for the request"
    for process in serving:
        if _ELSEWHERE.intersection(process.called):
            return f"{process.name} leads to other machines"
        if process.name in _RESERVES:
            return f"{process.name} answers nobody there"
        if no_way(terrain, process):
            return f"{process.name} passes nothing on"
    return ""


def _leads(terrain: Terrain, listener: Listener, step: Onward, seen: _Seen) -> str:
    """Why the place that a forwarder leads to forbids asking it."""
    foreign = [service for service in step.services if not _here(service)]
    if foreign:
        return f"it asks {foreign[0]}, perhaps another machine, who may log in"
    if step.namespace is None:
        unclear = f"where {step.hop.name} leads is not known"
        direct = step.hop.kind in {"reverse-proxy", "application"}
        return _by_port(listener, unclear) if direct else unclear
    spaces = [step.namespace]
    if terrain.wires.interface(step.namespace, step.address) is None:
        there = ways(terrain, step.namespace, step.address)
        spaces = [
            way.namespace for way in there if terrain.wires.interface(way.namespace, step.address)
        ]
        spaces = spaces or [held for held, _ in terrain.wires.held(step.address) if there]
    if not spaces:
        return f"it may lead to {step.address}, which is not on this host"
    family = Family.IPV6 if ":" in step.address else Family.IPV4
    targets = [
        (space, target)
        for space in spaces
        for target in candidates(
            known_or(space.listeners, ()), family, step.address, step.port, LOCAL_CLIENT
        )
    ]
    for space, target in targets:
        if (space.inode, target) in seen or len(seen) > _MOST_HOPS:
            return "it leads in a circle"
        if reason := _left_alone(terrain, space, target, seen):
            return f"it leads to {target}: {reason}"
    return ""


def _here(service: str) -> bool:
    """Whether `http://HOST:PORT/...` or `HOST:PORT` is surely a program on this host."""
    authority = service.rpartition("://")[2].partition("/")[0]
    address = literal(authority.rpartition(":")[0].strip("[]") or authority)
    return bool(address) and ip_address(address).is_loopback
