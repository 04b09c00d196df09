"""TCP listeners of the calling thread's network namespace, and who holds them.

sock_diag(7) is asked first, as `ss` does; it answers every user and says IPV6_V6ONLY. Without it
/proc/net/tcp is read, which does not. Listeners of Multipath TCP are among them: the kernel gives
their first subflow the inode of the socket that the process holds (Linux net/mptcp/subflow.c).
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ollama_audit.collect.netlink import (
    MALFORMED,
    NATIVE,
    SOCK_DIAG,
    Netlink,
    NetlinkError,
    attributes,
    messages,
    number,
)
from ollama_audit.collect.network import AF_INET, AF_INET6, FAMILIES, address_text
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import Family, Listener

_SOCK_DIAG_BY_FAMILY = 20
_IPPROTO_TCP = 6
_TCP_LISTEN = 10
_REQUEST = struct.Struct("=BBBxI48x")
_ANSWER = struct.Struct("=4xHH16s16sI8xIIIII")
_INET_DIAG_SKV6ONLY = 11

_UNSCANNED = Unknown("its owner was not looked for", "/proc/PID/fd")
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""The inode of the first pid namespace (PROC_PID_INIT_INO of linux/proc_ns.h)."""


def read_listeners(interface_names: dict[int, str]) -> Observed[tuple[Listener, ...]]:
    """The listeners by address family, port and address; their owners still to be found.

    `interface_names` gives the names of interfaces by index, for sockets bound to one.
    """
    source = "sock_diag TCP_LISTEN"
    try:
        with Netlink(SOCK_DIAG) as netlink:
            found = [
                _listener(body, interface_names)
                for family in (AF_INET, AF_INET6)
                for _, body in messages(
                    netlink.dump(
                        _SOCK_DIAG_BY_FAMILY,
                        _REQUEST.pack(family, _IPPROTO_TCP, 0, 1 << _TCP_LISTEN),
                    )
                )
            ]
        return Known(_sorted(found), source)
    except NetlinkError:
        return read_proc_listeners("/proc/thread-self/net")
    except MALFORMED as error:
        return Unknown(f"the kernel's answer was not understood: {error!r}", source)


def read_proc_listeners(directory: str) -> Observed[tuple[Listener, ...]]:
    """The listeners as `/proc/PID/net/tcp` and `tcp6` show them, without IPV6_V6ONLY and device."""
    source = f"{directory}/tcp, tcp6"
    found: list[Listener] = []
    for name, family in (("tcp", Family.IPV4), ("tcp6", Family.IPV6)):
        absent = "" if family is Family.IPV6 else None  # a kernel may have no IPv6
        table = read_text(f"{directory}/{name}", absent=absent)
        if isinstance(table, Unknown):
            return table
        try:
            found += _parse_table(table.value, family, source)
        except MALFORMED as error:
            return Unknown(f"{name} was not understood: {error!r}", source)
    return Known(_sorted(found), source)


def find_owners(inodes: Iterable[int]) -> dict[int, Observed[tuple[int, ...]]]:
    """The processes that hold each socket, by its inode: one pass over /proc/PID/fd.

    A socket that systemd made for a unit is held by process 1, and by the service once it runs.
    A socket without any holder in sight is `Unknown`, unless every process could be looked at:
    then the kernel itself holds it.
    """
    holders: dict[str, set[int]] = {f"socket:[{inode}]": set() for inode in inodes if inode}
    hidden = _scan(holders) if holders else None
    found: dict[int, Observed[tuple[int, ...]]] = {}
    for link, pids in holders.items():
        inode = int(link[8:-1])
        seen = Known(tuple(sorted(pids)), "/proc/PID/fd")
        found[inode] = hidden if hidden and not pids else seen
    return found


def with_owners(
    listeners: Observed[tuple[Listener, ...]], owners: dict[int, Observed[tuple[int, ...]]]
) -> Observed[tuple[Listener, ...]]:
    """The listeners with what `find_owners` found."""
    if isinstance(listeners, Unknown):
        return listeners
    owned = [
        msgspec.structs.replace(listener, owners=owners.get(listener.inode, _KERNEL))
        for listener in listeners.value
    ]
    return Known(tuple(owned), listeners.source)


_KERNEL: Observed[tuple[int, ...]] = Known((), "sock_diag")  # inode 0: no process can hold it


def _listener(body: memoryview, interface_names: dict[int, str]) -> Listener:
    _, _, address, _, device, _, _, _, uid, inode = _ANSWER.unpack_from(body)
    family = FAMILIES[body[0]]
    port = int.from_bytes(body[4:6], "big")
    v6only: Observed[bool] = Known(value=False, source="sock_diag")
    if family is Family.IPV6:
        option = attributes(body, _ANSWER.size).get(_INET_DIAG_SKV6ONLY)
        v6only = (
            Unknown("the kernel did not say", "sock_diag INET_DIAG_SKV6ONLY")
            if option is None
            else Known(number(option) != 0, "sock_diag INET_DIAG_SKV6ONLY")
        )
    return Listener(
        family=family,
        address=address_text(address[: family.bits // 8]),
        port=port,
        v6only=v6only,
        device=interface_names.get(device, f"if{device}") if device else "",
        inode=inode,
        uid=uid,
        owners=_UNSCANNED,
    )


def _parse_table(table: str, family: Family, source: str) -> Iterator[Listener]:
    """Columns as proc(5) `/proc/net/tcp` has them; each address is words in native byte order."""
    for line in table.splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if int(state, 16) != _TCP_LISTEN:
            continue
        packed, _, port = local.partition(":")
        words = [int(packed[i : i + 8], 16) for i in range(0, len(packed), 8)]
        v6only: Observed[bool] = Known(value=False, source=source)
        if family is Family.IPV6:
            v6only = Unknown("this interface does not say", source, "sudo ollama-audit")
        yield Listener(
            family=family,
            address=address_text(b"".join(word.to_bytes(4, NATIVE) for word in words)),
            port=int(port, 16),
            v6only=v6only,
            inode=int(rest[5]),
            uid=int(rest[3]),
            owners=_UNSCANNED,
        )


def _sorted(listeners: list[Listener]) -> tuple[Listener, ...]:
    return tuple(
        sorted(listeners, key=lambda item: (item.family, item.port, item.address, item.inode))
    )


def _scan(holders: dict[str, set[int]]) -> Unknown | None:
    """Add the ids of processes to what they hold; why the scan may have missed some."""
    hidden = 0
    first = False
    with os.scandir("/proc") as processes:
        for process in processes:
            if not process.name.isdecimal():
                continue
            first = first or process.name == "1"
            try:
                _scan_process(int(process.name), holders)
            except PermissionError:
                hidden += 1
            except OSError:
                continue  # it has ended
    if os.geteuid():  # mounted with hidepid= (proc(5)), other users' processes do not even appear
        reason = "only root sees the sockets of other users' processes"
        return Unknown(reason, "/proc/PID/fd", "sudo ollama-audit")
    if hidden:
        return Unknown(f"{hidden} processes do not show even root what they hold", "/proc/PID/fd")
    if not first:
        return Unknown("/proc does not show every process", "/proc/PID/fd")
    with contextlib.suppress(OSError):
        if Path("/proc/self/ns/pid").stat().st_ino == _INITIAL_PID_NAMESPACE:
            return None
    reason = "its process is outside this container"
    return Unknown(reason, "/proc/PID/fd", "run ollama-audit on the host")


def _scan_process(pid: int, holders: dict[str, set[int]]) -> None:
    """Add one process to what it holds.

    Raises:
        PermissionError: It may not be looked at. Some kernels refuse root, and that only once a
            link is read.
        OSError: It has ended.
    """
    descriptor = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    link = os.readlink(entry.name, dir_fd=descriptor)
                except FileNotFoundError:
                    continue  # closed meanwhile
                if link in holders:
                    holders[link].add(pid)
    finally:
        os.close(descriptor)
