"""Files as another process sees them: below its root, with its symbolic links.

The kernel follows an absolute link below /proc/PID/root from our own root, and so to the wrong
file; links are therefore followed here, a component at a time.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.process import Process

_MOST_LINKS = 40
_MOST_MATCHES = 4096


class Rooted:
    """The file system of one process; paths are absolute and in its own terms."""

    def __init__(self, process: Process, *, ours: bool = False) -> None:
        """With `ours`, its files are the host's whatever its root is now."""
        own = process.own_mounts
        apart = not isinstance(own, Known) or own.value
        self._root = f"/proc/{process.pid}/root" if apart and not ours else ""

    def real(self, path: str) -> str:
        """Where we find a path of the process, its links followed."""
        done, left, links = "", path.split("/"), 0
        while left:
            part = left.pop(0)
            if part in {"", "."}:
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            here = f"{done}/{part}"
            try:
                target = os.readlink(self._root + here)  # noqa: PTH115 - Path resolves by our root
            except OSError:
                done = here
                continue
            links += 1
            if links > _MOST_LINKS:
                return self._root + path
            if target.startswith("/"):
                done = ""
            left = target.split("/") + left
        return self._root + (done or "/")

    def text(self, path: str, limit: int = 4 << 20) -> Observed[str]:
        """The text of a file, as it names itself."""
        found = read_text(self.real(path), limit=limit)
        if isinstance(found, Unknown):
            return Unknown(found.reason, path, found.cure)
        return Known(found.value, path)

    def changed_at(self, path: str) -> datetime | None:
        """When a file was last written."""
        try:
            return datetime.fromtimestamp(os.stat(self.real(path)).st_mtime, UTC)  # noqa: PTH116
        except (OSError, OverflowError, ValueError):
            return None

    def exists(self, path: str) -> bool:
        """Whether there is something of this name."""
        return os.path.exists(self.real(path))  # noqa: PTH110

    def folder(self, path: str) -> list[str] | None:
        """The names in a folder, sorted; None when it is none or may not be read."""
        try:
            return sorted(os.listdir(self.real(path)))  # noqa: PTH208
        except OSError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """What matches; `*` matches no slash and no leading dot."""
        found = [""]
        for part in pattern.strip("/").split("/"):
            if not re.search(r"[*?\[]", part):
                found = [f"{path}/{part}" for path in found]
                continue
            found = [
                f"{path}/{name}" for path in found for name in self._matching(path or "/", part)
            ][:_MOST_MATCHES]
        return sorted(path for path in found if self.exists(path))

    def _matching(self, path: str, part: str) -> Iterator[str]:
        for name in self.folder(path) or ():
            if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or name[0] != "."):
                yield name
