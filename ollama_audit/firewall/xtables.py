"""The matches of iptables, from the kernel's own structures.

iptables-nft keeps most of its matches as they are in linux/netfilter/xt_*.h, inside nf_tables
expressions; numbers are of this machine's byte order unless they are of the network. Matches
that nobody could decide anyway (rates, times, payloads) are `Maybe`, and so are unknown ones: a
match cannot change a packet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall import allowances
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.instructions import (
    CountConnections,
    Maybe,
    Ordinarily,
    Require,
    SetByNumber,
)
from ollama_audit.firewall.machine import Instruction

MatchDecoder = Callable[[int, bytes, int], Test]
"""From revision, structure and IP version."""

EVERY_PORT: Final = [(0, 0xFFFF)]


def _only_if(test: Test, *, unless: bool) -> Test:
    return on.negated(test) if unless else test


def _conntrack(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_conntrack_mtinfo1, 2 and 3."""
    if not 1 <= revision <= 3:
        return on.anything
    (l4proto, _, low, _, _, flags, inverted) = struct.unpack_from("=HHHHHHH", info, 136)
    states, _status = struct.unpack_from("=HH" if revision > 1 else "=BB", info, 150)
    high = low
    if revision == 3:
        _, high, _, _ = struct.unpack_from("=HHHH", info, 154)
    tests: dict[int, Test] = {
        0x1: on.tracking_state(_state_names(states)),
        0x2: on.tracked(on.protocol(l4proto)),
        0x4: on.tracked(on.original_source(_masked(info, 0, version))),
        0x8: on.tracked(on.original_destination(_masked(info, 32, version))),
        0x40: on.tracked(on.connection_status(_status)),
        0x200: on.tracked(on.original_port([(low, high)])),
        0x1000: on.tracked(on.direction(original=not inverted & 0x1000)),
    }
    found = []
    for bit in range(13):
        if flags & 1 << bit:
            test = tests.get(1 << bit, on.anything)
            found.append(_invert_tracked(test, bit, inverted))
    return on.all_of(found)


def _invert_tracked(test: Test, bit: int, inverted: int) -> Test:
    if bit == 12 or not inverted & 1 << bit:
        return test
    if bit == 0:
        return on.negated(test)
    return on.tracked(on.negated(test))


def _state_names(mask: int) -> frozenset[str]:
    """XT_CONNTRACK_STATE_* (linux/netfilter/xt_conntrack.h)."""
    names = {1: "INVALID", 2: "ESTABLISHED", 4: "RELATED", 8: "NEW", 64: "SNAT", 128: "DNAT"}
    names[256] = "UNTRACKED"
    return frozenset(name for bit, name in names.items() if mask & bit)


def _masked(info: bytes, offset: int, version: int) -> AddressSet:
    """An address and its mask, 16 bytes each, as a set; only prefixes are found in practice."""
    length = 4 if version == 4 else 16
    base = int.from_bytes(info[offset : offset + length], "big")
    mask = int.from_bytes(info[offset + 16 : offset + 16 + length], "big")
    free = ~mask & ((1 << 8 * length) - 1)
    if free & (free + 1):
        raise ValueError("a mask with holes")
    return AddressSet.span(base & mask, base & mask | free, version)


def _state(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_state_info."""
    del revision, version
    (mask,) = struct.unpack_from("=I", info)
    untracked = frozenset({"UNTRACKED"}) if mask & 64 else frozenset()
    return on.tracking_state(_state_names(mask & 0xF) | untracked)


def _tcp(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_tcp."""
    del revision, version
    source0, source1, port0, port1, option, mask, wanted, inverted = struct.unpack_from(
        "=HHHHBBBB", info
    )
    source, destination = [(source0, source1)], [(port0, port1)]
    tests = []
    if source != EVERY_PORT or inverted & 1:
        tests.append(_only_if(on.port(source, source=True), unless=bool(inverted & 1)))
    if destination != EVERY_PORT or inverted & 2:
        tests.append(_only_if(on.port(destination, source=False), unless=bool(inverted & 2)))
    if mask or wanted or inverted & 4:
        tests.append(_only_if(on.tcp_flags(mask, wanted), unless=bool(inverted & 4)))
    if option:
        tests.append(on.anything)
    return on.all_of(tests)


def _multiport(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_multiport_v1."""
    del version
    if revision != 1:
        return on.anything
    kind, count = info[0], info[1]
    ports = struct.unpack_from("=15H", info, 2)
    is_range = info[32:47]
    ranges = []
    index = 0
    while index < min(count, 15):
        if is_range[index] and index + 1 < 15:
            ranges.append((ports[index], ports[index + 1]))
            index += 2
        else:
            ranges.append((ports[index], ports[index]))
            index += 1
    sides = {0: [True], 1: [False], 2: [True, False]}[kind]
    test = on.any_of([on.port(ranges, source=side) for side in sides])
    return _only_if(test, unless=bool(info[47]))


def _addrtype(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_addrtype_info_v1, and xt_addrtype_info of revision 0."""
    del version
    source, destination = struct.unpack_from("=HH", info)
    if revision == 0:
        invert_source, invert_destination = struct.unpack_from("=II", info, 4)
        limit = ""
    else:
        (flags,) = struct.unpack_from("=I", info, 4)
        invert_source, invert_destination = flags & 1, flags & 2
        limit = "ingress" if flags & 4 else "egress" if flags & 8 else ""
    tests = []
    if source:
        test = on.address_type(_type_names(source), source=True, limit=limit)
        tests.append(_only_if(test, unless=bool(invert_source)))
    if destination:
        test = on.address_type(_type_names(destination), source=False, limit=limit)
        tests.append(_only_if(test, unless=bool(invert_destination)))
    return on.all_of(tests)


def _type_names(mask: int) -> frozenset[str]:
    return frozenset(name for bit, name in enumerate(on.TYPE_NAMES) if mask & 1 << bit)


def _mark(*, connection: bool) -> MatchDecoder:
    """Struct xt_mark_mtinfo1 and xt_connmark_mtinfo1."""

    def decoder(revision: int, info: bytes, version: int) -> Test:
        del version
        if revision != 1:
            return on.anything
        value, mask, invert = struct.unpack_from("=IIB", info)
        test = _only_if(on.mark(value, mask, connection=connection), unless=bool(invert))
        return on.tracked(test) if connection else test

    return decoder


def _iprange(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_iprange_mtinfo."""
    if revision != 1:
        return on.anything
    length = 4 if version == 4 else 16
    flags = info[64]
    tests = []
    for bit, offset, source in ((1, 0, True), (2, 32, False)):
        if flags & bit:
            first = int.from_bytes(info[offset : offset + length], "big")
            last = int.from_bytes(info[offset + 16 : offset + 16 + length], "big")
            test = on.address(AddressSet.span(first, last, version), source=source)
            tests.append(_only_if(test, unless=bool(flags & bit << 4)))
    return on.all_of(tests)


def _pkttype(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_pkttype_info."""
    del revision, version
    kind, invert = struct.unpack_from("=II", info)
    test = on.host_packet if kind == 0 else on.negated(on.host_packet)
    return _only_if(test, unless=bool(invert))


def _devgroup(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_devgroup_info."""
    del revision, version
    flags, source, source_mask, destination, destination_mask = struct.unpack_from("=5I", info)
    tests = []
    if flags & 1:
        test = on.device_group(source, source_mask, ingress=True)
        tests.append(_only_if(test, unless=bool(flags & 2)))
    if flags & 4:
        test = on.device_group(destination, destination_mask, ingress=False)
        tests.append(_only_if(test, unless=bool(flags & 8)))
    return on.all_of(tests)


def _rpfilter(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_rpfilter_info."""
    del revision, version
    flags = info[0]
    test = on.reverse_path_filter(
        loose=bool(flags & 1), accept_local=bool(flags & 4), marks=bool(flags & 2)
    )
    return _only_if(test, unless=bool(flags & 8))


RECENT_SET = 2
"""XT_RECENT_SET."""


def _recent(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_recent_mtinfo and xt_recent_mtinfo_v1."""
    del revision, version
    _, hits, action, invert = struct.unpack_from("=IIBB", info)
    name = info[10:210].partition(b"\0")[0].decode(errors="replace")
    return _only_if(on.recent(name, action & RECENT_SET, hits), unless=bool(invert))


def _owner(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_owner_match_info."""
    del version
    low, high, _, _, match, invert = struct.unpack_from("=4I2B", info)
    if revision != 1 or match != 1:
        return on.anything
    return _only_if(on.owner(low, high), unless=bool(invert & 1))


def _segment_size(revision: int, info: bytes, version: int) -> Test:
    """Struct xt_tcpmss_match_info."""
    del revision, version
    low, high, invert = struct.unpack_from("=HHB", info)
    return _only_if(on.segment_size(low, high), unless=bool(invert))


def _other_protocol(revision: int, info: bytes, version: int) -> Test:
    """Matches on protocols and headers that a TCP segment without options does not have."""
    del revision, info, version
    return on.never


def _comment(revision: int, info: bytes, version: int) -> Test:
    del revision, info, version
    return on.always


MATCHES: Final[dict[str, MatchDecoder]] = {
    "comment": _comment,
    "conntrack": _conntrack,
    "state": _state,
    "tcp": _tcp,
    "multiport": _multiport,
    "addrtype": _addrtype,
    "mark": _mark(connection=False),
    "connmark": _mark(connection=True),
    "iprange": _iprange,
    "pkttype": _pkttype,
    "devgroup": _devgroup,
    "rpfilter": _rpfilter,
    "recent": _recent,
    "owner": _owner,
    "tcpmss": _segment_size,
    **dict.fromkeys(
        ("udp", "udplite", "icmp", "icmp6", "sctp", "dccp", "esp", "ah", "rt", "hbh", "frag"),
        _other_protocol,
    ),
    **dict.fromkeys(("dst", "mh", "ipcomp"), _other_protocol),
}


def decode_match(name: str, revision: int, info: bytes, version: int) -> Instruction:
    """One match; `version` is that of the table, 4 or 6."""
    if name == "set":
        return SetByNumber(name)
    try:
        if name == "connlimit":
            return CountConnections(name, allowances.xt_connection_limit(revision, info))
        if name in LIMITS:
            return Ordinarily(name, LIMITS[name](revision, info))
        test = MATCHES.get(name, _undecided)(revision, info, version)
    except (struct.error, IndexError, KeyError, ValueError):
        return Maybe(name)
    return Maybe(name) if test is on.anything else Require(test)


def _undecided(revision: int, info: bytes, version: int) -> Test:
    del revision, info, version
    return on.anything


LIMITS: Final[dict[str, Callable[[int, bytes], bool | None]]] = {
    "limit": allowances.xt_limit,
    "hashlimit": allowances.xt_hashlimit,
}
