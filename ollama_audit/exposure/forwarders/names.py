"""Which of a name's addresses a program connects to.

`localhost` mostly has two, and Ollama listens at one of them: a program that tries the first
alone, as getaddrinfo(3) sorts them, does not get to 127.0.0.1. Which programs do was observed in
Debian 12 with `::1 localhost` in /etc/hosts and Ollama at 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address

from ollama_audit.exposure.sockets import candidates
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.firewall.answer import LOCAL_CLIENT
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import Family, NetworkNamespace


class Takes(StrEnum):
    """Which addresses of a name a program tries."""

    EACH = "each"
    """One after the other, until somebody accepts."""
    FIRST = "first"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


def taken(
    terrain: Terrain,
    namespace: NetworkNamespace,
    addresses: Sequence[str],
    port: int,
    takes: Takes,
) -> str:
    """The address that a program in a namespace connects to; empty when none will do.

    One alone is the address itself and no name, or all that there is for it.
    """
    if len(addresses) == 1:
        return addresses[0]
    version = {Takes.IPV4: 4, Takes.IPV6: 6}.get(takes, 0)
    usable = [each for each in addresses if version in {0, ip_address(each).version}]
    usable.sort(key=lambda each: _order(terrain, namespace, each))
    if takes is Takes.EACH:
        listening = (each for each in usable if _listened(terrain, namespace, each, port))
        return next(listening, next(iter(usable), ""))
    return next(iter(usable), "")


def _order(terrain: Terrain, namespace: NetworkNamespace, address: str) -> tuple[bool, bool]:
    """Those without a source address last, and IPv6 first (RFC 6724, rules 1 and 6)."""
    ip = ip_address(address)
    away = ip.is_loopback and terrain.wires.interface(namespace, address) is None
    return away, ip.version == 4


def _listened(terrain: Terrain, namespace: NetworkNamespace, address: str, port: int) -> bool:
    """Whether a connection to an own address is accepted, or may be."""
    family = Family.IPV6 if ":" in address else Family.IPV4
    listeners = known_or(namespace.listeners, ())
    own = ip_address(address).is_loopback or terrain.wires.interface(namespace, address)
    return bool(
        not own
        or terrain.translated_ports(namespace) >> port & 1
        or candidates(listeners, family, address, port, LOCAL_CLIENT)
    )
