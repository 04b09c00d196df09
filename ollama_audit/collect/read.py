"""Reads a file: the only place that opens one.

Only regular files are opened, procfs and sysfs included: opening a device can do something, and
opening a FIFO can wait for ever.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ollama_audit.observed import Known, Observed, Unknown

_CHUNK = 1 << 16


def read_bytes(
    path: str, *, limit: int = 16 << 20, absent: bytes | None = None, follow: bool = True
) -> Observed[bytes]:
    """The content of a file of at most `limit` bytes.

    `absent` is the value when there is no such file; without it, that is `Unknown` too. Without
    `follow`, a symbolic link as the last part of the path is not read.
    """
    try:
        return Known(_read(path, limit, follow=follow), path)
    except (FileNotFoundError, NotADirectoryError):
        return Unknown("there is no such file", path) if absent is None else Known(absent, path)
    except _RefusedError as refusal:
        return Unknown(str(refusal), path)
    except OSError as error:
        cure = "sudo ollama-audit" if isinstance(error, PermissionError) and os.geteuid() else ""
        reason = "reading it would wait" if isinstance(error, BlockingIOError) else error.strerror
        return Unknown(reason or "it cannot be read", path, cure)


def read_text(
    path: str, *, limit: int = 16 << 20, absent: str | None = None, follow: bool = True
) -> Observed[str]:
    """As `read_bytes`, decoded; bytes that are not UTF-8 become U+FFFD."""
    empty = None if absent is None else absent.encode()
    content = read_bytes(path, limit=limit, absent=empty, follow=follow)
    if isinstance(content, Unknown):
        return content
    return Known(content.value.decode(errors="replace"), path)


def peek(path: str, most: int) -> Observed[bytes]:
    """The first `most` bytes of a procfs file, which needs no care: it is regular and never waits.

    For reading one from each of thousands of processes; fewer may come where the kernel says so.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return Unknown(error.strerror or "it cannot be read", path)
    try:
        return Known(os.read(descriptor, most), path)
    except OSError as error:
        return Unknown(error.strerror or "it cannot be read", path)
    finally:
        os.close(descriptor)


class _RefusedError(Exception):
    """Not a file that may be read here; says why."""


def _read(path: str, limit: int, *, follow: bool) -> bytes:
    """The content of a file.

    Raises:
        OSError: It cannot be opened or read.
        _RefusedError: It is not a regular file, or too large.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if not follow:
        flags |= os.O_NOFOLLOW
    _require_regular(Path(path).stat(follow_symlinks=follow))  # before opening does anything
    descriptor = os.open(path, flags)
    try:
        _require_regular(os.fstat(descriptor))
        return _content(descriptor, limit)
    finally:
        os.close(descriptor)


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _RefusedError("it is a directory")
    if stat.S_ISLNK(status.st_mode):
        raise _RefusedError("it is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise _RefusedError("it is not a regular file")


def _content(descriptor: int, limit: int) -> bytes:
    # The size of a procfs file is 0 whatever it holds, so only reading tells.
    parts: list[bytes] = []
    size = 0
    while part := os.read(descriptor, _CHUNK):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise _RefusedError(f"it is larger than {limit} bytes")
    return b"".join(parts)
