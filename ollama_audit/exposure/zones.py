"""Zones: which source addresses stand for host, container, LAN, VPN and internet.

A zone is a view on the answer of the packet filter, never an input to it: for each interface
and family, the sources that can be expected there are cut out of the sets that get through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.model import Zone
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import Family, Interface, NetworkNamespace, Route

_CONTAINER_NAMES = re.compile(
    r"(docker|podman|cni|cbr|virbr|lxcbr|lxdbr|incusbr|nerdctl|flannel|ve-|vb-|veth|cali|lxc)"
    r"|br-[0-9a-f]{12}$"
)
"""Bridges and links as Docker, Podman, libvirt, LXC/Incus, nspawn and CNI plugins name them."""

_VPN_KINDS = {"wireguard", "tun", "ppp", "ipip", "sit", "gre", "ip6tnl", "vti", "vti6", "xfrm"}
_VPN_NAMES = re.compile(
    r"(wg|tun|tap|tailscale|zt|nebula|utun|ppp|wt|ipsec|vti|nordlynx)[-0-9a-z]*"
)

_LINK_LOCAL = {Family.IPV4: ("169.254.0.0/16",), Family.IPV6: ("fe80::/64",)}
_LOOPBACK = {Family.IPV4: ("127.0.0.0/8",), Family.IPV6: ("::1/128",)}
_PRIVATE = {
    Family.IPV4: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    Family.IPV6: ("fc00::/7",),
}
"""RFC 1918 and RFC 4193."""
_NEVER_INTERNET = {
    Family.IPV4: (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/3",  # multicast and reserved
    ),
    Family.IPV6: ("::/8", "fe80::/10", "ff00::/8"),
}
_SHARED = ("100.64.0.0/10",)
"""RFC 6598: carriers use it between a customer and the internet, Tailscale between its peers."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of one zone behind one interface, in one family."""

    zone: Zone
    core: AddressSet
    """Who is surely there: the connected networks, or the public internet."""
    wider: AddressSet
    """Who may be there as well, such as private networks behind the gateway; includes `core`."""


def version(family: Family) -> int:
    """4 or 6, as `ipaddress` and `AddressSet` count."""
    return 4 if family is Family.IPV4 else 6


def interface_zone(namespace: NetworkNamespace, interface: Interface) -> Zone:
    """What the interface connects to, judged by its kind, its ports and its conventional name."""
    if interface.loopback:
        return Zone.HOST
    if _CONTAINER_NAMES.match(interface.name) or _bridges_guests(namespace, interface):
        return Zone.CONTAINER
    if interface.kind in _VPN_KINDS or _VPN_NAMES.fullmatch(interface.name):
        return Zone.VPN
    return Zone.LAN


def _bridges_guests(namespace: NetworkNamespace, interface: Interface) -> bool:
    """Whether a bridge joins nothing but containers and virtual machines, whatever its name."""
    if interface.kind != "bridge":
        return False
    ports = [i for i in known_or(namespace.interfaces, ()) if i.master == interface.index]
    uplink = any(
        interface.index in route.interfaces and route.prefix_length == 0
        for route in known_or(namespace.routes, ())
    )
    return bool(ports) and not uplink and all(port.kind in {"veth", "tun"} for port in ports)


def public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the internet can address it without a router's translation.

    Documentation ranges count as public: nothing keeps a router from forwarding them, and a
    host that carries one is not thereby shielded.
    """
    family = Family.IPV4 if address.version == 4 else Family.IPV6
    return address in _internet(family)


@cache
def _networks(family: Family, *networks: str) -> AddressSet:
    return AddressSet.from_networks(networks, version(family))


@cache
def _internet(family: Family) -> AddressSet:
    outside = _networks(family, *_PRIVATE[family], *_NEVER_INTERNET[family])
    return ~(outside | _networks(family, *(_SHARED if family is Family.IPV4 else ())))


def own_addresses(namespace: NetworkNamespace, family: Family) -> AddressSet:
    """The addresses of the namespace's interfaces, loopback included."""
    return _networks(family, *_LOOPBACK[family]) | AddressSet.from_networks(
        (
            address.address
            for interface in known_or(namespace.interfaces, ())
            for address in interface.addresses
            if address.family is family
        ),
        version(family),
    )


def no_clients(namespace: NetworkNamespace, family: Family) -> AddressSet:
    """What no other machine sends from: our own addresses, and our networks' broadcast ones.

    Of a network with fewer than three addresses none is a broadcast address (RFC 3021).
    """
    broadcast = [
        str(address.network[-1])
        for interface in known_or(namespace.interfaces, ())
        for address in interface.addresses
        if address.family is family is Family.IPV4
        and address.prefix_length < 31
        and not interface.loopback
    ]
    own = own_addresses(namespace, family)
    return own | AddressSet.from_networks(broadcast, version(family)) if broadcast else own


def sources_behind(
    namespace: NetworkNamespace, interface: Interface, family: Family
) -> tuple[Sources, ...]:
    """The zones behind an interface with the sources of each; empty zones are left out."""
    zone = interface_zone(namespace, interface)
    if zone is Zone.HOST:
        own = own_addresses(namespace, family)
        return (Sources(zone, own, own),)
    own = no_clients(namespace, family)
    routes = [
        route
        for route in known_or(namespace.routes, ())
        if route.family is family and interface.index in route.interfaces
    ]
    near = _near(interface, routes, family)
    default = any(route.prefix_length == 0 and route.type == "unicast" for route in routes)
    elsewhere = _elsewhere(namespace, interface, family)
    core, wider = near - own, near
    if default and zone is Zone.LAN:
        wider = near | (_private(family) - elsewhere)
    found = [Sources(zone, core, (wider | core) - own)]
    if default:
        internet = _internet(family) | (
            _networks(family, *_SHARED) if family is Family.IPV4 else AddressSet.nothing(6)
        )
        beyond = internet - near - elsewhere - own
        found.append(Sources(Zone.INTERNET, _internet(family) & beyond, beyond))
    return tuple(sources for sources in found if sources.wider)


def _private(family: Family) -> AddressSet:
    return _networks(family, *_PRIVATE[family])


def _near(interface: Interface, routes: list[Route], family: Family) -> AddressSet:
    """Connected networks, link-local addresses, and what is routed through the interface."""
    connected = AddressSet.from_networks(
        (address.network for address in interface.addresses if address.family is family),
        version(family),
    )
    routed = AddressSet.from_networks(
        (route.network for route in routes if route.type == "unicast" and route.prefix_length),
        version(family),
    )
    usable = any(address.family is family for address in interface.addresses)
    local = usable and not interface.point_to_point and family is Family.IPV6
    link = _networks(family, *_LINK_LOCAL[family]) if local else AddressSet.nothing(version(family))
    multicast = _networks(family, "224.0.0.0/3" if family is Family.IPV4 else "ff00::/8")
    return (connected | routed | link) - multicast


def _elsewhere(namespace: NetworkNamespace, interface: Interface, family: Family) -> AddressSet:
    """What is connected to or routed through other interfaces."""
    return AddressSet.from_networks(
        (
            route.network
            for route in known_or(namespace.routes, ())
            if route.family is family
            and route.interfaces
            and interface.index not in route.interfaces
            and route.prefix_length
            and route.type == "unicast"
        ),
        version(family),
    ) - _networks(family, *_LINK_LOCAL[family])


def uplink_of(host: NetworkNamespace, inner: Interface) -> Interface | None:
    """The host's device whose network a container's interface is on as a machine of its own.

    That is the device below a macvlan or ipvlan, and the bridge that joins its veth with a
    network card; None for one behind the host, as on a bridge of containers.
    """
    devices = {each.index: each for each in known_or(host.interfaces, ())}
    found = devices.get(inner.parent)
    if found is None or inner.kind not in {"macvlan", "ipvlan", "veth"}:
        return None
    if inner.kind == "veth":
        joined = found.kind == "veth" and found.parent == inner.index
        found = devices.get(found.master) if joined and found.master_kind == "bridge" else None
    return found if found and interface_zone(host, found) is Zone.LAN else None


def sources_beside(
    host: NetworkNamespace | None,
    namespace: NetworkNamespace,
    interface: Interface,
    family: Family,
) -> tuple[Sources, ...]:
    """The zones behind an interface of a namespace that is not the host's.

    Its neighbours are containers; the host itself is among them by its address there. Whoever is
    farther away comes through the host and is asked for at its interfaces. On a network that the
    host is on as well it has the host's neighbours, and what is behind their router.
    """
    if interface.loopback:
        return ()
    if host and (uplink := uplink_of(host, interface)):
        the_host = own_addresses(host, family)
        apart = uplink.kind != "bridge"  # a macvlan does not talk to the device below it
        others = [
            Sources(found.zone, found.core - the_host, found.wider - the_host)
            for found in sources_behind(namespace, interface, family)
        ]
        near = _near(interface, [], family) & the_host
        return (*(() if apart or not near else (Sources(Zone.HOST, near, near),)), *others)
    near = _near(interface, [], family) - no_clients(namespace, family)
    the_host = own_addresses(host, family) & near if host else AddressSet.nothing(version(family))
    found = (
        Sources(Zone.HOST, the_host, the_host),
        Sources(Zone.CONTAINER, near - the_host, near - the_host),
    )
    return tuple(sources for sources in found if sources.wider)
