"""Which clients a proxy serves, and of whom it wants a login: an algebra of gates.

A gate parts all clients: those it lets through freely, those it lets through with a login, those
of whom it is not known, and the rest, whom it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self

from ollama_audit.addresses import AddressSet


@dataclass(frozen=True, slots=True)
class Clients:
    """Client addresses of both families."""

    v4: AddressSet
    v6: AddressSet

    @classmethod
    def everyone(cls) -> Self:
        """Every address."""
        return cls(AddressSet.everything(4), AddressSet.everything(6))

    @classmethod
    def nobody(cls) -> Self:
        """No address."""
        return cls(AddressSet.nothing(4), AddressSet.nothing(6))

    @classmethod
    def within(cls, network: str) -> Self:
        """The members of a network in CIDR notation, or one address.

        Raises:
            ValueError: Not a network.
        """
        found = ip_network(network.strip("[]"), strict=False)
        if isinstance(found, IPv4Network):
            return cls(AddressSet.from_networks((found,), 4), AddressSet.nothing(6))
        assert isinstance(found, IPv6Network)
        return cls(AddressSet.nothing(4), AddressSet.from_networks((found,), 6))

    def of(self, version: int) -> AddressSet:
        """The addresses of one IP version."""
        return self.v4 if version == 4 else self.v6

    def __and__(self, other: Self) -> Self:
        return type(self)(self.v4 & other.v4, self.v6 & other.v6)

    def __or__(self, other: Self) -> Self:
        return type(self)(self.v4 | other.v4, self.v6 | other.v6)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.v4 - other.v4, self.v6 - other.v6)

    def __invert__(self) -> Self:
        return type(self)(~self.v4, ~self.v6)

    def __bool__(self) -> bool:
        return bool(self.v4) or bool(self.v6)

    @property
    def all(self) -> bool:
        """Whether it is everyone."""
        return self.v4.full and self.v6.full


EVERYONE = Clients.everyone()
NOBODY = Clients.nobody()
LOOPBACK = Clients.within("127.0.0.0/8") | Clients.within("::1")


_OCTETS = re.compile(r"((?:\d{1,3}\\\.){1,3})(\d{1,3})?(\$?)")


def matching(pattern: str) -> Clients | None:
    r"""The clients whose address a regular expression fits; None when it takes more to tell.

    Such as `^10\.1\.`, `^10\.1\.2\.3$`, and `^(A|B)` of them.
    """
    if not pattern.startswith("^"):
        return None
    whole = re.fullmatch(r"\^\((?:\?:)?([^()]*)\)(\$?)", pattern)
    parts = [each + whole[2] for each in whole[1].split("|")] if whole else pattern[1:].split("|^")
    total = NOBODY
    for part in (each.removesuffix(".*") for each in parts):
        found = _OCTETS.fullmatch(part)
        if re.fullmatch(r"[\da-f:]*:[\da-f:]*\$", part):
            text = part[:-1]
        elif found is None or (found[2] is None) == bool(found[3]):
            return None
        else:
            octets = re.findall(r"\d+", part)
            if found[3] and len(octets) != 4:
                return None
            text = ".".join(octets + ["0"] * (4 - len(octets))) + f"/{8 * len(octets)}"
        try:
            total |= Clients.within(text)
        except ValueError:
            return None
    return total


@dataclass(frozen=True, slots=True)
class Gate:
    """Three disjoint parts of all clients; whoever is in none is refused."""

    free: Clients = NOBODY
    locked: Clients = NOBODY
    """They must log in."""
    doubtful: Clients = NOBODY
    """It is not known whether they must log in, or are refused."""
    because: tuple[str, ...] = ()
    """What makes the login, or the doubt, as the configuration has it."""
    services: tuple[str, ...] = ()
    """The URLs or addresses of services that are asked who may pass, and decide as they like."""

    @property
    def passing(self) -> Clients:
        """Everyone who is not surely refused."""
        return self.free | self.locked | self.doubtful

    def __and__(self, other: Self) -> Self:
        """Both gates in a row."""
        if other is OPEN:
            return self
        if self is OPEN:
            return other
        both = self.passing & other.passing
        free = self.free & other.free
        locked = both & (self.locked | other.locked)
        return type(self)(free, locked, both - free - locked, *self._said(other))

    def __or__(self, other: Self) -> Self:
        """Either gate, as the client likes."""
        free = self.free | other.free
        doubtful = (self.doubtful | other.doubtful) - free
        locked = (self.locked | other.locked) - free - doubtful
        return type(self)(free, locked, doubtful, *self._said(other))

    def _said(self, other: Self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        because = dict.fromkeys(self.because + other.because)
        return tuple(because), tuple(dict.fromkeys(self.services + other.services))


OPEN = Gate(free=EVERYONE)
SHUT = Gate()


def only(clients: Clients) -> Gate:
    """The gate that lets these through and refuses the others."""
    return Gate(free=clients)


def login(because: str, *services: str) -> Gate:
    """The gate at which everyone must log in, perhaps because a service says so."""
    return Gate(locked=EVERYONE, because=(because,), services=services)


def doubt(because: str, *services: str) -> Gate:
    """The gate of which it is not known whom it lets through."""
    return Gate(doubtful=EVERYONE, because=(because,), services=services)


@dataclass(frozen=True, slots=True)
class Fork:
    """A condition: for whom it holds, and for whom it does not; a client may manage both."""

    yes: Gate
    no: Gate

    def __invert__(self) -> Self:
        return type(self)(self.no, self.yes)

    def __and__(self, other: Self) -> Self:
        return type(self)(self.yes & other.yes, self.no | (self.yes & other.no))

    def __or__(self, other: Self) -> Self:
        return ~(~self & ~other)


ALWAYS = Fork(OPEN, SHUT)
NEVER = Fork(SHUT, OPEN)
CHOICE = Fork(OPEN, OPEN)
"""What a client writes into its request, without having to know anything."""


def truth(*, value: bool) -> Fork:
    """A condition that is settled."""
    return ALWAYS if value else NEVER


def among(clients: Clients) -> Fork:
    """Whether a client is one of these."""
    return Fork(only(clients), only(~clients))


def proven(because: str) -> Fork:
    """What only a client with the right password, key or certificate can bring about."""
    return Fork(login(because), OPEN)


def doubted(because: str) -> Fork:
    """A condition that cannot be judged."""
    return Fork(doubt(because), doubt(because))
