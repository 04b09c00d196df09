"""One HTTP request to a machine beyond the host, bounded in time and size.

A redirection is an answer like any other and is not followed, and no proxy is asked.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ollama_audit.collect.http import Response, left, received

_LARGEST = 256 << 10


def request(  # noqa: PLR0913 - what, where to, until when
    method: str,
    address: str,
    port: int,
    path: str,
    deadline: float,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Response:
    """The answer of a server at an IPv4 address.

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
        return received(connection, deadline, _LARGEST)


def problem(error: Exception) -> str:
    """Why there is no answer, in words."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError):
        return f"it did not answer: {error.strerror or error}"
    return f"its answer was not understood: {error}"
