"""Helpers that publish the ports of rootless containers: ordinary sockets of ordinary programs.

Their engine knows which container a port belongs to, and the kernel which network is that
container's. Where the engine does not say, what the kernel shows of the helper is all there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.forwarders.clients import EVERYONE, NOBODY, Clients
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.model import Hop
from ollama_audit.exposure.sockets import families
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import version
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_KIND = "relay"
_HELPERS = frozenset({"pasta", "slirp4netns", "rootlesskit"})


_LOOPBACK = Clients.within("127.0.0.0/8") | Clients.within("::1")
_FAMILIES = {
    4: Clients(AddressSet.everything(4), AddressSet.nothing(6)),
    6: Clients(AddressSet.nothing(4), AddressSet.everything(6)),
}


def rootlessport(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """RootlessKit's port driver as podman runs it, and slirp4netns(1) with a port handler.

    They are told the ports over a pipe or a socket (podman cmd/rootlessport), not by arguments,
    and connect to the container's address: RootlessKit's `ChildIP`, which podman sets since 3.0.
    A RootlessKit with the port driver slirp4netns has it lead to the same port of its tap.
    """
    found = [
        target.step(process, _address(target.inner, 4) or "127.0.0.1")
        for target in _published(terrain, listener, process)
    ]
    kit = terrain.processes.get(process.parent)
    if not found and kit is not None and "rootlesskit" in kit.called:
        inner = _inside(terrain, namespace, kit)
        if inner is not None and (address := _address(inner, 4)):
            found = [_same_port(terrain, listener, inner).step(process, address)]
    return tuple(found) or (_unknown(terrain, listener, process),)


def rootlesskit(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """RootlessKit around a rootless Docker: the same port inside, where Docker publishes it.

    Its child lives in the network that Docker's bridges are in (rootlesskit pkg/port/builtin,
    `rootlesskit-docker-proxy` of moby contrib).
    """
    inner = _inside(terrain, namespace, process)
    if inner is None:
        return rootlessport(terrain, namespace, listener, process)
    return (_same_port(terrain, listener, inner).step(process, "127.0.0.1"),)


def _same_port(terrain: Terrain, listener: Listener, inner: NetworkNamespace) -> _Target:
    """What RootlessKit makes of a port: that of the network in which Docker's bridges are."""
    return _Target(inner, listener.port, terrain.name_of_network(inner))


def pasta(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`pasta -t 8080:11434 ...`: into the network that it made or joined (passt(1)).

    It keeps the client's family, and connects to the loopback address inside for clients of the
    host's loopback, to the other address inside for everybody else. A client at an IPv6 address
    that is the network's own as well gets an answer or none: with the pasta of Debian 12 it did,
    with that of Debian 13 it did not.
    """
    targets = list(_published(terrain, listener, process))
    inner = _inside(terrain, namespace, process)
    port = _forwarded(known_or(process.arguments, ()), listener.port)
    if not targets and inner is not None:
        targets = [_Target(inner, port, terrain.name_of_network(inner))]
    if not targets:
        return (_unknown(terrain, listener, process),)
    found = [
        target.step(process, address, clients)
        for target in targets
        for family in families(listener)
        for address, clients in _ways(target.inner, version(family))
    ]
    reason = f"whether {process.name} answers the address that its network has, too, differs"
    doubt = unclear(process, reason, kind=_KIND)
    found += [replace(doubt, admits=_own(target.inner)) for target in targets]
    return tuple(step for step in found if step.admits)


def passt(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The same program for a virtual machine (passt(1)): what listens there cannot be seen."""
    del terrain, namespace
    reason = f"passt ({process.pid}) leads port {listener.port} into a virtual machine"
    return (unclear(process, reason, kind=_KIND, cure="look for Ollama in that machine"),)


def machine(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A virtual machine's program: its user-mode network has ports forwarded into the machine.

    `qemu-system-x86_64 -netdev user,hostfwd=tcp::8080-:11434` (qemu(1)); what else it listens at
    are consoles. VirtualBox is told by its own files, and has no port but for forwarding.
    """
    del terrain, namespace
    forwarded = re.findall(r"hostfwd=tcp:[^:,]*:(\d+)-", " ".join(known_or(process.arguments, ())))
    if process.name.startswith("qemu") and str(listener.port) not in forwarded:
        return ()
    reason = f"{process.name} ({process.pid}) leads port {listener.port} into a virtual machine"
    return (unclear(process, reason, kind=_KIND, cure="look for Ollama in that machine"),)


def _ways(inner: NetworkNamespace, family: int) -> Iterator[tuple[str, Clients]]:
    """Where pasta connects to for which clients of a family."""
    yield "127.0.0.1" if family == 4 else "::1", _FAMILIES[family] & _LOOPBACK
    if address := _address(inner, family):
        yield address, (_FAMILIES[family] & _answered(inner)) - _LOOPBACK - _own(inner)


def _own(inner: NetworkNamespace) -> Clients:
    """The clients at IPv6 addresses of a network; pasta gives it those of the host."""
    found = NOBODY
    for interface in known_or(inner.interfaces, ()):
        for own in interface.addresses:
            if own.ip.version == 6 and not own.ip.is_link_local and not interface.loopback:
                found |= Clients.within(own.address)
    return found


def _answered(inner: NetworkNamespace) -> Clients:
    """The clients that a network has a route back to; pasta keeps their addresses."""
    if isinstance(inner.routes, Unknown):
        return EVERYONE
    found = NOBODY
    for route in inner.routes.value:
        if route.type == "unicast":
            found |= Clients.within(str(route.network))
    return found


@dataclass(frozen=True, slots=True)
class _Target:
    """A port in a network that a helper leads into, and what to call that network."""

    inner: NetworkNamespace
    port: int
    name: str

    def step(self, process: Process, address: str, clients: Clients | None = None) -> Onward:
        """The step to this port at an address of the network."""
        name = f"{process.name} to port {self.port} of {self.name}"
        return Onward(
            hop=Hop(kind=_KIND, name=name, pid=process.pid),
            namespace=self.inner,
            address=address,
            port=self.port,
            admits=clients,
        )


def _published(terrain: Terrain, listener: Listener, process: Process) -> Iterator[_Target]:
    """What this user's engines publish at a socket."""
    uid = known_or(process.uid, listener.uid)
    for contained, port in terrain.containers.publishing(listener, uid):
        inner = terrain.namespaces.get(contained.container.network_namespace)
        if inner is not None:
            yield _Target(inner, port.port, str(contained))


def _address(namespace: NetworkNamespace, family: int) -> str:
    """The first address of a network that is not its loopback's or one link's; empty for none."""
    for interface in known_or(namespace.interfaces, ()):
        for own in interface.addresses:
            usable = interface.up and not interface.loopback and not own.ip.is_link_local
            if usable and own.ip.version == family:
                return own.address
    return ""


def carries(terrain: Terrain, namespace: NetworkNamespace) -> bool:
    """Whether such a helper is all that is behind the tap device of a namespace.

    Nobody is its neighbour then: who comes in by it came to a socket of the helper's.
    """
    if terrain.containers.network_mode(namespace).startswith(("pasta", "slirp4netns")):
        return True
    return any(
        not _HELPERS.isdisjoint(process.called)
        and known_or(process.network_namespace, namespace.inode) != namespace.inode
        and any(
            child.parent == process.pid and known_or(child.network_namespace, 0) == namespace.inode
            for child in terrain.processes.values()
        )
        for process in terrain.processes.values()
    )


def _inside(
    terrain: Terrain, namespace: NetworkNamespace, process: Process
) -> NetworkNamespace | None:
    """The one other network that the helper's children, or it itself, live in; None for none."""
    inodes = {
        known_or(each.network_namespace, 0)
        for each in terrain.processes.values()
        if process.pid in (each.pid, each.parent)
    }
    found = [terrain.namespaces[i] for i in inodes - {namespace.inode} if i in terrain.namespaces]
    return found[0] if len(found) == 1 else None


def _forwarded(arguments: tuple[str, ...], port: int) -> int:
    """The port inside that a port of the host is forwarded to: the same, unless another is named.

    `-t none`, `-t auto`, `-t all`, or `[ADDRESS[%INTERFACE]/]PORTS` with ranges, `~` for excluded
    ones and `:` for other ports inside, several parted by commas; -t may be repeated.
    """
    given = [value for option, value in pairwise(arguments) if option in {"-t", "--tcp-ports"}]
    given += [word[2:] for word in arguments if re.match(r"-t.", word)]
    given += [word.partition("=")[2] for word in arguments if word.startswith("--tcp-ports=")]
    parts = [part for one in given for part in one.rpartition("/")[2].split(",")]
    return next((found for part in parts if (found := _mapped(part, port)) is not None), port)


def _mapped(part: str, port: int) -> int | None:
    """What one part of a pasta specification makes of a port; None when it is not in it."""
    outer, _, inner = part.partition(":")
    first, _, last = outer.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        return None
    begin, end = int(first), int(last or first)
    if not begin <= port <= end:
        return None
    start = inner.partition("-")[0]
    return port - begin + int(start) if start.isdecimal() else port


def _unknown(terrain: Terrain, listener: Listener, process: Process) -> Onward:
    uid = known_or(process.uid, listener.uid)
    unread = terrain.containers.unread(uid)
    why = f": {unread.reason}" if isinstance(unread, Unknown) else ""
    reason = (
        f"{process.name} ({process.pid}) publishes port {listener.port} of a container, and which "
        f"is not known{why}"
    )
    cure = f"as user {process.user or uid}: podman ps, or docker ps"
    return unclear(process, reason, kind=_KIND, cure=unread.cure if unread else cure)
