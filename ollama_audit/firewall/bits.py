"""Packet fields whose bytes are known, partly known, unknown, or taken from the client's address.

nf_tables compares registers byte by byte (linux/net/netfilter/nft_cmp.c: memcmp), so a value is
a sequence of bytes, and a comparison with a constant becomes a constraint on the client address.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.match import ALWAYS, EITHER, NEVER, Match, definite, within


class ClientByte(NamedTuple):
    """`(client[place] & mask) ^ flip`, where `client` is the address in question."""

    place: int
    mask: int = 0xFF
    flip: int = 0


class PartialByte(NamedTuple):
    """A byte of which the bits of `known` are those of `value`; the others can be anything."""

    known: int
    value: int


Byte: TypeAlias = int | ClientByte | PartialByte | None
"""None: nothing is known."""
Value: TypeAlias = list[Byte]

CLIENT: Final[dict[int, list[Byte]]] = {
    version: [ClientByte(index) for index in range(bits // 8)] for version, bits in BITS.items()
}
"""The whole client address, by IP version."""

UNKNOWN_FIELD: Final[list[Byte]] = [None] * 16
"""As long as the longest field."""

EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL = range(6)
"""NFT_CMP_* (linux/netfilter/nf_tables.h)."""

MOST_FREE_BITS = 12
"""A mask with more holes than this would need over 4096 ranges; then nobody can say."""


def constant(value: Value) -> bytes | None:
    """The bytes, if every one is known."""
    try:
        return bytes(value)  # type: ignore[arg-type]  # anything but an int raises
    except TypeError:
        return None


def masked_client(mask: int, value: int, version: int) -> AddressSet | None:
    """Addresses with `address & mask == value`; None when that is too many ranges."""
    top = 1 << BITS[version]
    if not mask:
        return AddressSet.everything(version)
    low = (mask & -mask).bit_length() - 1
    holes = ((top - 1) & ~mask) >> low
    if not holes:
        return AddressSet([value, value + (1 << low)], version)
    free = [bit + low for bit in range(holes.bit_length()) if holes >> bit & 1]
    if len(free) > MOST_FREE_BITS:
        return None
    starts = [value]
    for bit in free:
        starts += [start | 1 << bit for start in starts]
    return AddressSet.from_ranges(((start, start + (1 << low) - 1) for start in starts), version)


def equals(value: Value, expected: bytes, version: int) -> Match:
    """Whether `value` is `expected`, byte for byte."""
    if value == CLIENT[version]:
        start = int.from_bytes(expected, "big")
        return within(AddressSet([start, start + 1], version))
    known = constant(value)
    if known is not None:
        return ALWAYS if known == expected else NEVER
    return _equals_mixed(value, expected, version)


def _equals_mixed(value: Value, expected: bytes, version: int) -> Match:
    sure = True
    constraints: dict[int, tuple[int, int]] = {}
    for byte, wanted in zip(value, expected, strict=False):
        if isinstance(byte, int):
            if byte != wanted:
                return NEVER
        elif byte is None:
            sure = False
        elif isinstance(byte, ClientByte):
            if not _constrain(constraints, byte, wanted):
                return NEVER
        elif (byte.value ^ wanted) & byte.known:
            return NEVER
        else:
            sure = sure and byte.known == 0xFF
    if not constraints:
        return ALWAYS if sure else EITHER
    return _constrained(constraints, version, sure=sure)


def _constrain(constraints: dict[int, tuple[int, int]], byte: ClientByte, wanted: int) -> bool:
    """Add what `byte == wanted` says about the address; False when it cannot be."""
    bits = wanted ^ byte.flip
    if bits & ~byte.mask & 0xFF:
        return False
    mask, value = constraints.get(byte.place, (0, 0))
    if (value ^ bits) & mask & byte.mask:
        return False
    constraints[byte.place] = (mask | byte.mask, value | bits)
    return True


def _constrained(constraints: dict[int, tuple[int, int]], version: int, *, sure: bool) -> Match:
    mask = value = 0
    for index in range(BITS[version] // 8):
        byte_mask, byte_value = constraints.get(index, (0, 0))
        mask = mask << 8 | byte_mask
        value = value << 8 | byte_value
    addresses = masked_client(mask, value, version)
    if addresses is None:
        return EITHER
    return within(addresses) if sure else Match(addresses, may_not=True)


def ordered(value: Value, bound: bytes, operator: int, version: int) -> Match:
    """Whether `value` is LESS, LESS_EQUAL, GREATER or GREATER_EQUAL than `bound`, as memcmp(3)."""
    known = constant(value)
    if known is not None:
        holds = {
            LESS: known < bound,
            LESS_EQUAL: known <= bound,
            GREATER: known > bound,
            GREATER_EQUAL: known >= bound,
        }
        return definite(holds[operator])
    if value != CLIENT[version][: len(value)]:
        return _ordered_bounds(value, bound, operator)
    shift = BITS[version] - 8 * len(value)
    number = int.from_bytes(bound, "big")
    top = 1 << BITS[version]
    start, end = {
        LESS: (0, number << shift),
        LESS_EQUAL: (0, (number + 1) << shift),
        GREATER: ((number + 1) << shift, top),
        GREATER_EQUAL: (number << shift, top),
    }[operator]
    if start >= end:
        return NEVER
    return within(AddressSet([start, end], version))


def _ordered_bounds(value: Value, bound: bytes, operator: int) -> Match:
    """The same where only the least and the greatest that the value can be are known."""
    least, greatest = bytes(map(_least, value)), bytes(map(_greatest, value))
    if operator in (LESS, LESS_EQUAL):
        strict = operator == LESS
        never = least >= bound if strict else least > bound
        always = greatest < bound if strict else greatest <= bound
    else:
        strict = operator == GREATER
        never = greatest <= bound if strict else greatest < bound
        always = least > bound if strict else least >= bound
    return ALWAYS if always else NEVER if never else EITHER


def _least(byte: Byte) -> int:
    if isinstance(byte, int):
        return byte
    return byte.value & byte.known if isinstance(byte, PartialByte) else 0


def _greatest(byte: Byte) -> int:
    if isinstance(byte, int):
        return byte
    return byte.value | ~byte.known & 0xFF if isinstance(byte, PartialByte) else 0xFF


def masked(value: Value, mask: bytes, flip: bytes) -> Value:
    """`(value & mask) ^ flip`, byte by byte (linux/net/netfilter/nft_bitwise.c)."""
    result: Value = []
    for byte, keep, invert in zip(value, mask, flip, strict=False):
        if isinstance(byte, int):
            result.append((byte & keep) ^ invert)
        elif not keep:
            result.append(invert)
        elif byte is None:
            known = ~keep & 0xFF
            result.append(PartialByte(known, invert & known))
        elif isinstance(byte, ClientByte):
            result.append(ClientByte(byte.place, byte.mask & keep, (byte.flip & keep) ^ invert))
        else:
            known = byte.known | ~keep & 0xFF
            result.append(PartialByte(known, ((byte.value & keep) ^ invert) & known))
    return result
