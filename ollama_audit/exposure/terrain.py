"""A snapshot with its indexes: what the search for ways to Ollama looks up again and again."""

from __future__ import annotations

from copy import copy
from functools import cached_property, partial, reduce
from ipaddress import ip_address
from operator import or_

from msgspec.structs import replace

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.containers import Containers
from ollama_audit.exposure.memo import Memo
from ollama_audit.exposure.model import JudgedBy, Zone
from ollama_audit.exposure.shields import shielded, stopped
from ollama_audit.exposure.wires import Wires
from ollama_audit.exposure.zones import (
    Sources,
    interface_zone,
    no_clients,
    own_addresses,
    public,
    sources_behind,
    sources_beside,
)
from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.ports import NO_PORT, Ports
from ollama_audit.firewall.reach import reach
from ollama_audit.firewall.told_apart import ToldApart
from ollama_audit.firewall.translations import Translations, translations
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.edge import Forwarding
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, Interface, Listener, NetworkNamespace
from ollama_audit.snapshot.probe import Probe
from ollama_audit.snapshot.process import OllamaServer, Process
from ollama_audit.snapshot.service import SshSession, SystemdUnit


class Terrain:
    """One host's namespaces, servers and sockets by their keys, and what was worked out of them."""

    def __init__(self, snapshot: HostSnapshot) -> None:
        self.memo = Memo()
        """Answers that do not depend on what listeners answered."""
        self._hear(snapshot)

    def _hear(self, snapshot: HostSnapshot) -> None:
        self.snapshot = snapshot
        self.judged = Memo()
        """Answers that do."""
        asked = known_or(snapshot.probes, ())
        self.probes = {(each.namespace, each.address, each.port): each for each in asked}
        """What listeners answered, by the inode of their namespace, bind address and port."""

    def answered(self, probes: Observed[tuple[Probe, ...]]) -> Terrain:
        """The same host with what its listeners answered.

        Whom to ask is found out by the way to Ollama as it is configured, which takes long to
        follow through a large proxy: it is followed once.
        """
        found = copy(self)
        found._hear(replace(self.snapshot, probes=probes))  # noqa: SLF001 - of its own kind
        return found

    def told_apart(self, namespace: NetworkNamespace, family: Family) -> ToldApart:
        """Which addresses the rules of a namespace tell apart; worked out once."""
        version = 4 if family is Family.IPV4 else 6
        key = (namespace.inode, version)
        return self.memo.once("told apart", key, lambda: ToldApart(namespace, version))

    @cached_property
    def wires(self) -> Wires:
        """How the namespaces are joined."""
        return Wires(self.namespaces)

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

    @property
    def host(self) -> NetworkNamespace | None:
        """The host's own network namespace, None when it could not be read."""
        return self.wires.host

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

    def zone(self, namespace: NetworkNamespace, interface: Interface) -> Zone:
        """What an interface connects to."""
        key = namespace.inode, interface.index
        return self.memo.once("zone", key, lambda: interface_zone(namespace, interface))

    def own_addresses(self, namespace: NetworkNamespace, family: Family) -> AddressSet:
        """The addresses of the namespace's interfaces, loopback included."""
        key = namespace.inode, family
        return self.memo.once("own", key, lambda: own_addresses(namespace, family))

    def no_clients(self, namespace: NetworkNamespace, family: Family) -> AddressSet:
        """What no other machine sends from: the namespace's own addresses and broadcasts."""
        key = namespace.inode, family
        return self.memo.once("no clients", key, lambda: no_clients(namespace, family))

    def sources_behind(
        self, namespace: NetworkNamespace, interface: Interface, family: Family
    ) -> tuple[Sources, ...]:
        """The zones behind an interface of the host, with the sources of each."""
        key = namespace.inode, interface.index, family
        work = partial(sources_behind, namespace, interface, family)
        return self.memo.once("behind", key, work)

    def sources_beside(
        self, namespace: NetworkNamespace, interface: Interface, family: Family
    ) -> tuple[Sources, ...]:
        """The same of an interface of another namespace."""
        key = namespace.inode, interface.index, family
        work = partial(sources_beside, self.host, namespace, interface, family)
        return self.memo.once("beside", key, work)

    def filtered(self, namespace: NetworkNamespace, query: Query) -> Reach:
        """The packet filter's answer."""

        def ask() -> Reach:
            shut = (namespace.inode, query.interface) in self._shielded
            return stopped(query) if shut else reach(namespace, query)

        return self.memo.once("filtered", (namespace.inode, query), ask)

    def translations(self, namespace: NetworkNamespace) -> Translations | Unknown:
        """What the rules of a namespace may do with destinations."""
        return self.memo.once("translations", namespace.inode, lambda: translations(namespace))

    def translated_ports(self, namespace: NetworkNamespace) -> Ports:
        """The ports that rules of a namespace may translate."""

        def look() -> Ports:
            found = self.translations(namespace)
            each = () if isinstance(found, Unknown) else found.translations
            return reduce(or_, (translation.ports for translation in each), NO_PORT)

        return self.memo.once("translated ports", namespace.inode, look)

    @cached_property
    def _shielded(self) -> frozenset[tuple[int, str]]:
        return shielded(self.snapshot)

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


def terrain_of(host: HostSnapshot | Terrain) -> Terrain:
    """The terrain of a host of which there may be one at hand."""
    return host if isinstance(host, Terrain) else Terrain(host)
