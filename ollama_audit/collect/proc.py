"""One process as proc(5) shows it."""

from __future__ import annotations

import grp
import os
import pwd
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

from ollama_audit.collect.cgroups import Membership, membership
from ollama_audit.collect.read import read_bytes, read_text
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot import redact
from ollama_audit.snapshot.process import Process, Setting

T = TypeVar("T")

CURE = "sudo ollama-audit"

CAPABILITIES = """
cap_chown cap_dac_override cap_dac_read_search cap_fowner cap_fsetid cap_kill cap_setgid cap_setuid
cap_setpcap cap_linux_immutable cap_net_bind_service cap_net_broadcast cap_net_admin cap_net_raw
cap_ipc_lock cap_ipc_owner cap_sys_module cap_sys_rawio cap_sys_chroot cap_sys_ptrace cap_sys_pacct
cap_sys_admin cap_sys_boot cap_sys_nice cap_sys_resource cap_sys_time cap_sys_tty_config cap_mknod
cap_lease cap_audit_write cap_audit_control cap_setfcap cap_mac_override cap_mac_admin cap_syslog
cap_wake_alarm cap_block_suspend cap_audit_read cap_perfmon cap_bpf cap_checkpoint_restore
""".split()  # noqa: SIM905 - a block of names reads better than 41 lines
"""Their names by bit (linux/capability.h)."""

_DELETED = " (deleted)"


def printable(text: str) -> str:
    """A name from the kernel with what is not UTF-8 replaced, fit for JSON."""
    return os.fsencode(text).decode(errors="replace")


def capability_names(mask: str) -> frozenset[str]:
    """The names of a hexadecimal capability set; bits of later kernels as `cap_NUMBER`."""
    bits = int(mask, 16)
    return frozenset(
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"cap_{bit}"
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    )


@cache
def user_name(uid: int) -> str:
    """The name of a user id by the host's databases (getpwuid(3)); empty for none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""


@cache
def group_name(gid: int) -> str:
    """The name of a group id (getgrgid(3)); empty for none."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return ""


@cache
def _boot_time() -> float:
    """Seconds since the epoch at which the kernel started: `btime` of /proc/stat; 0 unread."""
    stat = read_text("/proc/stat", absent="")
    lines = stat.value.splitlines() if isinstance(stat, Known) else []
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)


def describe(pid: int) -> Process | None:
    """A process in full; None when it has ended."""
    root = f"/proc/{pid}"
    status = read_text(f"{root}/status")
    if isinstance(status, Unknown):
        return None if not Path(root).exists() else _opaque(pid, status)
    fields = dict(line.partition(":\t")[::2] for line in status.value.splitlines())
    own_mounts, pid_namespace = _own_mounts(pid), namespace_of(pid, "pid")
    member = membership(_text_or_empty(f"{root}/cgroup"))
    if not member.container and _foreign(own_mounts, pid_namespace):
        # A unit there is its own manager's, and not every engine names its control groups.
        member = Membership(container=f"pid:[{known_or(pid_namespace, 0)}]")
    uid, gid = (int(fields.get(name, "0 0").split()[1]) for name in ("Uid", "Gid"))
    executable = executable_of(pid)
    deleted = isinstance(executable, Known) and executable.value.endswith(_DELETED)
    source = status.source
    return Process(
        pid=pid,
        parent=int(fields.get("PPid", "0")),
        name=fields.get("Name", ""),
        executable=_without_mark(executable),
        executable_deleted=deleted,
        arguments=arguments_of(pid),
        uid=Known(uid, source),
        user=user_name(uid),
        gid=Known(gid, source),
        group=group_name(gid),
        groups=Known(tuple(map(int, fields.get("Groups", "").split())), source),
        capabilities=Known(capability_names(fields.get("CapEff", "0")), source),
        no_new_privileges=Known(fields.get("NoNewPrivs", "0").strip() == "1", source),
        seccomp=Known(fields.get("Seccomp", "0").strip() != "0", source),
        started_at=_started_at(pid),
        unit=member.unit,
        unit_owner=user_name(member.owner_uid) or str(member.owner_uid)
        if member.owner_uid >= 0
        else "",
        container=member.container,
        network_namespace=namespace_of(pid, "net"),
        mount_namespace=namespace_of(pid, "mnt"),
        pid_namespace=pid_namespace,
        own_mounts=own_mounts,
    )


def _foreign(own_mounts: Observed[bool], pid_namespace: Observed[int]) -> bool:
    """Whether a process has both files and process ids of its own: a container of some kind."""
    ours = known_or(namespace_of("self", "pid"), 0)
    return known_or(own_mounts, default=False) and known_or(pid_namespace, ours) != ours


def _opaque(pid: int, why: Unknown) -> Process:
    """A process of which only the number can be seen."""
    return Process(
        pid=pid,
        parent=0,
        name="",
        executable=why,
        arguments=why,
        uid=why,
        gid=why,
        groups=why,
        capabilities=why,
        no_new_privileges=why,
        seccomp=why,
        started_at=why,
        network_namespace=why,
        mount_namespace=why,
        pid_namespace=why,
        own_mounts=why,
    )


def executable_of(pid: int) -> Observed[str]:
    """/proc/PID/exe, with the kernel's ` (deleted)`; an empty text for a kernel thread."""
    path = f"/proc/{pid}/exe"
    try:
        return Known(printable(os.readlink(path)), path)  # noqa: PTH115 - fast, and no Path rules
    except (FileNotFoundError, ProcessLookupError):
        return Known("", path)
    except OSError as error:
        return denied(error, path)


def _without_mark(executable: Observed[str]) -> Observed[str]:
    if isinstance(executable, Unknown):
        return executable
    return Known(executable.value.removesuffix(_DELETED), executable.source)


def denied(error: OSError, source: str) -> Unknown:
    """Why the kernel refused, and what would settle it."""
    if isinstance(error, PermissionError) and os.geteuid():
        return Unknown("only root may look at it", source, CURE)
    return Unknown(error.strerror or type(error).__name__, source)


def raw_arguments(pid: int) -> Observed[tuple[str, ...]]:
    """The command line as it is; never to be stored."""
    found = read_bytes(f"/proc/{pid}/cmdline")
    if isinstance(found, Unknown):
        return found
    words = found.value.removesuffix(b"\0").split(b"\0") if found.value else []
    return Known(tuple(word.decode(errors="replace") for word in words), found.source)


def arguments_of(pid: int) -> Observed[tuple[str, ...]]:
    """The command line with secrets masked."""
    found = raw_arguments(pid)
    if isinstance(found, Unknown):
        return found
    return Known(redact.arguments(found.value), found.source)


def raw_environment(pid: int) -> Observed[tuple[tuple[str, str], ...]]:
    """Names and values at start, in order; never to be stored."""
    found = read_bytes(f"/proc/{pid}/environ")
    if isinstance(found, Unknown):
        return found
    pairs = (
        entry.decode(errors="replace").partition("=")
        for entry in found.value.split(b"\0")
        if b"=" in entry[1:]
    )
    return Known(tuple((name, value) for name, _, value in pairs), found.source)


def environment_of(pid: int) -> Observed[tuple[Setting, ...]]:
    """The variables at start, redacted."""
    found = raw_environment(pid)
    if isinstance(found, Unknown):
        return found
    return Known(redact.environment(found.value), found.source)


def namespace_of(pid: int | str, kind: str) -> Observed[int]:
    """The inode of a namespace (namespaces(7)); `kind` as in /proc/PID/ns."""
    path = f"/proc/{pid}/ns/{kind}"
    try:
        return Known(os.stat(path).st_ino, path)  # noqa: PTH116 - Path resolves nothing here
    except OSError as error:
        return denied(error, path)


def _own_mounts(pid: int) -> Observed[bool]:
    path = f"/proc/{pid}/root"
    try:
        theirs, ours = Path(f"{path}/").stat(), Path("/").stat()
    except OSError as error:
        return denied(error, path)
    return Known((theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino), path)


def _started_at(pid: int) -> Observed[datetime]:
    path = f"/proc/{pid}/stat"
    stat = read_text(path)
    if isinstance(stat, Unknown):
        return stat
    boot = _boot_time()
    if not boot:
        return Unknown("there is no btime", "/proc/stat")
    # Field 22, counted after the name, which may hold spaces and parentheses.
    ticks = int(stat.value.rpartition(")")[2].split()[19])
    return Known(datetime.fromtimestamp(boot + ticks / os.sysconf("SC_CLK_TCK"), UTC), path)


def _text_or_empty(path: str) -> str:
    found = read_text(path)
    return found.value if isinstance(found, Known) else ""
