"""What nf_tables expressions load into registers, for a TCP handshake.

net/netfilter/nft_{meta,payload,ct,fib}.c. A field that does not exist for a packet stops the
rule (NFT_BREAK); that is None here. What the client may choose freely is unknown bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeAlias

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.bits import CLIENT, UNKNOWN_FIELD, Byte, PartialByte, Value
from ollama_audit.firewall.context import Context, address_bytes, port_bytes
from ollama_audit.firewall.ip_layer import address_types, reverse_path
from ollama_audit.firewall.match import Part
from ollama_audit.firewall.policy_routing import Lookup
from ollama_audit.firewall.state import Phase, State, Tracking
from ollama_audit.snapshot.network import Interface

Field: TypeAlias = Callable[[Context, State], Value | None]
"""None: the packet has no such field, and the rule does not match."""

CT_CONNTRACK_PRIORITY = -200
"""NF_IP_PRI_CONNTRACK: what is seen at exactly this priority depends on the order."""

TCP_FLAGS: Final = {Phase.OPEN: 0x02, Phase.ANSWER: 0x12, Phase.CONFIRM: 0x10}
"""Those that ordinary packets of a handshake carry, and no others: clients that ask for ECN (RFC
3168) try again without it."""
FIXED_TCP_FLAGS = 0x17
"""FIN, SYN, RST and ACK; a client may set PSH, URG, ECE and CWR as it likes."""
ORDINARY_PORTS: Final = (0x8000, 0xFFFF)
"""Source ports of ordinary clients: those of net.ipv4.ip_local_port_range and of RFC 6335 (6)."""
ORDINARY_PORT: Final[Value] = [PartialByte(0x80, 0x80), None]


def word(value: int | None) -> Value:
    """A number of 32 bits as the kernel of this machine keeps it."""
    return [None] * 4 if value is None else list(value.to_bytes(4, sys.byteorder))


def interface_name(name: str) -> Value:
    """IFNAMSIZ bytes."""
    return list(name.encode()[:15].ljust(16, b"\0"))


# meta


def _interface(
    show: Callable[[Interface], Value], *, ingress: bool, missing: Value | None
) -> Field:
    def field(context: Context, state: State) -> Value | None:
        del state
        interface = context.ingress if ingress else context.egress
        return missing if interface is None else show(interface)

    return field


def _index(interface: Interface) -> Value:
    return word(interface.index)


def _name(interface: Interface) -> Value:
    return interface_name(interface.name)


def _hardware_type(interface: Interface) -> Value:
    return list(interface.type.to_bytes(2, sys.byteorder))


def _group(interface: Interface) -> Value:
    return word(interface.group)


def _kind(interface: Interface) -> Value:
    return interface_name(interface.kind)


def _mark(context: Context, state: State) -> Value:
    del context
    return word(state.mark)


def _ether_type(context: Context, state: State) -> Value:
    del state
    return [0x08, 0x00] if context.version == 4 else [0x86, 0xDD]


def _family(context: Context, state: State) -> Value:
    del state
    return [2 if context.version == 4 else 10]


def _tcp(context: Context, state: State) -> Value:
    del context, state
    return [6]


def _to_host(context: Context, state: State) -> Value:
    del state
    unsure = context.hook in ("postrouting", "egress")
    return [None] if unsure else [0]  # PACKET_HOST, also of packets that the host makes


def unknown(context: Context, state: State) -> Value:
    """A field that exists and can be anything."""
    del context, state
    return UNKNOWN_FIELD


META: Final[dict[int, Field]] = {
    1: _ether_type,
    3: _mark,
    4: _interface(_index, ingress=True, missing=[0] * 4),
    5: _interface(_index, ingress=False, missing=[0] * 4),
    6: _interface(_name, ingress=True, missing=[0] * 16),
    7: _interface(_name, ingress=False, missing=[0] * 16),
    8: _interface(_hardware_type, ingress=True, missing=None),
    9: _interface(_hardware_type, ingress=False, missing=None),
    15: _family,
    16: _tcp,
    19: _to_host,
    21: _interface(_group, ingress=True, missing=None),
    22: _interface(_group, ingress=False, missing=None),
    26: _interface(_kind, ingress=True, missing=None),
    27: _interface(_kind, ingress=False, missing=None),
}
"""By NFT_META_*; every other key can be anything."""


# payload


def _network_header(context: Context, state: State) -> dict[int, Byte]:
    client, service = context.client(state), context.service(state)
    source, destination = (service, client) if context.answering else (client, service)
    header: dict[int, Byte]
    if context.version == 4:
        header = {0: 0x45, 6: PartialByte(0x3F, 0), 7: 0, 9: 6}  # no options, not a fragment
        start = 12
    else:
        header = {0: PartialByte(0xF0, 0x60)}
        start = 8
    for index, byte in enumerate(source + destination):
        header[start + index] = byte
    return header


def _transport_header(context: Context, state: State) -> dict[int, Byte]:
    port = port_bytes(state.port)
    start = 0 if context.answering else 2
    flags = TCP_FLAGS[context.phase]
    header: dict[int, Byte] = {start: port[0], start + 1: port[1], 13: flags}
    if not state.ordinary:
        header[13] = PartialByte(FIXED_TCP_FLAGS, flags)
    elif not state.masqueraded:
        header[2 - start], header[3 - start] = ORDINARY_PORT
    return header


def chosen_in(base: int, offset: int, length: int) -> frozenset[Phase]:
    """In which packets the client chooses some of the payload: its port, some of its flags."""
    if base != 2:
        return frozenset()
    if offset <= 13 < offset + length:
        return frozenset(Phase)
    from_client = {Phase.OPEN, Phase.CONFIRM} if offset < 2 else set()
    to_client = {Phase.ANSWER} if offset < 4 and offset + length > 2 else set()
    return frozenset(from_client | to_client)


def payload(base: int, offset: int, length: int) -> Field:
    """Bytes of the network header (base 1) or transport header (2), else unknown."""
    header = {1: _network_header, 2: _transport_header}.get(base)
    if header is None:
        return unknown

    def field(context: Context, state: State) -> Value:
        found = header(context, state)
        return [found.get(offset + index) for index in range(length)]

    if base == 1:
        return _address_field(field, offset, length)
    return field


def _address_field(field: Field, offset: int, length: int) -> Field:
    """The same, quicker where it is exactly the source address: by far the most frequent."""

    def quick(context: Context, state: State) -> Value | None:
        if length == BITS[context.version] // 8 and not context.answering:
            start = 12 if context.version == 4 else 8
            if offset == start:
                return context.client(state)
            if offset == start + length:
                return context.service(state)
        return field(context, state)

    return quick


def payload_may_miss(base: int, offset: int, length: int) -> bool:
    """Whether the header may be too short: a TCP header has 20 bytes, options may follow."""
    return not (base == 1 or (base == 2 and offset + length <= 20))


# ct


def _state(context: Context, state: State) -> Value:
    if context.position == CT_CONNTRACK_PRIORITY or state.tracking is Tracking.UNKNOWN:
        return word(None)
    bits = {Tracking.NONE: 1, Tracking.NEW: 8, Tracking.ESTABLISHED: 2, Tracking.UNTRACKED: 64}
    return word(bits[state.tracking])


def _direction(context: Context, state: State) -> Value:
    del state
    return [1 if context.answering else 0]


SEEN_REPLY, ASSURED, CONFIRMED, SNAT, DNAT = 0x2, 0x4, 0x8, 0x10, 0x20
"""IPS_* (linux/netfilter/nf_conntrack_common.h)."""


def _status(context: Context, state: State) -> Value:
    known = 0x27F
    if state.masqueraded:
        known &= ~SNAT
    value = DNAT if state.translated else 0
    if context.phase is Phase.OPEN:
        if context.hook == "postrouting" and not state.masqueraded:
            known &= ~SNAT
        if context.hook in ("postrouting", "input"):
            known &= ~CONFIRMED
    else:
        known &= ~(CONFIRMED | ASSURED)
        value |= SEEN_REPLY
    return [
        byte if mask == 0xFF else PartialByte(mask, byte)
        for mask, byte in zip(
            known.to_bytes(4, sys.byteorder),
            (value & known).to_bytes(4, sys.byteorder),
            strict=True,
        )
    ]


def _connection_mark(context: Context, state: State) -> Value:
    del context
    return word(state.connection_mark)


def _wide(value: Value) -> Value:
    """`ct saddr` of either family takes 16 bytes."""
    return value + [0] * (16 - len(value))


def _original_destination(context: Context, state: State) -> Value:
    return address_bytes(state.original_address, context.version)


def _reply_source(context: Context, state: State) -> Value:
    return address_bytes(state.target_address, context.version)


CONNECTION: Final[dict[int, Field]] = {
    1: _direction,
    2: _status,
    3: _connection_mark,
    7: _family,
    10: _tcp,
}
"""By NFT_CT_*; the same for both directions."""


def connection(key: int, direction: int | None) -> Field:
    """`ct KEY` (NFT_CT_*), of the original (0) or reply (1) direction where it has one."""
    if key == 0:
        return _state
    plain = CONNECTION.get(key) or _tuple_field(key, direction)

    def field(context: Context, state: State) -> Value | None:
        if state.tracking is Tracking.UNKNOWN:
            return UNKNOWN_FIELD
        if state.tracking in (Tracking.NONE, Tracking.UNTRACKED):
            return None
        if context.position == CT_CONNTRACK_PRIORITY:
            return UNKNOWN_FIELD
        return plain(context, state)

    return field


FAMILY_OF_KEY: Final = {19: 4, 20: 4, 21: 6, 22: 6}
"""NFT_CT_{SRC,DST}_IP and _IP6 exist for their own family only."""


def _tuple_field(key: int, direction: int | None) -> Field:
    def field(context: Context, state: State) -> Value | None:
        if FAMILY_OF_KEY.get(key, context.version) != context.version:
            return None
        if key in (8, 19, 21) and direction == 0:
            value = CLIENT[context.version]
        elif key in (9, 20, 22) and direction == 0:
            value = _original_destination(context, state)
        elif key in (8, 19, 21) and direction == 1:
            value = _reply_source(context, state)
        elif key == 12 and direction == 0:
            return port_bytes(state.original_port)
        else:
            return UNKNOWN_FIELD
        return _wide(value) if key in (8, 9) else value

    return field


# fib

Classes: TypeAlias = list[tuple[Part, Value | None]]
"""What a lookup gives, by source."""

SOURCE, MARK, INGRESS, EGRESS, PRESENT = 0x1, 0x4, 0x8, 0x10, 0x20
"""NFTA_FIB_F_*"""
OIF, OIF_NAME, ADDRESS_TYPE = 1, 2, 3
"""NFT_FIB_RESULT_*"""
UNICAST, LOCAL, BROADCAST, MULTICAST = 1, 2, 3, 5
"""RTN_* (linux/rtnetlink.h); anycast is what `local` covers too, see `Host.local`."""


def fib(context: Context, state: State, result: int, flags: int) -> Classes:
    """The outcomes of a `fib` expression and the sources that give each."""
    if not context.client_shown(state):
        return [(True, UNKNOWN_FIELD)]
    if result == ADDRESS_TYPE:
        return _fib_type(context, state, flags)
    if context.ingress is None:
        return [(True, UNKNOWN_FIELD)]
    over_loopback = context.ingress.loopback and context.hook in RECEIVING_HOOKS
    if not flags & SOURCE and not over_loopback:
        return [(True, UNKNOWN_FIELD)]
    return _fib_interface(context, state, result, flags)


RECEIVING_HOOKS: Final = frozenset({"ingress", "prerouting", "input"})
"""Where packets over lo are said to come from lo without a lookup (nft_fib_can_skip)."""


def _fib_type(context: Context, state: State, flags: int) -> Classes:
    interface = context.ingress if flags & INGRESS else context.egress if flags & EGRESS else None
    types = address_types(context.host, context.version, interface.name if interface else "")
    known = [
        (types.local, word(LOCAL)),
        (types.multicast, word(MULTICAST)),
        (types.broadcast, word(BROADCAST)),
        (types.unicast, word(UNICAST)),
        (types.unsure, word(None)),
    ]
    if bool(flags & SOURCE) != context.answering:
        return [(part, value) for part, value in known if part]
    if state.address is None:
        return [(True, word(None))]
    return [(True, next(value for part, value in known if state.address in part))]


def _about_one(
    address: int | None, found: AddressSet, unsure: AddressSet
) -> tuple[AddressSet, AddressSet]:
    """The same for the one source of an answer: every client meets what holds for it."""
    everything = AddressSet.everything(found.version)
    if address is None or address in unsure:
        return ~everything, everything
    return (everything if address in found else ~everything), ~everything


def _fib_interface(context: Context, state: State, result: int, flags: int) -> Classes:
    ingress = context.ingress
    if ingress is None:
        return [(True, UNKNOWN_FIELD)]
    name, strict = ingress.name, bool(flags & INGRESS)
    if ingress.loopback:
        found, unsure = context.everything, ~context.everything
    else:
        mark = state.mark if flags & MARK else 0
        lookup = Lookup(None if context.answering else state.address, mark=mark)
        found, unsure = reverse_path(
            context.host, context.version, name, lookup, loose=not strict, broadcast=True
        )
    if context.answering and not ingress.loopback:
        found, unsure = _about_one(state.address, found, unsure)
    missing = ~(found | unsure)
    outcomes: Classes = [(unsure, UNKNOWN_FIELD)] if unsure else []
    if flags & PRESENT:
        return [*outcomes, (found - unsure, word(1)), (missing, word(0))]
    if not strict or result not in (OIF, OIF_NAME):
        return [(True, UNKNOWN_FIELD)]
    present = word(ingress.index) if result == OIF else interface_name(name)
    absent = word(0) if result == OIF else interface_name("")
    return [*outcomes, (found - unsure, present), (missing, absent)]
