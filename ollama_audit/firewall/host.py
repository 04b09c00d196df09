"""The IP layer of one network namespace: addresses, routes, policy rules, and what it drops.

Sources are the kernel's net/ipv4/{fib_frontend,fib_rules,route}.c and net/ipv6/{route,ip6_input,
ip6_output}.c, and Documentation/networking/ip-sysctl.rst; each statement was compared with a
running kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import cached_property
from ipaddress import ip_network
from typing import Final

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.policy_routing import NO_ROUTE, UNSURE, Destinations, Lookup, egress
from ollama_audit.observed import known_or, need
from ollama_audit.snapshot.network import (
    Family,
    Interface,
    NetworkNamespace,
    Route,
)

FAMILY: Final = {4: Family.IPV4, 6: Family.IPV6}
LOCAL_TABLE = 255

MULTICAST: Final = {
    4: AddressSet.from_networks(["224.0.0.0/4"], 4),
    6: AddressSet.from_networks(["ff00::/8"], 6),
}
LOOPBACK: Final = {
    4: AddressSet.from_networks(["127.0.0.0/8"], 4),
    6: AddressSet.from_networks(["::1"], 6),
}
UNSPECIFIED: Final = {4: AddressSet.single(0, 4), 6: AddressSet.single(0, 6)}
LIMITED_BROADCAST: Final = AddressSet.from_networks(["255.255.255.255"], 4)
LINK_LOCAL: Final = AddressSet.from_networks(["fe80::/10"], 6)
MAPPED: Final = AddressSet.from_networks(["::ffff:0:0/96"], 6)


class Host:
    """Addresses, routes and sysctls of a namespace, with every derived set kept."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        """Take the facts over.

        Raises:
            UnobservedError: Interfaces, routes or sysctls could not be read.
        """
        self.interfaces = {interface.name: interface for interface in need(namespace.interfaces)}
        self.names = {interface.index: interface.name for interface in self.interfaces.values()}
        self.sysctls = need(namespace.sysctls)
        self._routes = need(namespace.routes)
        rules = need(namespace.policy_rules)
        self._rules = {
            version: sorted(
                (rule for rule in rules if rule.family is family), key=lambda rule: rule.priority
            )
            for version, family in FAMILY.items()
        }
        self._by_mark = {
            version: any(rule.mark_mask for rule in found) for version, found in self._rules.items()
        }
        self._by_source = {
            version: any(rule.source or rule.other for rule in found)
            for version, found in self._rules.items()
        }
        self._listeners = known_or(namespace.listeners, ())
        self.written: Callable[[Hashable], int] = lambda _: 0
        """The ports about which rules may be that put clients on a list, as a set of bits."""
        self._connected: dict[tuple[int, str], AddressSet] = {}
        self._local: dict[tuple[int, str], AddressSet] = {}
        self._broadcast: AddressSet | None = None
        self._tables: dict[tuple[int, int], list[Destinations]] = {}
        self._egress: dict[tuple[int, Lookup], dict[str, AddressSet]] = {}
        self._beyond_links: dict[Lookup, dict[str, AddressSet]] = {}

    # Addresses

    def addresses(self, interface: Interface, version: int) -> list[int]:
        """The usable addresses of an interface, in its own order."""
        return [
            int(address.ip)
            for address in interface.addresses
            if address.family is FAMILY[version] and not address.tentative
        ]

    def local(self, version: int, interface: str = "") -> AddressSet:
        """Addresses that the kernel delivers to the host: its `local` table, anycast included."""
        key = (version, interface)
        if key not in self._local:
            ranges = list(self._local_routes(version, {"local", "anycast"}, interface))
            for name, link in self.interfaces.items():
                if not interface or name == interface:
                    ranges += [(value, value) for value in self.addresses(link, version)]
                    if link.loopback:
                        ranges += LOOPBACK[version].ranges()
            self._local[key] = AddressSet.from_ranges(ranges, version)
        return self._local[key]

    @cached_property
    def anycast(self) -> AddressSet:
        """IPv6 anycast addresses of the host: a router's in each of its networks (RFC 4291)."""
        unicast = self.own_addresses(6)
        return AddressSet.from_ranges(self._local_routes(6, {"anycast"}), 6) - unicast

    def connected(self, version: int, interface: str) -> AddressSet:
        """The networks of an interface's own addresses."""
        key = (version, interface)
        if key not in self._connected:
            networks = (
                address.network
                for address in self.interfaces[interface].addresses
                if address.family is FAMILY[version] and not address.ip.is_link_local
            )
            self._connected[key] = AddressSet.from_networks(networks, version)
        return self._connected[key]

    def routed(self, version: int, interface: str) -> AddressSet:
        """The networks behind an interface: routed to it by more than a default route's halves."""
        return AddressSet.from_ranges(
            (
                _range_of(route)
                for route in self._routes
                if route.family is FAMILY[version]
                and route.type == "unicast"
                and route.prefix_length > 1
                and interface in map(self.names.get, route.interfaces)
            ),
            version,
        )

    def own_addresses(self, version: int) -> AddressSet:
        """The addresses on interfaces, and IPv4's loopback network: `local`, but not anycast."""
        ranges = [
            (value, value)
            for link in self.interfaces.values()
            for value in self.addresses(link, version)
        ]
        if version == 4:
            ranges += LOOPBACK[4].ranges()
        return AddressSet.from_ranges(ranges, version)

    def _local_routes(
        self, version: int, types: set[str], interface: str = ""
    ) -> Iterable[tuple[int, int]]:
        for route in self._routes:
            if (
                route.family is FAMILY[version]
                and route.table == LOCAL_TABLE
                and route.type in types
                and (not interface or self.names.get(route.interface) == interface)
            ):
                yield _range_of(route)

    def broadcast_routes(self, interface: str = "") -> AddressSet:
        """IPv4 broadcast addresses in the local table."""
        return AddressSet.from_ranges(self._local_routes(4, {"broadcast"}, interface), 4)

    def broadcast(self) -> AddressSet:
        """IPv4 broadcast addresses, those that follow from the interfaces' networks included."""
        if self._broadcast is None:
            found = self.broadcast_routes() | LIMITED_BROADCAST
            for link in self.interfaces.values():
                for address in link.addresses:
                    if address.family is Family.IPV4 and address.prefix_length < 31:
                        last = int(
                            ip_network((address.address, address.prefix_length), strict=False)[-1]
                        )
                        if not link.loopback:
                            found = found | AddressSet.single(last, 4)
            self._broadcast = found
        return self._broadcast

    def users_at(self, port: int | None) -> frozenset[int]:
        """Whose sockets listen at a port."""
        return frozenset(each.uid for each in self._listeners if each.port == port)

    # Sysctls

    def setting(self, version: int, interface: str, name: str) -> int | None:
        """`net.ipv4.conf.INTERFACE.NAME` as a number; None when it was not read."""
        text = self.sysctls.get(f"ipv{version}.conf.{interface}.{name}")
        return int(text) if text is not None and text.strip().lstrip("-").isdigit() else None

    def any_setting(self, version: int, interface: str, name: str) -> bool | None:
        """A switch that counts if it is on for the interface or for `all` (IN_DEV_ORCONF)."""
        values = [self.setting(version, name_, name) for name_ in ("all", interface)]
        if any(values):
            return True
        return None if None in values else False

    def forwards(self, version: int, interface: str) -> bool | None:
        """Whether packets that come in through the interface may be routed on."""
        if version == 4:
            value = self.setting(4, interface, "forwarding")
            return None if value is None else bool(value)
        everywhere = self.setting(6, "all", "forwarding")
        forced = self.setting(6, interface, "force_forwarding")
        return None if everywhere is None else bool(everywhere or forced)

    def reverse_path_filter(self, interface: str) -> int | None:
        """rp_filter as it takes effect: the larger of `all` and the interface's own."""
        values = [self.setting(4, name, "rp_filter") for name in ("all", interface)]
        known = [value for value in values if value is not None]
        return max(known) if len(known) == 2 else None

    # Routes

    def depends_on_mark(self, version: int) -> bool:
        """Whether a policy rule looks at packet marks."""
        return self._by_mark[version]

    def egress(self, version: int, lookup: Lookup = Lookup()) -> dict[str, AddressSet]:  # noqa: B008 - immutable
        """Through which interface packets leave, by destination; `lo` for own addresses.

        The keys are interface names, NO_ROUTE and UNSURE. The sets hold every address, and one
        whose routes share their traffic is in the sets of several interfaces.
        """
        lookup = self._mattering(version, lookup)
        key = (version, lookup)
        if key not in self._egress:
            self._egress[key] = egress(self, version, self._rules[version], lookup)
        return self._egress[key]

    def _mattering(self, version: int, lookup: Lookup) -> Lookup:
        """The lookup without what no policy rule looks at."""
        if not self._by_mark[version]:
            lookup = lookup._replace(mark=0)
        if not self._by_source[version]:
            lookup = lookup._replace(source=None)
        return lookup

    def egress_beyond_links(self, lookup: Lookup) -> dict[str, AddressSet]:
        """The same of IPv6 without other machines' link-local addresses, which every link has."""
        lookup = self._mattering(6, lookup)
        if lookup not in self._beyond_links:
            neighbours = LINK_LOCAL - self.local(6)
            paths = self.egress(6, lookup)
            self._beyond_links[lookup] = {name: each - neighbours for name, each in paths.items()}
        return self._beyond_links[lookup]

    def route(self, version: int, address: int, lookup: Lookup = Lookup()) -> str:  # noqa: B008
        """The interface through which packets to an address leave, NO_ROUTE or UNSURE."""
        found = [name for name, part in self.egress(version, lookup).items() if address in part]
        return UNSURE if len(found) > 1 else (*found, NO_ROUTE)[0]

    def table(self, version: int, number: int) -> list[Destinations]:
        """A routing table as disjoint destinations, the longest prefix first."""
        key = (version, number)
        if key not in self._tables:
            self._tables[key] = self._read_table(version, number)
        return self._tables[key]

    def _read_table(self, version: int, number: int) -> list[Destinations]:
        if number == LOCAL_TABLE:
            return [Destinations(self.local(version), ("lo",), BITS[version])]
        left = AddressSet.everything(version)
        result = []
        for alike in self._alternatives(version, number):
            part = AddressSet.span(*_range_of(alike[0]), version) & left
            if not part:
                continue
            left = left - part
            if alike[0].type != "throw":
                ways = tuple(dict.fromkeys(way for route in alike for way in self._ways(route)))
                result.append(Destinations(part, ways, alike[0].prefix_length))
        return result

    def _alternatives(self, version: int, number: int) -> Iterable[list[Route]]:
        """The routes of a table that count, the longest prefix first, those of equal rank together.

        IPv6 has several default routes of one metric where two routers advertise themselves, and
        chooses by what it hears of them (RFC 4191).
        """
        found: dict[tuple[int, int, str], list[Route]] = {}
        for route in self._routes:
            wanted = route.family is FAMILY[version] and route.table == number and not route.dead
            if wanted and route.type not in {"broadcast", "multicast", "anycast", "local"}:
                rank = (-route.prefix_length, route.metric, route.destination)
                alike = found.setdefault(rank, [])
                if version == 6 or not alike or alike[0].tos:
                    alike.append(route)
        return (found[rank] for rank in sorted(found))

    def _ways(self, route: Route) -> tuple[str, ...]:
        if route.tos or route.only_from:
            return (UNSURE,)
        if route.type != "unicast":
            return (NO_ROUTE,)
        return tuple(self.names.get(index, UNSURE) for index in route.interfaces) or (UNSURE,)

    def on_link(self, version: int, interface: str) -> AddressSet:
        """Destinations of the unicast routes through an interface, whatever the table."""
        return AddressSet.from_ranges(
            (
                _range_of(route)
                for route in self._routes
                if route.family is FAMILY[version]
                and route.type == "unicast"
                and route.table != LOCAL_TABLE
                and interface in map(self.names.get, route.interfaces)
            ),
            version,
        )

    def in_vrf(self, interface: str) -> bool:
        """Whether the interface is, or belongs to, a VRF."""
        link = self.interfaces.get(interface)
        return link is not None and (link.kind == "vrf" or link.master_kind == "vrf")


def _range_of(route: Route) -> tuple[int, int]:
    network = route.network
    first = int(network.network_address)
    return first, first + network.num_addresses - 1
