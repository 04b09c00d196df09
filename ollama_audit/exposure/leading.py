"""Whether something may lead to Ollama at all, from where it leads alone: who may is not asked.

A listener or a translated port is worth the questions about who reaches it, and a line in the
report, when connections to it end at an Ollama server or at a program that passes them on to
where nobody knows. A program that merely might pass them on, as any may, is not.
"""

from __future__ import annotations

from ollama_audit.exposure.confirm import proof
from ollama_audit.exposure.forwarders import onward, passes_on
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.ways import ways
from ollama_audit.firewall.ports import Ports
from ollama_audit.firewall.translations import translations
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Listener, NetworkNamespace


def leads_on(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> bool:
    """Whether connections that a listener accepts may get to Ollama; worked out once."""
    key = (namespace.inode, listener)
    if key not in terrain.leading:
        terrain.leading[key] = False  # a loop leads nowhere
        terrain.leading[key] = _leads_on(terrain, namespace, listener)
    return terrain.leading[key]


def _leads_on(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> bool:
    evidence = proof(terrain, namespace, listener)
    if evidence is not None and evidence.leads:
        return True
    if isinstance(listener.owners, Unknown):
        return passes_on(terrain, listener)
    owners = listener.owners.value
    if any(pid in terrain.servers for pid in owners):
        return True
    return passes_on(terrain, listener) and any(
        _address_leads(terrain, step.namespace, step.address, step.port)
        if step.namespace is not None
        else not step.guess
        for step in onward(terrain, namespace, listener, owners)
    )


def _address_leads(terrain: Terrain, namespace: NetworkNamespace, address: str, port: int) -> bool:
    places = {way.namespace.inode: way.namespace for way in ways(terrain, namespace, address)}
    if namespace.inode not in places:
        # A router passes it on to whoever has the address.
        places |= {inner.inode: inner for inner, _ in terrain.held(address)}
    return any(port_leads(terrain, place, port) for place in places.values())


def port_leads(terrain: Terrain, namespace: NetworkNamespace, port: int) -> bool:
    """Whether a port of a namespace, at whatever address, may lead to Ollama."""
    if isinstance(namespace.listeners, Unknown) or translated_ports(namespace) >> port & 1:
        return True
    return any(
        leads_on(terrain, namespace, listener)
        for listener in namespace.listeners.value
        if listener.port == port
    )


def leading_ports(terrain: Terrain, namespace: NetworkNamespace) -> frozenset[int]:
    """The ports at which sockets listen that may lead to Ollama; none of listeners not read."""
    if isinstance(namespace.listeners, Unknown):
        return frozenset()
    return frozenset(
        listener.port
        for listener in namespace.listeners.value
        if leads_on(terrain, namespace, listener)
    )


def translated_ports(namespace: NetworkNamespace) -> Ports:
    """The ports that rules of a namespace may translate."""
    found = translations(namespace)
    if isinstance(found, Unknown):
        return 0
    ports = 0
    for each in found.translations:
        ports |= each.ports
    return ports
