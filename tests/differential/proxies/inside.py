"""Runs one proxy after another, asks it for Ollama, and says what came through.

Runs under the image's own python3, in namespaces that end with it; standard library only. A line
of standard input is a job, a line of standard output its result, both JSON:

    {"start": [ARGUMENT, ...], "files": {PATH: TEXT}, "load": TEXT, "port": N,
     "sources": [ADDRESS, ...], "attempts": [{HEADER: VALUE}, ...],
     "requests": [[METHOD, PATH], ...]}

    {"refused": TEXT} or {"running": TEXT, "reached": [[SOURCE, ATTEMPT, REQUEST], ...],
     "asks": [BOOL, ...], "heard": [BOOL, ...]}

`reached` are indices of those lists: for each source the first attempt, and its first request,
that came to the upstream as one that Ollama answers. `asks` says whether a source gets 401 for the
main requests without anything, `heard` whether anybody takes its connection. With `load` the text
goes to the admin API of a Caddy that runs on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import socketserver
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

UPSTREAM = ("127.0.0.1", 11434)
SERVICE = ("127.0.0.1", 9091)
"""A login service: who has the header `X-Session: right` may pass."""
NAMES = ("localhost", "neo")
REACHED = 299
ANSWERED = b"HTTP/1.1 299 Reached\r\nContent-Length: 0\r\nX-Reached: yes\r\n\r\n"
"""By the header as well: an `error_page 404` keeps its status and passes the answer on."""
WAIT_S = 5.0
TIMEOUT_S = 0.5
MOST_SILENT = 2
"""After so many requests that nobody answers, a source stops asking."""
MAIN = (("GET", "/api/version"), ("GET", "/api/tags"), ("POST", "/api/generate"))


def head(stream: Any) -> tuple[str, str, dict[str, str]] | None:
    """Read one request with its body: method, path without the query, headers."""
    line = stream.readline(65536).split()
    if len(line) != 3:
        return None
    headers = {}
    while (text := stream.readline(65536).strip()) != b"":
        name, _, value = text.partition(b":")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    if headers.get("transfer-encoding", "") == "chunked":
        while size := int(stream.readline().split(b";")[0], 16):
            stream.read(size + 2)
        stream.readline()
    stream.read(int(headers.get("content-length") or 0))
    return line[0].decode(), line[1].decode("latin-1").partition("?")[0], headers


def admitted(host: str) -> bool:
    """Ollama's own check of the Host header (server/routes.go, allowedHostsMiddleware)."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    plain = name.replace(".", "").isdecimal() or ":" in name
    if plain:
        return (
            name.startswith(("127.", "10.", "192.168.", "172.16.", "0.0.0.0", "fd"))
            or name == "::1"
        )
    return not name or name in NAMES or name.endswith((".localhost", ".local", ".internal"))


class Ollama(socketserver.StreamRequestHandler):
    """The upstream: says so to what Ollama answers, and 404 or 403 to the rest."""

    disable_nagle_algorithm = True
    known: frozenset[tuple[str, str]] = frozenset()

    def handle(self) -> None:
        """Answer until the other side ends."""
        while (asked := head(self.rfile)) is not None:
            method, path, headers = asked
            status = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            if not admitted(headers.get("host", "")):
                status = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
            elif (method, path) in self.known:
                status = ANSWERED
            self.wfile.write(status)


class Service(socketserver.StreamRequestHandler):
    """The login service."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer until the other side ends."""
        while (asked := head(self.rfile)) is not None:
            status = b"204 Fine" if asked[2].get("x-session") == "right" else b"401 Who"
            self.wfile.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")


class Listening(socketserver.ThreadingTCPServer):
    """A server of many connections."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 500

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A proxy that ends a connection is none."""


def serve(known: list[list[str]]) -> None:
    """The upstream and the login service, in a process of their own."""
    Ollama.known = frozenset((method, path) for method, path in known)
    for address, handler in ((UPSTREAM, Ollama), (SERVICE, Service)):
        if os.fork() == 0:
            Listening(address, handler).serve_forever()


class Client:
    """One source with one way to ask, over one connection as long as it lasts."""

    silent: ClassVar[Counter[str]] = Counter()
    """How often nobody answered a source in time, in this job."""

    def __init__(self, source: str, job: dict[str, Any], headers: dict[str, str]) -> None:
        self.source = source
        self.job = job
        self.headers = dict(headers)
        self.to = "::1" if ":" in source else "127.0.0.1"
        self.stream: Any = None
        self.connected = False

    def connect(self) -> None:
        """Open the connection."""
        self.connected = False
        plain = socket.create_connection((self.to, self.job["port"]), TIMEOUT_S, (self.source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected = True
        self.stream = plain.makefile("rwb")
        plain.close()

    def answer(self, method: str, path: str) -> int:
        """The status of the answer to a request; 0 for none."""
        for _ in range(2):
            fresh = self.stream is None
            try:
                if fresh and self.silent[self.source] < MOST_SILENT:
                    self.connect()
                elif fresh:
                    return 0
                if status := self.status(method, path):
                    return status
            except TimeoutError:
                self.silent[self.source] += 1
            except OSError:
                pass
            self.close()
            if fresh:
                break
        return 0

    def close(self) -> None:
        """End the connection."""
        if self.stream is not None:
            with suppress(OSError):
                self.stream.close()
            self.stream = None

    def status(self, method: str, path: str) -> int:
        """The status of the answer; 0 for none."""
        given = {"Host": f"[{self.to}]" if ":" in self.to else self.to, **self.headers}
        body = b"{}" if method == "POST" else b""
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in given.items()),
        ]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.stream.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.stream.flush()
        first = self.stream.readline(65536).split()
        if len(first) < 2:
            return 0
        length, chunked, ends, status = -1, False, False, int(first[1])
        while (text := self.stream.readline(65536).strip().lower()) != b"":
            name, _, value = text.partition(b":")
            length = int(value) if name == b"content-length" else length
            chunked = chunked or (name == b"transfer-encoding" and b"chunked" in value)
            ends = ends or (name == b"connection" and b"close" in value)
            status = REACHED if name == b"x-reached" else status
        if chunked or (length < 0 and int(first[1]) not in {204, 304}) or ends:
            self.close()
        elif length > 0:
            self.stream.read(length)
        return status


def asked(job: dict[str, Any]) -> dict[str, Any]:
    """The first attempt of each source that came through, and the first request of it."""
    found, asks, heard = [], [], []
    Client.silent.clear()
    for s, source in enumerate(job["sources"]):
        first = Client(source, job, job["attempts"][0])
        statuses = [first.answer(*each) for each in MAIN]
        asks.append(set(statuses) == {401})
        heard.append(first.connected)
        first.close()
        for a, headers in enumerate(job["attempts"]):
            client = Client(source, job, headers)
            r = next(
                (r for r, each in enumerate(job["requests"]) if client.answer(*each) == REACHED),
                None,
            )
            client.close()
            if r is not None:
                found.append((s, a, r))
                break
    return {"reached": found, "asks": asks, "heard": heard}


def listening(port: int) -> bool:
    """Whether somebody listens there."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                return True
    return False


def wait(condition: Any) -> bool:
    """Wait for a condition, but not for ever."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return False


def started(job: dict[str, Any]) -> dict[str, Any]:
    """One run of a program."""
    with Path("/tmp/said").open("wb") as said:
        running = subprocess.Popen(
            job["start"], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    up = wait(lambda: running.poll() is not None or listening(job["port"]))
    try:
        if not up or running.poll() is not None:
            return {"refused": Path("/tmp/said").read_text(errors="replace")[-2000:]}
        return {"running": "", **asked(job)}
    finally:
        if running.poll() is None:
            running.terminate()
            try:
                running.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, 9)
                running.wait()
        wait(lambda: not listening(job["port"]))


def admin(path: str, body: bytes | None = None, kind: str = "") -> tuple[int, str]:
    """Ask Caddy's admin API."""
    request = urllib.request.Request(f"http://127.0.0.1:2019{path}", body)
    if kind:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def loaded(job: dict[str, Any]) -> dict[str, Any]:
    """One configuration in a Caddy that runs on."""
    if not listening(2019):
        subprocess.Popen(
            ["caddy", "run"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/tmp",
            env={**os.environ, "HOME": "/tmp"},
        )
        wait(lambda: listening(2019))
    kind = "application/json" if job["load"].lstrip()[:2] in {'{"', "{}"} else "text/caddyfile"
    status, said = admin("/load", job["load"].encode(), kind)
    if status != 200:
        return {"refused": said}
    wait(lambda: listening(job["port"]))
    return {"running": admin("/config/")[1], **asked(job)}


def main() -> None:
    """Answer jobs until there are no more; the first line has what Ollama answers."""
    process = multiprocessing.Process(target=serve, args=(json.loads(sys.stdin.readline()),))
    process.start()
    process.join()
    wait(lambda: listening(UPSTREAM[1]) and listening(SERVICE[1]))
    for line in sys.stdin:
        job = json.loads(line)
        for name, text in job["files"].items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)
        result = loaded(job) if job.get("load") else started(job)
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
