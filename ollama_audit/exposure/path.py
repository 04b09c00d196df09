"""One client, one address and port: does a connection end at Ollama?"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec.structs import replace

from ollama_audit.exposure.answer import Answer, ReachReport, Verdict, scope
from ollama_audit.exposure.approach import Approach, Arrival, approach
from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.model import Login
from ollama_audit.exposure.refusals import refusal
from ollama_audit.exposure.survey import deciding
from ollama_audit.exposure.terrain import Terrain, terrain_of
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.firewall.answer import LOCAL_CLIENT, Effect, Query
from ollama_audit.firewall.wording import describe
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, NetworkNamespace
from ollama_audit.words import authority

Address = IPv4Address | IPv6Address


def answer(
    host: HostSnapshot | Terrain,
    sources: tuple[Address, ...],
    targets: tuple[tuple[Address, int], ...],
    in_interface: str = "",
) -> ReachReport:
    """Whether each source reaches Ollama at each target, sources first, then targets.

    Without `in_interface` the interface is the one that the source names (`fe80::1%eth0`), else the
    one that owns the destination address, but for a source that is nearer to another: an address of
    the host itself sends by loopback, a neighbour by the link that it is on, and by the link that
    leads to it whoever sends to an address that no link has, or one that is down. Without targets,
    every endpoint is one, at each address of the source's family at which somebody may reach it.
    """
    terrain = terrain_of(host)
    everywhere = () if targets else _everywhere(terrain)
    return ReachReport(
        answers=tuple(
            _answer(terrain, source, target, port, in_interface or scope(source))
            for source in sources
            for target, port in targets or _of_its_family(source, everywhere)
        ),
        rulesets=terrain.rulesets,
    )


def _everywhere(terrain: Terrain) -> tuple[tuple[Address, int], ...]:
    """The addresses of every endpoint, those of the wildcard written out.

    Tunnels are left out: nobody on this host's networks gets into one by an address of it.
    """
    found: dict[tuple[Address, int], None] = {}
    for endpoint in assess(terrain).endpoints:
        if not endpoint.address:
            continue
        named = [endpoint.address] if not ip_address(endpoint.address).is_unspecified else []
        reached = [address for part in endpoint.reach for address in part.destinations]
        for address in named or reached:
            found[ip_address(address), endpoint.port] = None
    return tuple(found)


def _of_its_family(
    source: Address, targets: tuple[tuple[Address, int], ...]
) -> tuple[tuple[Address, int], ...]:
    """Those of the targets that a source can send to; all where there are none."""
    return tuple(each for each in targets if each[0].version == source.version) or targets


def _answer(
    terrain: Terrain, source: Address, target: Address, port: int, in_interface: str
) -> Answer:
    namespace = terrain.host
    given = Answer(
        source=str(source),
        in_interface=in_interface,
        to=str(target),
        port=port,
        reach=Verdict.UNKNOWN,
        login=Login.UNKNOWN,
        path=(),
        because=(),
    )
    if namespace is None:
        missing = terrain.snapshot.namespaces
        reason = missing.reason if isinstance(missing, Unknown) else "the host's network is missing"
        return replace(given, because=(reason,))
    if source.version != target.version:
        reason = f"an IPv{source.version} client cannot send to an IPv{target.version} address"
        return replace(given, reach=Verdict.NO, login=Login.NONE, because=(reason,))
    family = Family.IPV4 if target.version == 4 else Family.IPV6
    inner, inner_port, lets_in = _translated(terrain, source, target, port)
    if not lets_in:
        reason = "the translation beyond this host that takes it up is for another client"
        return replace(given, reach=Verdict.NO, login=Login.NONE, because=(reason,))
    interface = _receiving(namespace, in_interface)
    if not interface and source in own_addresses(namespace, family):
        interface = LOCAL_CLIENT
    if not interface and (held := terrain.wires.beside(str(inner))):
        namespace, interface = held[0], held[1].name
    interface = interface or _ingress(terrain, namespace, source, inner)
    given = replace(given, in_interface=interface)
    if not interface:
        reason = f"no interface of this host owns {target}: name one with --in-interface"
        return replace(given, because=(reason,))
    query = Query(family=family, interface=interface, address=str(inner), port=inner_port)
    found = _judged(terrain, given, namespace, approach(terrain, namespace, query), int(source))
    if inner == target or not found.path:
        return found
    beyond = f"translated beyond this host to {inner}:{inner_port}"
    return replace(found, path=(found.path[0], beyond, *found.path[1:]))


def _translated(
    terrain: Terrain, source: Address, target: Address, port: int
) -> tuple[Address, int, bool]:
    """Where packets for an address arrive, and whether those of this client do."""
    found = terrain.brought_from(str(target), port)
    for each in found:
        if each.remote in ("", str(source)):
            return ip_address(each.internal), each.internal_port or port, True
    return target, port, not found


def _ingress(
    terrain: Terrain, namespace: NetworkNamespace, source: Address, target: Address
) -> str:
    """By which interface the packets of another machine, or of a container, come in."""
    links = [
        each for each in known_or(namespace.interfaces, ()) if each.receives and not each.loopback
    ]
    near = [
        (own.prefix_length, link.name)
        for link in links
        for own in link.addresses
        if source in own.network and not own.ip.is_link_local
    ]
    owner = terrain.wires.interface(namespace, str(target))
    if owner is None and not _is_local(namespace, target):
        return ""
    if near:
        return max(near)[1]
    if owner and owner in links and owner.kind != "dummy":
        return owner.name
    names = {link.index: link.name for link in links}
    routes = [
        (route.prefix_length, -route.metric, names[index])
        for route in known_or(namespace.routes, ())
        for index in route.interfaces
        if index in names and route.type == "unicast" and source in route.network
    ]
    return max(routes, default=(0, 0, owner.name if owner else ""))[2]


def _is_local(namespace: NetworkNamespace, address: Address) -> bool:
    """Whether routes make an address the host's that no interface has."""
    return any(
        route.type == "local" and route.network.version == address.version
        for route in known_or(namespace.routes, ())
        if address in route.network
    )


def _receiving(namespace: NetworkNamespace, name: str) -> str:
    """The interface by which what comes in at this one is received: a port's bridge or bond."""
    links = {each.name: each for each in known_or(namespace.interfaces, ())}
    link = links.get(name)
    if link is None or not link.up or link.receives:
        return name
    return next((each.name for each in links.values() if each.index == link.master), name)


def _judged(
    terrain: Terrain, given: Answer, namespace: NetworkNamespace, found: Approach, source: int
) -> Answer:
    rules = deciding(namespace, found, source)
    reached = [arrival for arrival in found.arrivals if source in arrival.surely]
    if reached:
        return replace(
            given,
            reach=Verdict.YES,
            login=_login(reached),
            path=_path(given, reached[0]),
            because=tuple(dict.fromkeys([*rules, *reached[0].login_because])),
        )
    maybe = [arrival for arrival in found.arrivals if source in arrival.possibly]
    if maybe:
        reasons = [reason for arrival in maybe for reason in arrival.because]
        return replace(
            given,
            path=_path(given, maybe[0]),
            because=tuple(dict.fromkeys([*reasons, *rules, _settled(given, maybe)])),
        )
    if source not in found.filter.blocked:
        nobody = f"nobody answers for Ollama at {ip_address(given.to)} port {given.port}"
        moved = [d for d in found.filter.because(source) if d.effect is Effect.TRANSLATE]
        rules = (
            *dict.fromkeys(describe(decision, namespace.firewall) for decision in moved),
            refusal(terrain, namespace, found, source, None) or nobody,
        )
    return replace(given, reach=Verdict.NO, login=Login.NONE, because=rules)


def _login(arrivals: list[Arrival]) -> Login:
    """What the client is asked; where the kernel may choose, the weaker of the two."""
    logins = {arrival.login for arrival in arrivals}
    return next(login for login in (Login.NONE, Login.UNKNOWN, Login.REQUIRED) if login in logins)


def _settled(given: Answer, arrivals: list[Arrival]) -> str:
    """What would settle an answer that is not known: the cure of a fact, or a try."""
    cure = next((arrival.cure for arrival in arrivals if arrival.cure), "")
    return f"to settle it: {cure or f'curl -m 3 http://{_at(given)}/api/version on {given.source}'}"


def _path(given: Answer, arrival: Arrival) -> tuple[str, ...]:
    return (f"{given.in_interface} to {_at(given)}", *(hop.name for hop in arrival.hops))


def _at(given: Answer) -> str:
    return authority(given.to, given.port)
