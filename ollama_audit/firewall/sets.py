"""nf_tables sets and maps: lookups of partly symbolic keys.

net/netfilter/nft_set_{hash,rbtree,pipapo,bitmap}.c and nf_tables_api.c. Sets of addresses can
be large, so their elements are read by one pattern over the dump where every element is plain.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.bits import CLIENT, Value, constant, equals, ordered
from ollama_audit.firewall.bits import GREATER_EQUAL as AT_LEAST
from ollama_audit.firewall.bits import LESS_EQUAL as AT_MOST
from ollama_audit.firewall.match import (
    ALWAYS,
    Match,
    Part,
    both,
    complement,
    union,
)
from ollama_audit.firewall.netlink import (
    SetKey,
    SetRecord,
    attribute_list,
    attributes,
    number,
    signed,
    text,
)

INTERVAL, MAP, TIMEOUT, EVALUATED, OBJECT, CONCATENATED = 0x4, 0x8, 0x10, 0x20, 0x40, 0x80
"""NFT_SET_*"""
INTERVAL_END, CATCH_ALL = 0x1, 0x2
"""NFT_SET_ELEM_*"""
STATELESS: Final = frozenset({"counter", "last"})
"""Expressions of an element that never change whether it matches."""


class Data(NamedTuple):
    """What a map gives: bytes, or a verdict with the chain it leads to."""

    value: bytes = b""
    verdict: int | None = None
    chain: str = ""


class Element(NamedTuple):
    """A key or a range of keys, both ends included."""

    first: bytes
    last: bytes
    data: Data | None
    unsure: bool
    """It may be gone by the time of a packet, or match only some packets."""


class Hit(NamedTuple):
    """For which sources a lookup may give this data."""

    sources: Part
    data: Data | None


class Found(NamedTuple):
    """The outcome of a lookup: hits, and for which sources there may be none."""

    hits: Sequence[Hit]
    missing: Part

    @property
    def membership(self) -> Match:
        """Whether the key is in the set."""
        may: Part = False
        for hit in self.hits:
            may = union(may, hit.sources)
        return Match(may, self.missing)


VERSIONS: Final = {bits // 8: version for version, bits in BITS.items()}
"""Of keys as long as an address, the IP version."""


class NftSet:
    """A set with its elements, decoded when it is first looked into."""

    def __init__(
        self,
        record: SetRecord,
        blocks: Sequence[memoryview],
        *,
        changes: bool,
        captured: bool = False,
    ) -> None:
        """`changes`: a rule adds to the set, so that membership at the time is not known.

        `captured`: the set as it was when it was read, whatever changes and expires.
        """
        self.record = record
        self._blocks = blocks
        self._captured = captured
        self.changes = not captured and (changes or bool(record.flags & EVALUATED))
        self._plain = False
        """Every element was found to be an address or a range of them, and no more."""
        self._members: dict[int, Match] = {}
        self._by_client: dict[int, list[tuple[AddressSet, AddressSet, Data | None]]] = {}

    @property
    def key(self) -> SetKey:
        """Where it stands."""
        return self.record.family, self.record.table, self.record.name

    @property
    def fluid(self) -> bool:
        """Whether elements come and go by themselves: rules add them, or they expire.

        Of a set from a listing, which has no family here, only that is known.
        """
        dumped = bool(self.record.family) and not self._captured
        return dumped and (self.changes or bool(self.record.flags & TIMEOUT))

    @cached_property
    def as_captured(self) -> NftSet:
        """The set as it was when it was read."""
        return NftSet(self.record, self._blocks, changes=False, captured=True)

    @property
    def is_map(self) -> bool:
        """Whether a lookup gives data or a verdict."""
        return bool(self.record.flags & MAP)

    @cached_property
    def fields(self) -> list[tuple[int, int]]:
        """Offset and length of the parts of a key; each starts at a multiple of four."""
        lengths = self.record.fields
        if len(lengths) < 2:
            return [(0, self.record.key_length)]
        found, offset = [], 0
        for length in lengths:
            found.append((offset, length))
            offset += (length + 3) & ~3
        return found

    @cached_property
    def _decoded(self) -> tuple[list[Element], Element | None]:
        return _decode(self.record, self._blocks, ranges=self._ranges, captured=self._captured)

    @property
    def _ranges(self) -> bool:
        """Ranges are stored as separate elements for start and end."""
        concatenated = self.record.flags & CONCATENATED or len(self.record.fields) > 1
        return bool(self.record.flags & INTERVAL) and not concatenated

    @property
    def elements(self) -> list[Element]:
        """The elements, the catch-all aside."""
        return self._decoded[0]

    @property
    def catch_all(self) -> Element | None:
        """The element `*`, for keys that no other matches."""
        return None if self._plain else self._decoded[1]

    def data(self) -> set[Data | None]:
        """Everything that a lookup could give."""
        found = {element.data for element in self.elements}
        if self.catch_all is not None:
            found.add(self.catch_all.data)
        return found

    @cached_property
    def _exact(self) -> dict[bytes, Element] | None:
        if any(element.first != element.last for element in self.elements):
            return None
        return {element.first: element for element in self.elements}

    def membership(self, key: Value, version: int) -> Match:
        """Whether a key is in the set; of the client's whole address worked out once."""
        if key is not CLIENT[version]:
            return self.look_up(key, version).membership
        if version not in self._members:
            self._members[version] = self.look_up(key, version).membership
        return self._members[version]

    def look_up(self, key: Value, version: int) -> Found:
        """Where a key leads, as far as it is known."""
        if self.changes:
            return Found(
                [Hit(sources=True, data=data) for data in self.data() or {None}], missing=True
            )
        if key == CLIENT[version] and len(self.record.fields) < 2:
            return self._by_client_address(version)
        known = constant(key)
        if known is not None and len(self.record.fields) < 2 and len(known) in VERSIONS:
            return self._by_number(int.from_bytes(known, "big"), VERSIONS[len(known)])
        if known is not None and self._exact is not None:
            return self._by_constant(self._exact.get(known))
        return self._by_fields(key, version)

    def _by_constant(self, element: Element | None) -> Found:
        if element is None:
            return self._rest([], matched=False)
        hits = [Hit(sources=True, data=element.data)]
        return self._rest(hits, matched=False) if element.unsure else Found(hits, missing=False)

    def _rest(self, hits: list[Hit], *, matched: Part) -> Found:
        """Add the catch-all for sources that surely match nothing else."""
        rest = complement(matched)
        if self.catch_all is not None and rest is not False:
            hits.append(Hit(rest, self.catch_all.data))
            return Found(hits, rest if self.catch_all.unsure else False)
        return Found(hits, rest)

    def _by_number(self, key: int, version: int) -> Found:
        hits: list[Hit] = []
        for surely, possibly, data in self._groups(version):
            if key in surely:
                return Found([*hits, Hit(sources=True, data=data)], missing=False)
            if key in possibly:
                hits.append(Hit(sources=True, data=data))
        return self._rest(hits, matched=False)

    def _by_client_address(self, version: int) -> Found:
        sure = AddressSet.nothing(version)
        hits = []
        for surely, possibly, data in self._groups(version):
            hits.append(Hit(possibly, data))
            sure = sure | surely
        return self._rest(hits, matched=sure)

    def _groups(self, version: int) -> list[tuple[AddressSet, AddressSet, Data | None]]:
        """Keys by the data they lead to, as the addresses that they are as numbers."""
        if version not in self._by_client:
            self._by_client[version] = self._group(version)
        return self._by_client[version]

    def _group(self, version: int) -> list[tuple[AddressSet, AddressSet, Data | None]]:
        plain = self._plain_addresses(version)
        if plain is not None:
            self._plain = True
            return [(plain, plain, None)]
        groups: dict[Data | None, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
        for first, last, data, unsure in self.elements:
            pair = (int.from_bytes(first, "big"), int.from_bytes(last, "big"))
            groups.setdefault(data, ([], []))[unsure].append(pair)
        return [
            (
                AddressSet.from_ranges(sure, version),
                AddressSet.from_ranges(sure + unsure, version),
                data,
            )
            for data, (sure, unsure) in groups.items()
        ]

    def _plain_addresses(self, version: int) -> AddressSet | None:
        """The members of a plain set of addresses, without decoding element by element."""
        if self.is_map or self.record.flags & OBJECT or self.record.key_length * 8 != BITS[version]:
            return None
        found = _scan(self._blocks, self.record.key_length)
        if found is None:
            return None
        starts, ends = found
        if not self._ranges:
            return None if ends else _points(starts, version)
        return _from_edges(starts, ends, version)

    def _by_fields(self, key: Value, version: int) -> Found:
        hits = []
        sure: Part = False
        for element in self.elements:
            match = self._match(key, element, version)
            if match.may is False:
                continue
            hits.append(Hit(match.may, element.data))
            if not element.unsure:
                sure = union(sure, complement(match.may_not))
                if sure is True:
                    break
        return self._rest(hits, matched=sure)

    def _match(self, key: Value, element: Element, version: int) -> Match:
        result = ALWAYS
        for offset, length in self.fields:
            part = key[offset : offset + length]
            first = element.first[offset : offset + length]
            last = element.last[offset : offset + length]
            if first == last:
                match = equals(part, first, version)
            else:
                match = both(
                    ordered(part, first, AT_LEAST, version), ordered(part, last, AT_MOST, version)
                )
            result = both(result, match)
            if result.may is False:
                break
        return result


def _points(values: list[int], version: int) -> AddressSet | None:
    values.sort()
    return AddressSet.from_edges(values, [value + 1 for value in values], version)


def _from_edges(starts: list[int], ends: list[int], version: int) -> AddressSet | None:
    """The union of ranges whose starts and (excluded) ends are stored apart; None: not paired."""
    starts.sort()
    ends.sort()
    if ends and (not starts or ends[0] <= starts[0]):
        ends = ends[1:]  # nft marks where the first gap ends, at address 0
    if len(ends) == len(starts) - 1:
        ends.append(1 << BITS[version])
    return AddressSet.from_edges(starts, ends, version)


def _pattern(key_length: int) -> re.Pattern[bytes]:
    """A pattern for one plain element: its key, and at most the flag of a range's end.

    An element is NFTA_LIST_ELEM { KEY { VALUE key } FLAGS flags }; a nested attribute may carry
    NLA_F_NESTED in its type.
    """

    def header(length: int, kind: int) -> bytes:
        low = re.escape(struct.pack("=H", length))
        plain, nested = struct.pack("=H", kind), struct.pack("=H", kind | 0x8000)
        return low + b"(?:" + re.escape(plain) + b"|" + re.escape(nested) + b")"

    def key(group: bytes) -> bytes:
        value = header(4 + key_length, 1) + b"(?P<" + group + b">.{%d})" % key_length
        return header(8 + key_length, 1) + value

    start = header(12 + key_length, 1) + key(b"start")
    flags = header(8, 3) + re.escape(struct.pack(">I", INTERVAL_END))
    end = header(20 + key_length, 1) + key(b"end") + flags
    reversed_end = header(20 + key_length, 1) + flags + key(b"last")
    return re.compile(b"|".join((start, end, reversed_end)), re.DOTALL)


def _scan(blocks: Sequence[memoryview], key_length: int) -> tuple[list[int], list[int]] | None:
    """Starts and range ends of plain elements; None when an element is anything else."""
    pattern = _pattern(key_length)
    keys = {"start": bytearray(), "end": bytearray(), "last": bytearray()}
    for block in blocks:
        irregular = bytes(block)
        irregular = irregular[_take_regular(irregular, pattern, key_length, keys) :]
        for found in pattern.finditer(irregular):
            keys[str(found.lastgroup)] += found[str(found.lastgroup)]
    starts = keys["start"]
    ends = keys["end"] + keys["last"]
    per_byte = 12 + key_length, 20 + key_length
    read = (len(starts) * per_byte[0] + len(ends) * per_byte[1]) // key_length
    if read != sum(map(len, blocks)):
        return None
    return _numbers(starts, key_length), _numbers(ends, key_length)


def _take_regular(
    block: bytes, pattern: re.Pattern[bytes], key_length: int, keys: dict[str, bytearray]
) -> int:
    """Take the keys of elements that are all alike but for their keys; where that ends.

    A set of single addresses is one kind of element again and again, a set of ranges is starts
    and ends in turn: then a byte of every key is a column of the block.
    """
    first = pattern.match(block)
    second = first and pattern.match(block, first.end())
    if first is None or second is None:
        return 0
    alike = (first,) if first.lastgroup == second.lastgroup else (first, second)
    period = alike[-1].end()
    count = len(block) // period
    end = count * period
    places = {found.start(str(found.lastgroup)): str(found.lastgroup) for found in alike}
    varying = {place + index for place in places for index in range(key_length)}
    if any(
        block[place:end:period].count(block[place]) != count
        for place in range(period)
        if place not in varying
    ):
        return 0
    for place, kind in places.items():
        column = bytearray(count * key_length)
        for index in range(key_length):
            column[index::key_length] = block[place + index : end : period]
        keys[kind] += column
    return end


def _numbers(keys: bytearray, key_length: int) -> list[int]:
    count = len(keys) // key_length
    if key_length == 4:
        return list(struct.unpack(f">{count}I", keys))
    halves = struct.unpack(f">{2 * count}Q", keys)
    return [high << 64 | low for high, low in zip(halves[0::2], halves[1::2], strict=True)]


def _decode(
    record: SetRecord, blocks: Sequence[memoryview], *, ranges: bool, captured: bool
) -> tuple[list[Element], Element | None]:
    found: list[Element] = []
    edges: list[tuple[bytes, int, Data | None, bool]] = []
    catch_all = None
    for block in blocks:
        for _, payload in attribute_list(block):
            parts = attributes(payload)
            flags = number(parts.get(3, b""))
            data, unsure = _data(parts), _unsure(parts, captured=captured)
            if flags & CATCH_ALL:
                catch_all = Element(b"", b"", data, unsure)
                continue
            key = _padded(attributes(parts[1])[1], record.key_length)
            if ranges:
                edges.append((key, 0 if flags & INTERVAL_END else 1, data, unsure))
            else:
                last = attributes(parts[10])[1] if 10 in parts else key
                found.append(Element(key, _padded(last, record.key_length), data, unsure))
    return found + _ranges(edges, record.key_length), catch_all


def _padded(key: bytes, length: int) -> bytes:
    return key[:length].ljust(length, b"\0")


def _ranges(edges: list[tuple[bytes, int, Data | None, bool]], length: int) -> list[Element]:
    """Elements from separate starts and ends; an end that is missing is the end of the space."""
    found = []
    opened: tuple[bytes, Data | None, bool] | None = None
    for key, starts, data, unsure in sorted(edges, key=lambda edge: edge[:2]):
        if opened is not None:
            last = int.from_bytes(key, "big") - 1
            if last >= int.from_bytes(opened[0], "big"):
                found.append(Element(opened[0], last.to_bytes(length, "big"), *opened[1:]))
        opened = (key, data, unsure) if starts else None
    if opened is not None:
        found.append(Element(opened[0], b"\xff" * length, *opened[1:]))
    return found


def _data(parts: dict[int, bytes]) -> Data | None:
    if 2 not in parts:
        return None
    data = attributes(parts[2])
    if 2 in data:
        verdict = attributes(data[2])
        return Data(verdict=signed(verdict[1]), chain=text(verdict.get(2, b"")))
    return Data(value=data[1])


def _unsure(parts: dict[int, bytes], *, captured: bool) -> bool:
    """Whether an element expires (NFTA_SET_ELEM_EXPIRATION) or has state that may not match."""
    if 5 in parts and not captured:
        return True
    expressions = [parts[7]] if 7 in parts else []
    if 11 in parts:
        expressions += [bytes(payload) for _, payload in attribute_list(parts[11])]
    return any(
        text(attributes(expression).get(1, b"?")) not in STATELESS for expression in expressions
    )
