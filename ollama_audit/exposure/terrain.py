"""A snapshot with its indexes: what the search for ways to Ollama looks up again and again."""

from __future__ import annotations

from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from operator import is_
from typing import Any

from msgspec.structs import replace

from ollama_audit.exposure.containers import Containers
from ollama_audit.exposure.model import JudgedBy
from ollama_audit.exposure.shields import shielded, stopped
from ollama_audit.exposure.zones import public, uplink_of
from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.reach import reach
from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.edge import Forwarding
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Interface, Listener, NetworkNamespace
from ollama_audit.snapshot.probe import Probe
from ollama_audit.snapshot.process import OllamaServer, Process
from ollama_audit.snapshot.service import SshSession, SystemdUnit


class _Facts:
    """What a snapshot holds but for the answers of its listeners; equal when it is the same."""

    def __init__(self, snapshot: HostSnapshot) -> None:
        names = (name for name in snapshot.__struct_fields__ if name != "probes")
        self.parts = tuple(getattr(snapshot, name) for name in names)

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.parts)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Facts) and all(map(is_, self.parts, other.parts))


@lru_cache(maxsize=1)
def _steps(_: _Facts) -> dict[tuple[int, Listener], Any]:
    """Where to keep the steps of one host's listeners.

    An audit looks at a host twice, to find out whom to ask and again with the answers, and the
    configuration of a large proxy takes long to follow.
    """
    return {}


class Terrain:
    """One host's namespaces, servers and sockets by their keys; filter answers are kept."""

    def __init__(self, snapshot: HostSnapshot) -> None:
        self.snapshot = snapshot
        self._answers: dict[tuple[int, Query], Reach] = {}
        self._holders: dict[tuple[str, int, str], tuple[tuple[NetworkNamespace, Interface], ...]]
        self._holders = {}
        self._owned: dict[int, dict[str, Interface]] = {}
        self._segments: dict[int, frozenset[tuple[int, int]]] = {}
        self._networks: dict[int, list[tuple[IPv4Network | IPv6Network, str]]] = {}
        self.steps = _steps(_Facts(snapshot))
        """What each listener's owner does with a connection, once it was worked out."""
        self.leading: dict[tuple[int, Listener], bool] = {}
        """Whether each listener may lead to Ollama, once it was worked out."""
        self.ahead: dict[tuple[int, Listener], Any] = {}
        """What is next behind each listener, once it was worked out."""
        self.passed: dict[tuple[int, str, int], Any] = {}
        """Where a process of a namespace gets that connects to an address and port."""
        self.landed: dict[tuple[int, Listener, int], Any] = {}
        """Where connections of an IP version lead that a listener accepts."""
        self.loops = 0
        """How often a way was given up as it came back to where it had been."""

    @cached_property
    def probes(self) -> dict[tuple[int, str, int], Probe]:
        """What listeners answered, by the inode of their namespace, bind address and port."""
        asked = known_or(self.snapshot.probes, ())
        return {(each.namespace, each.address, each.port): each for each in asked}

    @cached_property
    def namespaces(self) -> dict[int, NetworkNamespace]:
        """Network namespaces by inode."""
        return {
            namespace.inode: self._without_strangers(namespace)
            for namespace in known_or(self.snapshot.namespaces, ())
        }

    def _without_strangers(self, namespace: NetworkNamespace) -> NetworkNamespace:
        """The namespace without servers among the owners of sockets that are not theirs.

        A helper that starts a server in a network of its own, as pasta(1) does, may leave its own
        listening sockets open in it.
        """
        away = {
            server.pid
            for server in self.servers.values()
            if known_or(server.process.network_namespace, namespace.inode) != namespace.inode
        }
        if not away or isinstance(namespace.listeners, Unknown):
            return namespace
        listeners = tuple(_without(each, away) for each in namespace.listeners.value)
        return replace(namespace, listeners=Known(listeners, namespace.listeners.source))

    @cached_property
    def host(self) -> NetworkNamespace | None:
        """The host's own network namespace, None when it could not be read."""
        return next((n for n in self.namespaces.values() if n.host), None)

    @property
    def rulesets(self) -> tuple[JudgedBy, ...]:
        """The rulesets that stand in for the host's own packet filter."""
        given = self.host.firewall.given if self.host else ()
        return tuple(JudgedBy(file=ruleset.file, kind=ruleset.kind) for ruleset in given)

    @cached_property
    def servers(self) -> dict[int, OllamaServer]:
        """Ollama servers by pid."""
        return {server.pid: server for server in known_or(self.snapshot.servers, ())}

    @cached_property
    def processes(self) -> dict[int, Process]:
        """Every process the snapshot describes, by pid."""
        found = {process.pid: process for process in self.snapshot.processes}
        for server in self.servers.values():
            found.update({runner.pid: runner for runner in server.runners})
            found[server.pid] = server.process
        return found

    @cached_property
    def containers(self) -> Containers:
        """The containers that engines told of."""
        return Containers(self.snapshot)

    @cached_property
    def _inhabitants(self) -> dict[int, list[Process]]:
        """The processes that the snapshot describes, by their network namespace."""
        found: dict[int, list[Process]] = {}
        for process in self.processes.values():
            found.setdefault(known_or(process.network_namespace, 0), []).append(process)
        return found

    def name_of_network(self, namespace: NetworkNamespace) -> str:
        """What to call a namespace that is not the host's: its container, else its own name."""
        inhabitants = self._inhabitants.get(namespace.inode, [])
        return self.containers.name_of_network(namespace, inhabitants)

    def kept_apart(self, address: str, host: NetworkNamespace) -> bool:
        """Whether an address is only that of containers which the host itself cannot reach."""
        held = self._held.get(address, ())
        return bool(held) and all(isolated(host, interface) for _, interface in held)

    def beside(self, address: str) -> tuple[NetworkNamespace, Interface] | None:
        """The container that has an address of its own on a network that the host is on, too."""
        for namespace, interface in self._held.get(address, ()):
            if self.host is not None and uplink_of(self.host, interface) is not None:
                return namespace, interface
        return None

    @cached_property
    def units(self) -> dict[tuple[str, str], SystemdUnit]:
        """Units by owner and name."""
        return {(unit.owner, unit.name): unit for unit in known_or(self.snapshot.units, ())}

    @cached_property
    def sessions(self) -> dict[int, SshSession]:
        """Sessions of the SSH server by the process id of the server's side."""
        return {session.pid: session for session in self.snapshot.ssh_sessions}

    def unit_of(self, process: Process) -> SystemdUnit | None:
        """The unit that runs a process, if the snapshot holds it."""
        return self.units.get((process.unit_owner, process.unit))

    @cached_property
    def _brought(self) -> dict[str, tuple[Forwarding, ...]]:
        """What brings the internet's TCP connections to an address of the host, by that address."""
        found: dict[str, tuple[Forwarding, ...]] = {}
        for each in self.forwardings:
            external = ip_address(each.external) if each.external else None
            if external and public(external) and each.internal != each.external:
                found[each.internal] = (*found.get(each.internal, ()), each)
        return found

    @cached_property
    def forwardings(self) -> tuple[Forwarding, ...]:
        """The translations of TCP beyond the host that the cloud or the router told of."""
        edge = self.snapshot.edge
        told = [*known_or(edge.public_addresses, ())] if edge.public_addresses else []
        if isinstance(edge.router, Known):
            told += known_or(edge.router.value.forwardings, ())
        return tuple(
            each for each in told if each.enabled and each.protocol in {"tcp", "any", "all"}
        )

    def brought_to(self, address: str, port: int) -> tuple[Forwarding, ...]:
        """The translations beyond the host that bring the internet to this address and port."""
        return tuple(
            each for each in self._brought.get(address, ()) if each.internal_port in (0, port)
        )

    def brought_from(self, address: str, port: int) -> tuple[Forwarding, ...]:
        """The translations beyond the host that take up this address and port."""
        return tuple(
            each
            for found in self._brought.values()
            for each in found
            if each.external == address and each.external_port in (0, port)
        )

    def filtered(self, namespace: NetworkNamespace, query: Query) -> Reach:
        """The packet filter's answer, computed once."""
        key = (namespace.inode, query)
        if key not in self._answers:
            shut = (namespace.inode, query.interface) in self._shielded
            self._answers[key] = stopped(query) if shut else reach(namespace, query)
        return self._answers[key]

    @cached_property
    def _shielded(self) -> frozenset[tuple[int, str]]:
        return shielded(self.snapshot)

    @cached_property
    def _held(self) -> dict[str, list[tuple[NetworkNamespace, Interface]]]:
        """The namespaces and interfaces that own an address; the host's own are left out."""
        found: dict[str, list[tuple[NetworkNamespace, Interface]]] = {}
        for namespace in self.namespaces.values():
            for interface in known_or(namespace.interfaces, ()):
                if namespace.host or interface.loopback:
                    continue
                for own in interface.addresses:
                    found.setdefault(own.address, []).append((namespace, interface))
        return found

    def held(self, address: str) -> tuple[tuple[NetworkNamespace, Interface], ...]:
        """Every namespace but the host's that has an address, and its interface with it."""
        return tuple(self._held.get(address, ()))

    @cached_property
    def _veths(self) -> dict[tuple[int, int], list[tuple[NetworkNamespace, Interface]]]:
        """Ends of veths by their own index and the other end's; the host's first."""
        found: dict[tuple[int, int], list[tuple[NetworkNamespace, Interface]]] = {}
        for namespace in sorted(self.namespaces.values(), key=lambda each: not each.host):
            for interface in known_or(namespace.interfaces, ()):
                if interface.kind == "veth" and interface.parent:
                    key = interface.index, interface.parent
                    found.setdefault(key, []).append((namespace, interface))
        return found

    def outer_end(self, inner: Interface) -> tuple[NetworkNamespace, Interface] | None:
        """The other end of a container's veth (veth(4)), and the namespace that it is in."""
        if inner.kind != "veth" or not inner.parent:
            return None
        return next(iter(self._veths.get((inner.parent, inner.index), ())), None)

    def segment(self, inner: Interface) -> tuple[int, int] | None:
        """What tells whether two containers' interfaces are on one wire; None when it is not told.

        The bridge that joins their veths, or the device below their macvlans.
        """
        if inner.kind in {"macvlan", "ipvlan"} and inner.parent:
            return 0, inner.parent
        outer = self.outer_end(inner)
        return (outer[0].inode, outer[1].master) if outer and outer[1].master else None

    def segments(self, namespace: NetworkNamespace) -> frozenset[tuple[int, int]]:
        """The wires that a namespace is on, as far as they are told; worked out once."""
        if namespace.inode not in self._segments:
            found = (self.segment(each) for each in known_or(namespace.interfaces, ()))
            self._segments[namespace.inode] = frozenset(each for each in found if each)
        return self._segments[namespace.inode]

    def holders(
        self, address: str, beside: NetworkNamespace, egress: str = ""
    ) -> tuple[tuple[NetworkNamespace, Interface], ...]:
        """Where packets from a namespace to an address end: another one, and its interface there.

        Several namespaces may have the same private address, so those count that are linked to
        this one, by `egress` if that is known; if there are none, those of which it is not told.
        """
        key = (address, beside.inode, egress)
        if key not in self._holders:
            links = [
                (linked(beside, interface, egress), (namespace, interface))
                for namespace, interface in self._held.get(address, ())
                if namespace.inode != beside.inode
            ]
            sure = tuple(held for link, held in links if link)
            self._holders[key] = sure or tuple(held for link, held in links if link is None)
        return self._holders[key]

    def interface(self, namespace: NetworkNamespace, address: str) -> Interface | None:
        """The interface of a namespace that owns an address; loopback for 127.0.0.0/8."""
        if namespace.inode not in self._owned:
            self._owned[namespace.inode] = {
                own.address: interface
                for interface in reversed(known_or(namespace.interfaces, ()))
                for own in interface.addresses
            }
        found = self._owned[namespace.inode].get(address)
        if found is None and address.startswith("127."):
            return next((i for i in known_or(namespace.interfaces, ()) if i.loopback), None)
        return found

    def neighbour(self, namespace: NetworkNamespace, address: str) -> str:
        """The namespace's own address in the connected network of `address`, or empty."""
        if namespace.inode not in self._networks:
            self._networks[namespace.inode] = [
                (own.network, own.address)
                for interface in known_or(namespace.interfaces, ())
                for own in interface.addresses
            ]
        target = ip_address(address)
        return next(
            (own for network, own in self._networks[namespace.inode] if target in network), ""
        )

    def served(self, namespace: NetworkNamespace) -> tuple[tuple[str, int], ...]:
        """Where Ollama listens in a namespace: addresses at which it is reached from within."""
        return tuple(
            ("127.0.0.1" if listener.wildcard else str(listener.ip), listener.port)
            for listener in known_or(namespace.listeners, ())
            if self.servers.keys() & set(known_or(listener.owners, ()))
        )

    def server_namespace(self, server: OllamaServer) -> int | Unknown:
        """The inode of the network namespace that a server is in, or why it is not known."""
        inode = server.process.network_namespace
        if isinstance(inode, Known):
            return inode.value
        return inode


def _without(listener: Listener, away: set[int]) -> Listener:
    owners = known_or(listener.owners, ())
    near = tuple(pid for pid in owners if pid not in away)
    if not near or near == owners:
        return listener
    return replace(listener, owners=Known(near, "/proc/PID/fd"))


def isolated(host: NetworkNamespace, inner: Interface) -> bool:
    """Whether a container and the host share a device that keeps them apart.

    A macvlan or ipvlan never talks to the device below it (ip-link(8)).
    """
    below = (each.index for each in known_or(host.interfaces, ()))
    return inner.kind in {"macvlan", "ipvlan"} and inner.parent in below


def linked(beside: NetworkNamespace, inner: Interface, egress: str = "") -> bool | None:
    """Whether packets that leave a namespace can come in by another one's interface.

    They can over a veth, directly or through a bridge (veth(4), ip-link(8)). They cannot over a
    macvlan or ipvlan, which the device below it does not talk to, nor over a tap that a program
    holds, such as slirp4netns. None when it is not told, as of overlays.
    """
    if inner.kind in {"macvlan", "ipvlan", "tun"}:
        return False
    if inner.kind != "veth" or not inner.parent:
        return None
    for outer in known_or(beside.interfaces, ()):
        if outer.kind == "veth" and (outer.index, outer.parent) == (inner.parent, inner.index):
            masters = [i for i in known_or(beside.interfaces, ()) if i.index == outer.master]
            return not egress or egress in {outer.name, *(master.name for master in masters)}
    return False
