"""Which routing table is asked for a packet: the policy rules of `ip rule`, for every destination.

net/ipv4/fib_rules.c, net/ipv6/fib6_rules.c and net/core/fib_rules.c.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import NamedTuple, Protocol

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.snapshot.network import PolicyRule

NO_ROUTE = ""
"""In place of an interface: there is no route."""
UNSURE = "?"
"""In place of an interface: it cannot be said which."""


class Lookup(NamedTuple):
    """What a route lookup is about, apart from the destination (struct flowi)."""

    source: int | None = None
    in_interface: str = "lo"
    """`lo` for packets that the host itself sends."""
    mark: int | None = 0


class Destinations(NamedTuple):
    """Destinations of one route, or of several that share their traffic."""

    addresses: AddressSet
    interfaces: tuple[str, ...]
    """Through which packets may leave; NO_ROUTE or UNSURE instead."""
    prefix_length: int


class Tables(Protocol):
    """The routing tables of a namespace."""

    def table(self, version: int, number: int) -> list[Destinations]:
        """A table as disjoint destinations, the longest prefix first."""

    def in_vrf(self, interface: str) -> bool:
        """Whether the interface is, or belongs to, a VRF."""


def _selected(tables: Tables, rule: PolicyRule, lookup: Lookup) -> bool | None:
    """Whether a policy rule applies, its destination aside; None: it cannot be said."""
    answers: list[bool | None] = []
    if rule.l3mdev:
        answers.append(None if tables.in_vrf(lookup.in_interface) else False)
    if rule.other or rule.out_interface:
        answers.append(None)
    if rule.in_interface:
        answers.append(rule.in_interface == lookup.in_interface)
    if rule.mark_mask:
        wanted = rule.mark & rule.mark_mask
        answers.append(None if lookup.mark is None else lookup.mark & rule.mark_mask == wanted)
    if rule.source:
        network = ip_network(rule.source, strict=False)
        answers.append(
            None
            if lookup.source is None
            else ip_address_of(lookup.source, network.version) in network
        )
    if False in answers:
        return False
    return None if None in answers else True


def ip_address_of(value: int, version: int) -> object:
    """The address with this value; a small IPv6 address is not mistaken for an IPv4 one."""
    return ip_address(value.to_bytes(BITS[version] // 8, "big"))


class _Walk:
    """One pass over the policy rules, for every destination at once."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.left = AddressSet.everything(version)
        self.found: dict[str, AddressSet] = {}
        self.resume_at = 0

    def settle(self, destinations: AddressSet, *interfaces: str) -> None:
        part = destinations & self.left
        if part:
            self.left = self.left - part
            for interface in interfaces:
                present = self.found.get(interface)
                self.found[interface] = part if present is None else present | part

    def step(self, tables: Tables, rule: PolicyRule, lookup: Lookup) -> None:
        selected = _selected(tables, rule, lookup)
        part = self.left
        if rule.destination:
            part = part & AddressSet.from_networks([rule.destination], self.version)
        if rule.invert:
            if selected is not None and rule.destination:
                # `not` covers the selectors together: part of the destinations may escape
                part = self.left - part if selected else self.left
                selected = True
            else:
                selected = None if selected is None else not selected
        if selected is False or not part:
            return
        if rule.action == "goto":
            self._jump(rule, part, sure=selected is True and not rule.destination)
        elif rule.action == "nop":
            return
        elif rule.action != "lookup":
            self.settle(part, NO_ROUTE if selected else UNSURE)
        else:
            for destinations, interfaces, length in tables.table(self.version, rule.table):
                if length > rule.suppress_prefix_length:
                    ways = interfaces if selected else (UNSURE,)
                    self.settle(destinations & part, *ways)

    def _jump(self, rule: PolicyRule, part: AddressSet, *, sure: bool) -> None:
        if sure:
            self.resume_at = rule.goto
        else:
            self.settle(part, UNSURE)


def egress(
    tables: Tables, version: int, rules: list[PolicyRule], lookup: Lookup
) -> dict[str, AddressSet]:
    """Through which interface packets leave, by destination; NO_ROUTE and UNSURE among them.

    An address whose routes share their traffic is in the sets of several interfaces.
    """
    if tables.in_vrf(lookup.in_interface):
        return {UNSURE: AddressSet.everything(version)}
    walk = _Walk(version)
    for rule in rules:
        if rule.priority >= walk.resume_at:
            walk.step(tables, rule, lookup)
    if walk.left:
        walk.settle(walk.left, NO_ROUTE)
    return walk.found
