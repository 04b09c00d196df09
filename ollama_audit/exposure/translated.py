"""Ports that nobody listens at, from which a translation (DNAT, REDIRECT) leads to Ollama.

Which ports those may be is read from the nat rules; of those only the ports are worth a question
from which a connection is sent to where an Ollama server, or a program that passes connections
on, listens. Whether and for whom it gets there is the packet filter's answer, as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, islice
from typing import Final, NamedTuple, TypeAlias

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.attempts import Attempt, attempts
from ollama_audit.exposure.leading import leading_ports, port_leads
from ollama_audit.exposure.model import Gap
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.firewall.answer import LOCAL_CLIENT, Query
from ollama_audit.firewall.ports import EVERY_PORT, Ports, parted, spans
from ollama_audit.firewall.translations import (
    Kind,
    Translation,
    Translations,
)
from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace

MOST_PORTS: Final = 256
"""Ranges of ports that are asked about in one namespace; of the rest there is a gap."""

MOST_ADDRESSES: Final = 16
"""Destinations of one rule that are asked for one by one."""

_DEFAULT_PORT: Final = 11434
_FAMILIES: Final = {4: Family.IPV4, 6: Family.IPV6}


Asked: TypeAlias = set[tuple[int, Query]]
"""What was tried, by namespace."""


@dataclass(frozen=True, slots=True)
class Door:
    """Ports that fare alike, and the sockets that they would be if somebody listened there."""

    first: int
    last: int
    listeners: tuple[Listener, ...]
    """At `first`: wildcards of the families, or one with the address that rules name."""

    @property
    def named(self) -> str:
        """The port or ports, for people."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def attempts(
        self, terrain: Terrain, namespace: NetworkNamespace, asked: Asked
    ) -> Iterator[Attempt]:
        """Everything that may be tried there, and was not for the sake of a real socket."""
        for listener in self.listeners:
            for attempt in attempts(terrain, namespace, listener):
                if (namespace.inode, attempt.query) not in asked:
                    yield attempt
            local = (namespace.inode, _query_from_here(listener, listener.family.loopback))
            if listener.wildcard and local not in asked:
                yield from _from_own_address(terrain, namespace, listener)


class Doors(NamedTuple):
    """The doors of a namespace, and why there may be others."""

    found: tuple[Door, ...] = ()
    gap: Gap | None = None


def doors(terrain: Terrain, namespace: NetworkNamespace) -> Doors:
    """The ports of a namespace that a translation may take to Ollama, ascending."""
    read = terrain.translations(namespace)
    if isinstance(read, Unknown):
        return Doors()  # every question about this namespace is answered so
    if not read.translations:
        return Doors()
    plan = _Plan(terrain, namespace, read)
    asked: dict[tuple[int, int, str], dict[Family, Listener]] = {}
    for each in read.translations:
        ports = plan.worth_asking(each)
        for span in parted(ports, plan.edges):
            for listener in _sockets(terrain, namespace, each, span[0]):
                key = (*span, "" if listener.wildcard else listener.address)
                asked.setdefault(key, {})[listener.family] = listener
    ordered = sorted(asked)
    found = tuple(
        Door(first, last, tuple(asked[first, last, address].values()))
        for first, last, address in ordered[:MOST_PORTS]
    )
    reason = plan.reason
    if len(ordered) > MOST_PORTS:
        reason = f"rules translate {len(ordered)} ports or ranges, of which {MOST_PORTS} were asked"
    if not reason:
        return Doors(found)
    name = "the host" if namespace.host else terrain.name_of_network(namespace)
    cure = "name the ports that matter: ollama-audit reach --to ADDRESS:PORT"
    return Doors(found, Gap(subject=f"translated ports of {name}", reason=reason, cure=cure))


class _Plan:
    """Which of a namespace's translations are worth a question."""

    def __init__(self, terrain: Terrain, namespace: NetworkNamespace, read: Translations) -> None:
        self.terrain = terrain
        self.namespace = namespace
        self.reason = read.reason
        named = spans(
            (port, port)
            for each in terrain.namespaces.values()
            for port in leading_ports(terrain, each)
        )
        self.edges = read.edges | named | named << 1 & EVERY_PORT

    def worth_asking(self, each: Translation) -> Ports:
        """The ports of a translation from which connections may get to somebody of interest."""
        if each.target.kind is Kind.UNKNOWN:
            return self._narrow(each)
        port = each.target.port
        if port is None:
            return each.ports & self._leading(each)
        return each.ports if self._leads(each, port) else 0

    def _narrow(self, each: Translation) -> Ports:
        """The ports of a translation to nobody knows where, unless it is about all of them."""
        if each.ports != EVERY_PORT:
            return each.ports
        rule = each.rule
        self.reason = self.reason or (
            f"a rule that is not modelled may translate every port "
            f"({rule.family} {rule.table} {rule.chain})"
        )
        return 0

    def _ends(self, each: Translation) -> list[NetworkNamespace]:
        """The namespaces that a translation may send to; none for another machine's."""
        target = each.target
        if target.kind is Kind.SOCKET or target.address in self.terrain.own_addresses(
            self.namespace, _FAMILIES[each.version]
        ):
            return [self.namespace]
        held = self.terrain.wires.holders(_address(target.address, each.version), self.namespace)
        return [inner for inner, _ in held]

    def _leads(self, each: Translation, port: int) -> bool:
        ends = self._ends(each)
        if self.namespace in ends:
            return self._socket_leads(port)
        # another machine's, or a container's that was not seen, may be an Ollama
        return (
            any(port_leads(self.terrain, end, port) for end in ends)
            if ends
            else (port == _DEFAULT_PORT)
        )

    def _socket_leads(self, port: int) -> bool:
        unread = isinstance(self.namespace.listeners, Unknown)
        return unread or port in leading_ports(self.terrain, self.namespace)

    def _leading(self, each: Translation) -> Ports:
        """The ports of its target that may lead to Ollama."""
        ends = self._ends(each)
        if any(isinstance(end.listeners, Unknown) for end in ends):
            return EVERY_PORT
        found = spans((port, port) for end in ends for port in leading_ports(self.terrain, end))
        for end in ends:
            found |= self.terrain.translated_ports(end) if end is not self.namespace else 0
        return found if ends else 1 << _DEFAULT_PORT


def _sockets(
    terrain: Terrain, namespace: NetworkNamespace, each: Translation, port: int
) -> Iterator[Listener]:
    """What would listen at a port if sockets and not rules took the connections."""
    family = _FAMILIES[each.version]
    own = terrain.own_addresses(namespace, family)
    few = each.addresses.size <= MOST_ADDRESSES
    if not few and own - _loopback(each.version) <= each.addresses:
        yield _socket(family, family.wildcard, port)
        return
    wanted = each.addresses if few else each.addresses & own
    numbers = chain.from_iterable(range(first, last + 1) for first, last in wanted.ranges())
    found = [_address(number, each.version) for number in islice(numbers, MOST_ADDRESSES)]
    for address in found or [str(each.addresses.witness())]:
        yield _socket(family, address, port)


def _address(number: int, ip_version: int) -> str:
    return str(IPv4Address(number) if ip_version == 4 else IPv6Address(number))


def _loopback(ip_version: int) -> AddressSet:
    return AddressSet.from_networks(("127.0.0.0/8" if ip_version == 4 else "::1/128",), ip_version)


def _socket(family: Family, address: str, port: int) -> Listener:
    return Listener(
        family=family,
        address=address,
        port=port,
        v6only=Known(family is Family.IPV6, "nf_tables"),
        inode=0,
        uid=0,
        owners=Known((), "nf_tables"),
    )


def _from_own_address(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener
) -> Iterator[Attempt]:
    """From the host itself at an address that is not loopback, where rules may differ."""
    if not namespace.host:
        return
    interfaces = known_or(namespace.interfaces, ())
    own = [
        each.address
        for interface in interfaces
        for each in interface.addresses
        if interface.up and not interface.loopback
        if each.family is listener.family and not each.ip.is_link_local
    ]
    for interface in interfaces:
        if interface.loopback and own:
            sources = terrain.sources_behind(namespace, interface, listener.family)
            yield Attempt(namespace, _query_from_here(listener, own[0]), sources)


def _query_from_here(listener: Listener, address: str) -> Query:
    return Query(
        family=listener.family, interface=LOCAL_CLIENT, address=address, port=listener.port
    )
