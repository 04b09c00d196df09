"""A seal that proves code pure."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self


class Sealed:
    """While entered, any I/O that the interpreter reports fails the test.

    Audit events (PEP 578) cover `open`, the `os` functions, sockets, child processes and ctypes.
    """

    EVENTS = ("open", "os.", "socket.", "subprocess.", "ctypes.", "shutil.", "tempfile.")

    def __init__(self) -> None:
        self.entered = False
        sys.addaudithook(self._audit)  # a hook cannot be removed, hence the flag

    def __enter__(self) -> Self:
        self.entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.entered = False

    def _audit(self, event: str, _: object) -> None:
        if self.entered and event.startswith(self.EVENTS):
            self.entered = False
            raise AssertionError(f"I/O in pure code: {event}")


SEAL = Sealed()
"""The one that tests share, since hooks stay for good."""
