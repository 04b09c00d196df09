"""Sessions of the SSH server that listen for their client, and whether that runs on this host.

Where a remote forward (`ssh -R`) leads is the client's to say. If it runs here, as for a forward
through an own address or in a test, its command line says it; its process is the one that holds
the other end of the session's connection.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ollama_audit.collect.netlink import NATIVE
from ollama_audit.collect.network import address_text
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.network import NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.snapshot.service import SshSession

_SERVERS = frozenset({"sshd", "sshd-session"})
_ESTABLISHED = "01"
_NOT_HERE = Unknown("the client of this session is not on this host", "/proc/PID/net/tcp")


class _Ends(NamedTuple):
    """A connection as one of its ends has it, `ADDRESS:PORT` each."""

    local: tuple[str, int]
    remote: tuple[str, int]


def read_ssh_sessions(
    processes: Iterable[Process], namespaces: Iterable[NetworkNamespace]
) -> tuple[SshSession, ...]:
    """Of these processes those that are sessions with a listening socket, by pid."""
    known = tuple(processes)
    holders = {
        pid
        for namespace in namespaces
        for listener in known_or(namespace.listeners, ())
        for pid in known_or(listener.owners, ())
    }
    sessions = [each for each in known if each.name in _SERVERS and each.pid in holders]
    clients = [each.pid for each in known if "ssh" in each.called]
    return tuple(_session(each.pid, clients) for each in sessions if not _waits(each))


def _waits(process: Process) -> bool:
    """Whether it is the server that waits for clients, and no session."""
    return "[listener]" in " ".join(known_or(process.arguments, ()))


def _session(pid: int, clients: Iterable[int]) -> SshSession:
    try:
        own = list(_connections(pid))
    except OSError as error:
        hidden = Unknown(f"its sockets cannot be read: {error.strerror}", f"/proc/{pid}/fd")
        return SshSession(pid=pid, peer="", client=hidden)
    peer = own[0].remote[0] if own else ""
    client: Observed[int] = _NOT_HERE
    for candidate in clients:
        try:
            if any(_Ends(each.remote, each.local) in own for each in _connections(candidate)):
                client = Known(candidate, f"/proc/{candidate}/fd")
        except OSError:
            continue  # it has ended
    return SshSession(pid=pid, peer=peer, client=client)


def _connections(pid: int) -> Iterator[_Ends]:
    """The TCP connections of a process.

    Raises:
        OSError: It has ended, or may not be looked at.
    """
    inodes = set()
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            link = os.readlink(entry.path)  # noqa: PTH115 - a Path for each is slow
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    for name in ("tcp", "tcp6"):
        table = known_or(read_text(f"/proc/{pid}/net/{name}", absent=""), "")
        for line in table.splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            if state == _ESTABLISHED and rest[5] in inodes:
                yield _Ends(_end(local), _end(remote))


def _end(text: str) -> tuple[str, int]:
    """An end as proc(5) writes it: words in native byte order, and the port."""
    packed, _, port = text.partition(":")
    words = [int(packed[i : i + 8], 16) for i in range(0, len(packed), 8)]
    address = address_text(b"".join(word.to_bytes(4, NATIVE) for word in words))
    return address.removeprefix("::ffff:"), int(port, 16)
