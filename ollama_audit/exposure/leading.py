"""Whether something may lead to Ollama at all, from where it leads alone: who may is not asked.

A listener or a translated port is worth the questions about who reaches it, and a line in the
report, when connections to it end at an Ollama server or at a program that passes them on to
where nobody knows. A program that merely might pass them on, as any may, is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from ollama_audit.exposure.confirm import proof
from ollama_audit.exposure.forwarders import Onward, onward, passes_on
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.ways import ways
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace


class _Socket(NamedTuple):
    """A listener, and where it is."""

    namespace: NetworkNamespace
    listener: Listener

    @property
    def key(self) -> tuple[int, Listener]:
        """What tells it from others of the same host."""
        return self.namespace.inode, self.listener


class _Ahead(NamedTuple):
    """What is next on the way of connections that a listener accepts."""

    ollama: bool = False
    """A server, or something of which nobody knows where it leads."""
    sockets: tuple[_Socket, ...] = ()
    """The listeners that they may come to."""


def leads_on(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> bool:
    """Whether connections that a listener accepts may get to Ollama; worked out once.

    Listeners may lead to each other in circles, so all that it leads to are looked at for its sake:
    what came of one on the way of another says nothing about it alone.
    """
    first = _Socket(namespace, listener)
    return terrain.judged.once(
        "leads on", first.key, lambda: any(each.ollama for each in _led_to(terrain, first))
    )


def _led_to(terrain: Terrain, first: _Socket) -> Iterator[_Ahead]:
    """What is ahead of a listener, and of all those to which it leads."""
    seen = {first.key}
    waiting = [first]
    while waiting:
        at = waiting.pop()
        ahead = terrain.judged.once("ahead", at.key, partial(_ahead, terrain, at))
        yield ahead
        waiting += [each for each in ahead.sockets if each.key not in seen]
        seen |= {each.key for each in ahead.sockets}


def _ahead(terrain: Terrain, at: _Socket) -> _Ahead:
    """What is ahead of one listener."""
    evidence = proof(terrain, at.namespace, at.listener)
    if evidence is not None and evidence.leads:
        return _Ahead(ollama=True)
    if isinstance(at.listener.owners, Unknown):
        return _Ahead(ollama=passes_on(terrain, at.listener))
    owners = at.listener.owners.value
    if any(pid in terrain.servers for pid in owners):
        return _Ahead(ollama=True)
    if not passes_on(terrain, at.listener):
        return _Ahead()
    return _behind(terrain, onward(terrain, at.namespace, at.listener, owners))


def _behind(terrain: Terrain, steps: tuple[Onward, ...]) -> _Ahead:
    """What is ahead of a program that passes connections on."""
    targets = {
        (step.namespace.inode, step.address, step.port): step.namespace
        for step in steps
        if step.namespace is not None
    }
    found: dict[tuple[int, Listener], _Socket] = {}
    for (_, address, port), namespace in targets.items():
        for place in _places(terrain, namespace, address):
            if isinstance(place.listeners, Unknown) or terrain.translated_ports(place) >> port & 1:
                return _Ahead(ollama=True)
            found |= {each.key: each for each in _listening(place, port)}
    nowhere = any(step.namespace is None and not step.guess for step in steps)
    return _Ahead(ollama=nowhere, sockets=tuple(found.values()))


def _places(
    terrain: Terrain, namespace: NetworkNamespace, address: str
) -> Iterable[NetworkNamespace]:
    """The namespaces in which connections from one to an address may end."""
    places = {way.namespace.inode: way.namespace for way in ways(terrain, namespace, address)}
    if namespace.inode not in places:
        # A router passes it on to whoever has the address.
        places |= {inner.inode: inner for inner, _ in terrain.wires.held(address)}
    return places.values()


def _listening(namespace: NetworkNamespace, port: int) -> Iterator[_Socket]:
    """The listeners at a port, whatever their address."""
    for listener in known_or(namespace.listeners, ()):
        if listener.port == port:
            yield _Socket(namespace, listener)


def port_leads(terrain: Terrain, namespace: NetworkNamespace, port: int) -> bool:
    """Whether a port of a namespace, at whatever address, may lead to Ollama."""
    if isinstance(namespace.listeners, Unknown) or terrain.translated_ports(namespace) >> port & 1:
        return True
    return any(leads_on(terrain, *socket) for socket in _listening(namespace, port))


def leading_ports(terrain: Terrain, namespace: NetworkNamespace) -> frozenset[int]:
    """The ports at which sockets listen that may lead to Ollama; none of listeners not read."""
    if isinstance(namespace.listeners, Unknown):
        return frozenset()
    return frozenset(
        listener.port
        for listener in namespace.listeners.value
        if leads_on(terrain, namespace, listener)
    )
