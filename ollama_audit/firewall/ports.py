"""Sets of TCP ports as numbers: bit n is set when port n is a member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

Ports: TypeAlias = int

LAST: Final = 0xFFFF
NO_PORT: Final[Ports] = 0
EVERY_PORT: Final[Ports] = (1 << (LAST + 1)) - 1


def spans(ranges: Iterable[tuple[int, int]]) -> Ports:
    """The ports of some ranges, both ends included."""
    found = NO_PORT
    for first, last in ranges:
        if first <= last:
            found |= (1 << (last + 1)) - (1 << first)
    return found & EVERY_PORT


def runs(ports: Ports) -> Iterator[tuple[int, int]]:
    """The ranges that make up a set, ascending, both ends included."""
    start = 0
    while ports:
        gap = (ports & -ports).bit_length() - 1
        ports >>= gap
        length = (~ports & (ports + 1)).bit_length() - 1
        start += gap
        yield start, start + length - 1
        ports >>= length
        start += length


def members(ports: Ports) -> Iterator[int]:
    """Every member, ascending."""
    for first, last in runs(ports):
        yield from range(first, last + 1)


def one_of_each(ports: Iterable[int], edges: Ports) -> Iterator[int]:
    """Of the ports between two edges the least, ascending."""
    seen = set()
    for port in sorted(ports):
        kind = (edges & spans([(0, port)])).bit_count()
        if kind not in seen:
            seen.add(kind)
            yield port


def parted(ports: Ports, edges: Ports) -> Iterator[tuple[int, int]]:
    """The ranges of a set, cut before every port of `edges`."""
    for first, last in runs(ports):
        start = first
        for edge in members(edges & spans([(first + 1, last)])):
            yield start, edge - 1
            start = edge
        yield start, last
