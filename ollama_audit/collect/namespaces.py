"""Network namespaces: entering them, telling them apart, and reading each of them once.

A thread enters (setns(2)), so the rest of the program stays where it is. What it opens there
stays there: netlink sockets, child processes and `/proc/sys/net`, which shows each reader its own
namespace. `/proc/net` does not, as it is that of the main thread; `/proc/thread-self/net` does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from ollama_audit.collect.firewall import read_firewall, unread_firewall
from ollama_audit.collect.network import read_links
from ollama_audit.collect.routing import read_policy_rules, read_routes
from ollama_audit.collect.sockets import (
    find_owners,
    read_listeners,
    read_proc_listeners,
    with_owners,
)
from ollama_audit.collect.unmodelled import mark_interfaces
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import NetworkNamespace

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_NAMED = "/run/netns"


def inside(path: str, function: Callable[[], T]) -> T | Unknown:
    """What a function returns when it is called within a network namespace.

    `path` is a file such as `/proc/PID/ns/net`. Entering needs CAP_SYS_ADMIN, except for the
    namespace in which we are already.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return _refused(error, path)
    try:
        if os.fstat(descriptor).st_ino == _own_inode():
            return function()
        return _in_thread(descriptor, path, function)
    finally:
        os.close(descriptor)


def _in_thread(descriptor: int, path: str, function: Callable[[], T]) -> T | Unknown:
    answers: list[T | Unknown] = []
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            _setns(descriptor)
        except OSError as error:
            answers.append(_refused(error, path))
            return
        try:
            answers.append(function())
        except BaseException as failure:  # noqa: BLE001  # raised again by the caller's thread
            failures.append(failure)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return answers[0]


def _setns(descriptor: int) -> None:
    """Move the calling thread into a network namespace.

    Raises:
        OSError: It may not.
    """
    if hasattr(os, "setns"):  # Python 3.12
        os.setns(descriptor, _CLONE_NEWNET)
        return
    import ctypes  # noqa: PLC0415  # slow to load, and needed for other namespaces only

    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _refused(error: OSError, path: str) -> Unknown:
    if isinstance(error, PermissionError):
        if os.geteuid():
            reason = "only root can look into another network namespace"
            return Unknown(reason, path, "sudo ollama-audit")
        return Unknown("root lacks the capability CAP_SYS_ADMIN here", path)
    return Unknown(error.strerror or "it cannot be entered", path)


def namespace_of(pid: int) -> Observed[int]:
    """The inode of a process's network namespace, which is its identity (namespaces(7))."""
    path = f"/proc/{pid}/ns/net"
    try:
        return Known(Path(path).stat().st_ino, path)
    except OSError as error:
        return _refused(error, path)


def _own_inode() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def read_namespaces(
    pids: Iterable[int], *, besides: Iterable[int] = (), host_pid: int = 1
) -> Observed[tuple[NetworkNamespace, ...]]:
    """The host's network namespace first, then those of the given processes by inode, each once.

    The host's is that of `host_pid`, or our own if that cannot be told. A process whose namespace
    cannot be told is left out: its `network_namespace` is `Unknown`. Of processes `besides`, the
    namespaces are left out that are gone by now, or that nothing leads into or out of. `Unknown`
    without /proc.
    """
    host, host_inode = host_pid, namespace_of(host_pid)
    if isinstance(host_inode, Unknown):
        host, host_inode = os.getpid(), namespace_of(os.getpid())
    if isinstance(host_inode, Unknown):
        return host_inode
    groups: dict[int, list[int]] = {host_inode.value: []}
    for pid in sorted(set(pids)):
        inode = namespace_of(pid)
        if isinstance(inode, Known):
            groups.setdefault(inode.value, []).append(pid)
    wanted = set(groups)
    for pid in sorted(set(besides)):
        inode = namespace_of(pid)
        if isinstance(inode, Known) and inode.value not in groups:
            groups[inode.value] = [pid]
    order = [host_inode.value, *sorted(groups.keys() - {host_inode.value})]
    names = _names()
    found = []
    for each in order:
        place = _Place(
            inode=each,
            host=each == host_inode.value,
            name=names.get(each, ""),
            pid=host if each == host_inode.value else groups[each][0],
        )
        namespace = _read(place, groups[each])
        if each in wanted or not (_gone(namespace) or _isolated(namespace)):
            found.append(namespace)
    return Known(_owned(found), "/proc/PID/ns/net")


def _gone(namespace: NetworkNamespace) -> bool:
    """Whether a namespace could not be read because its process has ended or moved on."""
    inode = namespace_of(namespace.pid)
    moved = not isinstance(inode, Known) or inode.value != namespace.inode
    return isinstance(namespace.interfaces, Unknown) and moved


def _isolated(namespace: NetworkNamespace) -> bool:
    """Whether a namespace has no way in or out, as browsers and build systems make them."""
    return isinstance(namespace.interfaces, Known) and all(
        interface.loopback or not interface.up for interface in namespace.interfaces.value
    )


def read_namespace(pid: int, *, host: bool = False) -> Observed[NetworkNamespace]:
    """The network namespace of one process."""
    inode = namespace_of(pid)
    if isinstance(inode, Unknown):
        return inode
    place = _Place(inode.value, host, _names().get(inode.value, ""), pid)
    return Known(_owned([_read(place, [pid])])[0], inode.source)


class _Place(NamedTuple):
    """A namespace to be read, and a process in it."""

    inode: int
    host: bool
    name: str
    pid: int


def _read(place: _Place, pids: Sequence[int]) -> NetworkNamespace:
    path = f"/proc/{place.pid}/ns/net"
    read = inside(path, lambda: _read_here(place, pids))
    if isinstance(read, NetworkNamespace) and read.inode == place.inode:
        return read
    if isinstance(read, NetworkNamespace):
        read = Unknown("the process moved to another network namespace", path)
    # Without entering, the kernel still shows everyone the sockets that a process could see.
    return NetworkNamespace(
        inode=place.inode,
        host=place.host,
        name=place.name,
        pid=place.pid,
        listeners=read_proc_listeners(f"/proc/{place.pid}/net"),
        interfaces=read,
        routes=read,
        policy_rules=read,
        sysctls=read,
        firewall=unread_firewall(read),
    )


def _read_here(place: _Place, pids: Sequence[int]) -> NetworkNamespace:
    """The calling thread's own namespace, its sockets still without owners."""
    interfaces, sysctls = read_links()
    names: dict[int, str] = {}
    if isinstance(interfaces, Known):
        names = {interface.index: interface.name for interface in interfaces.value}
        marked = mark_interfaces(interfaces.value, sysctls)
        interfaces = Known(marked, interfaces.source)
    return NetworkNamespace(
        inode=_own_inode(),
        host=place.host,
        name=place.name,
        pid=place.pid,
        listeners=read_listeners(names),
        interfaces=interfaces,
        routes=read_routes(),
        policy_rules=read_policy_rules(),
        sysctls=sysctls,
        firewall=read_firewall(interfaces, pids),
    )


def _owned(namespaces: list[NetworkNamespace]) -> tuple[NetworkNamespace, ...]:
    """The namespaces with the owners of their sockets, found in one pass over all processes."""
    owners = find_owners(
        listener.inode
        for namespace in namespaces
        if isinstance(namespace.listeners, Known)
        for listener in namespace.listeners.value
    )
    return tuple(
        msgspec.structs.replace(namespace, listeners=with_owners(namespace.listeners, owners))
        for namespace in namespaces
    )


def _names() -> dict[int, str]:
    """The names that ip-netns(8) gave to namespaces, by inode; the first of several."""
    names: dict[int, str] = {}
    try:
        device = Path("/proc/self/ns/net").stat().st_dev
        entries = sorted(Path(_NAMED).iterdir())
    except OSError:
        return names
    for entry in entries:
        try:
            status = entry.stat()
        except OSError:
            continue
        if status.st_dev == device:  # a leftover file of another file system names nothing
            names.setdefault(status.st_ino, os.fsencode(entry.name).decode(errors="replace"))
    return names
