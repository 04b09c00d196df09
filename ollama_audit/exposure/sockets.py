"""Which listening socket the kernel hands a connection to, and who may connect to it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from ollama_audit.addresses import AddressSet
from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.network import Family, Listener
from ollama_audit.snapshot.service import AddressLists, SystemdUnit


def candidates(
    listeners: tuple[Listener, ...], family: Family, address: str, port: int, interface: str
) -> tuple[Listener, ...]:
    """The sockets that may get a connection to `address`:`port` arriving at `interface`.

    Empty: the kernel answers with a reset. More than one: the choice is not known, or it is
    made per connection (SO_REUSEPORT). As inet_lookup_listener() in net/ipv4/inet_hashtables.c
    and net/ipv6/inet6_hashtables.c scores them: a bound address before the wildcard, then a
    bound device, then a socket of the packet's own family.
    """
    target = ip_address(address)
    scored = [
        (_score(listener, family, target.packed), listener)
        for listener in listeners
        if listener.port == port and _serves(listener, family, target.packed, interface)
    ]
    best = max((score for score, _ in scored), default=None)
    if best is None:
        return ()
    certain = [listener for score, listener in scored if score == best]
    doubtful = [listener for _, listener in scored if not isinstance(listener.v6only, Known)]
    return tuple(dict.fromkeys([*certain, *doubtful])) if doubtful else tuple(certain)


def _serves(listener: Listener, family: Family, target: bytes, interface: str) -> bool:
    if listener.device and listener.device != interface:
        return False
    bound = listener.ip
    if family is Family.IPV4:
        if isinstance(bound, IPv4Address):
            return bound.is_unspecified or bound.packed == target
        return bound.is_unspecified and not known_or(listener.v6only, default=False)
    if isinstance(bound, IPv4Address) or listener.family is Family.IPV4:
        return False
    return bound.is_unspecified or bound.packed == target


def _score(listener: Listener, family: Family, target: bytes) -> tuple[bool, bool, bool]:
    return (listener.ip.packed == target, bool(listener.device), listener.family is family)


def families(listener: Listener) -> tuple[Family, ...]:
    """The families of the clients that a socket can serve."""
    if listener.family is Family.IPV4 or isinstance(listener.ip, IPv4Address):
        return (Family.IPV4,)
    if listener.wildcard and not known_or(listener.v6only, default=False):
        return (Family.IPV4, Family.IPV6)
    return (Family.IPV6,)


def admitted(unit: SystemdUnit | AddressLists | None, version: int) -> AddressSet:
    """The sources that a unit's IPAddressAllow= and IPAddressDeny= let through.

    An address on the allow list gets through, else one on the deny list does not, else it
    does (systemd.resource-control(5)).
    """
    everyone = AddressSet.everything(version)
    if unit is None:
        return everyone

    def listed(networks: tuple[str, ...]) -> AddressSet:
        return AddressSet.from_networks(
            (n for n in networks if (":" in n) == (version == 6)), version
        )

    return listed(unit.ip_address_allow) | (everyone - listed(unit.ip_address_deny))
