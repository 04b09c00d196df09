"""The elements of sets and maps of the listing, encoded as the kernel would dump them.

So that a set that was listed is looked into by the code that looks into dumped ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

from ollama_audit.addresses import AddressSet, Spans
from ollama_audit.firewall.machine import ACCEPT, CONTINUE, DROP, GOTO, JUMP, RETURN
from ollama_audit.firewall.netlink import SetRecord
from ollama_audit.firewall.nft_json import datatypes as of
from ollama_audit.firewall.nft_json.datatypes import Datatype, UnreadableError, bounds, constant
from ollama_audit.firewall.nft_json.document import Json, ListedSet, text_of
from ollama_audit.firewall.sets import CATCH_ALL, EVALUATED, MAP, Element, NftSet

VERDICTS: Final = {
    "accept": ACCEPT,
    "drop": DROP,
    "continue": CONTINUE,
    "return": RETURN,
    "jump": JUMP,
    "goto": GOTO,
}

STATELESS: Final = frozenset({"val", "counter", "comment", "last"})
"""What an element may hold besides its key and never changes whether it matches."""

LIST_ELEMENT, KEY, DATA, FLAGS, EXPIRATION, KEY_END = 1, 1, 2, 3, 5, 10
"""NFTA_LIST_ELEM and NFTA_SET_ELEM_*"""


class Sets:
    """The sets and maps that rules of one table may look into."""

    def __init__(self, sets: Mapping[str, ListedSet], changed: frozenset[str]) -> None:
        self._sets = sets
        self._changed = changed
        self._compiled: dict[tuple[object, ...], NftSet] = {}

    def set(self, named: Json, parts: tuple[Datatype, ...]) -> NftSet:
        """A set with keys of these types.

        Raises:
            UnreadableError: It is not listed.
        """
        return self._get(named, parts, None)

    def map(
        self, named: Json, parts: tuple[Datatype, ...], data: tuple[Datatype, ...] | str
    ) -> NftSet:
        """A map with keys of these types; `data` are types of values, or VERDICT.

        Raises:
            UnreadableError: It is not listed, or it is not known what it gives.
        """
        return self._get(named, parts, data)

    def listed(self, named: Json) -> ListedSet:
        """The elements of `@NAME`, or of a set that stands in the rule itself.

        Raises:
            UnreadableError: It is neither.
        """
        if isinstance(named, dict) and isinstance(elements := named.get("set"), list):
            return ListedSet("", elements, frozenset())
        if isinstance(named, str) and named.removeprefix("@") in self._sets:
            return self._sets[named.removeprefix("@")]
        raise UnreadableError(f"the set {named!r:.40} is not listed")

    def _get(
        self, named: Json, parts: tuple[Datatype, ...], data: tuple[Datatype, ...] | str | None
    ) -> NftSet:
        listed = self.listed(named)
        if not listed.name:
            return compile_set(listed, parts, data, changes=False)
        key = (listed.name, parts, data)
        if key not in self._compiled:
            changes = listed.name in self._changed or "dynamic" in listed.flags
            self._compiled[key] = compile_set(listed, parts, data, changes=changes)
        return self._compiled[key]


VERDICT: Final = "verdict"


def compile_set(
    listed: ListedSet,
    parts: tuple[Datatype, ...],
    data: tuple[Datatype, ...] | str | None,
    *,
    changes: bool,
) -> NftSet:
    """A set, of which nothing is sure if one of its keys cannot be read."""
    plain = (
        _plain_addresses(listed.elements, parts[0]) if data is None and len(parts) == 1 else None
    )
    flags = (MAP if data is not None else 0) | (EVALUATED if changes else 0)
    block = b""
    if plain is None:
        encoded = [_element(element, parts, data) for element in listed.elements]
        if any(found is None for found in encoded):
            flags |= EVALUATED
        block = b"".join(found for found in encoded if found is not None)
        if data is not None and encoded and flags & EVALUATED:
            block = _with_every_value(listed.elements, parts, data)
    record = SetRecord(
        family="",
        table="",
        name=listed.name,
        flags=flags,
        key_length=_length(parts) if len(parts) > 1 else parts[0].length,
        data_length=_length(data) if isinstance(data, tuple) else 0,
        fields=tuple(part.length for part in parts) if len(parts) > 1 else (),
    )
    if plain is not None:
        return Addresses(record, plain, changes=changes)
    return NftSet(record, [memoryview(block)], changes=changes)


class Addresses(NftSet):
    """A set of addresses, all of them sure, which there is no need to encode."""

    def __init__(self, record: SetRecord, addresses: AddressSet, *, changes: bool) -> None:
        super().__init__(record, [], changes=changes)
        self._addresses = addresses

    def _plain_addresses(self, version: int) -> AddressSet | None:
        return self._addresses if version == self._addresses.version else None

    @cached_property
    def _decoded(self) -> tuple[list[Element], Element | None]:
        size = self.record.key_length
        return [
            Element(first.to_bytes(size, "big"), last.to_bytes(size, "big"), None, unsure=False)
            for first, last in self._addresses.ranges()
        ], None


def _length(parts: tuple[Datatype, ...]) -> int:
    return sum((part.length + 3) & ~3 for part in parts)


def _plain_addresses(elements: Iterable[Json], datatype: Datatype) -> AddressSet | None:
    """The members of a set of addresses that are all of them sure, and not of another type."""
    if datatype not in (of.IP, of.IP6):
        return None
    found = Spans()
    try:
        for element in elements:
            first, last = bounds(element, datatype)
            if first > last:
                return None
            found.add((int.from_bytes(first, "big"), int.from_bytes(last, "big")))
    except UnreadableError:
        return None
    return found.whole(4 if datatype is of.IP else 6)


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def _key(kind: int, value: bytes) -> bytes:
    return _attribute(kind, _attribute(1, value))


def _element(
    element: Json, parts: tuple[Datatype, ...], data: tuple[Datatype, ...] | str | None
) -> bytes | None:
    """One element; None if its key cannot be read.

    Raises:
        UnreadableError: What a map gives for it cannot be.
    """
    body = b""
    if data is not None:
        if not isinstance(element, list) or len(element) != 2:
            raise UnreadableError("an element of a map that is no pair")
        element, given = element
        body = _attribute(DATA, _verdict(given) if isinstance(data, str) else _value(given, data))
    if isinstance(element, dict) and "elem" in element:
        inner = element["elem"]
        if not isinstance(inner, dict) or "val" not in inner:
            return None
        if set(inner) - STATELESS:
            body += _attribute(EXPIRATION, bytes(8))
        element = inner["val"]
    if element == "*":
        return _attribute(LIST_ELEMENT, body + _attribute(FLAGS, struct.pack(">I", CATCH_ALL)))
    try:
        first, last = _bounds(element, parts)
    except UnreadableError:
        return None
    key = _key(KEY, first)
    if first != last:
        key += _key(KEY_END, last)
    return _attribute(LIST_ELEMENT, key + body)


def _with_every_value(
    elements: Iterable[Json], parts: tuple[Datatype, ...], data: tuple[Datatype, ...] | str
) -> bytes:
    """The same with keys that do not matter, since any may give any value or none."""
    zero = bytes(_length(parts))
    values = {_verdict(e[1]) if isinstance(data, str) else _value(e[1], data) for e in elements}
    return b"".join(
        _attribute(LIST_ELEMENT, _key(KEY, zero) + _attribute(DATA, value)) for value in values
    )


def _bounds(element: Json, parts: tuple[Datatype, ...]) -> tuple[bytes, bytes]:
    if len(parts) == 1:
        return bounds(element, parts[0])
    values = element.get("concat") if isinstance(element, dict) else None
    if not isinstance(values, list) or len(values) != len(parts):
        raise UnreadableError("an element with other parts than its key")
    first = last = b""
    for value, part in zip(values, parts, strict=True):
        low, high = bounds(value, part)
        padding = bytes(-part.length % 4)
        first, last = first + low + padding, last + high + padding
    return first, last


def _value(given: Json, parts: tuple[Datatype, ...]) -> bytes:
    values = given["concat"] if isinstance(given, dict) and len(parts) > 1 else [given]
    if len(values) != len(parts):
        raise UnreadableError("a value with other parts than the map's")
    found = [constant(value, part) for value, part in zip(values, parts, strict=True)]
    if len(found) == 1:
        return _attribute(1, found[0])
    return _attribute(1, b"".join(value + bytes(-len(value) % 4) for value in found))


def _verdict(given: Json) -> bytes:
    code, chain = verdict(given)
    body = _attribute(1, struct.pack(">i", code))
    if chain:
        body += _attribute(2, chain.encode() + b"\0")
    return _attribute(2, body)


def verdict(given: Json) -> tuple[int, str]:
    """The code of a verdict, and the chain it leads to.

    Raises:
        UnreadableError: It is none.
    """
    if isinstance(given, dict) and len(given) == 1:
        ((name, value),) = given.items()
        if name in ("jump", "goto") and isinstance(value, dict):
            return VERDICTS[name], text_of(value["target"])
        if name in VERDICTS and value is None:
            return VERDICTS[name], ""
    raise UnreadableError(f"the verdict {given!r:.40}")


def kinds_of_values(elements: Iterable[Json]) -> int:
    """How many parts the values of a map have, by its first element."""
    for element in elements:
        if isinstance(element, list) and len(element) == 2:
            given = element[1]
            return len(given["concat"]) if isinstance(given, dict) and "concat" in given else 1
    return 1
