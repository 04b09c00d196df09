"""What decides where the host does not: a router, a carrier, a cloud, or nothing at all.

A host sees its own addresses and filters. Whether the internet gets as far as that is decided by
a router's translation, a carrier's, or a cloud's security group; here is said which of them it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from ollama_audit.exposure.approach import approach
from ollama_audit.exposure.edge import AddressKind, described, kind
from ollama_audit.exposure.model import Endpoint, Gap, Zone
from ollama_audit.exposure.survey import outside
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import interface_zone, public
from ollama_audit.firewall.answer import Query
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.edge import Cloud, Forwarding, Router
from ollama_audit.snapshot.network import Family, Interface, InterfaceAddress, NetworkNamespace

_NAMED = 3
"""How many addresses a sentence names before it counts the rest."""

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


def beyond_host(
    terrain: Terrain, endpoints: Iterable[Endpoint]
) -> tuple[tuple[str, ...], tuple[Gap, ...]]:
    """Who decides, where this host lets the internet in: a sentence for each kind of address.

    And where a router said that it forwards, and not whether the internet gets as far as to it.
    """
    host = terrain.host
    if host is None:
        return (), ()
    own = {
        address.address: (interface, address)
        for interface in known_or(host.interfaces, ())
        for address in interface.addresses
    }
    found = _Found()
    for endpoint in endpoints:
        _look(terrain, host, endpoint, found)
    edge = _Edge(terrain, known_or(terrain.snapshot.edge.cloud, Cloud.NONE))
    here = [own[address] for address in found.reached if address in own]
    said = (
        *edge.translated([own[address] for address in found.translated]),
        *edge.inner(list(found.inner)),
        *edge.brought(list(found.brought)),
        *edge.public4(here),
        *edge.public6(here),
    )
    return said, tuple(_gaps(terrain, list(found.vague)))


@dataclass(slots=True)
class _Found:
    """Addresses of the host, and translations before it in words; each once, as met."""

    reached: dict[str, None] = field(default_factory=dict)
    """The internet gets there, as far as the host decides."""
    translated: dict[str, None] = field(default_factory=dict)
    """It would, and cannot send to them by itself."""
    brought: dict[str, None] = field(default_factory=dict)
    """A translation brings it there."""
    inner: dict[str, None] = field(default_factory=dict)
    """One leads there from an address that is not public."""
    vague: dict[str, None] = field(default_factory=dict)
    """One leads there from an address that was not told."""


def _look(terrain: Terrain, host: NetworkNamespace, endpoint: Endpoint, found: _Found) -> None:
    port = endpoint.port
    reached = {each: None for part in endpoint.toward(Zone.INTERNET) for each in part.destinations}
    found.reached |= reached
    for address in reached:
        ways = terrain.brought_to(address, port)
        found.brought |= {_way(each, address, port): None for each in ways}
    for address in _behind_translation(terrain, host, endpoint):
        if address in reached:
            continue
        found.translated[address] = None
        for each in terrain.forwardings:
            if each.internal == address and each.internal_port in (0, port):
                side = found.inner if each.external else found.vague
                side[_way(each, address, port)] = None


def _way(forwarding: Forwarding, address: str, port: int) -> str:
    """`203.0.113.9:8080 to 192.168.1.10:11434`, and for whom, if not for all."""
    only = f" (for {forwarding.remote})" if forwarding.remote else ""
    return f"{outside(forwarding, port)} to {address}:{port}{only}"


def _gaps(terrain: Terrain, ways: list[str]) -> Iterator[Gap]:
    """Where a router forwards, and it is not known whether the internet gets as far as to it."""
    router = terrain.snapshot.edge.router
    if ways and isinstance(router, Known):
        told = router.value.external_address
        why = told.reason if isinstance(told, Unknown) else "its address is missing"
        yield Gap(
            subject=f"the router {router.value.address}",
            reason=f"it forwards port {_and([way.removeprefix(':') for way in ways])}, and whether "
            f"its own address is public is not known: {why}",
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
        behind = terrain.sources_behind(host, interface, Family.IPV4)
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
                decides.setdefault(interface.name, []).append(own)
        for name, addresses in decides.items():
            interface = next(link for link, _ in owned if link.name == name)
            vpn = interface_zone(self.terrain.host, interface) is Zone.VPN
            yield (
                f"{self._translator(self.terrain.host, interface)} whether the IPv4 internet gets "
                f"to {_listed(addresses)}: this host would not stop it."
                f"{'' if vpn else self._asked()}"
            )

    def inner(self, ways: list[str]) -> Iterator[str]:
        """What a known translation means that does not start at a public address."""
        if ways:
            yield (
                f"A translation before this host leads from {_and(ways)}, and not from a public "
                "address: another one farther out decides whether the internet gets as far."
            )

    def _asked(self) -> str:
        """What they answered who were asked, or how to ask."""
        told: Observed[object] | None = self.terrain.snapshot.edge.router
        if self.cloud is not Cloud.NONE:
            told = self.terrain.snapshot.edge.public_addresses
        if told is None:
            option = "--cloud-metadata" if self.cloud else "--ask-router"
            return f" `ollama-audit {option}` asks."
        more = ""
        if isinstance(told, Known) and isinstance(told.value, Router):
            more = _of_router(told.value)
            told = told.value.forwardings
        if isinstance(told, Unknown):
            return f" Asked, it told nothing: {told.reason}.{more}"
        return f" Asked, it named nothing that brings the internet there, which is no proof.{more}"

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
                if interface.index in route.interfaces
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
        if found:
            yield (
                f"No translation stands before the global IPv6 {_addresses(found)}: "
                f"{self._filters6} could keep the internet out."
            )

    @property
    def _filters6(self) -> str:
        if self.cloud is not Cloud.NONE:
            return f"only {self._provider}"
        router = self.terrain.snapshot.edge.router
        told = router.value.ipv6_firewall if isinstance(router, Known) else None
        if not isinstance(told, Known):
            return "only an IPv6 firewall in your router, if it has one,"
        if told.value:
            return "only the IPv6 firewall in your router, which it says is on,"
        return "your router says that its IPv6 firewall is off, so that only your provider's"


def _of_router(router: Router) -> str:
    cut = "" if router.complete else " Its list was not read to the end."
    if not router.protocols:
        return cut
    return f"{cut} Programs may have it open a port, by {_and(list(router.protocols))}."


def _addresses(found: list[InterfaceAddress]) -> str:
    return f"address{'es' * (len(found) > 1)} {_listed(found)}"


def _listed(found: list[InterfaceAddress]) -> str:
    return _and([described(own) for own in found])


def _and(names: list[str]) -> str:
    more = len(names) - _NAMED
    *most, last = names[:_NAMED] + ([f"{more} more"] if more > 0 else [])
    return f"{', '.join(most)} and {last}" if most else last
