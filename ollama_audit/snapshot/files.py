"""Files and folders whose owner and mode matter, and who may change them."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ollama_audit.observed import Observed


class FileRole(StrEnum):
    """Why a path was looked at."""

    BINARY = "binary"
    PATH_FOLDER = "path-folder"
    UNIT = "unit"
    ENVIRONMENT_FILE = "environment-file"
    MODELS = "models"
    STATE = "state"
    PRIVATE_KEY = "private-key"
    SERVER_CONFIG = "server-config"
    ANCESTOR = "ancestor"


class FileKind(StrEnum):
    """What lstat(2) says a path is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"
    MISSING = "missing"


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """Owner, mode and kind of a path, its own and not its target's (lstat(2))."""

    kind: FileKind
    uid: int = 0
    user: str = ""
    gid: int = 0
    group: str = ""
    group_members: tuple[str, ...] = ()
    """Users other than `user` who are in `group`, by primary group or membership."""
    mode: int = 0
    """Permission bits, 0..0o7777."""
    acl: Observed[bool]
    """Whether a POSIX access control list adds to the mode (acl(5))."""
    target: str = ""
    """Where a link points, verbatim."""


class FileFact(msgspec.Struct, frozen=True, kw_only=True):
    """A path as a process with these mounts sees it."""

    path: str
    role: FileRole
    pid: int = 0
    """The Ollama server in whose root the path was read; 0 for the host's own."""
    stat: Observed[Stat]
