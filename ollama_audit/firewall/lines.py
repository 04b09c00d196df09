"""Lines of a long text, by where they stand in it: a save can have very many."""

from __future__ import annotations

from array import array
from collections.abc import Iterator


class Lines:
    """Some lines of a text, or ends of lines, in order."""

    __slots__ = ("_starts", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = array("Q")

    def add(self, start: int) -> None:
        """Add what stands from a place to the end of its line."""
        self._starts.append(start)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, place: int) -> str:
        start = self._starts[place]
        return self._text[start : line_end(self._text, start)].rstrip()

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


def line_end(text: str, start: int) -> int:
    """Where the line ends that a place is in."""
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def line_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each line begins and ends."""
    start = 0
    while start < len(text):
        end = line_end(text, start)
        yield start, end
        start = end + 1
