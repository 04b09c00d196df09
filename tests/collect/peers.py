"""Servers on loopback that answer as they are told, well or badly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket, bytes], None]
"""What is done with a connection, given the request that came over it."""


@contextmanager
def listening(behave: Behaviour, address: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """A server: its port, and the requests that it has seen."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    seen: list[bytes] = []
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen(64)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = server.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                request = connection.recv(65536)
                seen.append(request)
                behave(connection, request)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def says(answer: bytes, *, then: float = 0.0) -> Behaviour:
    """Sends this and closes, after some seconds."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        time.sleep(then)

    return behave


def page(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.0 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def by_path(answers: dict[str, bytes]) -> Behaviour:
    """Answers each path with its page, and all else with 404."""

    def behave(connection: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode() if request.split()[1:] else ""
        connection.sendall(answers.get(path, page(b"no such page", "404 Not Found")))

    return behave


def trickle(connection: socket.socket, _: bytes) -> None:
    """Sends a byte now and then, for ever."""
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    for _unused in range(100):
        connection.sendall(b" ")
        time.sleep(0.05)


def flood(connection: socket.socket, _: bytes) -> None:
    """Sends without an end, and without saying how much."""
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    for _unused in range(4096):
        connection.sendall(b"x" * 65536)
