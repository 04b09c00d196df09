"""What a listener's answers to this host's own requests prove, and what they correct.

An answer is a fact about one client: a program on this host that connects to one address. It is
one about others only where the configuration, as read, tells no clients apart. No answer shuts a
way, and none puts a login where configuration has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.arrival import Arrival
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.probe import Probe, Reply

_PATHS = ("/api/version", "/api/tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one listener's answers amount to."""

    listener: Listener
    client: IPv4Address | IPv6Address
    """Who asked."""
    at: str
    """The address that was asked."""
    leads: bool
    """Whether an Ollama server of this host answered."""
    server: int
    """Its pid; 0 when it may be one of several."""
    paths: tuple[str, ...]
    """What it answered without a login."""
    tls: bool
    said: str
    """What was asked and what came, in a sentence."""


def proof(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> Proof | None:
    """What the answers of a listener prove; None when it is Ollama's own, or was not asked."""
    found = terrain.probes.get((namespace.inode, listener.address, listener.port))
    if found is None or found.unasked or found.version is None:
        return None
    if any(pid in terrain.servers for pid in known_or(listener.owners, ())):
        return None
    version, tags = (known_or(each, None) if each else None for each in (found.version, found.tags))
    paths = [
        path
        for path, answered in zip(
            _PATHS,
            (version is not None and version.version, tags is not None and tags.models is not None),
            strict=True,
        )
        if answered
    ]
    leads, server = _who(terrain, listener, version, tags)
    return Proof(
        listener=listener,
        client=ip_address(found.client),
        at=found.at,
        leads=leads,
        server=server,
        paths=tuple(paths),
        tls=found.tls,
        said=_sentence(found, paths, leads=leads),
    )


def _who(
    terrain: Terrain, listener: Listener, version: Reply | None, tags: Reply | None
) -> tuple[bool, int]:
    """Whether one of this host's servers answered, and which, by its version and its models.

    Other programs answer as Ollama does, and so does an Ollama on another machine. Only where the
    holder of the socket is hidden, and with it what there is to compare, the likeness will do.
    """
    named = version.version if version else ""
    models = tags.models if tags else None
    alike: list[int] = []
    unread = not terrain.servers
    for pid, server in terrain.servers.items():
        facts = server.api
        own = tuple(sorted(each.name for each in known_or(facts.models, ())))
        same_models = isinstance(facts.models, Known) and models == own
        if isinstance(facts.version, Unknown):
            unread = True
        elif (named == facts.version.value and (models is None or same_models)) or (
            not named and models and same_models
        ):
            alike.append(pid)
    if alike:
        return True, alike[0] if len(alike) == 1 and not unread else 0
    hidden = isinstance(listener.owners, Unknown)
    return bool(hidden and unread and named and models is not None), 0


def _sentence(found: Probe, paths: Sequence[str], *, leads: bool) -> str:
    asked = f"this host's own request for {paths[0] if paths else _PATHS[0]} without a login"
    if leads:
        return f"{asked} was answered by Ollama"
    assert found.version is not None
    if isinstance(found.version, Unknown):
        return f"{asked}: {found.version.reason}"
    reply = found.version.value
    if reply.version:
        return f"{asked} was answered as Ollama {reply.version}, which is none of this host's"
    if not reply.status:
        return f"{asked} ended without an answer"
    by = f" ({reply.login or reply.server})" if reply.login or reply.server else ""
    return f"{asked} was answered with status {reply.status}{by}"


def confirmed(
    proof: Proof,
    address: str,
    found: Sequence[Arrival],
    ours: Sequence[Arrival],
    everyone: AddressSet,
) -> list[Arrival]:
    """The arrivals at a listener, as its answers confirm or correct them.

    `found` is what configuration says of the clients of one family that connect to `address`, and
    `ours` what it says of those of the family in which this host asked.
    """
    if not proof.leads:
        return [_noted(arrival, proof.said) for arrival in found]
    known = [arrival for arrival in ours if arrival.certain]
    if any(each.login is Login.NONE and proof.client in each.surely for each in known):
        return list(found)  # as configuration has it
    if _unenforced(ours) and _unenforced(found):
        return [_open(arrival, proof) for arrival in found]
    return list(_for_us_alone(proof, address, found, everyone))


def _noted(arrival: Arrival, said: str) -> Arrival:
    if not arrival.possibly - arrival.surely:
        return arrival
    return replace(arrival, because=(*arrival.because, said))


def _unenforced(arrivals: Sequence[Arrival]) -> bool:
    """Whether configuration wants the same login of everybody, by what clients cannot differ in.

    A service that is asked who may pass may tell them apart by their address.
    """
    return bool(arrivals) and all(
        arrival.certain
        and arrival.surely.full
        and arrival.login is Login.REQUIRED
        and not arrival.services
        for arrival in arrivals
    )


def _open(arrival: Arrival, proof: Proof) -> Arrival:
    configured = ", ".join(arrival.login_because) or "the configuration"
    reason = f"{configured} wants a login, but {proof.said}"
    return replace(arrival, login=Login.NONE, login_because=(reason,), open_paths=proof.paths)


def _for_us_alone(
    proof: Proof, address: str, found: Sequence[Arrival], everyone: AddressSet
) -> Iterator[Arrival]:
    """This host's own requests get through; of others it is not known, or as configured."""
    client = AddressSet.nothing(everyone.version)
    if proof.client.version == everyone.version and address == proof.at:
        client = AddressSet.single(int(proof.client), everyone.version)
    reason = f"{proof.said}; whether others are let in as well, one from elsewhere would show"
    somebody = (Hop(kind="socket", name=f"whoever listens at {proof.listener.shown}"),)
    given = [replace(each, hops=each.hops or somebody) for each in found]
    given = given or [_leading_nowhere(proof, somebody, everyone)]
    if client:
        yield replace(
            given[0],
            surely=client,
            possibly=client,
            server=proof.server,
            answered=True,
            own_request=True,
            login=Login.NONE,
            login_because=(proof.said,),
            open_paths=proof.paths if len(proof.paths) < len(_PATHS) else (),
            because=(),
            cure="",
        )
    for arrival in given:
        rest = arrival.within(~client)
        if arrival.certain and arrival.surely and arrival.login is Login.NONE:
            yield rest
            continue
        yield replace(
            rest,
            server=arrival.server or proof.server,
            answered=True,
            login=Login.UNKNOWN,
            login_because=(*arrival.login_because, reason),
            because=(*arrival.because, reason) if rest.possibly - rest.surely else (),
        )


def _leading_nowhere(proof: Proof, hops: tuple[Hop, ...], everyone: AddressSet) -> Arrival:
    """At a listener that is no way to Ollama as its configuration was read."""
    return Arrival(
        surely=AddressSet.nothing(everyone.version),
        possibly=everyone,
        hops=hops,
        tls=Encryption.TLS if proof.tls else Encryption.PLAIN,
        because=("its configuration, as read, leads nowhere",),
    )
