"""What was worked out once about a host, by the question and a key that names all it depends on."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """Answers that are kept.

    A search may come back to where it has been, and gives that way up. What was being worked out
    meanwhile is true of that search and of no other, so it is not kept.
    """

    def __init__(self) -> None:
        self._kept: dict[str, dict[Hashable, Any]] = {}
        self._given_up = 0

    def once(self, question: str, key: Hashable, work: Callable[[], T]) -> T:
        """The answer to a question about `key`, from `work` when it is not kept."""
        kept = self._kept.setdefault(question, {})
        if key in kept:
            known: T = kept[key]
            return known
        given_up = self._given_up
        found = work()
        if given_up == self._given_up:
            kept[key] = found
        return found

    def give_up(self) -> None:
        """Note that a way came back to where it had been."""
        self._given_up += 1
