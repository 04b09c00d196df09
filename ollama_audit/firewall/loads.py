"""What rules read of headers and of connection tracking, one instruction for all that read it.

Of each it is noted which bytes of the destination it gives, so that ports which no rule tells
apart need not be asked about one by one.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from ollama_audit.firewall.fields import chosen_in, connection, payload, payload_may_miss
from ollama_audit.firewall.instructions import Destination, Load


@cache
def load_header(family: str, register: int, base: int, offset: int, length: int) -> Load:
    """Load bytes of a header, in a table of a family."""
    return Load(
        register,
        payload(base, offset, length),
        payload_may_miss(base, offset, length),
        _destination(family, base, offset, length),
        chosen_in(base, offset, length),
        parts_sources=base == 1,
    )


def _destination(family: str, base: int, offset: int, length: int) -> tuple[Destination, ...]:
    """Which bytes of the destination are at an offset of the network or transport header.

    Which IP version a rule of family `inet` is about, its length of an address tells.
    """
    if base == 2:
        part, start, end = "port", 2, 4
    elif base == 1 and (family == "ip" or (offset >= 16 and offset + length <= 20)):
        part, start, end = "address", 16, 20
    elif base == 1:
        part, start, end = "address", 24, 40
    else:
        return ()
    places = range(offset - start, offset + length - start)
    if offset + length <= start or offset >= end:
        return ()
    return tuple(Destination(part, n) if 0 <= n < end - start else Destination() for n in places)


ORIGINAL_DESTINATION: Final = {12: ("port", 2), 20: ("address", 4), 22: ("address", 16)}
"""NFT_CT_PROTO_DST, NFT_CT_DST_IP and NFT_CT_DST_IP6, with their lengths."""


def _original_destination(key: int, direction: int | None) -> tuple[Destination, ...]:
    part, length = ORIGINAL_DESTINATION.get(key, ("", 0)) if direction == 0 else ("", 0)
    return tuple(Destination(part, place) for place in range(length))


@cache
def load_connection(register: int, key: int, direction: int | None) -> Load:
    """Load what connection tracking knows (NFT_CT_*)."""
    shown = _original_destination(key, direction)
    return Load(register, connection(key, direction), destination=shown)
