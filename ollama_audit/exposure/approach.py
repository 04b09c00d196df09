"""From a connection attempt to an Ollama server: through the packet filter to sockets, and on.

What the filter lets arrive, and where, is found out here; what a socket leads to is `landing`'s
matter, which comes back with the connections of programs that pass others on. The source stays
symbolic: the answer is two sets of sources, those that surely get to an Ollama server and those
that possibly do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address

import msgspec

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.arrival import Arrival
from ollama_audit.exposure.forwarders import Onward
from ollama_audit.exposure.landing import Connected, Landing, passed_on
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.sockets import candidates
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.ways import ways
from ollama_audit.exposure.zones import version
from ollama_audit.firewall.answer import LOCAL_CLIENT, Effect, End, Query, Reach
from ollama_audit.firewall.host import LOOPBACK
from ollama_audit.firewall.wording import describe
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Family, Interface, NetworkNamespace
from ollama_audit.words import authority

__all__ = ["Approach", "Arrival", "approach", "followed"]

_MOST_HOPS = 16
"""Deeper chains are not followed: they are configuration errors or loops."""


@dataclass(frozen=True, slots=True)
class Approach:
    """Everything about one attempt: the filter's answer, and who arrives at an Ollama server."""

    filter: Reach
    arrivals: tuple[Arrival, ...]

    @property
    def surely(self) -> AddressSet:
        """The sources that surely get to an Ollama server."""
        return _union((arrival.surely for arrival in self.arrivals), self.filter)

    @property
    def possibly(self) -> AddressSet:
        """The sources that may; includes `surely`."""
        return _union((arrival.possibly for arrival in self.arrivals), self.filter)


def approach(terrain: Terrain, namespace: NetworkNamespace, query: Query) -> Approach:
    """Follow an attempt from one interface of a namespace to wherever it ends."""
    return _Trail(terrain).approach(namespace, query)


def followed(terrain: Terrain, step: Onward) -> list[Arrival]:
    """Where a process's own connection leads, for clients who come to it from elsewhere."""
    return passed_on(terrain, step, AddressSet.everything(4), _Trail(terrain).connected)


@dataclass(frozen=True, slots=True)
class _Trail:
    """A search on its way through a host: attempts follow from attempts."""

    terrain: Terrain
    passed: frozenset[tuple[int, str, int]] = frozenset()
    """Where it has been: namespace, address and port. A circle never ends at a server."""

    def approach(self, namespace: NetworkNamespace, query: Query) -> Approach:
        """One more attempt."""
        reach = self.terrain.filtered(namespace, query)
        here = (namespace.inode, query.address, query.port)
        if here in self.passed or len(self.passed) > _MOST_HOPS:
            self.terrain.judged.give_up()
            return Approach(reach, ())
        trail = replace(self, passed=self.passed | {here})
        found = _Attempt(trail, namespace, reach).arrivals()
        return Approach(reach, tuple(arrival for arrival in found if arrival.possibly))

    def connected(self, namespace: NetworkNamespace, address: str, port: int) -> list[Connected]:
        """Where a process's own connection ends.

        Hundreds of servers of a proxy may lead to one place, and many clients to one proxy, so it
        is worked out once, unless it came round to where this search has been: from elsewhere that
        is another matter.
        """
        key = (namespace.inode, address, port)
        work = partial(self._connected, namespace, address, port)
        return self.terrain.judged.once("connected", key, work)

    def _connected(self, namespace: NetworkNamespace, address: str, port: int) -> list[Connected]:
        family = Family.IPV6 if ":" in address else Family.IPV4
        places = ways(self.terrain, namespace, address)
        found = []
        for space, interface, source in places:
            query = Query(family=family, interface=interface, address=address, port=port)
            sender = int(ip_address(source)) if source else -1
            found += [
                Connected(arrival, sender in arrival.surely and len(places) == 1)
                for arrival in self.approach(space, query).arrivals
                if sender in arrival.possibly or not source
            ]
        return found


_REDIRECT = re.compile(r" (?:-j REDIRECT|redirect to)\b")
"""The statement as iptables and nft print it."""

_MOST_DOUBTS = 6
"""More rules that are not understood are told of all whom one of them concerns."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt that the packet filter of a namespace has answered for."""

    trail: _Trail
    namespace: NetworkNamespace
    reach: Reach

    def arrivals(self) -> list[Arrival]:
        """Where its connections end."""
        found = [
            replace(arrival, hops=(*self._translation(end), *arrival.hops))
            for end, landed in self._landed()
            for arrival in landed
        ]
        if rest := self.reach.unknown - _union((e.possibly for e in self.reach.ends), self.reach):
            found += self._unclear(rest)
        if self.reach.unknown:
            found = [part for arrival in found for part in self._explained(arrival)]
        return found

    def _landed(self) -> list[tuple[End, list[Arrival]]]:
        """What becomes of the connections at each of their ends.

        Among several ends a rule may choose by chance. To get to a server is sure only where each
        of them leads to one, in the same way.
        """
        ends = self.reach.ends
        either = self.reach.surely - _union((end.surely for end in ends), self.reach)
        if not either:
            return [(end, self._at(end)) for end in ends]
        landed = []
        for end in ends:
            surely = end.surely | (end.possibly & either)
            landed.append((end, self._at(msgspec.structs.replace(end, surely=surely))))
        arrivals = [arrival for _, found in landed for arrival in found]
        for end, found in landed:
            either = either - (end.possibly - _union((a.surely for a in found), self.reach))
        if len({arrival.login for arrival in arrivals}) > 1:
            either = AddressSet.nothing(either.version)
        return [
            (end, [replace(each, surely=each.surely & (end.surely | either)) for each in found])
            for end, found in landed
        ]

    def _explained(self, arrival: Arrival) -> list[Arrival]:
        """An arrival; apart, with why, those of whom the filter cannot say that it happens."""
        doubtful = (arrival.possibly - arrival.surely) & self.reach.unknown
        told = [
            replace(
                arrival.within(sources),
                because=tuple(dict.fromkeys([*arrival.because, *reasons])),
                cure=arrival.cure or self.reach.cure,
            )
            for sources, reasons in self._doubts(doubtful)
        ]
        others = arrival.possibly - doubtful
        return [*told, arrival.within(others)] if others else told

    def _doubts(self, doubtful: AddressSet) -> list[tuple[AddressSet, tuple[str, ...]]]:
        """Why it cannot be said, of each part of the sources for which the reasons are the same."""
        unclear = [d for d in self.reach.decisions if d.effect is Effect.UNKNOWN]
        parts = [(doubtful, self.reach.reasons)] if doubtful else []
        if not parts or not 0 < len(unclear) <= _MOST_DOUBTS:
            return parts
        parts = [(doubtful, ())]
        for decision in unclear:
            why = describe(decision, self.namespace.firewall)
            parts = [
                each
                for sources, reasons in parts
                for each in (
                    (sources & decision.sources, (*reasons, why)),
                    (sources - decision.sources, reasons),
                )
                if each[0]
            ]
        return [(sources, reasons or self.reach.reasons) for sources, reasons in parts]

    def _unclear(self, rest: AddressSet) -> list[Arrival]:
        """Where those end of which the filter cannot say whether and where."""
        found = []
        query, terrain = self.reach.query, self.trail.terrain
        translating = (d.sources for d in self.reach.decisions if d.effect is Effect.TRANSLATE)
        moved = rest & _union(translating, self.reach)
        if terrain.wires.holders(query.address, self.namespace):
            moved = rest
        if moved:
            # They go somewhere else, so nothing is proven by who listens here.
            reason = "whether the connection gets to where it is sent is not known"
            lost = _nowhere(_asked(query, moved), reason)
            found.append(replace(lost, hops=(Hop(kind="dnat", name="DNAT"),)))
        # Where the others end is not known either, so look at the socket they ask for.
        return [*found, *self._at(_asked(query, rest - moved))]

    def _at(self, end: End) -> list[Arrival]:
        if not end.address:
            return [_nowhere(end, "a rule changes the destination in a way that is not modelled")]
        return self._forwarded(end) if end.forwarded else self._local(end)

    def _translation(self, end: End) -> tuple[Hop, ...]:
        """The hop of a translation, with the rule that makes it."""
        query, wires = self.reach.query, self.trail.terrain.wires
        if (query.address, query.port) == (end.address, end.port):
            return ()
        at = _place(end)
        rules = [
            describe(decision, self.namespace.firewall)
            for decision in self.reach.decisions
            if decision.effect is Effect.TRANSLATE and (decision.detail == at or not end.address)
        ]
        held = wires.holders(end.address, self.namespace, end.interface) if end.forwarded else ()
        name = f"DNAT to {at}" if end.address else "DNAT"
        if not end.forwarded and rules and _REDIRECT.search(rules[0]):
            name = f"redirect to port {end.port}"  # of whichever interface it comes in by
        if len(held) == 1:
            name += f", {self.trail.terrain.name_of_network(held[0].namespace)}"
        return (Hop(kind="dnat", name=name, detail=rules[0] if rules else ""),)

    def _forwarded(self, end: End) -> list[Arrival]:
        """What becomes of connections that leave the namespace again, in whose they come in."""
        wires = self.trail.terrain.wires
        held = wires.holders(end.address, self.namespace, end.interface)
        if not held and wires.kept_apart(end.address, self.namespace):
            return []
        if not held:
            reason = f"{_place(end)} is not on this host, or its namespace was not read"
            return [_nowhere(end, reason)]
        several = (f"{len(held)} namespaces have the address {end.address}",)
        doubt = several if len(held) > 1 else ()
        family, host = self.reach.query.family, wires.neighbour(self.namespace, end.address)
        found = []
        for inner, interface in held:
            query = Query(
                family=family, interface=interface.name, address=end.address, port=end.port
            )
            for reached in self.trail.approach(inner, query).arrivals:
                within = _masqueraded(reached, end, host).within(end.possibly, doubt)
                found.append(replace(within, surely=within.surely & end.surely))
        return found

    def _local(self, end: End) -> list[Arrival]:
        """What becomes of connections that end in the namespace, at its sockets."""
        listeners, query = self.namespace.listeners, self.reach.query
        if isinstance(listeners, Unknown):
            return [_nowhere(end, listeners.reason, listeners.cure)]
        own = self._own_device(end)
        device = own.name if own else query.interface
        sockets = candidates(listeners.value, query.family, end.address, end.port, device)
        if own and any(listener.device for listener in sockets):
            # It answers by its device alone, which leads to no address but the device's own.
            wanted = [a.address for a in own.addresses if a.family is query.family]
            here = AddressSet.from_networks(wanted, end.possibly.version)
            surely, possibly = end.surely & here, end.possibly & here
            end = msgspec.structs.replace(end, surely=surely, possibly=possibly)
        trail = self.trail
        landings = [
            Landing(trail.terrain, self.namespace, listener, trail.connected).arrivals(
                end.address, version(query.family)
            )
            for listener in sockets
        ]
        # Between several sockets the kernel chooses by what is not known here. That is sure only
        # where each of them takes every source to a server.
        sure = len(sockets) == 1 or all(any(a.surely.full for a in landed) for landed in landings)
        doubt = () if sure else (f"{len(sockets)} sockets listen at port {end.port}",)
        return [
            replace(
                arrival.within(end.possibly, doubt),
                surely=arrival.within(end.surely, doubt).surely,
            )
            for landed in landings
            for arrival in landed
        ]

    def _own_device(self, end: End) -> Interface | None:
        """The interface that sockets see a client of the host itself come in by, if not loopback.

        It is the one that owns the destination: a route to an own address goes through loopback
        and keeps that in rt_iif (__mkroute_output() of net/ipv4/route.c).
        """
        if self.reach.query.interface != LOCAL_CLIENT:
            return None
        owner = self.trail.terrain.wires.interface(self.namespace, end.address)
        return None if owner is None or owner.loopback else owner


def _union(parts: Iterable[AddressSet], reach: Reach) -> AddressSet:
    total = AddressSet.nothing(version(reach.query.family))
    for part in parts:
        total = total | part
    return total


def _asked(query: Query, sources: AddressSet) -> End:
    """Where connections end if nothing translates them."""
    return End(
        forwarded=False,
        address=query.address,
        port=query.port,
        interface=query.interface,
        surely=AddressSet.nothing(sources.version),
        possibly=sources,
    )


def _nowhere(end: End, reason: str, cure: str = "") -> Arrival:
    return Arrival(
        surely=AddressSet.nothing(end.possibly.version),
        possibly=end.possibly,
        login=Login.UNKNOWN,
        tls=Encryption.UNKNOWN,
        because=(reason,),
        cure=cure,
    )


def _place(end: End) -> str:
    return authority(end.address, end.port)


def _masqueraded(arrival: Arrival, end: End, neighbour: str) -> Arrival:
    """The arrival with the host's own loopback clients as the far side sees them.

    They leave with the host's address there, or not at all: a loopback source has no answer.
    """
    hidden = end.possibly & LOOPBACK[end.possibly.version]
    if not hidden:
        return arrival
    seen = int(ip_address(neighbour)) if neighbour else -1
    nobody = AddressSet.nothing(hidden.version)
    return replace(
        arrival,
        surely=(arrival.surely - hidden) | (hidden if seen in arrival.surely else nobody),
        possibly=(arrival.possibly - hidden)
        | (hidden if not neighbour or seen in arrival.possibly else nobody),
    )
