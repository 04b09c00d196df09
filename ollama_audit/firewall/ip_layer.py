"""What the IP layer drops by itself, and reverse path lookups, as sets of sources.

net/ipv4/{ip_input,route,fib_frontend}.c and net/ipv6/{ip6_input,ip6_output}.c; the cases are
those of the kernel that the differential tests run on.
"""

from __future__ import annotations

from typing import NamedTuple

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.host import (
    LIMITED_BROADCAST,
    LINK_LOCAL,
    LOOPBACK,
    MULTICAST,
    UNSPECIFIED,
    Host,
)
from ollama_audit.firewall.policy_routing import NO_ROUTE, UNSURE, Lookup


class Refusal(NamedTuple):
    """Sources that the IP layer drops (or may drop), and why."""

    sources: AddressSet
    sure: bool
    why: str


def refusals(host: Host, version: int, interface: str, address: int) -> list[Refusal]:
    """What is dropped for its source alone between prerouting and input or forward.

    `address` is the destination, for policy routing. Client packets over lo are not checked.
    """
    if host.interfaces[interface].loopback:
        return []
    if version == 6:
        bad = MULTICAST[6] | LOOPBACK[6] | UNSPECIFIED[6]
        return [Refusal(bad, sure=True, why="no valid source address")]
    bad = MULTICAST[4] | UNSPECIFIED[4] | LIMITED_BROADCAST
    found = [Refusal(bad, sure=True, why="no valid source address")]
    for name, sources, why in (
        ("route_localnet", LOOPBACK[4], "loopback source from outside"),
        ("accept_local", host.local(4), "source is an address of this host"),
    ):
        allowed = host.any_setting(4, interface, name)
        if not allowed:
            found.append(Refusal(sources, sure=allowed is False, why=why))
    return found + _reverse_path_refusals(host, interface, address)


def _reverse_path_refusals(host: Host, interface: str, address: int) -> list[Refusal]:
    mode = host.reverse_path_filter(interface)
    if mode == 0:
        return []
    marks = host.any_setting(4, interface, "src_valid_mark")
    paths = host.egress(4, Lookup(address, mark=None if marks else 0))
    unsure = paths.get(UNSURE, AddressSet.nothing(4))
    routed = paths.get(interface, AddressSet.nothing(4))
    if mode == 2:
        routed = ~paths.get(NO_ROUTE, AddressSet.nothing(4))
    failing = ~routed | host.broadcast()
    why = f"reverse path filter of {interface} (rp_filter)"
    return [
        Refusal(failing - unsure, sure=mode is not None, why=why),
        Refusal(failing & unsure, sure=False, why=why),
    ]


def answerable(host: Host, version: int, interface: str, lookup: Lookup) -> dict[str, AddressSet]:
    """Through which interface the answer to each source leaves; link-local ones by `interface`."""
    if version == 4 or host.interfaces[interface].loopback:
        return dict(host.egress(version, lookup))
    paths = dict(host.egress_beyond_links(lookup))
    near = (LINK_LOCAL & host.on_link(6, interface)) - host.local(6)
    far = LINK_LOCAL - near - host.local(6)
    for name, found in ((interface, near), (NO_ROUTE, far)):
        paths[name] = paths[name] | found if name in paths else found
    return {name: found for name, found in paths.items() if found}


class ReversePath(NamedTuple):
    """Sources by whether a route leads back to them (`fib saddr [. iif] oif`, xt_rpfilter)."""

    found: AddressSet
    unsure: AddressSet


def reverse_path(  # noqa: PLR0913 - what a lookup asks
    host: Host, version: int, interface: str, lookup: Lookup, *, loose: bool, broadcast: bool
) -> ReversePath:
    """Sources whose route leaves through `interface`, or (loose) through any.

    nft's fib also finds broadcast routes, xt_rpfilter does not.
    """
    nothing = AddressSet.nothing(version)
    local = host.local(version)
    paths = {name: found - local for name, found in host.egress(version, lookup).items()}
    unsure = paths.get(UNSURE, nothing)
    if loose:
        found = ~(paths.get(NO_ROUTE, nothing) | unsure | local)
    else:
        found = paths.get(interface, nothing)
    if version == 4:
        found = found - host.broadcast() - MULTICAST[4]
        if broadcast:
            found = found | host.broadcast_routes("" if loose else interface)
    else:
        near = LINK_LOCAL & host.on_link(6, interface)
        found = (found - LINK_LOCAL) | (near - host.local(6, interface))
        unsure = unsure - LINK_LOCAL
    return ReversePath(found, unsure)


class AddressTypes(NamedTuple):
    """Addresses by the type that a route lookup gives them (RTN_*, linux/rtnetlink.h)."""

    local: AddressSet
    multicast: AddressSet
    broadcast: AddressSet
    unicast: AddressSet
    unsure: AddressSet


def address_types(host: Host, version: int, interface: str = "") -> AddressTypes:
    """All addresses by type.

    With an interface, only its own addresses are local, and those of others are unicast
    (__inet_dev_addr_type of net/ipv4/fib_frontend.c, __nft_fib6_eval_type).
    """
    nothing = AddressSet.nothing(version)
    every = host.local(version)
    local = host.local(version, interface)
    multicast = MULTICAST[version] - local
    broadcast = nothing
    if version == 4 and interface:
        broadcast = host.broadcast_routes(interface) | LIMITED_BROADCAST | UNSPECIFIED[4]
    elif version == 4:
        broadcast = host.broadcast() | UNSPECIFIED[4]
    broadcast = broadcast - multicast - local
    paths = host.egress(version)
    elsewhere = host.own_addresses(version) - local if interface else nothing
    routed = ~(paths.get(NO_ROUTE, nothing) | paths.get(UNSURE, nothing) | every)
    unicast = (routed | elsewhere) - multicast - broadcast
    unsure = ~(local | multicast | broadcast | unicast)
    return AddressTypes(local, multicast, broadcast, unicast, unsure)
