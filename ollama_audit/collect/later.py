"""A call under way in a thread of its own, for the few places where waiting dominates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Begins a call at once; `result` waits for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._returned: list[T] = []
        self._raised: list[BaseException] = []
        # A daemon, so that an interrupted audit ends without waiting for it.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._returned.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks
            self._raised.append(error)

    def result(self) -> T:
        """What the call returned; raises what it raised."""
        self._thread.join()
        if self._raised:
            raise self._raised[0]
        return self._returned[0]
