"""From a listening socket on: to an Ollama server, or along a program that passes connections on.

Here every source is let in; whom the packet filter lets come this far is `approach`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeAlias

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.arrival import Arrival
from ollama_audit.exposure.confirm import confirmed, proof
from ollama_audit.exposure.forwarders import Onward, onward
from ollama_audit.exposure.forwarders.step import PASSES_BYTES
from ollama_audit.exposure.hostcheck import checks_host, refused
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.units import let_in_by_systemd
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import OllamaServer

_MOST_GUESSES = 3
"""More programs of which nothing is known are counted and not named."""


class Connected(NamedTuple):
    """Where a process's own connection ends."""

    arrival: Arrival
    sure: bool
    """It surely gets there. The far side sees the process and not the client: one for all."""


Connect: TypeAlias = Callable[[NetworkNamespace, str, int], list[Connected]]
"""Where a connection from a namespace to an address and port ends."""


@dataclass(frozen=True, slots=True)
class Landing:
    """A listener that has accepted connections."""

    terrain: Terrain
    namespace: NetworkNamespace
    listener: Listener
    connect: Connect
    """For what its owner connects to."""

    def arrivals(self, address: str, version: int) -> list[Arrival]:
        """Where connections to `address` lead, as configured and as its answers confirm that."""
        let_in, doubt = let_in_by_systemd(self.terrain, self.namespace, self.listener, version)
        return [arrival.within(let_in, doubt) for arrival in self._arrivals(address, version)]

    def _arrivals(self, address: str, version: int) -> list[Arrival]:
        found = self._configured(version)
        evidence = proof(self.terrain, self.namespace, self.listener)
        if evidence is None:
            return found
        if evidence.leads:
            found = [replace(arrival, guess=False) for arrival in found]
        ours = found
        if evidence.client.version != version:
            ours = self._configured(evidence.client.version)
        return confirmed(evidence, address, found, ours, AddressSet.everything(version))

    def _configured(self, version: int) -> list[Arrival]:
        """Where connections of an IP version lead; worked out once, as `connect` is."""
        key = (self.namespace.inode, self.listener, version)
        work = partial(self._follow, AddressSet.everything(version))
        return self.terrain.judged.once("landed", key, work)

    def _follow(self, everyone: AddressSet) -> list[Arrival]:
        owners = self.listener.owners
        if isinstance(owners, Unknown):
            return [self._hidden(owners, everyone)]
        for pid in owners.value:
            if pid in self.terrain.servers:
                return [self._at_server(self.terrain.servers[pid], everyone.version)]
        steps = onward(self.terrain, self.namespace, self.listener, owners.value)
        return _gathered(
            [
                arrival
                for step in steps
                for arrival in passed_on(self.terrain, step, everyone, self.connect)
            ]
        )

    def _hidden(self, owners: Unknown, everyone: AddressSet) -> Arrival:
        return Arrival(
            surely=AddressSet.nothing(everyone.version),
            possibly=everyone,
            login=Login.UNKNOWN,
            tls=Encryption.UNKNOWN,
            because=(f"who listens at {self.listener.shown} is not known: {owners.reason}",),
            cure=owners.cure,
        )

    def _at_server(self, server: OllamaServer, version: int) -> Arrival:
        everyone = AddressSet.everything(version)
        return Arrival(
            surely=everyone,
            possibly=everyone,
            server=server.pid,
            hops=(server_hop(self.terrain, server.pid, self.listener),),
            checks_host=checks_host(server, self.listener),
            any_name=not self.listener.on_loopback,
        )


def server_hop(terrain: Terrain, pid: int, listener: Listener) -> Hop:
    """The last hop: the socket of an Ollama server."""
    where = terrain.containers.name_of(terrain.servers[pid].process)
    at = listener.shown
    name = f"ollama in {where} at {at}" if where else f"ollama ({pid}) at {at}"
    return Hop(kind="socket", name=name, pid=pid)


def passed_on(
    terrain: Terrain, step: Onward, everyone: AddressSet, connect: Connect
) -> list[Arrival]:
    """Who gets along with a process that passes connections on, and where to."""
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
    found = []
    for inner, sure in connect(step.namespace, step.address, step.port):
        if inner.checks_host and _all_refused(terrain, step):
            continue
        gets_in, asked = _through(step, inner, sure=sure)
        found.append(_along(step, outer, inner, served if gets_in else nobody, asked))
    return found


def _along(
    step: Onward, outer: Arrival, inner: Arrival, surely: AddressSet, asked: Login
) -> Arrival:
    """What comes of clients of a process by what becomes of its own connection."""
    return replace(
        outer,
        surely=surely,
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
