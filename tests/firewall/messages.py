"""nf_tables messages taken apart and put together again, for dumps that never were."""

from __future__ import annotations

import struct
from collections.abc import Callable

from ollama_audit.firewall.netlink import MESSAGE_HEADER, NFGEN_HEADER_SIZE, attribute_list

NESTED = 0x8000
RULE_EXPRESSIONS, SET_ELEMENTS, LIST_ELEMENT = 4, 3, 1
"""NFTA_RULE_EXPRESSIONS, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_LIST_ELEM"""


def split(dump: bytes) -> list[bytes]:
    """The messages, each with its padding."""
    found = []
    while dump:
        length = (int.from_bytes(dump[:4], "little") + 3) & ~3
        found.append(dump[:length])
        dump = dump[length:]
    return found


def in_a_row(dump: bytes, times: int) -> bytes:
    """The dump again and again, each rule with a handle of its own."""
    found = []
    for turn in range(times):
        for place, message in enumerate(split(dump)):
            handle = struct.pack(">Q", 1000 * turn + place + 1)
            found.append(with_attribute(message, 3, _always(handle)))
    return b"".join(found)


def _always(payload: bytes) -> Callable[[bytes], bytes]:
    return lambda _old: payload


def attribute(kind: int, payload: bytes) -> bytes:
    """An attribute, padded."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def with_attribute(message: bytes, kind: int, change: Callable[[bytes], bytes]) -> bytes:
    """The message with another payload of one of its attributes."""
    start = MESSAGE_HEADER.size + NFGEN_HEADER_SIZE
    body = b""
    for found, payload in attribute_list(message[start : int.from_bytes(message[:4], "little")]):
        plain = bytes(payload)
        body += attribute(found, change(plain) if found == kind else plain)
    return struct.pack("=I", start + len(body)) + message[4:start] + body


def unmodelled(rule: bytes) -> bytes:
    """The rule with nothing left but an expression that nobody knows."""
    expression = attribute(1, b"from_the_future\0") + attribute(2 | NESTED, b"")
    listed = attribute(LIST_ELEMENT | NESTED, expression)
    return with_attribute(rule, RULE_EXPRESSIONS, lambda _old: listed)


def expressions(rule: bytes) -> list[bytes]:
    """The expressions of a rule, each an attribute of its own."""
    found: list[bytes] = []

    def take(payload: bytes) -> bytes:
        found.extend(attribute(kind, bytes(one)) for kind, one in attribute_list(payload))
        return payload

    with_attribute(rule, RULE_EXPRESSIONS, take)
    return found


def with_expression(rule: bytes, place: int, name: bytes) -> bytes:
    """The rule with an expression of this name, and no content, put in somewhere."""
    new = attribute(LIST_ELEMENT | NESTED, attribute(1, name) + attribute(2 | NESTED, b""))
    parts = expressions(rule)
    return with_attribute(
        rule, RULE_EXPRESSIONS, lambda _old: b"".join([*parts[:place], new, *parts[place:]])
    )


def elements_in_order(dump: bytes, order: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """The messages of elements with the elements of each in another order."""

    def change(payload: bytes) -> bytes:
        items = [attribute(kind, bytes(one)) for kind, one in attribute_list(payload)]
        return b"".join(order(items))

    return b"".join(with_attribute(message, SET_ELEMENTS, change) for message in split(dump))


def swapped(messages: list[bytes], first: int, second: int) -> bytes:
    """The messages with two of them in each other's place."""
    found = list(messages)
    found[first], found[second] = found[second], found[first]
    return b"".join(found)
