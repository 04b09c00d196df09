"""Owner and mode of the files that decide who may change what Ollama runs and reads.

lstat(2) only: links are recorded with where they point, and what they point to is looked at as a
path of its own, so that nothing is followed unseen. Paths of a server with other mounts are read
below `/proc/PID/root`, and reported as the server sees them.
"""

from __future__ import annotations

import errno
import grp
import os
import posixpath
import pwd
import stat
from collections.abc import Iterable
from functools import cache

from ollama_audit.collect.proc import group_name, user_name
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.files import FileFact, FileKind, FileRole, Stat
from ollama_audit.snapshot.process import OllamaServer
from ollama_audit.snapshot.service import SystemdUnit

_MOST_LINKS = 40
"""As many as path_resolution(7) follows."""
_ACL = "system.posix_acl_access"
_KINDS = (
    (stat.S_ISREG, FileKind.FILE),
    (stat.S_ISDIR, FileKind.FOLDER),
    (stat.S_ISLNK, FileKind.LINK),
)


def read_files(
    servers: Iterable[OllamaServer], units: Iterable[SystemdUnit], binaries: Iterable[str]
) -> tuple[FileFact, ...]:
    """Facts about every path that matters and all folders above it, each once."""
    survey = _Survey()
    for path in binaries:
        survey.add(path, FileRole.BINARY)
    for unit in units:
        _add_unit(survey, unit)
    for server in servers:
        _add_server(survey, server)
    return survey.facts()


def _add_unit(survey: _Survey, unit: SystemdUnit) -> None:
    survey.add(unit.executable, FileRole.BINARY)
    for file in unit.files:
        survey.add(file.path, FileRole.UNIT)
    for source in unit.environment_files:
        survey.add(source.path, FileRole.ENVIRONMENT_FILE)
    for setting in unit.environment:
        for folder in (setting.value or "").split(":") if setting.name == "PATH" else ():
            survey.add(folder, FileRole.PATH_FOLDER)


def _add_server(survey: _Survey, server: OllamaServer) -> None:
    pid = server.pid if known_or(server.process.own_mounts, default=False) else 0
    if isinstance(server.process.executable, Known):
        survey.add(server.process.executable.value, FileRole.BINARY, pid)
    if isinstance(server.models_directory, Known):
        survey.add(server.models_directory.value, FileRole.MODELS, pid)
        for folder in ("manifests", "blobs"):
            survey.add(f"{server.models_directory.value}/{folder}", FileRole.MODELS, pid)
    if isinstance(server.home, Known):
        state = posixpath.join(server.home.value, ".ollama")
        survey.add(state, FileRole.STATE, pid)
        survey.add(f"{state}/id_ed25519", FileRole.PRIVATE_KEY, pid)
        survey.add(f"{state}/server.json", FileRole.SERVER_CONFIG, pid)


class _Survey:
    """Paths already looked at, with the first role that asked for them."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], FileFact] = {}

    def add(self, path: str, role: FileRole, pid: int = 0) -> None:
        """Look at an absolute path, the folders above it, and where links on the way lead."""
        pending, left = [(path, role)], _MOST_LINKS
        while pending and left:
            current, why = pending.pop()
            if not current.startswith("/") or "\0" in current:
                continue
            current = posixpath.normpath("/" + current.lstrip("/"))
            for each in (*reversed(_above(current)), current):
                fact = self._look(each, why if each == current else FileRole.ANCESTOR, pid)
                target = fact.stat.value.target if isinstance(fact.stat, Known) else ""
                if target:
                    left -= 1
                    rest = posixpath.relpath(current, each) if each != current else ""
                    onward = posixpath.join(posixpath.dirname(each), target, rest)
                    pending.append((onward, why))
                    break

    def _look(self, path: str, role: FileRole, pid: int) -> FileFact:
        known = self._found.get((pid, path))
        if known is None or (known.role is FileRole.ANCESTOR and role is not FileRole.ANCESTOR):
            seen = known.stat if known else _stat(path, pid)
            known = self._found[pid, path] = FileFact(path=path, role=role, pid=pid, stat=seen)
        return known

    def facts(self) -> tuple[FileFact, ...]:
        """The facts in the order of pid and path."""
        return tuple(self._found[key] for key in sorted(self._found))


def _above(path: str) -> list[str]:
    """The folders above a path, nearest first."""
    found = []
    while path != "/":
        path = posixpath.dirname(path)
        found.append(path)
    return found


def _stat(path: str, pid: int) -> Observed[Stat]:
    real = f"/proc/{pid}/root{path}" if pid else path
    source = f"lstat {path}"
    try:
        status = os.lstat(real)
        target = os.readlink(real) if stat.S_ISLNK(status.st_mode) else ""  # noqa: PTH115 - bytes as they are
    except FileNotFoundError:
        return Known(Stat(kind=FileKind.MISSING, acl=Known(value=False, source=source)), source)
    except PermissionError:
        return Unknown("only root may look at it", source, "sudo ollama-audit")
    except OSError as error:
        return Unknown(error.strerror or str(error), source)
    if status.st_uid == _nobody_in_particular():
        reason = "whoever owns it is nobody in this container's user namespace"
        return Unknown(reason, source, "run ollama-audit on the host")
    kind = next((kind for test, kind in _KINDS if test(status.st_mode)), FileKind.OTHER)
    user = user_name(status.st_uid)
    return Known(
        Stat(
            kind=kind,
            uid=status.st_uid,
            user=user,
            gid=status.st_gid,
            group=group_name(status.st_gid),
            group_members=tuple(name for name in _members(status.st_gid) if name != user),
            mode=stat.S_IMODE(status.st_mode),
            acl=Known(value=False, source=source) if target else _has_acl(real, source),
            target=target,
        ),
        source,
    )


@cache
def _nobody_in_particular() -> int:
    """The user id that stands for every owner whom our user namespace does not know; -1: none.

    user_namespaces(7) "Unmapped user and group IDs": root's files seem to be nobody's in a
    container without root, as toolbox(1) and distrobox run them.
    """
    identity = "0 0 4294967295"
    mapped = known_or(read_text("/proc/self/uid_map"), identity).split()
    overflow = known_or(read_text("/proc/sys/kernel/overflowuid"), "").strip()
    return int(overflow) if overflow.isdigit() and mapped != identity.split() else -1


def _has_acl(path: str, source: str) -> Observed[bool]:
    try:
        os.getxattr(path, _ACL, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.ENOTSUP}:
            return Known(value=False, source=source)
        return Unknown(f"its access list cannot be read: {error.strerror}", source)
    return Known(value=True, source=source)


@cache
def _members(gid: int) -> tuple[str, ...]:
    """Users of a group, by membership (group(5)) or primary group (passwd(5)), by name."""
    try:
        named = set(grp.getgrgid(gid).gr_mem)
    except (KeyError, OverflowError):
        named = set()
    return tuple(sorted(named | {user for user, primary in _primary_groups() if primary == gid}))


@cache
def _primary_groups() -> tuple[tuple[str, int], ...]:
    return tuple((entry.pw_name, entry.pw_gid) for entry in pwd.getpwall())
