"""The edge: what kind of address the host has, and what decides where the host does not.

A host sees its own addresses and filters. Whether the internet gets as far as that is decided by
a router's translation, a carrier's, or a cloud's security group; here is said which of them it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ollama_audit.exposure.approach import approach
from ollama_audit.exposure.model import Endpoint, Zone
from ollama_audit.exposure.survey import outside
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import interface_zone, public, sources_behind
from ollama_audit.firewall.answer import Query
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.edge import Cloud
from ollama_audit.snapshot.network import Family, Interface, InterfaceAddress, NetworkNamespace

_NAMED = 3
"""How many addresses a sentence names before it counts the rest."""


class AddressKind(StrEnum):
    """What an address is for, by the IANA special-purpose address registries (RFC 6890)."""

    GLOBAL = "a public address"
    PRIVATE = "a private address"
    """RFC 1918."""
    SHARED = "an address behind a carrier's translation"
    """RFC 6598; Tailscale gives them to its peers too."""
    UNIQUE_LOCAL = "a unique local address"
    """RFC 4193."""
    LINK_LOCAL = "a link-local address"
    """RFC 3927, RFC 4291."""
    LOOPBACK = "a loopback address"
    DOCUMENTATION = "a documentation range"
    """RFC 5737, RFC 3849, RFC 9637; judged as public, as nothing keeps a router from forwarding."""
    SIX_TO_FOUR = "6to4"
    """RFC 3056: an IPv6 address made of a public IPv4 address."""
    TEREDO = "Teredo"
    """RFC 4380: IPv6 in UDP, through a translation of IPv4."""
    NAT64 = "NAT64"
    """RFC 6052, RFC 8215: stands for an IPv4 address."""
    OTHER = "a reserved address"


_KINDS = (
    ("127.0.0.0/8", AddressKind.LOOPBACK),
    ("10.0.0.0/8", AddressKind.PRIVATE),
    ("172.16.0.0/12", AddressKind.PRIVATE),
    ("192.168.0.0/16", AddressKind.PRIVATE),
    ("100.64.0.0/10", AddressKind.SHARED),
    ("169.254.0.0/16", AddressKind.LINK_LOCAL),
    ("192.0.2.0/24", AddressKind.DOCUMENTATION),
    ("198.51.100.0/24", AddressKind.DOCUMENTATION),
    ("203.0.113.0/24", AddressKind.DOCUMENTATION),
    ("::1/128", AddressKind.LOOPBACK),
    ("64:ff9b::/96", AddressKind.NAT64),
    ("64:ff9b:1::/48", AddressKind.NAT64),
    ("2001::/32", AddressKind.TEREDO),
    ("2001:db8::/32", AddressKind.DOCUMENTATION),
    ("3fff::/20", AddressKind.DOCUMENTATION),
    ("2002::/16", AddressKind.SIX_TO_FOUR),
    ("fc00::/7", AddressKind.UNIQUE_LOCAL),
    ("fe80::/10", AddressKind.LINK_LOCAL),
)


@cache
def _networks() -> tuple[tuple[IPv4Network | IPv6Network, AddressKind], ...]:
    return tuple((ip_network(network), kind) for network, kind in _KINDS)


def kind(address: IPv4Address | IPv6Address) -> AddressKind:
    """What an address is for."""
    for network, found in _networks():
        if address.version == network.version and address in network:
            return found
    return AddressKind.GLOBAL if public(address) else AddressKind.OTHER


def tells_mac(address: IPv4Address | IPv6Address) -> bool:
    """Whether an IPv6 address is made of its link's MAC address (modified EUI-64, RFC 4291 A)."""
    return address.version == 6 and int(address) >> 24 & 0xFFFF == 0xFFFE


def described(own: InterfaceAddress) -> str:
    """An address with what is worth knowing of it: `2001:db8::1 (temporary)`."""
    found = kind(own.ip)
    plain = {AddressKind.GLOBAL, AddressKind.PRIVATE, AddressKind.SHARED}
    marks = [
        "" if found in plain else str(found),
        "temporary" if own.temporary else "",
        "made of the link's MAC address" if tells_mac(own.ip) else "",
        "deprecated" if own.deprecated else "",
    ]
    said = ", ".join(mark for mark in marks if mark)
    return f"{own.address} ({said})" if said else own.address


_CLOUD_FILTERS = {
    Cloud.AMAZON: "Amazon EC2's security groups",
    Cloud.GOOGLE: "Google Cloud's firewall rules",
    Cloud.AZURE: "Azure's network security groups",
    Cloud.DIGITALOCEAN: "DigitalOcean's cloud firewall",
    Cloud.HETZNER: "Hetzner's cloud firewall",
    Cloud.OPENSTACK: "the OpenStack cloud's security groups",
    Cloud.ORACLE: "Oracle Cloud's security lists",
    Cloud.ALIBABA: "Alibaba Cloud's security groups",
    Cloud.SCALEWAY: "Scaleway's security groups",
    Cloud.VULTR: "Vultr's firewall",
}


def beyond_host(terrain: Terrain, endpoints: Iterable[Endpoint]) -> tuple[str, ...]:
    """Who decides, where this host lets the internet in: a sentence for each kind of address."""
    host = terrain.host
    if host is None:
        return ()
    own = {
        address.address: (interface, address)
        for interface in known_or(host.interfaces, ())
        for address in interface.addresses
    }
    open_to_all: dict[str, None] = {}
    translated: dict[str, None] = {}
    brought: dict[str, None] = {}
    for endpoint in endpoints:
        reached = {
            each: None for part in endpoint.toward(Zone.INTERNET) for each in part.destinations
        }
        open_to_all |= reached
        behind = dict.fromkeys(_behind_translation(terrain, host, endpoint))
        translated |= {each: None for each in behind if each not in reached}
        brought |= {
            f"{outside(each, endpoint.port)} to {address}:{endpoint.port}": None
            for address in reached
            for each in terrain.brought_to(address, endpoint.port)
        }
    edge = _Edge(terrain, known_or(terrain.snapshot.edge.cloud, Cloud.NONE))
    here = [own[address] for address in open_to_all if address in own]
    return (
        *edge.translated([own[address] for address in translated]),
        *edge.brought(list(brought)),
        *edge.public4(here),
        *edge.public6(here),
    )


def _behind_translation(
    terrain: Terrain, host: NetworkNamespace, endpoint: Endpoint
) -> Iterator[str]:
    """The host's own IPv4 addresses that only a translation keeps the internet from.

    Those at which this host would let it in, and to which it cannot send by itself.
    """
    if endpoint.namespace != host.inode or Family.IPV4 not in endpoint.families:
        return
    if endpoint.address and ip_address(endpoint.address).is_loopback:
        return
    for interface in known_or(host.interfaces, ()):
        private = [
            own
            for own in interface.addresses
            if own.family is Family.IPV4 and not (public(own.ip) or own.tentative)
        ]
        if interface.loopback or not private:
            continue
        behind = sources_behind(host, interface, Family.IPV4)
        outside = [sources.core for sources in behind if sources.zone is Zone.INTERNET]
        for own in private if outside else ():
            query = Query(
                family=Family.IPV4,
                interface=interface.name,
                address=own.address,
                port=endpoint.port,
            )
            if approach(terrain, host, query).possibly & outside[0]:
                yield own.address


_Owned = tuple[Interface, InterfaceAddress]


@dataclass(frozen=True, slots=True)
class _Edge:
    """The sentences about one host."""

    terrain: Terrain
    cloud: Cloud

    @property
    def _provider(self) -> str:
        return _CLOUD_FILTERS.get(self.cloud, "a filter of your provider, if there is one,")

    def translated(self, owned: list[_Owned]) -> Iterator[str]:
        """Who translates IPv4 for these addresses, which the internet cannot send to itself."""
        assert self.terrain.host is not None
        carrier = [own for _, own in owned if kind(own.ip) is AddressKind.SHARED]
        if carrier:
            yield (
                f"The IPv4 internet is unlikely to get to {_listed(carrier)}, as your carrier "
                "translates it for many customers (CGNAT); this host would not stop it. IPv6 is "
                "not translated."
            )
        decides: dict[str, list[InterfaceAddress]] = {}
        for interface, own in owned:
            if kind(own.ip) is not AddressKind.SHARED:
                decides.setdefault(self._translator(self.terrain.host, interface), []).append(own)
        for who, addresses in decides.items():
            yield (
                f"{who} whether the IPv4 internet gets to {_listed(addresses)}: this host would "
                f"not stop it.{self._asked()}"
            )

    def _asked(self) -> str:
        """What the provider answered who was asked, or how to ask."""
        if self.cloud is Cloud.NONE:
            return ""
        told = self.terrain.snapshot.edge.public_addresses
        if told is None:
            return " `ollama-audit --cloud-metadata` asks for the address."
        if isinstance(told, Unknown):
            return f" It was asked, and not told: {told.reason}."
        return " It was asked, and no address that leads there was named."

    def _translator(self, host: NetworkNamespace, interface: Interface) -> str:
        if interface_zone(host, interface) is Zone.VPN:
            return f"The far end of {interface.name} decides"
        if self.cloud is not Cloud.NONE:
            filters = _CLOUD_FILTERS[self.cloud]
            return f"A public address that the cloud translates (1:1 NAT) and {filters} decide"
        gateway = next(
            (
                f" ({route.gateway})"
                for route in known_or(host.routes, ())
                if route.interface == interface.index
                if route.family is Family.IPV4 and not route.prefix_length and route.gateway
            ),
            "",
        )
        return f"Your router{gateway}, by a port forwarding set by hand or by UPnP, decides"

    def brought(self, ways: list[str]) -> Iterator[str]:
        """What may stand before an address that a translation is known to lead to."""
        if ways:
            yield (
                f"A translation before this host leads from {_and(ways)}: only {self._provider} "
                "could keep the internet out."
            )

    def public4(self, owned: list[_Owned]) -> Iterator[str]:
        """What may stand before a public IPv4 address on an interface."""
        found = [own for _, own in owned if own.family is Family.IPV4 and public(own.ip)]
        if found:
            yield (
                f"No router's translation stands before the public IPv4 {_addresses(found)}: "
                f"only {self._provider} could keep the internet out."
            )

    def public6(self, owned: list[_Owned]) -> Iterator[str]:
        """What may stand before a global IPv6 address."""
        found = [own for _, own in owned if own.family is Family.IPV6]
        who = self._provider
        if self.cloud is Cloud.NONE:
            who = "an IPv6 firewall in your router, if it has one,"
        if found:
            yield (
                f"No translation stands before the global IPv6 {_addresses(found)}: only {who} "
                "could keep the internet out."
            )


def _addresses(found: list[InterfaceAddress]) -> str:
    return f"address{'es' * (len(found) > 1)} {_listed(found)}"


def _listed(found: list[InterfaceAddress]) -> str:
    return _and([described(own) for own in found])


def _and(names: list[str]) -> str:
    more = len(names) - _NAMED
    *most, last = names[:_NAMED] + ([f"{more} more"] if more > 0 else [])
    return f"{', '.join(most)} and {last}" if most else last
