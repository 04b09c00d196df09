"""Answers that a kernel gives rarely: disturbed dumps, late errors, nonsense, nothing."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

from ollama_audit.collect.netlink import (
    ROUTE,
    ChangedError,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    messages,
)

_INTERRUPTED = 0x10


def message(kind: int, body: bytes = b"", *, flags: int = 2, sequence: int = 1) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def number(value: int) -> bytes:
    return struct.pack("=i", value)


class Scripted:
    """Stands in for the socket: gives datagrams that were written before."""

    def __init__(self, *datagrams: bytes) -> None:
        self.datagrams = list(datagrams)

    def send(self, _: bytes) -> None:
        pass

    def settimeout(self, _: float) -> None:
        pass

    def recv_into(self, buffer: bytearray, *_: Any) -> int:
        if not self.datagrams:
            raise TimeoutError
        datagram = self.datagrams.pop(0)
        buffer[: len(datagram)] = datagram
        return len(datagram)

    def close(self) -> None:
        pass


def dump(*datagrams: bytes, limit: int = 1 << 20, attempts: int = 2) -> bytes:
    with Netlink(ROUTE, limit=limit) as netlink:
        netlink._socket.close()
        netlink._socket = Scripted(*datagrams)  # type: ignore[assignment]
        return netlink.dump(18, b"", attempts=attempts)


DONE = message(3, number(0))
ONE = message(16, b"1234")
TWO = message(16, b"5678")


def test_a_dump_is_its_messages_without_the_end() -> None:
    assert dump(ONE + TWO, DONE) == ONE + TWO
    assert dump(ONE + DONE) == ONE
    assert dump(DONE) == b""
    assert [(kind, bytes(body)) for kind, body in messages(ONE + TWO)] == [
        (16, b"1234"),
        (16, b"5678"),
    ]


def test_a_disturbed_dump_is_read_again() -> None:
    disturbed = message(16, b"old!", flags=2 | _INTERRUPTED)
    again = message(16, b"new!", sequence=2) + message(3, number(0), sequence=2)
    assert dump(disturbed + ONE, DONE, again) == message(16, b"new!", sequence=2)


def test_a_dump_that_is_disturbed_each_time_fails() -> None:
    end = [message(3, number(0), flags=_INTERRUPTED, sequence=n) for n in (1, 2)]
    with pytest.raises(ChangedError):
        dump(*end)


def test_an_error_in_the_closing_message_is_not_taken_for_the_end() -> None:
    with pytest.raises(NetlinkError, match="Cannot allocate memory") as caught:
        dump(ONE, message(3, number(-errno.ENOMEM)))
    assert caught.value.code == errno.ENOMEM


def test_an_interruption_in_the_closing_message_is_a_disturbance() -> None:
    again = message(3, number(0), sequence=2)
    assert dump(ONE, message(3, number(-errno.EINTR)), again) == b""


def test_a_refusal_names_its_reason() -> None:
    with pytest.raises(NetlinkError) as caught:
        dump(message(2, number(-errno.EPERM) + bytes(16)))
    assert caught.value.code == errno.EPERM


def test_leftovers_of_an_earlier_dump_are_passed_over() -> None:
    assert dump(message(16, b"late", sequence=9), ONE + DONE) == ONE


@pytest.mark.parametrize("length", [0, 15])
def test_a_message_shorter_than_its_header_fails(length: int) -> None:
    with pytest.raises(NetlinkError, match="malformed"):
        dump(struct.pack("=IHHII", length, 16, 2, 1, 0))


def test_an_answer_beyond_the_limit_fails() -> None:
    with pytest.raises(NetlinkError, match="more than 30 bytes"):
        dump(ONE, TWO, DONE, limit=30)


def test_a_silent_kernel_is_not_waited_for() -> None:
    with pytest.raises(NetlinkError, match="did not answer within 2 s"):
        dump(ONE)


def test_a_protocol_that_the_kernel_lacks_fails() -> None:
    with pytest.raises(NetlinkError, match="no such interface"):
        Netlink(31)


def test_attributes_are_padded_and_end_at_nonsense() -> None:
    sent = attribute(1, b"abc\0x") + attribute(0x8002, b"")
    assert len(sent) == 12 + 4
    taken = attributes(memoryview(sent + struct.pack("=HH", 3, 7) + b"rest"))
    assert {kind: bytes(content) for kind, content in taken.items()} == {1: b"abc\0x", 2: b""}
