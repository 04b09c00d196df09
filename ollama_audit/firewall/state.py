"""What is known of a packet on its way, apart from its source, and sets of sources by that."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Rule


class Phase(IntEnum):
    """Which packet of the handshake."""

    OPEN = 0
    """SYN, from the client."""
    ANSWER = 1
    """SYN+ACK, to the client."""
    CONFIRM = 2
    """ACK, from the client."""


class Tracking(IntEnum):
    """What connection tracking says of the packet (`ct state`)."""

    NONE = 0
    """It has not looked yet."""
    NEW = 1
    ESTABLISHED = 2
    UNTRACKED = 3
    UNKNOWN = 4


class Seen(IntEnum):
    """How much of the handshake connection tracking saw before this packet."""

    NOTHING = 0
    OPENING = 1
    """SYN."""
    ANSWER = 2
    """SYN and SYN+ACK."""


class State(NamedTuple):
    """A packet and its connection; a field that is None can be anything.

    `address` and `port` are the end that is not the client's: the destination of the client's
    packets and the source of the answer, as they stand on the packet just now.
    """

    address: int | None
    port: int | None
    original_address: int
    """Before translation, as connection tracking keeps it."""
    original_port: int
    target_address: int | None
    """After translation."""
    target_port: int | None
    mark: int | None = 0
    connection_mark: int | None = 0
    tracking: Tracking = Tracking.NONE
    translated: bool = False
    """The destination really changed (IPS_DST_NAT); not when DNAT keeps address and port."""
    masqueraded: bool = False
    """The source was or may have been changed (SNAT, MASQUERADE)."""
    nat_done: bool = False
    """A destination translation is set up: later nat chains are skipped."""
    seen: Seen = Seen.NOTHING
    counted: frozenset[Rule] = frozenset()
    """The rules with `connlimit` that the connection's first packet met."""
    ordinary: bool = True
    """The client chooses as clients do, see `fields.ORDINARY_PORTS`; False: it may choose anything.

    What is in the client's hand cannot keep it out, so that only ordinary clients count as
    dropped; it may let a client in, so that every kind counts as let through.
    """


Flows: TypeAlias = dict[State, AddressSet]
"""For each state, the sources whose packets may be in it."""


def opening(address: int, port: int) -> State:
    """The state of a client's first packet as it arrives."""
    return State(address, port, address, port, address, port)


def add(flows: Flows, state: State, sources: AddressSet) -> None:
    """Put `sources` into `state` as well."""
    if sources:
        present = flows.get(state)
        flows[state] = sources if present is None else present | sources


def merge(flows: Flows, others: Flows) -> None:
    """Put all of `others` into `flows` as well."""
    for state, sources in others.items():
        add(flows, state, sources)


def everyone(flows: Flows, version: int) -> AddressSet:
    """The sources that are in any state."""
    result = AddressSet.nothing(version)
    for sources in flows.values():
        result = result | sources
    return result
