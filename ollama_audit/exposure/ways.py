"""Where a process's own connection goes: to its own network, to a neighbour's, or to its router.

Containers of one bridge are neighbours; whatever else they address goes through the namespace
that the bridge is in, mostly the host's, and through its packet filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from ollama_audit.exposure.terrain import Terrain
from ollama_audit.firewall.answer import LOCAL_CLIENT
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import Interface, NetworkNamespace


class Way(NamedTuple):
    """Where a connection arrives."""

    namespace: NetworkNamespace
    interface: str
    """By name, as `firewall.answer.Query` has it."""
    source: str
    """The client's address as it is seen there; empty when it is not known."""


def ways(terrain: Terrain, namespace: NetworkNamespace, address: str) -> tuple[Way, ...]:
    """Where connections from a namespace to an address arrive on this host; none: on no part of it.

    Of several ways it is not known which one is taken.
    """
    if terrain.wires.interface(namespace, address) is not None:
        return (Way(namespace, LOCAL_CLIENT, address),)
    source = terrain.wires.neighbour(namespace, address)
    segments = terrain.wires.segments(namespace)
    near = [
        Way(inner, interface.name, source)
        for inner, interface in terrain.wires.held(address)
        if inner.inode != namespace.inode and terrain.wires.segment(interface) in segments
    ]
    near = near or [
        Way(inner, interface.name, source)
        for inner, interface in terrain.wires.holders(address, namespace)
    ]
    return tuple(near or _through_routers(terrain, namespace, address))


def _through_routers(terrain: Terrain, namespace: NetworkNamespace, address: str) -> Iterator[Way]:
    """The namespaces that have the other end of the links by which the address is routed."""
    for own in _egress(namespace, address):
        source = _address(own, address)
        if own.kind == "tun" and terrain.host and terrain.wires.interface(terrain.host, address):
            # A helper holds it, and connects for the container as a program of the host.
            yield Way(terrain.host, LOCAL_CLIENT, address)
        elif (outer := terrain.wires.outer_end(own)) is not None:
            router, device = outer
            if terrain.wires.interface(router, address) or terrain.wires.held(address):
                masters = (i for i in known_or(router.interfaces, ()) if i.index == device.master)
                yield Way(router, next(masters, device).name, source)


def _egress(namespace: NetworkNamespace, address: str) -> list[Interface]:
    """The interfaces by which a namespace sends to an address that is not its own."""
    target = ip_address(address)
    usable = [each for each in known_or(namespace.interfaces, ()) if not each.loopback and each.up]
    routes = [
        (route.prefix_length, route.interfaces)
        for route in known_or(namespace.routes, ())
        if route.type == "unicast" and route.network.version == target.version
        if target in route.network
    ]
    best = max(routes, default=(-1, ()))
    return [each for each in usable if each.index in best[1]] or usable


def _address(interface: Interface, address: str) -> str:
    """The address of an interface that its packets to another one carry."""
    target = ip_address(address)
    return next(
        (
            own.address
            for own in interface.addresses
            if own.ip.version == target.version and not own.ip.is_link_local
        ),
        "",
    )
