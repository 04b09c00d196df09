"""The nf_tables dump: netlink messages and attributes as records, decoded no further than asked.

Numbers are those of linux/netlink.h, linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.
Lengths come from the dump and are checked against what is there; nothing is copied twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

Attributes = dict[int, bytes]

MESSAGE_HEADER: Final = struct.Struct("=IHHII")
NFGEN_HEADER_SIZE = 4
ATTRIBUTE_HEADER: Final = struct.Struct("=HH")
TYPE_MASK = 0x3FFF
"""NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
NFNL_SUBSYS_NFTABLES = 10

FAMILIES: Final = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""NFPROTO_* by the names that nft uses."""


class MalformedError(ValueError):
    """The dump breaks its own format: truncated, or damaged."""


class Message(NamedTuple):
    """A nf_tables message: its family as nft names it, and its attributes, not yet decoded."""

    family: str
    payload: memoryview


def messages(dump: bytes) -> Iterator[Message]:
    """The nf_tables messages of a dump, in order; control messages are passed over.

    Raises:
        MalformedError: A length does not fit.
    """
    view = memoryview(dump)
    offset, end = 0, len(view)
    while offset < end:
        if end - offset < MESSAGE_HEADER.size:
            raise MalformedError(f"{end - offset} stray bytes at {offset}")
        length, kind, _flags, _sequence, _port = MESSAGE_HEADER.unpack_from(view, offset)
        if length < MESSAGE_HEADER.size or length > end - offset:
            raise MalformedError(f"message of {length} bytes at {offset}")
        body = offset + MESSAGE_HEADER.size
        if kind >> 8 == NFNL_SUBSYS_NFTABLES:
            if length < MESSAGE_HEADER.size + NFGEN_HEADER_SIZE:
                raise MalformedError(f"message without a family at {offset}")
            family = FAMILIES.get(view[body], str(view[body]))
            yield Message(family, view[body + NFGEN_HEADER_SIZE : offset + length])
        offset += (length + 3) & ~3


def attribute_list(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """The attributes in order, repeated types included, as (type, payload).

    Raises:
        MalformedError: A length does not fit.
    """
    view = memoryview(data)
    offset, end = 0, len(view)
    while offset < end:
        length, kind = _attribute(view, offset, end)
        yield kind & TYPE_MASK, view[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes | memoryview) -> Attributes:
    """The attributes by type; of repeated ones the last.

    Raises:
        MalformedError: A length does not fit.
    """
    found = {}
    whole = bytes(data)
    offset, end = 0, len(whole)
    while offset < end:
        length, kind = _attribute(whole, offset, end)
        found[kind & TYPE_MASK] = whole[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def payloads(data: bytes) -> Iterator[bytes]:
    """The attributes in order, as payloads alone.

    Raises:
        MalformedError: A length does not fit.
    """
    offset, end = 0, len(data)
    while offset < end:
        length, _ = _attribute(data, offset, end)
        yield data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _attribute(data: bytes | memoryview, offset: int, end: int) -> tuple[int, int]:
    """Length, its header included, and type of the attribute at an offset."""
    if end - offset < 4:
        raise MalformedError("stray bytes after an attribute")
    length, kind = ATTRIBUTE_HEADER.unpack_from(data, offset)
    if length < 4 or length > end - offset:
        raise MalformedError(f"attribute of {length} bytes where {end - offset} are left")
    return length, kind


def text(payload: bytes | memoryview) -> str:
    """A NUL-terminated name."""
    return bytes(payload).split(b"\0", 1)[0].decode(errors="replace")


def number(payload: bytes | memoryview) -> int:
    """A big-endian unsigned number, as nf_tables writes all of its own."""
    return int.from_bytes(payload, "big")


def signed(payload: bytes | memoryview) -> int:
    """A big-endian signed number."""
    return int.from_bytes(payload, "big", signed=True)


class TableRecord(NamedTuple):
    """NFT_MSG_NEWTABLE."""

    family: str
    name: str
    dormant: bool


class ChainRecord(NamedTuple):
    """NFT_MSG_NEWCHAIN; a chain without a hook is only jumped to."""

    family: str
    table: str
    name: str
    handle: int
    hook: int | None
    priority: int
    kind: str
    accepts: bool
    """The policy; a base chain without one accepts."""
    devices: tuple[str, ...]


class RuleRecord(NamedTuple):
    """NFT_MSG_NEWRULE with its expressions still encoded."""

    family: str
    table: str
    chain: str
    handle: int
    expressions: bytes


class SetRecord(NamedTuple):
    """NFT_MSG_NEWSET; its elements are `elements` of the same key."""

    family: str
    table: str
    name: str
    flags: int
    key_length: int
    data_length: int
    fields: tuple[int, ...]
    """Lengths of the parts of a concatenated key, else empty."""


SetKey = tuple[str, str, str]
"""Family, table and name."""


def tables(dump: bytes) -> Iterator[TableRecord]:
    """The tables of a dump."""
    for family, payload in messages(dump):
        found = attributes(payload)
        flags = number(found.get(2, b""))
        yield TableRecord(family, text(found[1]), dormant=bool(flags & 1))


def chains(dump: bytes) -> Iterator[ChainRecord]:
    """The chains of a dump."""
    for family, payload in messages(dump):
        found = attributes(payload)
        hook = attributes(found[4]) if 4 in found else {}
        devices = [text(hook[3])] if 3 in hook else []
        if 4 in hook:
            devices = [text(name) for _, name in attribute_list(hook[4])]
        yield ChainRecord(
            family=family,
            table=text(found[1]),
            name=text(found[3]),
            handle=number(found[2]),
            hook=number(hook[1]) if 1 in hook else None,
            priority=signed(hook.get(2, b"")),
            kind=text(found.get(7, b"filter")),
            accepts=number(found.get(5, b"\1")) == 1,
            devices=tuple(devices),
        )


def rules(dump: bytes) -> Iterator[RuleRecord]:
    """The rules of a dump, in the order of each chain."""
    for family, payload in messages(dump):
        found = attributes(payload)
        yield RuleRecord(
            family, text(found[1]), text(found[2]), number(found[3]), found.get(4, b"")
        )


LONGEST_KEY = 64
"""NFT_DATA_VALUE_MAXLEN."""


def sets(dump: bytes) -> Iterator[SetRecord]:
    """The sets and maps of a dump, without their elements."""
    for family, payload in messages(dump):
        found = attributes(payload)
        if max(number(found[5]), number(found.get(7, b""))) > LONGEST_KEY:
            raise MalformedError("a set with keys longer than the kernel allows")
        yield SetRecord(
            family=family,
            table=text(found[1]),
            name=text(found[2]),
            flags=number(found.get(3, b"")),
            key_length=number(found[5]),
            data_length=number(found.get(7, b"")),
            fields=_field_lengths(found.get(9, b"")),
        )


def _field_lengths(description: bytes) -> tuple[int, ...]:
    return tuple(
        number(attributes(field)[1])
        for kind, concatenation in attribute_list(description)
        if kind == 2
        for _, field in attribute_list(concatenation)
    )


def elements(dump: bytes) -> dict[SetKey, list[memoryview]]:
    """Element lists by set, not decoded: each is a run of NFTA_LIST_ELEM attributes."""
    found: dict[SetKey, list[memoryview]] = {}
    for family, payload in messages(dump):
        parts = dict(attribute_list(payload))
        if 3 in parts:
            found.setdefault((family, text(parts[1]), text(parts[2])), []).append(parts[3])
    return found
