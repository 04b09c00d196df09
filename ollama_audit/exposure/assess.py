"""Every endpoint of a host, and who of each zone reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.approach import Arrival, server_hop
from ollama_audit.exposure.confirm import proof
from ollama_audit.exposure.edge import beyond_host
from ollama_audit.exposure.filters import filters
from ollama_audit.exposure.forwarders import passes_on
from ollama_audit.exposure.forwarders.rootless import carries
from ollama_audit.exposure.gaps import gaps
from ollama_audit.exposure.model import Endpoint, Exposure, Login, Zone
from ollama_audit.exposure.sockets import families
from ollama_audit.exposure.survey import Survey
from ollama_audit.exposure.terrain import Terrain, linked
from ollama_audit.exposure.tunnels.endpoints import provided, tunnel_endpoints
from ollama_audit.exposure.zones import (
    Sources,
    interface_zone,
    public,
    sources_behind,
    sources_beside,
)
from ollama_audit.firewall.answer import LOCAL_CLIENT, Query
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import (
    Family,
    Interface,
    InterfaceAddress,
    Listener,
    NetworkNamespace,
)


def assess(snapshot: HostSnapshot) -> Exposure:
    """Find every endpoint that leads to an Ollama server, and who reaches it."""
    terrain = Terrain(snapshot)
    found = [
        endpoint
        for namespace in terrain.namespaces.values()
        for listener in _listeners(namespace)
        for endpoint in _endpoints(terrain, namespace, listener)
    ]
    host = terrain.host.inode if terrain.host else 0
    found.sort(key=lambda endpoint: (endpoint.namespace != host, endpoint.port, endpoint.id))
    tunnels = tuple(tunnel_endpoints(terrain))
    return Exposure(
        endpoints=(*found, *tunnels),
        gaps=tuple(gaps(terrain)),
        beyond_host=(*beyond_host(terrain, found), *provided(tunnels)),
        filters=filters(terrain, frozenset(endpoint.port for endpoint in found)),
    )


def _listeners(namespace: NetworkNamespace) -> tuple[Listener, ...]:
    """The listeners of a namespace; sockets that share an address and port once."""
    listed = known_or(namespace.listeners, ())
    return tuple({(item.address, item.port, item.device): item for item in listed}.values())


_WEAKEST_FIRST = (Login.NONE, Login.UNKNOWN, Login.REQUIRED)


def _endpoints(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener
) -> Iterator[Endpoint]:
    """The endpoint of a listener, if it is a way to Ollama.

    Two or three of a reverse proxy that lets some in freely and asks others for a login.
    """
    direct = _direct(terrain, listener)
    evidence = proof(terrain, namespace, listener)
    answers = evidence is not None and evidence.leads
    if not direct and not answers and not passes_on(terrain, listener):
        return
    survey = _surveyed(terrain, namespace, listener)
    arrivals = survey.arrivals or direct
    if not arrivals:
        return
    logins = [login for login in _WEAKEST_FIRST if any(a.login is login for a in arrivals)]
    if len(logins) == 1 or any(a.hops[:1] and a.hops[0].kind != _PROXY for a in arrivals):
        yield _endpoint(namespace, listener, survey, arrivals, logins[0])
        return
    for login in logins:
        part = _surveyed(terrain, namespace, listener, login)
        if part.arrivals:
            yield _endpoint(namespace, listener, part, part.arrivals, login)


_PROXY = "reverse-proxy"
_MARKS = {Login.REQUIRED: " with a login", Login.UNKNOWN: " perhaps with a login"}


def _surveyed(
    terrain: Terrain,
    namespace: NetworkNamespace,
    listener: Listener,
    login: Login | None = None,
) -> Survey:
    survey = Survey(terrain, login)
    _ask_inside(survey, namespace, listener)
    if not namespace.host and terrain.host is not None:
        _ask_outside(survey, terrain.host, namespace, listener)
    unread = namespace.interfaces
    if isinstance(unread, Unknown) and not listener.on_loopback:
        survey.unread(families(listener), unread.reason, unread.cure)
    return survey


def _endpoint(
    namespace: NetworkNamespace,
    listener: Listener,
    survey: Survey,
    arrivals: list[Arrival],
    login: Login,
) -> Endpoint:
    best = next((arrival for arrival in arrivals if arrival.certain), arrivals[0])
    weakest = next((arrival for arrival in arrivals if arrival.login is login), best)
    suffix = "" if namespace.host else f" in {survey.terrain.name_of_network(namespace)}"
    mark = _MARKS.get(login, "") if survey.login else ""
    return Endpoint(
        id=f"{listener}{suffix}{mark}",
        address=listener.address,
        port=listener.port,
        families=families(listener),
        namespace=namespace.inode,
        server=best.server,
        hops=best.hops,
        login=login,
        login_because=weakest.login_because,
        open_paths=weakest.open_paths,
        tls=best.tls,
        reach=survey.reach,
        certain=best.certain,
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


def _ask_inside(survey: Survey, namespace: NetworkNamespace, listener: Listener) -> None:
    """Ask over every interface of the listener's own namespace."""
    for interface in known_or(namespace.interfaces, ()):
        if not interface.receives:
            continue
        for family in families(listener):
            name = LOCAL_CLIENT if interface.loopback else interface.name
            if namespace.host:
                behind = sources_behind(namespace, interface, family)
            elif interface.kind == "tun" and carries(survey.terrain, namespace):
                behind = ()
            else:
                behind = sources_beside(survey.terrain.host, namespace, interface, family)
            if _martian(survey.terrain, namespace, listener, interface):
                survey.shut(family, behind)
                continue
            for destination in _destinations(namespace, listener, interface, family):
                query = Query(
                    family=family, interface=name, address=destination, port=listener.port
                )
                survey.ask(namespace, query, _sending(survey.terrain, query, behind))


def _sending(terrain: Terrain, query: Query, behind: tuple[Sources, ...]) -> Iterator[Sources]:
    """Those of the sources behind an interface that can send to an address of the host.

    Of the internet, all where the address is public, and else whoever a translation beyond the
    host brings there.
    """
    brought = terrain.brought_to(query.address, query.port)
    everybody = public(ip_address(query.address)) or any(not each.remote for each in brought)
    named = AddressSet.from_networks((each.remote for each in brought if each.remote), 4)
    for sources in behind:
        if sources.zone is not Zone.INTERNET or everybody:
            yield sources
        elif named:
            yield Sources(sources.zone, sources.core, sources.wider & named)


def _martian(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, interface: Interface
) -> bool:
    """Whether the kernel drops whatever comes from outside for this loopback socket.

    It does so for 127.0.0.0/8 unless route_localnet is set (ip-sysctl.rst), and for ::1 always.
    A translation may still take such a packet elsewhere, as Docker's do for a port published on
    127.0.0.1; so this holds for Ollama's own sockets, and for one whose owner is not seen but is
    an ordinary user.
    """
    if not listener.on_loopback or interface.loopback:
        return False
    hidden = isinstance(listener.owners, Unknown)
    if listener.uid == 0 if hidden else not _direct(terrain, listener):
        return False
    keys = [f"ipv4.conf.{name}.route_localnet" for name in ("all", interface.name)]
    sysctls = known_or(namespace.sysctls, {})
    return listener.ip.version == 6 or all(sysctls.get(key) == "0" for key in keys)


def _ask_outside(
    survey: Survey, host: NetworkNamespace, inner: NetworkNamespace, listener: Listener
) -> None:
    """Ask over the host's interfaces for a listener in another namespace, by its own address.

    A neighbour may set a route to a container's address through the host.
    """
    if listener.on_loopback:
        return
    for device, target in _addresses(inner):
        if linked(host, device) is False:
            continue  # its network is not one that the host routes to
        if target.family not in families(listener) or target.ip.is_link_local:
            continue
        if not listener.wildcard and listener.ip != target.ip:
            continue
        for interface in known_or(host.interfaces, ()):
            if interface.loopback or not interface.receives:
                continue
            query = Query(
                family=target.family,
                interface=interface.name,
                address=target.address,
                port=listener.port,
            )
            behind = sources_behind(host, interface, target.family)
            beyond = _sending(survey.terrain, query, behind)
            near = interface_zone(host, interface) is Zone.CONTAINER and any(
                target.ip in own.network for own in interface.addresses
            )
            if not near:  # those are neighbours on one bridge, and were asked inside
                survey.ask(host, query, beyond)


def _addresses(namespace: NetworkNamespace) -> Iterator[tuple[Interface, InterfaceAddress]]:
    for interface in known_or(namespace.interfaces, ()):
        if interface.up and not interface.loopback:
            yield from ((interface, own) for own in interface.addresses if not own.tentative)


def _destinations(
    namespace: NetworkNamespace, listener: Listener, interface: Interface, family: Family
) -> Iterator[str]:
    """The addresses at which clients behind an interface may try.

    Linux answers for every address of the host at every interface (the weak host model), so a
    listener bound to one address is asked for through all of them, and one bound to all is
    asked for by the addresses of all; bridges of containers, of which there may be hundreds,
    only by their own.
    """
    if not listener.wildcard:
        yield str(listener.ip)
        return
    if interface.loopback:
        yield "127.0.0.1" if family is Family.IPV4 else "::1"
        return
    for owner in known_or(namespace.interfaces, ()):
        crossing = owner.index != interface.index
        if owner.loopback or not owner.up:
            continue
        zones = (interface_zone(namespace, each) for each in (owner, interface))
        if crossing and Zone.CONTAINER in zones:
            continue
        for own in owner.addresses:
            if own.family is not family or own.tentative:
                continue
            if not (crossing and own.ip.is_link_local):
                yield own.address
