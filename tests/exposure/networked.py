"""Hosts with interfaces, addresses and routes, and no packet filter, for tests of zones."""

from __future__ import annotations

from ipaddress import ip_interface

import msgspec

from ollama_audit.observed import Known
from ollama_audit.snapshot.edge import Cloud, Edge
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import (
    Family,
    Interface,
    InterfaceAddress,
    NetworkNamespace,
    PolicyRule,
    Route,
)
from tests.hosts import host, namespace, namespaces

LO = Interface(
    index=1,
    name="lo",
    type=772,
    loopback=True,
    addresses=(
        InterfaceAddress(family=Family.IPV4, address="127.0.0.1", prefix_length=8, scope="host"),
        InterfaceAddress(family=Family.IPV6, address="::1", prefix_length=128, scope="host"),
    ),
)

RULES = tuple(
    PolicyRule(family=family, priority=priority, table=table)
    for family, tables in ((Family.IPV4, (255, 254, 253)), (Family.IPV6, (255, 254)))
    for priority, table in zip((0, 32766, 32767), tables, strict=False)
)
"""What every kernel starts with (ip-rule(8))."""


def _sysctls(names: tuple[str, ...]) -> list[str]:
    settings = ("forwarding", "rp_filter", "accept_local", "src_valid_mark", "route_localnet")
    keys = [f"ipv4.conf.{name}.{setting}" for name in names for setting in settings]
    return [*keys, "ipv4.ip_forward", *(f"ipv6.conf.{name}.forwarding" for name in names)]


def address(text: str, *, temporary: bool = False, deprecated: bool = False) -> InterfaceAddress:
    """An address with its prefix length: `192.168.1.10/24`."""
    found = ip_interface(text)
    return InterfaceAddress(
        family=Family.IPV4 if found.version == 4 else Family.IPV6,
        address=str(found.ip),
        prefix_length=found.network.prefixlen,
        temporary=temporary,
        deprecated=deprecated,
    )


def link(
    *addresses: str | InterfaceAddress, index: int = 2, name: str = "eth0", kind: str = ""
) -> Interface:
    """An interface that is up."""
    return Interface(
        index=index,
        name=name,
        kind=kind,
        addresses=tuple(address(a) if isinstance(a, str) else a for a in addresses),
    )


def default(gateway: str, interface: int = 2) -> Route:
    """A default route."""
    family = Family.IPV6 if ":" in gateway else Family.IPV4
    return Route(
        family=family,
        destination="::" if ":" in gateway else "0.0.0.0",
        prefix_length=0,
        table=254,
        interface=interface,
        gateway=gateway,
    )


def space(
    *links: Interface, routes: tuple[Route, ...], listening: str = "[::]:11434"
) -> NetworkNamespace:
    """The host's network namespace; networks that it is connected to have their routes."""
    connected = tuple(
        Route(
            family=own.family,
            destination=str(own.network.network_address),
            prefix_length=own.network.prefixlen,
            table=254,
            interface=each.index,
        )
        for each in links
        for own in each.addresses
    )
    local = tuple(
        Route(
            family=own.family,
            destination=own.address,
            prefix_length=own.family.bits,
            table=255,
            type="local",
            interface=each.index,
        )
        for each in (LO, *links)
        for own in each.addresses
    )
    names = ("all", "lo", *(each.name for each in links))
    return msgspec.structs.replace(
        namespace(listening),
        policy_rules=Known(RULES, "rtnetlink"),
        sysctls=Known(dict.fromkeys(_sysctls(names), "0"), "/proc/sys/net"),
        interfaces=Known((LO, *links), "rtnetlink"),
        routes=Known((*connected, *local, *routes), "rtnetlink"),
    )


def networked(
    *links: Interface,
    routes: tuple[Route, ...],
    listening: str = "[::]:11434",
    edge: Edge | None = None,
) -> HostSnapshot:
    """A host that lets everybody in."""
    found = host(namespaces=namespaces(space(*links, routes=routes, listening=listening))).snapshot
    return msgspec.structs.replace(found, edge=edge or Edge(cloud=Known(Cloud.NONE, "DMI")))
