"""Who is at the other end of a session's connection, by sockets that are really open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from ollama_audit.collect.ssh_sessions import read_ssh_sessions
from ollama_audit.observed import Known, Unknown
from tests.hosts import listener, namespace, process

CONNECTING = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print(s.recv(1))
sys.stdin.read()
"""


@pytest.fixture(params=["127.0.0.1", "::1"])
def client(request: pytest.FixtureRequest) -> Iterator[int]:
    """The id of a process that is connected to this one."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with (
        socket.create_server((request.param, 0), family=family) as server,
        subprocess.Popen(
            [sys.executable, "-c", CONNECTING, request.param, str(server.getsockname()[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as running,
    ):
        accepted, _ = server.accept()
        with accepted:
            accepted.send(b"x")
            assert running.stdout is not None
            running.stdout.readline()
            yield running.pid
            running.communicate()


def sessions(*clients: int, title: str = "sshd: ada@notty") -> list[int | str]:
    """What is found of this process, were it a session that holds port 8080."""
    own = replace(process(os.getpid(), name="sshd"), arguments=Known((title,), "/proc"))
    others = [process(pid, name="ssh", executable="/usr/bin/ssh") for pid in clients]
    space = namespace(listener("0.0.0.0:8080", owners=os.getpid()))
    found = read_ssh_sessions([own, *others], [space])
    return [
        each.client.reason if isinstance(each.client, Unknown) else each.client.value
        for each in found
    ]


def test_a_client_on_this_host_is_found_by_its_connection(client: int) -> None:
    assert sessions(os.getppid(), client) == [client]


def test_a_client_that_is_not_a_ssh_of_this_host_is_not(client: int) -> None:
    del client
    assert sessions(os.getppid()) == ["the client of this session is not on this host"]


def test_a_client_that_has_ended_is_passed_over(client: int) -> None:
    assert sessions(2**22 - 1, client) == [client]


def test_the_server_that_waits_for_clients_is_no_session() -> None:
    assert sessions(title="sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups") == []
