"""Why a client whom the packet filter lets through gets to no Ollama where it asks."""

from __future__ import annotations

from ollama_audit.exposure.approach import Approach
from ollama_audit.exposure.model import Hop, Login
from ollama_audit.exposure.sockets import candidates
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.units import kept_out
from ollama_audit.exposure.zones import version
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import NetworkNamespace

_ASKED = {
    Login.NONE: "no login is asked of them",
    Login.REQUIRED: "a login is asked of them",
    Login.UNKNOWN: "a login is perhaps asked of them",
}


def refusal(
    terrain: Terrain, namespace: NetworkNamespace, found: Approach, source: int, but: Login | None
) -> str:
    """What keeps a client from the sockets at the port that it asks for; empty for nothing.

    With `but`, it is about one way of asking for a login: some may come in by another.
    """
    query = found.filter.query
    where = (query.family, query.address, query.port, query.interface)
    sockets = candidates(known_or(namespace.listeners, ()), *where)
    for each in sockets:
        if kept := kept_out(terrain, namespace, each, source, version(query.family)):
            return kept
    owners = {pid for each in sockets for pid in known_or(each.owners, ())}
    ours = [each for each in found.arrivals if each.hops and each.hops[0].pid in owners]
    for arrival in ours:
        if source in arrival.possibly and arrival.login is not but:
            return f"{_named(arrival.hops[0])}: {_ASKED[arrival.login]}"
    for arrival in ours:
        if source not in arrival.possibly and but in (None, arrival.login):
            return f"not served by {_named(arrival.hops[0])}"
    return ""


def _named(hop: Hop) -> str:
    return f"{hop.name} ({hop.detail})" if hop.detail else hop.name
