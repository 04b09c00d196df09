"""One HTTP request to a machine beyond the host, bounded in time and size.

HTTP/1.0 keeps the answer free of chunks; a redirection is an answer like any other and is not
followed, and no proxy is asked.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

LARGEST = 256 << 10


def request(  # noqa: PLR0913 - what, where to, until when
    method: str,
    address: str,
    port: int,
    path: str,
    deadline: float,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, bytes]:
    """Status and body of the answer of a server at an IPv4 address.

    Raises:
        TimeoutError: `deadline` (time.monotonic()) has passed.
        OSError: No connection.
        ValueError: Not an HTTP answer, or one larger than 256 KiB.
    """
    fields = {"Host": address if port == 80 else f"{address}:{port}", **(headers or {})}
    if method != "GET":
        fields["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(left(deadline))
        connection.connect((address, port))
        connection.sendall(f"{method} {path} HTTP/1.0\r\n{lines}\r\n".encode("ascii") + body)
        return _answer(connection, deadline)


def left(deadline: float) -> float:
    """Seconds until then.

    Raises:
        TimeoutError: There are none.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def problem(error: Exception) -> str:
    """Why there is no answer, in words."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError):
        return f"it did not answer: {error.strerror or error}"
    return f"its answer was not understood: {error}"


def _answer(connection: socket.socket, deadline: float) -> tuple[int, bytes]:
    answer = bytearray()
    length = -1
    while length < 0 or len(answer) < length:
        connection.settimeout(left(deadline))
        piece = connection.recv(1 << 16)
        answer += piece
        if len(answer) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 10} KiB")
        if not piece:
            break
        if length < 0 and (end := answer.find(b"\r\n\r\n")) >= 0:
            length = _length(bytes(answer[:end]), end + 4)
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("it is not HTTP")
    return int(words[1]), body


def _length(head: bytes, start: int) -> int:
    """How long an answer is that says so; -1 when only the end of the connection tells."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return start + int(value.strip()[:10])
    return -1
