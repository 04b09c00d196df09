"""The targets of iptables, from the kernel's own structures (linux/netfilter/xt_*.h, nf_nat.h)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from ollama_audit.firewall.effects import (
    CopyMark,
    DoNotTrack,
    GiveUp,
    Masquerade,
    RedirectTo,
    SetMasked,
    TranslateTo,
    Verdict,
)
from ollama_audit.firewall.machine import DROP, Instruction

ALL_BITS = 0xFFFFFFFF

HARMLESS: Final = frozenset(
    {
        *("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "TEE", "CHECKSUM", "CLASSIFY", "TCPMSS"),
        *("DSCP", "TOS", "SECMARK", "CONNSECMARK", "TTL", "HL", "IDLETIMER", "RATEEST", "LED"),
        *("TCPOPTSTRIP", "SET", "ECN"),
    }
)
"""Targets after which the packet goes on to the next rule as it was, for our purposes."""

MAP_ADDRESS, MAP_PORT = 0x1, 0x2
PLAIN_NAT = 0x1F
"""NF_NAT_RANGE_*: address, port, and choices of the source port."""


def _nat_range(name: str, revision: int, info: bytes, version: int) -> Instruction:
    """Struct nf_nat_ipv4_multi_range_compat, nf_nat_range and nf_nat_range2."""
    if version == 4 and revision == 0:
        count, flags = struct.unpack_from("=II", info)
        first, last, low, high = struct.unpack_from(">IIHH", info, 8)
        if count != 1:
            return GiveUp(f"{name} to several ranges")
    else:
        (flags,) = struct.unpack_from("=I", info)
        length = 4 if version == 4 else 16
        first = int.from_bytes(info[4 : 4 + length], "big")
        last = int.from_bytes(info[20 : 20 + length], "big")
        low, high = struct.unpack_from(">HH", info, 36)
    chosen = bool(flags & ~PLAIN_NAT)
    port = low if flags & MAP_PORT else None
    chosen = chosen or (port is not None and low != high)
    if name == "REDIRECT":
        return RedirectTo(port, ranges=chosen)
    address = first if flags & MAP_ADDRESS else None
    chosen = chosen or (address is not None and first != last)
    return TranslateTo(address, port, ranges=chosen)


def _mark_target(revision: int, info: bytes) -> Instruction:
    """Struct xt_mark_tginfo2: `mark = (mark & ~MASK) ^ VALUE`."""
    if revision != 2:
        return GiveUp(f"MARK of revision {revision}")
    value, mask = struct.unpack_from("=II", info)
    return SetMasked(~mask & ALL_BITS, value, connection=False)


def _connmark_target(revision: int, info: bytes) -> Instruction:
    """Struct xt_connmark_tginfo1 and 2, of which the second can shift (connmark_tg_shift)."""
    value, mask, packet_mask, mode = struct.unpack_from("=IIIB", info)
    shift = 0
    if revision == 2:
        right, bits, mode = struct.unpack_from("=BBB", info, 12)
        shift = -bits if right else bits
    elif revision != 1:
        return GiveUp(f"CONNMARK of revision {revision}")
    if mode == 0:
        return SetMasked(~mask & ALL_BITS, value, connection=True, shift=shift)
    if mode == 1:
        return CopyMark(save=True, keep=~mask & ALL_BITS, take=packet_mask, shift=shift)
    return CopyMark(save=False, keep=~packet_mask & ALL_BITS, take=mask, shift=shift)


def _ct_target(info: bytes) -> Instruction | None:
    """Struct xt_ct_target_info: notrack, or a template that only zones make matter."""
    flags, zone = struct.unpack_from("=HH", info)
    if flags & 1:
        return DoNotTrack()
    return GiveUp("a connection tracking zone") if zone or flags & 0x1C else None


def decode_target(name: str, revision: int, info: bytes, version: int) -> Instruction | None:
    """One target; `version` is that of the table, 4 or 6."""
    if name in HARMLESS:
        return None
    try:
        return _target(name, revision, info, version)
    except (struct.error, IndexError, ValueError):
        return GiveUp(f"the target {name} is truncated in the dump")


def _target(name: str, revision: int, info: bytes, version: int) -> Instruction | None:
    if name in ("DNAT", "REDIRECT"):
        return _nat_range(name, revision, info, version)
    simple: dict[str, Callable[[], Instruction | None]] = {
        "REJECT": lambda: Verdict(DROP),
        "SNAT": Masquerade,
        "MASQUERADE": Masquerade,
        "MARK": lambda: _mark_target(revision, info),
        "CONNMARK": lambda: _connmark_target(revision, info),
        "NOTRACK": DoNotTrack,
        "CT": lambda: _ct_target(info),
    }
    make = simple.get(name)
    return GiveUp(f"the target {name} is not modelled") if make is None else make()
