"""Raw TCP segments from any source address, and what comes back, by AF_PACKET."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
OUTGOING = 4
MAXIMUM_SEGMENT = b"\x02\x04\x05\xb4"
SEQUENCE = 12345
SYN, ACK, SYN_ACK = 0x02, 0x10, 0x12
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter(namespace: str) -> None:
    """Move this thread into a named network namespace."""
    descriptor = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
    try:
        if _LIBC.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(descriptor)


def forget_connections() -> None:
    """Empty the connection tracking table of this thread's namespace (IPCTNL_MSG_CT_DELETE)."""
    netfilter, delete, request = 12, 1 << 8 | 2, 1
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter) as end:
        end.send(struct.pack("=IHHIIBBH", 20, delete, request, 1, 0, 0, 0, 0))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Segment(NamedTuple):
    """A TCP segment of a client."""

    version: int
    source: int
    destination: int
    source_port: int
    port: int
    flags: int = SYN
    sequence: int = SEQUENCE
    acknowledged: int = 0
    hops: int = 64
    fragment: int = 0x4000
    """IPv4 flags and offset: don't fragment."""

    def packet(self) -> bytes:
        """The whole IP packet."""
        size = 4 if self.version == 4 else 16
        source, destination = (
            address.to_bytes(size, "big") for address in (self.source, self.destination)
        )
        options = MAXIMUM_SEGMENT if self.flags & SYN else b""
        offset = (20 + len(options)) // 4 << 4
        ports = (self.source_port, self.port)
        fields = (*ports, self.sequence, self.acknowledged, offset, self.flags, 64240, 0, 0)
        tcp = struct.pack("!HHIIBBHHH", *fields) + options
        length = struct.pack("!HH", 6, len(tcp))
        if self.version == 6:
            length = struct.pack("!IHBB", len(tcp), 0, 0, 6)
        tcp = tcp[:16] + struct.pack("!H", checksum(source + destination + length + tcp)) + tcp[18:]
        if self.version == 6:
            head = struct.pack("!IHBB", 0x60000000, len(tcp), 6, self.hops)
            return head + source + destination + tcp
        total = 20 + len(tcp)
        head = struct.pack("!BBHHHBBH", 0x45, 0, total, 1, self.fragment, self.hops, 6, 0)
        head += source + destination
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + tcp


class Reply(NamedTuple):
    """A TCP segment that came back."""

    interface: str
    version: int
    source: int
    destination: int
    source_port: int
    port: int
    flags: int
    sequence: int


class Peer:
    """Everybody else: sends on the other ends of the target's links."""

    def __init__(self, namespace: str, links: dict[str, str]) -> None:
        """`links`: hardware address of the target's end, by the target's interface name."""
        enter(namespace)
        self.sockets = {}
        for name in links:
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            end.bind((f"p_{name}", 3))
            end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            end.settimeout(0)
            self.sockets[name] = end
        self.heads = {
            (name, version): bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x01" + kind
            for name, mac in links.items()
            for version, kind in ((4, b"\x08\x00"), (6, b"\x86\xdd"))
        }

    def send(self, interface: str, segment: Segment) -> None:
        """Let a segment arrive at the target through an interface."""
        frame = self.heads[interface, segment.version] + segment.packet()
        end = self.sockets[interface]
        try:
            end.send(frame)
        except BlockingIOError:
            select.select([], [end], [], 1)
            end.send(frame)

    def replies(self) -> list[Reply]:
        """The TCP segments that have come in since."""
        found = []
        for name, end in self.sockets.items():
            while True:
                try:
                    frame, where = end.recvfrom(2048)
                except BlockingIOError:
                    break
                reply = None if where[2] == OUTGOING else _parse(name, frame)
                if reply is not None:
                    found.append(reply)
        return found


def _parse(interface: str, frame: bytes) -> Reply | None:
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] == 6:
        version, source, destination = 4, frame[26:30], frame[30:34]
        tcp = frame[14 + (frame[14] & 15) * 4 :]
    elif kind == b"\x86\xdd" and frame[20] == 6:
        version, source, destination = 6, frame[22:38], frame[38:54]
        tcp = frame[54:]
    else:
        return None
    source_port, port, sequence = struct.unpack("!HHI", tcp[:8])
    return Reply(
        interface,
        version,
        int.from_bytes(source, "big"),
        int.from_bytes(destination, "big"),
        source_port,
        port,
        tcp[13],
        sequence,
    )
