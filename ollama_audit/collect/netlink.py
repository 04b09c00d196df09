"""A netlink client that can only ask: dumps of kernel tables (netlink(7), rtnetlink(7)).

A socket belongs to the network namespace of the thread that opens it. Messages are handed on as
the kernel sent them; `messages` and `attributes` take them apart.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Literal, Self

from ollama_audit.observed import Unknown

ROUTE = 0
SOCK_DIAG = 4
XFRM = 6
NETFILTER = 12

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST = 0x1
_DUMP = 0x300
_DUMP_INTERRUPTED = 0x10
_ERROR = 2
_DONE = 3
_ATTRIBUTE_TYPE = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_BUFFER = 1 << 20
_SO_RCVBUFFORCE = 33
_ATTEMPTS = 5

MALFORMED = (KeyError, TypeError, ValueError, struct.error)
"""What taking an answer apart raises when a kernel answers otherwise than this program expects."""

NATIVE: Literal["little", "big"] = "little" if sys.byteorder == "little" else "big"


class NetlinkError(Exception):
    """The kernel did not give what was asked for: the reason, its errno if it gave one, a cure."""

    def __init__(self, reason: str, code: int = 0, cure: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.cure = cure

    def unknown(self, source: str) -> Unknown:
        """This as an unobserved fact."""
        return Unknown(self.reason, source, self.cure)


class ChangedError(NetlinkError):
    """A table changed while it was read, each time that it was tried."""

    def __init__(self) -> None:
        super().__init__("it kept changing while it was read")


class Netlink:
    """A socket for dumps of one netlink protocol.

    Raises:
        NetlinkError: The kernel has no such protocol or does not let us use it.
    """

    def __init__(self, protocol: int, *, timeout_s: float = 2.0, limit: int = 256 << 20) -> None:
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
            )
        except OSError as error:
            raise _failure(error.errno or 0) from None
        try:
            self._socket.bind((0, 0))
        except OSError as error:
            self._socket.close()
            raise _failure(error.errno or 0) from None
        self._buffer = bytearray(_BUFFER)
        self._sequence = 0
        self._timeout_s = timeout_s
        self._limit = limit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def dump(self, message_type: int, body: bytes, *, attempts: int = _ATTEMPTS) -> bytes:
        """All messages of the answer end to end, headers included, without the closing NLMSG_DONE.

        Raises:
            ChangedError: The table changed during each of `attempts` readings (NLM_F_DUMP_INTR).
            NetlinkError: The kernel refused, or did not answer in time, or answered too much.
        """
        for _ in range(attempts):
            answer, whole = self._exchange(message_type, body, _REQUEST | _DUMP)
            if whole:
                return answer
        raise ChangedError

    def ask(self, message_type: int, body: bytes) -> bytes:
        """The one message that answers a question, header included.

        Raises:
            NetlinkError: The kernel refused, or did not answer in time.
        """
        return self._exchange(message_type, body, _REQUEST)[0]

    def _exchange(self, message_type: int, body: bytes, flags: int) -> tuple[bytes, bool]:
        """The answer, and whether it is whole: not disturbed by a change of the table."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), message_type, flags, self._sequence, 0)
        deadline = time.monotonic() + self._timeout_s
        parts: list[bytes] = []
        size, whole = 0, True
        try:
            self._socket.send(header + body)
            while True:
                datagram = self._receive(deadline)
                content, interrupted, done = self._split(datagram)
                parts.append(content)
                size += len(content)
                whole = whole and not interrupted
                if done or (content and not flags & _DUMP):
                    return b"".join(parts), whole
                if size > self._limit:
                    raise NetlinkError(f"there is more than {self._limit} bytes of it")
        except OSError as error:
            raise _failure(error.errno or 0) from None

    def _receive(self, deadline: float) -> memoryview:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            length = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
        except TimeoutError:
            raise NetlinkError(f"the kernel did not answer within {self._timeout_s:g} s") from None
        if length > len(self._buffer):
            raise NetlinkError("the kernel sent a message that is too large")
        return memoryview(self._buffer)[:length]

    def _split(self, datagram: memoryview) -> tuple[bytes, bool, bool]:
        """The dumped messages of a datagram, whether the dump was disturbed, and whether it ended.

        Raises:
            NetlinkError: It reports an error, in a message or in the closing one.
        """
        offset, start, interrupted = 0, 0, False
        while offset + _HEADER.size <= len(datagram):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
            if length < _HEADER.size:
                raise NetlinkError("the kernel sent a malformed message")
            if sequence != self._sequence:  # the rest of a dump that was given up
                return b"", False, False
            interrupted = interrupted or bool(flags & _DUMP_INTERRUPTED)
            if kind in (_ERROR, _DONE):
                code = 0
                if length >= _HEADER.size + 4:
                    code = -int.from_bytes(datagram[offset + 16 : offset + 20], NATIVE, signed=True)
                if code == errno.EINTR:  # nf_tables says so when a batch was committed meanwhile
                    return b"", True, True
                if code > 0:
                    raise _failure(code)
                return bytes(datagram[start:offset]), interrupted, True
            offset += (length + 3) & ~3
        return bytes(datagram[start:offset]), interrupted, False


def messages(answer: bytes) -> Iterator[tuple[int, memoryview]]:
    """The type and body of each message of a dump."""
    view, offset = memoryview(answer), 0
    while offset + _HEADER.size <= len(view):
        length, kind = _HEADER.unpack_from(view, offset)[:2]
        yield kind, view[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attributes(body: memoryview, offset: int = 0) -> dict[int, memoryview]:
    """The attributes from `offset` on by type; the last of several."""
    found: dict[int, memoryview] = {}
    end = len(body)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < 4:
            break
        found[kind & _ATTRIBUTE_TYPE] = body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def attribute_list(body: memoryview) -> list[memoryview]:
    """The contents of the attributes of a list, in order."""
    found: list[memoryview] = []
    offset = 0
    while offset + 4 <= len(body):
        length, _ = _ATTRIBUTE.unpack_from(body, offset)
        if length < 4:
            break
        found.append(body[offset + 4 : offset + length])
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, content: bytes) -> bytes:
    """An attribute to send, padded."""
    return _ATTRIBUTE.pack(4 + len(content), kind) + content + bytes(-len(content) % 4)


def number(content: memoryview | bytes) -> int:
    """An unsigned number in the byte order of this machine."""
    return int.from_bytes(content, NATIVE)


def text(content: memoryview | bytes) -> str:
    """A NUL-terminated string."""
    return bytes(content).partition(b"\0")[0].decode(errors="replace")


def _failure(code: int) -> NetlinkError:
    if code in (errno.EPERM, errno.EACCES):
        if os.geteuid():
            return NetlinkError("only root may read it", code, "sudo ollama-audit")
        return NetlinkError("root lacks the capability CAP_NET_ADMIN here", code)
    if code in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
        return NetlinkError("the kernel has no such interface", code)
    return NetlinkError(f"the kernel answered: {os.strerror(code)}", code)
