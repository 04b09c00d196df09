"""From a connection attempt to an Ollama server: through the filter, to a socket, along hops.

The source stays symbolic: the answer of an approach is two sets of sources, those that surely
get to an Ollama server and those that possibly do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.arrival import Arrival
from ollama_audit.exposure.confirm import confirmed, proof
from ollama_audit.exposure.forwarders import Onward, onward
from ollama_audit.exposure.forwarders.step import PASSES_BYTES
from ollama_audit.exposure.hostcheck import checks_host, refused
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.sockets import admitted, candidates
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.ways import ways
from ollama_audit.exposure.zones import version
from ollama_audit.firewall.answer import Effect, End, Query, Reach
from ollama_audit.firewall.host import LOOPBACK
from ollama_audit.firewall.wording import describe
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace

__all__ = ["Approach", "Arrival", "approach"]

_MOST_GUESSES = 3
"""More programs of which nothing is known are counted and not named."""

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
        return _union([arrival.surely for arrival in self.arrivals], self.filter)

    @property
    def possibly(self) -> AddressSet:
        """The sources that may; includes `surely`."""
        return _union([arrival.possibly for arrival in self.arrivals], self.filter)


def _union(parts: list[AddressSet], reach: Reach) -> AddressSet:
    total = AddressSet.nothing(version(reach.query.family))
    for part in parts:
        total = total | part
    return total


def approach(
    terrain: Terrain,
    namespace: NetworkNamespace,
    query: Query,
    seen: frozenset[tuple[int, str, int]] = frozenset(),
) -> Approach:
    """Follow an attempt from one interface of a namespace to wherever it ends."""
    reach = terrain.filtered(namespace, query)
    key = (namespace.inode, query.address, query.port)
    if key in seen or len(seen) > _MOST_HOPS:
        terrain.judged.give_up()
        return Approach(reach, ())  # a loop never ends at a server
    seen = seen | {key}
    found: list[Arrival] = []
    for end in reach.ends:
        hop = _translated(terrain, namespace, reach, end)
        arrivals = _arrivals(terrain, namespace, query, end, seen)
        found += [replace(arrival, hops=hop + arrival.hops) for arrival in arrivals]
    covered = _union([end.possibly for end in reach.ends], reach)
    if rest := reach.unknown - covered:
        moved = _union([d.sources for d in reach.decisions if d.effect is Effect.TRANSLATE], reach)
        if terrain.wires.holders(query.address, namespace):
            moved = rest
        if rest & moved:
            # They go somewhere else, so nothing is proven by who listens here.
            reason = "whether the connection gets to where it is sent is not known"
            lost = _nowhere(_asked(query, rest & moved), reason)
            found.append(replace(lost, hops=(Hop(kind="dnat", name="DNAT"),)))
        # Where the others end is not known either, so look at the socket they ask for.
        found += _arrivals(terrain, namespace, query, _asked(query, rest - moved), seen)
    if reach.unknown:
        found = [_explained(arrival, reach) for arrival in found]
    return Approach(reach, tuple(arrival for arrival in found if arrival.possibly))


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


def _explained(arrival: Arrival, reach: Reach) -> Arrival:
    if not arrival.possibly - arrival.surely:
        return arrival
    because = tuple(dict.fromkeys([*arrival.because, *reach.reasons]))
    return replace(arrival, because=because, cure=arrival.cure or reach.cure)


def _arrivals(
    terrain: Terrain,
    namespace: NetworkNamespace,
    query: Query,
    end: End,
    seen: frozenset[tuple[int, str, int]],
) -> list[Arrival]:
    if not end.address:
        return [_nowhere(end, "a rule changes the destination in a way that is not modelled")]
    if end.forwarded:
        return _forwarded(terrain, namespace, query, end, seen)
    return _local(terrain, namespace, query, end, seen)


def _nowhere(end: End, reason: str, cure: str = "") -> Arrival:
    return Arrival(
        surely=AddressSet.nothing(end.possibly.version),
        possibly=end.possibly,
        login=Login.UNKNOWN,
        tls=Encryption.UNKNOWN,
        because=(reason,),
        cure=cure,
    )


def server_hop(terrain: Terrain, pid: int, listener: Listener) -> Hop:
    """The last hop: the socket of an Ollama server."""
    where = terrain.containers.name_of(terrain.servers[pid].process)
    name = f"ollama in {where} at {listener}" if where else f"ollama ({pid}) at {listener}"
    return Hop(kind="socket", name=name, pid=pid)


def _translated(
    terrain: Terrain, namespace: NetworkNamespace, reach: Reach, end: End
) -> tuple[Hop, ...]:
    """The hop of a translation, with the rule that makes it."""
    if (reach.query.address, reach.query.port) == (end.address, end.port):
        return ()
    at = _at(end.address, end.port)
    rules = [
        describe(decision, namespace.firewall)
        for decision in reach.decisions
        if decision.effect is Effect.TRANSLATE and (decision.detail == at or not end.address)
    ]
    held = terrain.wires.holders(end.address, namespace, end.interface) if end.forwarded else ()
    where = f", {terrain.name_of_network(held[0][0])}" if len(held) == 1 else ""
    name = f"DNAT to {at}{where}" if end.address else "DNAT"
    return (Hop(kind="dnat", name=name, detail=rules[0] if rules else ""),)


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _forwarded(
    terrain: Terrain,
    namespace: NetworkNamespace,
    query: Query,
    end: End,
    seen: frozenset[tuple[int, str, int]],
) -> list[Arrival]:
    held = terrain.wires.holders(end.address, namespace, end.interface)
    if not held and terrain.wires.kept_apart(end.address, namespace):
        return []
    if not held:
        reason = f"{_at(end.address, end.port)} is not on this host, or its namespace was not read"
        return [_nowhere(end, reason)]
    doubt = () if len(held) == 1 else (f"{len(held)} namespaces have the address {end.address}",)
    found = []
    for inner, interface in held:
        onward_query = Query(
            family=query.family, interface=interface.name, address=end.address, port=end.port
        )
        for reached in approach(terrain, inner, onward_query, seen).arrivals:
            arrival = _masqueraded(reached, end, terrain.wires.neighbour(namespace, end.address))
            within = arrival.within(end.possibly, doubt)
            found.append(replace(within, surely=within.surely & end.surely))
    return found


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


def _local(
    terrain: Terrain,
    namespace: NetworkNamespace,
    query: Query,
    end: End,
    seen: frozenset[tuple[int, str, int]],
) -> list[Arrival]:
    if isinstance(namespace.listeners, Unknown):
        return [_nowhere(end, namespace.listeners.reason, namespace.listeners.cure)]
    sockets = candidates(
        namespace.listeners.value, query.family, end.address, end.port, query.interface
    )
    landings = [_proven(terrain, namespace, listener, query, end, seen) for listener in sockets]
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


def _proven(  # noqa: PLR0913, PLR0917 - a socket, and the attempt that ends there
    terrain: Terrain,
    namespace: NetworkNamespace,
    listener: Listener,
    query: Query,
    end: End,
    seen: frozenset[tuple[int, str, int]],
) -> list[Arrival]:
    """Where a connection accepted by this socket leads, and what its answers say of that."""
    everyone = AddressSet.everything(version(query.family))
    found = _landed(terrain, namespace, listener, everyone, seen)
    evidence = proof(terrain, namespace, listener)
    if evidence is None:
        return found
    if evidence.leads:
        found = [replace(arrival, guess=False) for arrival in found]
    ours = found
    if evidence.client.version != everyone.version:
        alike = AddressSet.everything(evidence.client.version)
        ours = _landed(terrain, namespace, listener, alike, seen)
    return confirmed(evidence, end.address, found, ours, everyone)


def _landed(
    terrain: Terrain,
    namespace: NetworkNamespace,
    listener: Listener,
    everyone: AddressSet,
    seen: frozenset[tuple[int, str, int]],
) -> list[Arrival]:
    """Where a connection accepted by this socket leads, for every source the filter lets in.

    Worked out once, as `_from_process`.
    """
    key = (namespace.inode, listener, everyone.version)
    return terrain.judged.once(
        "landed",
        key,
        lambda: _gathered(_accepted(terrain, namespace, listener, everyone, seen)),
    )


def _gathered(arrivals: list[Arrival]) -> list[Arrival]:
    """The arrivals, those together that end at programs of which nothing is known.

    A proxy may stand in front of hundreds of them.
    """
    guesses: dict[Login, list[Arrival]] = {}
    for arrival in arrivals:
        if arrival.guess:
            guesses.setdefault(arrival.login, []).append(arrival)
    found = [arrival for arrival in arrivals if not arrival.guess]
    for alike in guesses.values():
        possibly = alike[0].possibly
        for arrival in alike[1:]:
            possibly = possibly | arrival.possibly
        because = dict.fromkeys(reason for arrival in alike for reason in arrival.because)
        shown = [*because][:_MOST_GUESSES]
        if len(because) > len(shown):
            shown.append(f"so it is with {len(because) - len(shown)} more")
        found.append(replace(alike[0], possibly=possibly, because=tuple(shown)))
    return found


def _accepted(
    terrain: Terrain,
    namespace: NetworkNamespace,
    listener: Listener,
    everyone: AddressSet,
    seen: frozenset[tuple[int, str, int]],
) -> list[Arrival]:
    nobody = AddressSet.nothing(everyone.version)
    if isinstance(listener.owners, Unknown):
        return [
            Arrival(
                surely=nobody,
                possibly=everyone,
                login=Login.UNKNOWN,
                tls=Encryption.UNKNOWN,
                because=(f"who listens at {listener} is not known: {listener.owners.reason}",),
                cure=listener.owners.cure,
            )
        ]
    owners = listener.owners.value
    for pid in owners:
        if pid in terrain.servers:
            process = terrain.servers[pid].process
            let_in = admitted(terrain.unit_of(process), everyone.version)
            hop = server_hop(terrain, pid, listener)
            checks = checks_host(terrain.servers[pid], listener)
            return [
                Arrival(
                    surely=let_in,
                    possibly=let_in,
                    server=pid,
                    hops=(hop,),
                    checks_host=checks,
                    any_name=not listener.on_loopback,
                )
            ]
    return [
        arrival
        for step in onward(terrain, namespace, listener, owners)
        for arrival in _followed(terrain, step, seen, everyone)
    ]


def followed(terrain: Terrain, step: Onward) -> list[Arrival]:
    """Where a process's own connection leads, for clients who come to it from elsewhere."""
    return _followed(terrain, step, frozenset(), AddressSet.everything(4))


def _followed(
    terrain: Terrain,
    step: Onward,
    seen: frozenset[tuple[int, str, int]],
    everyone: AddressSet,
) -> list[Arrival]:
    """Who gets along with a process that passes connections on."""
    nobody = AddressSet.nothing(everyone.version)
    served = everyone if step.admits is None else step.admits.of(everyone.version)
    outer = Arrival(
        surely=nobody,
        possibly=served,
        hops=(step.hop,),
        login=step.login,
        login_because=step.login_because,
        services=step.services,
        open_paths=step.open_paths,
        only_paths=step.only_paths,
        tls=step.tls,
        because=(step.reason,) if step.reason else (),
        cure=step.cure,
        guess=step.guess,
    )
    if step.namespace is None:
        return [outer]
    return [
        replace(
            outer,
            surely=served if gets_in else nobody,
            server=inner.server,
            answered=inner.answered,
            own_request=inner.own_request,
            services=(*step.services, *inner.services),
            hops=(step.hop, *inner.hops),
            login=_either(step.login, asked),
            login_because=(*step.login_because, *inner.login_because),
            open_paths=step.open_paths or inner.open_paths,
            only_paths=step.only_paths or inner.only_paths,
            because=(*outer.because, *inner.because),
            cure=step.cure or inner.cure,
            checks_host=inner.checks_host and step.hosts is None,
            any_name=inner.any_name and step.hop.kind in PASSES_BYTES,
            guess=inner.guess,
        )
        for inner, sure in _from_process(terrain, step, seen)
        for gets_in, asked in (_through(step, inner, sure=sure),)
        if not (inner.checks_host and _all_refused(terrain, step))
    ]


def _through(step: Onward, inner: Arrival, *, sure: bool) -> tuple[bool, Login]:
    """Whether a process surely gets along with what it passes on, and what it is asked there.

    What this host's own request got holds for the same bytes only: a proxy sends other headers
    and other paths along than the client that was answered.
    """
    if inner.own_request and step.hop.kind not in PASSES_BYTES:
        return False, Login.UNKNOWN
    return sure, inner.login


def _all_refused(terrain: Terrain, step: Onward) -> bool:
    """Whether a process sends along only Host headers that Ollama answers with 403."""
    return step.hosts is not None and all(refused(terrain.snapshot, host) for host in step.hosts)


def _either(outer: Login, inner: Login) -> Login:
    """The login of two gates in a row."""
    if Login.REQUIRED in (outer, inner):
        return Login.REQUIRED
    return Login.UNKNOWN if Login.UNKNOWN in (outer, inner) else Login.NONE


def _from_process(
    terrain: Terrain, step: Onward, seen: frozenset[tuple[int, str, int]]
) -> list[tuple[Arrival, bool]]:
    """Where a process's own connection ends, and whether it surely gets there.

    The far side sees the process and not the client, so one source decides for all. Hundreds of
    servers of a proxy may lead to one place, and many clients to one proxy, so it is worked out
    once, unless it came round to a place in `seen`: from elsewhere that is another matter.
    """
    namespace = step.namespace
    assert namespace is not None
    return terrain.judged.once(
        "connected",
        (namespace.inode, step.address, step.port),
        lambda: _connected(terrain, namespace, step.address, step.port, seen),
    )


def _connected(
    terrain: Terrain,
    namespace: NetworkNamespace,
    address: str,
    port: int,
    seen: frozenset[tuple[int, str, int]],
) -> list[tuple[Arrival, bool]]:
    """Where a connection from a namespace to an address ends, and whether it surely does."""
    family = Family.IPV6 if ":" in address else Family.IPV4
    places = ways(terrain, namespace, address)
    found = []
    for space, interface, source in places:
        query = Query(family=family, interface=interface, address=address, port=port)
        inner = approach(terrain, space, query, seen)
        sender = int(ip_address(source)) if source else -1
        found += [
            (arrival, sender in arrival.surely and len(places) == 1)
            for arrival in inner.arrivals
            if sender in arrival.possibly or not source
        ]
    return found
