"""What listeners on this host are asked, and what becomes of their answers, good and bad."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ollama_audit.collect.probe import probe
from ollama_audit.snapshot.probe import Probe, Question, Reply
from tests.collect.netns import Netns, needs_root, reason_of, value_of
from tests.collect.peers import Behaviour, by_path, flood, listening, page, says, trickle

VERSION = page(b'{"version":"0.9.3"}')
TAGS = page(json.dumps({"models": [{"name": "b"}, {"name": "a"}]}).encode())


def question(
    port: int, at: str = "127.0.0.1", *, unasked: str = "", forwards: bool = False
) -> Question:
    return Question(
        forwards=forwards,
        namespace=1,
        pid=os.getpid(),
        address=at,
        port=port,
        at=at,
        unasked=unasked,
    )


@contextmanager
def asked(behave: Behaviour) -> Iterator[tuple[Probe, list[bytes]]]:
    with listening(behave) as (port, seen):
        (found,) = probe([question(port)])
        yield found, seen


def reply(found: Probe) -> Reply:
    assert found.version is not None
    return value_of(found.version)


def test_ollama_is_asked_for_its_version_and_models_and_as_a_stranger() -> None:
    with asked(by_path({"/api/version": VERSION, "/api/tags": TAGS})) as (found, seen):
        assert reply(found).version == "0.9.3"
        assert found.tags is not None
        assert value_of(found.tags).models == ("a", "b")
        first, tags, host, origin = (each.decode().split("\r\n") for each in seen)
        assert first[0] == "GET /api/version HTTP/1.0"
        assert "Host: localhost" in first
        assert any(line.startswith("User-Agent: ollama-audit/") for line in first)
        assert tags[0] == "GET /api/tags HTTP/1.0"
        assert host[0] == origin[0] == first[0]
        assert "Host: ollama-audit.invalid" in host
        assert "Origin: http://ollama-audit.invalid" in origin


def test_nothing_but_get_without_credentials_or_a_forged_address() -> None:
    with asked(by_path({"/api/version": VERSION, "/api/tags": TAGS})) as (_, seen):
        for request in seen:
            assert request.startswith(b"GET /api/")
            head = request.lower()
            assert b"authorization" not in head
            assert b"cookie" not in head
            assert b"forwarded" not in head


def test_what_is_no_ollama_is_asked_once() -> None:
    with asked(says(page(b"<html>", "404 Not Found", "Server: thing/1"))) as (found, seen):
        assert (reply(found).status, reply(found).server) == (404, "thing/1")
        assert reply(found).version == ""
        assert (found.tags, found.foreign_host, found.foreign_origin) == (None, None, None)
        assert len(seen) == 1


def test_a_login_is_tried_at_a_second_path() -> None:
    locked = page(b"", "401 Unauthorized", 'WWW-Authenticate: Basic realm="a, b", Bearer x="y"')
    with asked(by_path({"/api/version": locked, "/api/tags": TAGS})) as (found, seen):
        assert (reply(found).status, reply(found).login) == (401, "Basic, Bearer")
        assert found.tags is not None
        assert value_of(found.tags).models == ("a", "b")
        assert len(seen) == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"version":"0.6.5","deployment_id":""}',  # Open WebUI's
        b'{"version":7}',
        b'["version"]',
        b'{"version":"0.9.3"',
        b"[" * 60_000,
        b"\xff\xfe\x00",
    ],
)
def test_another_document_is_not_ollamas(body: bytes) -> None:
    with asked(says(page(body))) as (found, _):
        assert (reply(found).status, reply(found).version) == (200, "")


def test_a_redirection_is_not_followed() -> None:
    with listening(by_path({"/api/version": VERSION})) as (elsewhere, unseen):
        moved = page(b"", "302 Found", f"Location: http://127.0.0.1:{elsewhere}/api/version")
        with asked(says(moved)) as (found, seen):
            assert reply(found).status == 302
            assert len(seen) == 1
        assert unseen == []


def test_an_answer_ends_where_it_says_though_the_peer_keeps_the_connection() -> None:
    started = time.monotonic()
    with asked(says(VERSION, then=5)) as (found, _):
        assert reply(found).version == "0.9.3"
        assert time.monotonic() - started < 2


BAD: dict[str, tuple[Behaviour, str]] = {
    "silent": (says(b"", then=5), "in time"),
    "slow": (trickle, "in time"),
    "endless": (flood, "larger than 64 KiB"),
    "announces too much": (
        says(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000000\r\n\r\n"),
        "larger",
    ),
    "an endless head": (says(b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 30_000), "larger"),
    "binary": (says(b"\x00\xff\x01SSH-2.0\r\n"), "not HTTP"),
    "half a head": (says(b"HTTP/1.0\r\n"), "not HTTP"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_peer_is_unknown_within_half_a_second(name: str) -> None:
    behave, reason = BAD[name]
    started = time.monotonic()
    with asked(behave) as (found, seen):
        assert time.monotonic() - started < 1.5
        if reason:
            assert found.version is not None
            assert reason in reason_of(found.version)
        assert len(seen) == 1


def test_a_peer_that_closes_is_tried_with_tls_and_then_left() -> None:
    with asked(says(b"")) as (found, seen):
        assert reply(found).status == 0
        assert not found.tls
        assert seen[0].startswith(b"GET ")
        assert seen[1].startswith(b"\x16\x03")  # a TLS handshake record
        assert len(seen) == 2


def test_a_proxy_that_refuses_localhost_is_still_asked_by_a_foreign_name() -> None:
    with listening(says(page(b"", "421 Misdirected Request"))) as (port, seen):
        (found,) = probe([question(port, forwards=True)])
    assert found.foreign_host is not None
    assert value_of(found.foreign_host).status == 421
    assert (len(seen), found.foreign_origin) == (2, None)


def test_a_dead_port_is_unknown() -> None:
    with listening(says(b"")) as (port, _):
        pass
    (found,) = probe([question(port)])
    assert found.version is not None
    assert "did not answer" in reason_of(found.version)


def test_many_silent_peers_are_waited_for_together() -> None:
    with listening(says(b"", then=5)) as (port, _):
        started = time.monotonic()
        found = probe([question(port) for _ in range(300)])
        assert time.monotonic() - started < 3  # half a second, and a busy machine
    assert [each.port for each in found] == [port] * 300
    left = [each.unasked for each in found if each.unasked]
    assert left.count("only 256 listeners are asked") == 44


def test_who_is_left_alone_gets_no_packet() -> None:
    with listening(says(VERSION)) as (port, seen):
        (found,) = probe([question(port, unasked="it prints what it gets")])
        assert (found.unasked, found.version) == ("it prints what it gets", None)
        time.sleep(0.05)
        assert seen == []


@needs_root
def test_a_tls_listener_is_asked_over_tls(tmp_path: Path) -> None:
    import ssl  # noqa: PLC0415
    import subprocess  # noqa: PLC0415

    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a"
    )
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")

    def behave(connection: socket.socket, request: bytes) -> None:
        if not request.startswith(b"\x16"):
            refusal = b"<h1>The plain HTTP request was sent to HTTPS port</h1>"
            connection.sendall(page(refusal, "400 Bad Request", "Server: nginx"))
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(request)
        while True:
            try:
                secure.read(65536)
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        secure.write(VERSION)
        connection.sendall(outgoing.read())

    with asked(behave) as (found, _):
        assert found.tls
        assert reply(found).version == "0.9.3"


@needs_root
def test_no_packet_leaves_a_namespace() -> None:
    """Loopback and own addresses are asked; a neighbour's is refused before the first packet."""
    with Netns() as here, Netns() as there:
        here("ip link add near type veth peer name far", f"ip link set far netns {there.name}")
        here("ip addr add 10.9.9.1/24 dev near", "ip link set near up")
        there("ip addr add 10.9.9.2/24 dev far", "ip link set far up")
        (far,) = there.json("ip -j link show far")
        # With the neighbour known, nothing but the packet itself would be missing.
        here(f"ip neigh replace 10.9.9.2 lladdr {far['address']} dev near")
        pid = here.start("sleep", "60")

        def sent() -> int:
            (link,) = here.json("ip -s -j link show near")
            packets: int = link["stats64"]["tx"]["packets"]
            return packets

        def ask(*addresses: str) -> tuple[Probe, ...]:
            return probe(
                [Question(namespace=1, pid=pid, address=a, port=port, at=a) for a in addresses]
            )

        server = listening(says(VERSION), "10.9.9.1")
        port, _ = here.call(server.__enter__)
        try:
            here("sysctl -qw net.ipv6.conf.near.disable_ipv6=1")  # no router solicitations
            before = sent()
            own, neighbour, loopback = ask("10.9.9.1", "10.9.9.2", "127.0.0.1")
            assert sent() == before
        finally:
            server.__exit__(None, None, None)
    assert reply(own).version == "0.9.3"
    assert neighbour.version is not None
    assert "not an address of this host" in reason_of(neighbour.version)
    assert loopback.version is not None
    assert "refused" in reason_of(loopback.version)
