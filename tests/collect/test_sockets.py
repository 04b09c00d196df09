"""Listeners against what ss(8) shows, and owners against who opened them."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from ollama_audit.collect import sockets
from ollama_audit.collect.namespaces import read_namespace, read_namespaces
from ollama_audit.collect.netlink import NetlinkError
from ollama_audit.collect.sockets import find_owners, read_listeners, read_proc_listeners
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.network import Family, Listener
from tests.collect.netns import Netns, needs_root, reason_of, value_of

_IPPROTO_MPTCP = 262
_LISTENING = "import socket,time; s=socket.create_server(('127.0.0.1',4321)); time.sleep(600)"


def listening(
    address: str, port: int, *, v6only: bool = False, device: str = "", protocol: int = 0
) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, protocol)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    if device:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    opened.bind((address, port))
    opened.listen()
    return opened


@pytest.fixture(scope="module")
def served() -> Iterator[Netns]:
    with ExitStack() as stack:
        namespace = stack.enter_context(Netns())
        namespace("ip link add eth0 type veth peer name far", "ip link set eth0 up")
        for open_one in (
            lambda: listening("0.0.0.0", 11434),
            lambda: listening("127.0.0.1", 80),
            lambda: listening("::", 8080),
            lambda: listening("::", 8081, v6only=True),
            lambda: listening("::1", 8082),
            lambda: listening("::ffff:127.0.0.1", 8083),
            lambda: listening("0.0.0.0", 8084, device="eth0"),
            lambda: listening("::", 8085, protocol=_IPPROTO_MPTCP),
            lambda: listening("::", 8086, v6only=True, protocol=_IPPROTO_MPTCP),
        ):
            stack.enter_context(namespace.call(open_one))
        yield namespace


def read(namespace: Netns) -> dict[int, Listener]:
    names = {link["ifindex"]: link["ifname"] for link in namespace.json("ip -j link")}
    listeners = value_of(namespace.call(lambda: read_listeners(names)))
    return {listener.port: listener for listener in listeners}


@needs_root
def test_listeners_are_those_of_ss(served: Netns) -> None:
    seen = read(served)
    shown = served("ss -Hltne").splitlines()
    assert len(shown) == len(seen) == 9
    for line in shown:
        local = line.split()[3]
        host, _, port = local.rpartition(":")
        address, _, device = host.partition("%")
        listener = seen[int(port)]
        assert listener.device == device
        inode = re.search(r"ino:(\d+)", line)
        assert inode is not None
        assert listener.inode == int(inode[1])
        if listener.family is Family.IPV6:
            assert listener.v6only == Known("v6only:1" in line, "sock_diag INET_DIAG_SKV6ONLY")
        if address == "*":  # how ss shows a `::` socket that serves IPv4 too
            assert listener.address == "::"
        else:
            assert listener.address == address.strip("[]")


@needs_root
def test_a_socket_of_multipath_tcp_has_its_owner(served: Netns) -> None:
    seen = read(served)
    owners = find_owners([seen[8085].inode, seen[8086].inode])
    assert owners[seen[8085].inode] == Known((os.getpid(),), "/proc/PID/fd")
    assert value_of(seen[8086].v6only)
    assert not value_of(seen[8085].v6only)


@needs_root
def test_procfs_shows_the_same_but_for_what_it_lacks(served: Netns) -> None:
    pid = served.start("sleep", "600")
    shown = value_of(read_proc_listeners(f"/proc/{pid}/net"))
    diag = read(served)
    assert sorted(diag) == sorted(listener.port for listener in shown)
    for listener in shown:
        other = diag[listener.port]
        if listener.family is Family.IPV6:
            assert isinstance(listener.v6only, Unknown)
        expected = msgspec.structs.replace(other, device="", v6only=listener.v6only)
        assert listener == expected


@needs_root
def test_without_sock_diag_procfs_of_the_same_namespace_is_read(
    served: Netns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NetlinkError("no")

    monkeypatch.setattr(sockets, "Netlink", refuse)
    listeners = value_of(served.call(lambda: read_listeners({})))
    assert len(listeners) == 9


def test_every_process_that_holds_a_socket_is_an_owner() -> None:
    with listening("127.0.0.1", 0) as opened:
        inode = os.fstat(opened.fileno()).st_ino
        child = os.fork()
        if not child:
            signal.pause()
        try:
            owners = find_owners([inode])
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert owners == {inode: Known(tuple(sorted((os.getpid(), child))), "/proc/PID/fd")}


def test_a_socket_that_nobody_in_sight_holds_is_never_said_to_be_ours() -> None:
    with listening("127.0.0.1", 0) as opened:
        inode = os.fstat(opened.fileno()).st_ino
    found = find_owners([inode])[inode]
    assert isinstance(found, Unknown) or found == Known((), "/proc/PID/fd")


@needs_root
def test_without_root_an_unowned_socket_is_unknown_even_when_nothing_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "_scan_process", lambda *_: None)  # as hidepid=2 makes it look
    os.seteuid(65534)
    try:
        found = find_owners([1])[1]
    finally:
        os.seteuid(0)
    assert isinstance(found, Unknown)
    assert found.cure == "sudo ollama-audit"


@needs_root
def test_a_namespace_is_read_whole_through_a_process_in_it() -> None:
    with Netns() as namespace:
        pid = namespace.start(sys.executable, "-c", _LISTENING)
        other = namespace.start("sleep", "600")
        wait_for_port(pid, 4321)
        found = value_of(read_namespaces([other, pid], host_pid=os.getpid()))
        assert [item.host for item in found] == [True, False]
        assert found[1].name == namespace.name
        assert found[1].pid == min(pid, other)
        assert found[1].inode == Path(namespace.path).stat().st_ino
        (listener,) = value_of(found[1].listeners)
        assert str(listener) == "127.0.0.1:4321"
        assert value_of(listener.owners) == (pid,)
        assert [item.name for item in value_of(found[1].interfaces)] == ["lo"]


@needs_root
def test_of_other_namespaces_those_are_read_that_something_leads_into() -> None:
    with Netns() as isolated, Netns() as container:
        container("ip link add eth0 type veth peer name eth1", "ip link set eth0 up")
        pids = [space.start("sleep", "600") for space in (isolated, container)]
        ended = container.start("sleep", "600")
        container.processes[-1].kill()
        container.processes[-1].wait()
        found = value_of(read_namespaces([], besides=[*pids, ended], host_pid=os.getpid()))
        assert [item.name for item in found if not item.host] == [container.name]


@needs_root
def test_a_user_without_root_sees_listeners_and_is_told_the_cure_for_the_rest() -> None:
    with Netns() as namespace:
        pid = namespace.start(sys.executable, "-c", _LISTENING)
        wait_for_port(pid, 4321)
        os.seteuid(65534)
        try:
            hidden = read_namespace(pid)
            own = value_of(read_namespace(os.getpid()))
        finally:
            os.seteuid(0)
    assert isinstance(hidden, Unknown)
    assert hidden.cure == "sudo ollama-audit"
    assert isinstance(own.interfaces, Known)
    assert isinstance(own.routes, Known)
    assert own.firewall.nftables == Unknown(
        "only root may read the packet filter", "nf_tables by netlink", "sudo ollama-audit"
    )
    assert isinstance(own.firewall.unmodelled, Unknown)
    assert own.firewall.unmodelled.cure == "sudo ollama-audit"


def test_a_process_that_has_ended_is_unknown() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert reason_of(read_namespace(child)) == "No such file or directory"


def wait_for_port(pid: int, port: int) -> None:
    for _ in range(5000):
        listeners = read_proc_listeners(f"/proc/{pid}/net")
        if any(listener.port == port for listener in value_of(listeners)):
            return
        os.sched_yield()
    pytest.fail(f"nothing listens on port {port}")
