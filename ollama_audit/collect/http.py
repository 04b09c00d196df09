"""GET requests to servers on this host, the only ones that this program makes unless told to.

Each goes to a Unix socket, to a loopback address or to one that the network namespace itself owns,
and its packets do not leave: a socket for a loopback address is bound to the loopback interface
(SO_BINDTODEVICE, socket(7)), and any other address is asked only when the kernel would use it as
the source as well, as it does for its own addresses alone.
"""

from __future__ import annotations

import errno
import socket
import time
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from ollama_audit import __version__

_LARGEST = 8 << 20
_LONGEST_HEAD = 64 << 10
AT_LOCALHOST = (("Host", "localhost"),)


class Response(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    """By name in lower case; values of equal names with a comma between them."""
    body: bytes


class NotHttpError(ValueError):
    """What came back is no HTTP answer."""

    def __init__(self, received: bytes) -> None:
        super().__init__("it is not HTTP" if received else "it ended without an answer")
        self.received = received


def get(  # noqa: PLR0913 - where to, what, until when, and what may come back
    address: str,
    port: int,
    path: str,
    deadline: float,
    headers: tuple[tuple[str, str], ...] = AT_LOCALHOST,
    *,
    largest: int = _LARGEST,
    tls: bool = False,
) -> Response:
    """One GET request over HTTP/1.0; a redirection is an answer like any other.

    HTTP/1.0 keeps the answer free of chunks. It ends where its Content-Length says, or else with
    the connection. With `tls`, no certificate is checked: nothing secret is sent.

    Raises:
        TimeoutError: `deadline` (time.monotonic()) has passed.
        OSError: No connection.
        ValueError: Not an HTTP answer, or one with more than `largest` bytes.
    """
    target = ip_address(address)
    family = socket.AF_INET6 if target.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as plain:
        _keep_here(plain, target)
        plain.settimeout(left(deadline))
        plain.connect((address, port))
        with _encrypted(plain) if tls else plain as connection:
            return _exchanged(connection, path, deadline, headers, largest)


def get_unix(
    socket_path: str,
    path: str,
    deadline: float,
    headers: tuple[tuple[str, str], ...] = AT_LOCALHOST,
    *,
    largest: int = _LARGEST,
) -> Response:
    """One GET request to a Unix socket (unix(7)) whose listener runs; otherwise as `get`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(left(deadline))
        connection.connect(socket_path)
        return _exchanged(connection, path, deadline, headers, largest)


def _exchanged(
    connection: socket.socket,
    path: str,
    deadline: float,
    headers: tuple[tuple[str, str], ...],
    largest: int,
) -> Response:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    request = (
        f"GET {path} HTTP/1.0\r\n{lines}Accept: application/json\r\n"
        f"User-Agent: ollama-audit/{__version__}\r\n\r\n"
    )
    connection.sendall(request.encode("ascii"))
    return received(connection, deadline, largest)


def _keep_here(connection: socket.socket, target: IPv4Address | IPv6Address) -> None:
    """See to it that no packet leaves the host.

    Raises:
        OSError: `target` is not an address of this network namespace.
    """
    if target.is_loopback:
        # An ordinary user may do so since Linux 5.7; without it, nothing but a translation that
        # takes packets for loopback off the host would matter.
        with suppress(PermissionError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        return
    if target.is_unspecified or target.is_multicast:
        raise OSError(errno.EADDRNOTAVAIL, f"{target} is no address of one machine")
    with socket.socket(connection.family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as route:
        route.connect((str(target), 9))  # looks up the route; sends nothing (udp(7))
        if route.getsockname()[0] != str(target):
            raise OSError(errno.EADDRNOTAVAIL, f"{target} is not an address of this host")


def _encrypted(connection: socket.socket) -> socket.socket:
    import ssl  # noqa: PLC0415  # 15 ms, for the few hosts that need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname="localhost")


def received(connection: socket.socket, deadline: float, largest: int) -> Response:
    """The answer to an HTTP/1.0 request, with the errors of `get`."""
    answer = bytearray()
    wanted = largest + _LONGEST_HEAD
    head: tuple[int, dict[str, str]] | None = None
    start = 0
    while len(answer) < wanted:
        connection.settimeout(left(deadline))
        piece = connection.recv(1 << 16)
        if not piece:
            break
        answer += piece
        if head is None and (start := answer.find(b"\r\n\r\n") + 4) > 3:
            head = _head(bytes(answer[:start]))
            length = head[1].get("content-length", "")
            wanted = start + (int(length) if length.isdecimal() else largest + 1)
            if wanted > start + largest + 1:
                break
    status, headers = head or _head(bytes(answer))
    body = bytes(answer[start:wanted]) if head else b""
    if len(body) > largest or wanted > start + largest + 1:
        raise ValueError(f"it is larger than {largest >> 10} KiB")
    return Response(status, headers, body)


def _head(text: bytes) -> tuple[int, dict[str, str]]:
    """Status and header fields (RFC 9112, 4 and 5)."""
    first, *lines = text.split(b"\r\n\r\n")[0].split(b"\r\n")
    words = first.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise NotHttpError(text)
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name = name.strip().lower()
            before = f"{fields[name]}, " if name in fields else ""
            fields[name] = before + value.strip()
    return int(words[1]), fields


def left(deadline: float) -> float:
    """Seconds until then (time.monotonic()).

    Raises:
        TimeoutError: There are none.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
