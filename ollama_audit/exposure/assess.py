"""Every endpoint of a host, and who of each zone reaches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.arrival import Arrival
from ollama_audit.exposure.attempts import Attempt, attempts, unasked
from ollama_audit.exposure.beyond import beyond_host
from ollama_audit.exposure.browser import host_check, origin_check
from ollama_audit.exposure.filters import filters
from ollama_audit.exposure.gaps import gaps
from ollama_audit.exposure.landing import server_hop
from ollama_audit.exposure.leading import leads_on
from ollama_audit.exposure.model import Endpoint, Exposure, Gap, Login
from ollama_audit.exposure.sockets import families
from ollama_audit.exposure.survey import Survey
from ollama_audit.exposure.terrain import Terrain, terrain_of
from ollama_audit.exposure.translated import Asked, Door, doors
from ollama_audit.exposure.tunnels.endpoints import provided, tunnel_endpoints
from ollama_audit.observed import known_or
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.words import authority


def assess(host: HostSnapshot | Terrain) -> Exposure:
    """Find every endpoint that leads to an Ollama server, and who reaches it."""
    return _Assessment(terrain_of(host)).exposure()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an endpoint answers."""

    id: str
    address: str
    port: int
    families: tuple[Family, ...]
    namespace: NetworkNamespace


_WEAKEST_FIRST = (Login.NONE, Login.UNKNOWN, Login.REQUIRED)
_PROXY = "reverse-proxy"
_MARKS = {Login.REQUIRED: " with a login", Login.UNKNOWN: " perhaps with a login"}


class _Assessment:
    """One host under examination."""

    def __init__(self, terrain: Terrain) -> None:
        self.terrain = terrain
        self.gaps: list[Gap] = []
        self._asked: Asked = set()
        """By namespace, what was asked for the sake of a listening socket."""

    def exposure(self) -> Exposure:
        """Everything that was found."""
        terrain = self.terrain
        found = [
            endpoint
            for namespace in terrain.namespaces.values()
            for listener in _listeners(namespace)
            for endpoint in self._of_listener(namespace, listener)
        ]
        for namespace in terrain.namespaces.values():
            found += self._of_translations(namespace)
        host = terrain.host.inode if terrain.host else 0
        found.sort(key=lambda endpoint: (endpoint.namespace != host, endpoint.port, endpoint.id))
        tunnels = tuple(tunnel_endpoints(terrain))
        beyond, undecided = beyond_host(terrain, found)
        return Exposure(
            endpoints=(*found, *tunnels),
            gaps=(*gaps(terrain), *self.gaps, *undecided),
            beyond_host=(*beyond, *provided(tunnels)),
            filters=filters(terrain, frozenset(endpoint.port for endpoint in found)),
            rulesets=terrain.rulesets,
        )

    def _of_listener(self, namespace: NetworkNamespace, listener: Listener) -> Iterator[Endpoint]:
        """The endpoint of a listener, if it is a way to Ollama."""
        if not leads_on(self.terrain, namespace, listener):
            return
        asked = tuple(attempts(self.terrain, namespace, listener))
        self._asked.update((each.namespace.inode, each.query) for each in asked)
        survey = self._surveyed(asked)
        for family, reason, cure in unasked(self.terrain, namespace, listener):
            survey.unread((family,), reason, cure)
        place = _Place(
            str(listener), listener.address, listener.port, families(listener), namespace
        )
        yield from self._parts(place, asked, survey, _direct(self.terrain, listener))

    def _of_translations(self, namespace: NetworkNamespace) -> Iterator[Endpoint]:
        """The endpoints at which no socket listens, from which rules lead to Ollama."""
        found = doors(self.terrain, namespace)
        self.gaps += [found.gap] if found.gap else []
        for door in found.found:
            asked = tuple(door.attempts(self.terrain, namespace, self._asked))
            survey = self._surveyed(asked, translated=True)
            yield from self._parts(_behind(door, namespace, survey), asked, survey, [])

    def _surveyed(
        self, asked: Iterable[Attempt], login: Login | None = None, *, translated: bool = False
    ) -> Survey:
        survey = Survey(self.terrain, login, translated=translated)
        for attempt in asked:
            if attempt.martian:
                survey.shut(attempt.query.family, attempt.sources)
            else:
                survey.ask(attempt.namespace, attempt.query, attempt.sources)
        return survey

    def _parts(
        self, place: _Place, asked: tuple[Attempt, ...], survey: Survey, direct: list[Arrival]
    ) -> Iterator[Endpoint]:
        """One endpoint; two or three of a proxy that lets some in freely and others by login."""
        arrivals = survey.arrivals or direct
        if not arrivals:
            return
        logins = [login for login in _WEAKEST_FIRST if any(a.login is login for a in arrivals)]
        if len(logins) == 1 or any(a.hops[:1] and a.hops[0].kind != _PROXY for a in arrivals):
            yield _endpoint(place, survey, arrivals, logins[0])
            return
        for login in logins:
            part = self._surveyed(asked, login, translated=survey.translated)
            if part.arrivals:
                yield _endpoint(place, part, part.arrivals, login)


def _listeners(namespace: NetworkNamespace) -> tuple[Listener, ...]:
    """The listeners of a namespace; sockets that share an address and port once."""
    listed = known_or(namespace.listeners, ())
    return tuple({(item.address, item.port, item.device): item for item in listed}.values())


def _behind(door: Door, namespace: NetworkNamespace, survey: Survey) -> _Place:
    """Where a translation takes connections, as a socket there would be shown."""
    reached = {part.family for part in survey.reach if part.destinations}
    sockets = {listener.family: listener for listener in door.listeners}
    served = tuple(family for family in sockets if family in reached) or tuple(sockets)
    address = sockets[served[-1]].address
    return _Place(
        f"{authority(address, door.named)} (DNAT)", address, door.first, served, namespace
    )


def _endpoint(place: _Place, survey: Survey, arrivals: list[Arrival], login: Login) -> Endpoint:
    best = next((arrival for arrival in arrivals if arrival.certain), arrivals[0])
    weakest = next((arrival for arrival in arrivals if arrival.login is login), best)
    namespace = place.namespace
    probe = survey.terrain.probes.get((namespace.inode, place.address, place.port))
    suffix = "" if namespace.host else f" in {survey.terrain.name_of_network(namespace)}"
    mark = _MARKS.get(login, "") if survey.login else ""
    return Endpoint(
        id=f"{place.id}{suffix}{mark}",
        address=place.address,
        port=place.port,
        families=place.families,
        namespace=namespace.inode,
        server=best.server,
        hops=best.hops,
        login=login,
        login_because=weakest.login_because,
        open_paths=weakest.open_paths,
        only_paths=weakest.only_paths,
        tls=best.tls,
        reach=tuple(part for part in survey.reach if part.family in place.families),
        certain=best.certain,
        host_check=host_check(probe, arrivals),
        origin_check=origin_check(probe),
    )


def _direct(terrain: Terrain, listener: Listener) -> list[Arrival]:
    """The arrival at an Ollama server's own socket, for nobody in particular."""
    nobody = AddressSet.nothing(4)
    return [
        Arrival(
            surely=nobody,
            possibly=nobody,
            server=pid,
            hops=(server_hop(terrain, pid, listener),),
        )
        for pid in known_or(listener.owners, ())
        if pid in terrain.servers
    ]
