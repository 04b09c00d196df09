"""Who may change or read a file, judged from owners, modes and folders on the way to it.

A file is as safe as the least safe folder above it: whoever may write a folder may put another
file in the place of the one in it (rename(2), unlink(2)), unless the folder is sticky and
somebody trusted owns the file (inode(7), S_ISVTX). Where an access control list is present the
group bits of the mode are its mask (acl(5)), so they prove nothing either way.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.outcome import Evidence
from ollama_audit.snapshot.files import FileFact, FileKind, FileRole, Stat
from ollama_audit.snapshot.process import OllamaServer
from ollama_audit.snapshot.service import SystemdUnit

_STICKY = 0o1000
_LINKS = 8


@dataclass(frozen=True, slots=True)
class Trusted:
    """Who may: root always, and these users."""

    uids: frozenset[int] = frozenset({0})
    users: frozenset[str] = frozenset({"root"})

    def including(self, uid: int | None, user: str) -> Trusted:
        """The same and one more user, by number, by name or both."""
        return Trusted(
            self.uids | ({uid} if uid is not None else set()),
            self.users | ({user} if user else set()),
        )

    def owns(self, stat: Stat) -> bool:
        """Whether the owner is one of them."""
        return stat.uid in self.uids or (bool(stat.user) and stat.user in self.users)

    def strangers(self, stat: Stat) -> tuple[str, ...]:
        """Members of the group who are not among them."""
        return tuple(name for name in stat.group_members if name not in self.users)


def service_users(servers: Iterable[OllamaServer], units: tuple[SystemdUnit, ...]) -> Trusted:
    """Root and the users of these servers; where there are none, the users that units name."""
    trusted = Trusted()
    running = tuple(servers)
    for server in running:
        uid = known_or(server.process.uid, -1)
        trusted = trusted.including(uid if uid >= 0 else None, server.process.user)
    if not running:
        for unit in units:
            trusted = trusted.including(None, unit.user or unit.owner)
    return trusted


@dataclass(frozen=True, slots=True)
class Access:
    """Why others get at a path, and what could not be read on the way."""

    weak: tuple[Evidence, ...] = ()
    unread: tuple[Unknown, ...] = ()

    def __add__(self, other: Access) -> Access:
        return Access(
            tuple(dict.fromkeys((*self.weak, *other.weak))),
            tuple(dict.fromkeys((*self.unread, *other.unread))),
        )


class FileTree:
    """The files of a snapshot by path, as each root has them."""

    def __init__(self, files: Iterable[FileFact]) -> None:
        self._facts = tuple(files)
        self._stats = {(fact.pid, fact.path): fact.stat for fact in self._facts}

    def having(self, *roles: FileRole) -> tuple[FileFact, ...]:
        """The facts of these roles, in the snapshot's order."""
        return tuple(fact for fact in self._facts if fact.role in roles)

    def stat(self, pid: int, path: str) -> Observed[Stat]:
        """What is known of a path, in the root of this process (0: the host's)."""
        missing = Unknown("nobody looked at it", path)
        return self._stats.get((pid, path), missing)

    def writable(self, pid: int, path: str, trusted: Trusted, *, links: int = _LINKS) -> Access:
        """Why others may change what is at a path."""
        found = self.stat(pid, path)
        if isinstance(found, Unknown):
            above = self._link_above(pid, path) if links else None
            if above is not None:
                link, onward = above
                passage = self._replaceable(pid, link, self._known(pid, link), trusted)
                return passage + self.writable(pid, onward, trusted, links=links - 1)
            return Access(unread=(_at(path, found),)) + self._replaceable(pid, path, None, trusted)
        stat = found.value
        here = self._replaceable(pid, path, stat, trusted)
        match stat.kind:
            case FileKind.MISSING:
                return here
            case FileKind.LINK if links:
                target = _onward(path, stat, ".")
                return here + self.writable(pid, target, trusted, links=links - 1)
            case FileKind.LINK:
                return here + Access(unread=(Unknown("too many links in a row", path),))
            case _:
                return _writable(path, stat, trusted) + here

    def _known(self, pid: int, path: str) -> Stat | None:
        found = self.stat(pid, path)
        return found.value if isinstance(found, Known) else None

    def real(self, pid: int, path: str) -> str:
        """Where a path leads, as far as the links on the way were looked at."""
        for _ in range(_LINKS):
            found = self.stat(pid, path)
            if isinstance(found, Known) and found.value.kind is FileKind.LINK:
                path = _onward(path, found.value, ".")
            elif above := self._link_above(pid, path):
                _, path = above
            else:
                break
        return path

    def _link_above(self, pid: int, path: str) -> tuple[str, str] | None:
        """The first folder above a path that is a link, and the path behind it."""
        for folder, stat in reversed(list(self._folders(pid, path))):
            if isinstance(stat, Known) and stat.value.kind is FileKind.LINK:
                return folder, _onward(folder, stat.value, posixpath.relpath(path, folder))
        return None

    def readable(self, pid: int, path: str, trusted: Trusted) -> Access:
        """Why others may read the file at a path: its mode, and every folder lets them by."""
        found = self.stat(pid, path)
        if isinstance(found, Unknown):
            return Access(unread=(_at(path, found),))
        if found.value.kind is FileKind.MISSING:
            return Access()
        own = _permitted(path, found.value, trusted, 0o4, "readable")
        if not own.weak and not own.unread:
            return own
        passage = Access()
        for folder, stat in self._folders(pid, path):
            if isinstance(stat, Unknown):
                passage += Access(unread=(_at(folder, stat),))
            elif stat.value.kind is FileKind.LINK:
                passage += Access(unread=(Unknown("is a link on the way", folder),))
            else:
                may = _permitted(folder, stat.value, trusted, 0o1, "open")
                if not may.weak and not may.unread:
                    return Access()
                passage += Access(unread=may.unread if not may.weak else ())
        # What the mode permits is only proven when every folder surely lets others by.
        return own if not passage.unread else Access(unread=(*own.unread, *passage.unread))

    def _folders(self, pid: int, path: str) -> Iterator[tuple[str, Observed[Stat]]]:
        """The folders above a path, nearest first."""
        for folder in map(str, PurePosixPath(path).parents):
            yield folder, self.stat(pid, folder)

    def _replaceable(self, pid: int, path: str, child: Stat | None, trusted: Trusted) -> Access:
        """Why others may put something else in the place of a path, by the folders above it."""
        result = Access()
        kept = child if child and child.kind is not FileKind.MISSING else None
        for folder, stat in self._folders(pid, path):
            if isinstance(stat, Unknown):
                result += Access(unread=(_at(folder, stat),))
                kept = None
                continue
            if stat.value.kind is FileKind.MISSING:
                kept = None
                continue
            sticky = bool(stat.value.mode & _STICKY) and kept is not None and trusted.owns(kept)
            if stat.value.kind is not FileKind.LINK:
                result += _writable(folder, stat.value, trusted, only_owner=sticky)
            kept = stat.value
        return result


def blames_owner(evidence: Evidence) -> bool:
    """Whether evidence of ours says that a path belongs to somebody who is not trusted with it."""
    return evidence.quote.startswith("owned by ") or " by its owner " in evidence.quote


def _onward(link: str, stat: Stat, rest: str) -> str:
    """The path behind a link, by names alone."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(link), stat.target or ".", rest))


def _at(path: str, fact: Unknown) -> Unknown:
    """The same, naming the path."""
    return Unknown(f"{path}: {fact.reason}", fact.source, fact.cure)


def _writable(path: str, stat: Stat, trusted: Trusted, *, only_owner: bool = False) -> Access:
    if only_owner:
        return _owned(path, stat, trusted)
    return _owned(path, stat, trusted) + _permitted(path, stat, trusted, 0o2, "writable")


def _owned(path: str, stat: Stat, trusted: Trusted) -> Access:
    if trusted.owns(stat):
        return Access()
    owner = stat.user or f"user {stat.uid}"
    return Access((Evidence(path, f"owned by {owner}, mode {stat.mode:04o}"),))


def _permitted(path: str, stat: Stat, trusted: Trusted, bit: int, word: str) -> Access:
    """Whether everybody, the group or an untrusted owner has this permission."""
    mode = f"mode {stat.mode:04o}"
    if stat.mode & bit:
        return Access((Evidence(path, f"{word} by everybody, {mode}"),))
    if not trusted.owns(stat) and stat.mode & (bit << 6):
        return Access((Evidence(path, f"{word} by its owner {stat.user or stat.uid}, {mode}"),))
    if not isinstance(stat.acl, Known):
        return Access(unread=(_at(path, stat.acl),))
    if stat.acl.value:
        return Access(
            unread=(
                Unknown(
                    f"{path}: an access control list adds to its mode",
                    f"acl of {path}",
                    f"getfacl {path}",
                ),
            )
        )
    strangers = trusted.strangers(stat)
    if stat.mode & (bit << 3) and strangers:
        named = ", ".join(strangers)
        return Access(
            (Evidence(path, f"{word} by group {stat.group or stat.gid} ({named}), {mode}"),)
        )
    return Access()
