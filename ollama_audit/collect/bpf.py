"""eBPF programs that may drop or divert packets, asked of the kernel by bpf(2), read-only.

Numbers are those of linux/bpf.h (Linux 6.12). Programs that systemd loads for IPAddressDeny=
are left out: the unit says what they do.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Iterable, Iterator
from glob import glob

from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known

_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_PROG_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD, _PROG_QUERY = 13, 15, 16
_LINK_GET_FD_BY_ID, _LINK_GET_NEXT_ID = 30, 31
_CGROUP_INET_INGRESS, _CGROUP_INET_EGRESS, _SK_LOOKUP = 0, 1, 36
_TCX_INGRESS, _TCX_EGRESS, _NETKIT_PRIMARY, _NETKIT_PEER = 46, 47, 54, 55
_QUERY_EFFECTIVE = 1
_LINK_NETFILTER = 10
_ATTRIBUTES = 64
_PROGRAM_NAME = slice(64, 80)
_PROGRAMS = 64
_SYSTEMD_FIREWALL = {"sd_fw_ingress", "sd_fw_egress"}
"""systemd src/core/bpf-firewall.c, v252."""
_CGROUP_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


class BpfUnavailableError(Exception):
    """The kernel does not let us ask; says why."""


def namespace_programs() -> list[str]:
    """What concerns every packet of the calling thread's network namespace, a sentence each.

    Raises:
        BpfUnavailableError: Programs cannot be listed here.
    """
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = ["an eBPF sk_lookup program chooses sockets"] * bool(_query(descriptor, _SK_LOOKUP))
    finally:
        os.close(descriptor)
    if any(kind == _LINK_NETFILTER for kind in _link_types()):
        found.append("an eBPF netfilter program is attached")
    return found


def interface_programs(index: int, kind: str) -> bool:
    """Whether a tcx or netkit program sees the packets of an interface (Linux 6.6, 6.7).

    Raises:
        BpfUnavailableError: Programs cannot be listed here.
    """
    hooks = [_TCX_INGRESS, _TCX_EGRESS]
    if kind == "netkit":
        hooks += [_NETKIT_PRIMARY, _NETKIT_PEER]
    return any(_query(index, hook) for hook in hooks)


def cgroup_programs(pids: Iterable[int]) -> list[str]:
    """What filters the traffic of the cgroups that processes are in, a sentence each.

    Raises:
        BpfUnavailableError: Programs cannot be listed here.
    """
    return [
        f"an eBPF program filters the traffic of the cgroup {group}"
        for group in sorted({group for pid in pids for group in _cgroup(pid)})
        if any(_program_name(program) not in _SYSTEMD_FIREWALL for program in _filters(group))
    ]


def filtered_by_systemd(pids: Iterable[int]) -> set[str]:
    """The units before whose sockets systemd has put its address filter, of all these processes.

    Sockets that systemd itself holds are in the cgroups of their own units.

    Raises:
        BpfUnavailableError: Programs cannot be listed here.
    """
    groups = {group for pid in pids for group in _cgroup(pid)}
    for mount in _CGROUP_MOUNTS:
        groups |= {path.removeprefix(mount) for path in glob(f"{mount}/*.slice/*.socket")}  # noqa: PTH207
    return {
        group.rpartition("/")[2]
        for group in groups
        if _SYSTEMD_FIREWALL.intersection(map(_program_name, _filters(group)))
    }


def _filters(group: str) -> set[int]:
    """The programs that see the traffic of a cgroup's sockets, those of outer cgroups too."""
    descriptor = _open_cgroup(group)
    if descriptor < 0:
        return set()
    try:
        return {
            program
            for hook in (_CGROUP_INET_INGRESS, _CGROUP_INET_EGRESS)
            for program in _query(descriptor, hook, _QUERY_EFFECTIVE)
        }
    finally:
        os.close(descriptor)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """The result of bpf(2), negated errno for an error.

    Raises:
        BpfUnavailableError: It may not be called.
    """
    call = _SYSCALL.get(os.uname().machine)
    if call is None:
        raise BpfUnavailableError("the number of bpf(2) is not known here")
    result = int(_libc().syscall(call, command, attributes, len(attributes)))
    if result >= 0:
        return result
    code = ctypes.get_errno()
    if code in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise BpfUnavailableError(os.strerror(code))
    return -code


def _query(target: int, hook: int, flags: int = 0) -> tuple[int, ...]:
    """The ids of the programs at a hook; none where the kernel does not know the hook."""
    ids = (ctypes.c_uint32 * _PROGRAMS)()
    packed = struct.pack("=IIIIQI", target, hook, flags, 0, ctypes.addressof(ids), _PROGRAMS)
    attributes = ctypes.create_string_buffer(packed, _ATTRIBUTES)
    if _bpf(_PROG_QUERY, attributes) < 0:
        return ()
    (count,) = struct.unpack_from("=I", attributes, 24)
    return tuple(ids[:count])


def _link_types() -> Iterator[int]:
    number = 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("=I", number), _ATTRIBUTES)
        if _bpf(_LINK_GET_NEXT_ID, attributes) < 0:
            return
        (number,) = struct.unpack_from("=I", attributes, 4)
        if info := _info(_LINK_GET_FD_BY_ID, number, 16):
            yield struct.unpack_from("=I", info)[0]


def _program_name(number: int) -> str:
    info = _info(_PROG_GET_FD_BY_ID, number, _PROGRAM_NAME.stop)
    return info[_PROGRAM_NAME].partition(b"\0")[0].decode(errors="replace")


def _info(command: int, number: int, size: int) -> bytes:
    """The first bytes of what the kernel says of a program or link; empty when it has gone."""
    attributes = ctypes.create_string_buffer(struct.pack("=I", number), _ATTRIBUTES)
    descriptor = _bpf(command, attributes)
    if descriptor < 0:
        return b""
    try:
        info = ctypes.create_string_buffer(size)
        packed = struct.pack("=IIQ", descriptor, size, ctypes.addressof(info))
        attributes = ctypes.create_string_buffer(packed, _ATTRIBUTES)
        return info.raw if _bpf(_OBJ_GET_INFO_BY_FD, attributes) >= 0 else b""
    finally:
        os.close(descriptor)


def _cgroup(pid: int) -> Iterator[str]:
    """The cgroup of a process in the unified hierarchy, as cgroups(7) `/proc/PID/cgroup` has it."""
    table = read_text(f"/proc/{pid}/cgroup")
    if isinstance(table, Known):
        yield from (line[3:] for line in table.value.splitlines() if line.startswith("0::"))


def _open_cgroup(group: str) -> int:
    for mount in _CGROUP_MOUNTS:
        if os.access(f"{mount}/cgroup.procs", os.F_OK) or mount == _CGROUP_MOUNTS[1]:
            try:
                return os.open(mount + group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                return -1
    return -1
