"""Limits that a client meets only by going to them: rates, and numbers of connections.

Where a limit is so wide that only a flood gets to it, clients who do not flood are within it.
Narrower ones decide about anybody who tries a few times, and cannot be told.

net/netfilter/{nft_limit,nft_connlimit,xt_limit,xt_hashlimit,xt_connlimit}.c; the structures are
those of linux/netfilter/xt_*.h, in this machine's byte order.
"""

from __future__ import annotations

import struct
from typing import Final

from ollama_audit.firewall.netlink import number

AT_ONCE, IN_TWO_SECONDS = 50, 250
"""New connections that a wide rate lets through: a browser opens six at a time, a test fifty."""
FROM_ONE, FROM_ALL = 20, 100
"""Connections that a wide limit lets one client have, and all together."""
BYTES_A_PACKET = 100
"""Of a limit in bytes, what a packet of a handshake takes at most."""


def wide_rate(per_second: float, burst: float) -> bool:
    """Whether only a flood gets to the end of a rate."""
    return burst >= AT_ONCE and burst + 2 * per_second >= IN_TWO_SECONDS


def nft_limit(parts: dict[int, bytes]) -> bool | None:
    """Whether `limit` holds for those within it; None when they are not to be told from others.

    NFTA_LIMIT_RATE, UNIT, BURST, TYPE and FLAGS, of which the first inverts.
    """
    unit = 1 if number(parts.get(4, b"")) == 0 else BYTES_A_PACKET
    rate, seconds = number(parts[1]) / unit, max(number(parts[2]), 1)
    if not wide_rate(rate / seconds, number(parts.get(3, b"")) / unit):
        return None
    return not number(parts.get(5, b"")) & 1


def nft_connection_limit(parts: dict[int, bytes], least: int = FROM_ALL) -> bool | None:
    """The same of `ct count`; NFTA_CONNLIMIT_COUNT and FLAGS."""
    return not number(parts.get(2, b"")) & 1 if number(parts[1]) >= least else None


def xt_limit(revision: int, info: bytes) -> bool | None:
    """Struct xt_rateinfo: a packet costs `average` ten-thousandths of a second."""
    average, burst = struct.unpack_from("=II", info)
    return True if revision == 0 and average and wide_rate(10_000 / average, burst) else None


HASHLIMIT_INVERT, HASHLIMIT_OTHERS = 1 << 4, 1 << 5 | 1 << 6
"""XT_HASHLIMIT_INVERT; BYTES and RATE_MATCH."""


def xt_hashlimit(revision: int, info: bytes) -> bool | None:
    """Struct xt_hashlimit_mtinfo2 and 3: a name, then millionths of a second for a packet."""
    if revision not in (2, 3):
        return None
    average, burst, mode = struct.unpack_from("=QQI", info, 256)
    if mode & HASHLIMIT_OTHERS or not average or not wide_rate(1_000_000 / average, burst):
        return None
    return not mode & HASHLIMIT_INVERT


def xt_connection_limit(revision: int, info: bytes) -> bool | None:
    """Struct xt_connlimit_info: a mask, a number, and whether up to it is meant (INVERT)."""
    limit, flags = struct.unpack_from("=II", info, 16)
    least = FROM_ONE if any(info[:16]) else FROM_ALL
    return bool(flags & 1) if revision == 1 and limit >= least else None


SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


def rate_of(text: str) -> float:
    """`25/minute`, `25/min` or `25/m` in packets a second.

    Raises:
        ValueError, StopIteration: It is not so written.
    """
    count, _, unit = text.partition("/")
    return int(count) / next(each for name, each in SECONDS.items() if name.startswith(unit))
