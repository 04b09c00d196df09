"""The attempts that settle who reaches a socket: over which interfaces, at which addresses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.forwarders.rootless import carries
from ollama_audit.exposure.model import Zone
from ollama_audit.exposure.sockets import families
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import (
    Sources,
    public,
    uplink_of,
)
from ollama_audit.firewall.answer import LOCAL_CLIENT, Query
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import (
    Family,
    Interface,
    InterfaceAddress,
    Listener,
    NetworkNamespace,
)


class Attempt(NamedTuple):
    """A connection attempt, and those who may make it."""

    namespace: NetworkNamespace
    query: Query
    sources: tuple[Sources, ...]
    martian: bool = False
    """The kernel drops it before it gets to the socket, whoever sends it."""


def attempts(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener
) -> Iterator[Attempt]:
    """Everything that may be tried at one socket."""
    yield from _inside(terrain, namespace, listener)
    if not namespace.host and terrain.host is not None:
        yield from _outside(terrain, terrain.host, namespace, listener)


def _inside(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> Iterator[Attempt]:
    """Over every interface of the listener's own namespace."""
    for interface in known_or(namespace.interfaces, ()):
        if not interface.receives:
            continue
        martian = _martian(terrain, namespace, listener, interface)
        for family in families(listener):
            name = LOCAL_CLIENT if interface.loopback else interface.name
            if namespace.host:
                behind = terrain.sources_behind(namespace, interface, family)
            elif interface.kind == "tun" and carries(terrain, namespace):
                behind = ()
            else:
                behind = terrain.sources_beside(namespace, interface, family)
            if not namespace.host and _filtered_on_a_bridge(terrain.host, interface, family):
                continue
            for destination in _destinations(terrain, namespace, listener, interface, family):
                query = Query(
                    family=family, interface=name, address=destination, port=listener.port
                )
                sources = behind if martian else _sending(terrain, query, behind)
                yield Attempt(namespace, query, tuple(sources), martian)


def unasked(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener
) -> Iterator[tuple[Family, str, str]]:
    """The families in which nobody beyond the host can be asked for, why, and what would help."""
    if listener.on_loopback:
        return
    for family in families(listener):
        if isinstance(namespace.interfaces, Unknown):
            yield family, namespace.interfaces.reason, namespace.interfaces.cure
            continue
        for interface in namespace.interfaces.value:
            if not namespace.host and _filtered_on_a_bridge(terrain.host, interface, family):
                reason = (
                    "what the host bridges to it passes br_netfilter, and is not followed there"
                )
                yield family, reason, "sysctl net.bridge.bridge-nf-call-iptables=0, and ip6tables"


def _filtered_on_a_bridge(
    host: NetworkNamespace | None, interface: Interface, family: Family
) -> bool:
    """Whether packets of the host's neighbours to a bridged container pass iptables, too.

    The kernel gives them to it while br_netfilter is loaded (Linux ip-sysctl.rst).
    """
    uplink = uplink_of(host, interface) if host else None
    if host is None or uplink is None or uplink.kind != "bridge":
        return False
    name = "iptables" if family is Family.IPV4 else "ip6tables"
    return known_or(host.sysctls, {}).get(f"bridge.bridge-nf-call-{name}", "0") != "0"


def _sending(terrain: Terrain, query: Query, behind: tuple[Sources, ...]) -> Iterator[Sources]:
    """Those of the sources behind an interface that can send to an address of the host.

    Of the internet, all where the address is public, and else whoever a translation beyond the
    host brings there.
    """
    brought = terrain.brought_to(query.address, query.port)
    everybody = public(ip_address(query.address)) or any(not each.remote for each in brought)
    named = AddressSet.from_networks((each.remote for each in brought if each.remote), 4)
    for sources in behind:
        if sources.zone is not Zone.INTERNET or everybody:
            yield sources
        elif named:
            yield Sources(sources.zone, sources.core, sources.wider & named)


def _martian(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, interface: Interface
) -> bool:
    """Whether the kernel drops whatever comes from outside for this loopback socket.

    It does so for 127.0.0.0/8 unless route_localnet is set (ip-sysctl.rst), and for ::1 always.
    A translation may still take such a packet elsewhere, as Docker's do for a port published on
    127.0.0.1; so this holds for Ollama's own sockets, and for one whose owner is not seen but is
    an ordinary user.
    """
    if not listener.on_loopback or interface.loopback:
        return False
    owners = listener.owners
    if isinstance(owners, Unknown):
        if listener.uid == 0:
            return False
    elif not any(pid in terrain.servers for pid in owners.value):
        return False
    keys = [f"ipv4.conf.{name}.route_localnet" for name in ("all", interface.name)]
    sysctls = known_or(namespace.sysctls, {})
    return listener.ip.version == 6 or all(sysctls.get(key) == "0" for key in keys)


def _outside(
    terrain: Terrain, host: NetworkNamespace, inner: NetworkNamespace, listener: Listener
) -> Iterator[Attempt]:
    """Over the host's interfaces for a listener in another namespace, by its own address.

    A neighbour may set a route to a container's address through the host.
    """
    if listener.on_loopback:
        return
    for device, target in _addresses(inner):
        if terrain.wires.linked(host, device) is False:
            continue  # its network is not one that the host routes to
        if target.family not in families(listener) or target.ip.is_link_local:
            continue
        if not listener.wildcard and listener.ip != target.ip:
            continue
        for interface in known_or(host.interfaces, ()):
            if interface.loopback or not interface.receives:
                continue
            query = Query(
                family=target.family,
                interface=interface.name,
                address=target.address,
                port=listener.port,
            )
            behind = terrain.sources_behind(host, interface, target.family)
            beyond = _sending(terrain, query, behind)
            near = terrain.zone(host, interface) is Zone.CONTAINER and any(
                target.ip in own.network for own in interface.addresses
            )
            if not near:  # those are neighbours on one bridge, and were asked inside
                yield Attempt(host, query, tuple(beyond))


def _addresses(namespace: NetworkNamespace) -> Iterator[tuple[Interface, InterfaceAddress]]:
    for interface in known_or(namespace.interfaces, ()):
        if interface.up and not interface.loopback:
            yield from ((interface, own) for own in interface.addresses if not own.tentative)


def _delivered(namespace: NetworkNamespace) -> Iterator[tuple[Interface, InterfaceAddress]]:
    """The addresses at which a namespace takes what comes in from elsewhere.

    IPv4 addresses stay when their link goes down (fib_sync_down_dev() of net/ipv4/fib_semantics.c
    spares local routes), and loopback may have others than its own.
    """
    for interface in known_or(namespace.interfaces, ()):
        for own in interface.addresses:
            there = interface.up or own.family is Family.IPV4
            if there and not own.tentative and not own.ip.is_loopback:
                yield interface, own


def _destinations(
    terrain: Terrain,
    namespace: NetworkNamespace,
    listener: Listener,
    interface: Interface,
    family: Family,
) -> tuple[str, ...]:
    """The addresses at which clients behind an interface may try a listener."""
    if not listener.wildcard:
        return (str(listener.ip),)
    if interface.loopback:
        return (family.loopback,)
    key = namespace.inode, interface.index, family
    work = partial(_everywhere, terrain, namespace, interface, family)
    return terrain.memo.once("destinations", key, lambda: tuple(work()))


def _everywhere(
    terrain: Terrain, namespace: NetworkNamespace, interface: Interface, family: Family
) -> Iterator[str]:
    """The addresses at which clients behind an interface may try one that listens at all.

    Linux answers for every address of the host at every interface (the weak host model). Between
    containers and others, where bridges may be in hundreds, one address stands for all that no
    rule tells from it.
    """
    across: list[InterfaceAddress] = []
    told_apart = terrain.told_apart(namespace, family)
    seen = set()
    # Its own addresses first: they are what clients there know the host by.
    for owner, own in sorted(_delivered(namespace), key=lambda p: p[0].index != interface.index):
        crossing = owner.index != interface.index
        if own.family is not family or (crossing and own.ip.is_link_local):
            continue
        zones = (terrain.zone(namespace, each) for each in (owner, interface))
        if crossing and Zone.CONTAINER in zones:
            across.append(own)
        else:
            seen.add(told_apart.key(int(own.ip)))
            yield own.address
    for own in across:
        key = told_apart.key(int(own.ip))
        if key not in seen:
            seen.add(key)
            yield own.address
