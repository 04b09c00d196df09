"""Sets of addresses, read from the kernel's elements by columns where those are regular."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.bits import CLIENT
from ollama_audit.firewall.netlink import SetRecord
from ollama_audit.firewall.sets import INTERVAL, NftSet

KEY, FLAGS, EXPIRATION, COMMENT, LIST_ELEMENT, VALUE = 1, 3, 5, 6, 1, 1
END = struct.pack(">I", 1)


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload


def element(number: int, version: int, *more: bytes) -> bytes:
    """NFTA_LIST_ELEM { KEY { VALUE number } ... }."""
    value = attribute(VALUE, number.to_bytes(BITS[version] // 8, "big"))
    return attribute(LIST_ELEMENT, attribute(KEY, value) + b"".join(more))


def edges(addresses: AddressSet) -> list[bytes]:
    """Its ranges as the kernel keeps them, from the last end down to the first start."""
    top = 1 << BITS[addresses.version]
    found = []
    for place, boundary in enumerate(addresses.boundaries):
        if boundary < top:
            flags = (attribute(FLAGS, END),) if place % 2 else ()
            found.append(element(boundary, addresses.version, *flags))
    return found[::-1]


def members(blocks: Sequence[bytes], version: int, flags: int = INTERVAL) -> AddressSet:
    record = SetRecord("inet", "t", "s", flags, BITS[version] // 8, 0, ())
    found = NftSet(record, [memoryview(block) for block in blocks], changes=False)
    may, may_not = found.membership(CLIENT[version], version)
    assert isinstance(may, AddressSet)
    assert may_not == ~may
    return may


def some_ranges(version: int, count: int = 300) -> AddressSet:
    chance = random.Random(count)
    return AddressSet.from_ranges(
        (
            (low, low + chance.choice([0, 0, 1, 255]))
            for low in (chance.getrandbits(BITS[version]) // 2 for _ in range(count))
        ),
        version,
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [1, 7, 100, 101])
def test_ranges_in_blocks_of_any_size(version: int, size: int) -> None:
    """A block may begin with a start or an end, and stop in the middle of a range."""
    wanted = some_ranges(version)
    parts = edges(wanted)
    blocks = [b"".join(parts[place : place + size]) for place in range(0, len(parts), size)]

    assert members(blocks, version) == wanted


@pytest.mark.parametrize("version", [4, 6])
def test_the_order_of_elements_says_nothing(version: int) -> None:
    wanted = some_ranges(version)
    parts = edges(wanted)
    for order in (parts[::-1], sorted(parts), random.Random(1).sample(parts, len(parts))):
        assert members([b"".join(order)], version) == wanted


@pytest.mark.parametrize("version", [4, 6])
def test_single_addresses(version: int) -> None:
    """A set without ranges has one kind of element."""
    numbers = random.Random(2).sample(range(1 << 30), 500)
    block = b"".join(element(number, version) for number in numbers)

    assert members([block], version, flags=0) == AddressSet.from_ranges(
        ((number, number) for number in numbers), version
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 598), st.sampled_from([EXPIRATION, COMMENT, FLAGS]))
def test_one_element_unlike_the_others_is_seen(place: int, kind: int) -> None:
    """One with a time limit, a comment or other flags is not taken for a plain one."""
    wanted = some_ranges(4)
    parts = edges(wanted)
    place %= len(parts)
    parts[place] = element(
        int.from_bytes(parts[place][12:16], "big"), 4, attribute(kind, b"\0" * 8)
    )
    record = SetRecord("inet", "t", "s", INTERVAL, 4, 0, ())
    found = NftSet(record, [memoryview(b"".join(parts))], changes=False)

    assert found.membership(CLIENT[4], 4) == reference(parts)


def reference(parts: Sequence[bytes]) -> object:
    """The same element by element: each in a block of its own, and never by columns."""
    record = SetRecord("inet", "t", "s", INTERVAL, 4, 0, ())
    found = NftSet(record, [memoryview(part) for part in parts], changes=False)
    return found.membership(CLIENT[4], 4)
