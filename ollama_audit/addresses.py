"""Sets of IPv4 or IPv6 addresses, with exact algebra.

A set is an inversion list: a strictly ascending list of boundaries `b`, where the members are
`b[0] <= x < b[1]`, `b[2] <= x < b[3]`, and so on. Membership is one bisection; `&`, `-` and `|`
cost O(k log n + output) with k the boundaries of the smaller operand, as whole runs are copied
by slices. Two sets are equal if and only if their boundaries are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from itertools import chain, islice
from operator import eq, le, lt, or_
from typing import Final, Self

BITS: Final = {4: 32, 6: 128}
"""The length of an address, by IP version."""

SMALL = 64
"""Sets with more boundaries than this are put together as whole runs."""


def _clip(small: list[int], large: list[int], *, outside: bool) -> list[int]:
    """Boundaries of the part of `small` that lies inside (or outside) `large`."""
    result: list[int] = []
    flip = 1 if outside else 0
    for index in range(0, len(small), 2):
        start, end = small[index], small[index + 1]
        first = bisect_right(large, start)
        last = bisect_left(large, end, first)
        if (first & 1) ^ flip:
            result.append(start)
        result.extend(large[first:last])
        if (last & 1) ^ flip:
            result.append(end)
    return result


def _join(small: list[int], large: list[int]) -> list[int]:
    """Boundaries of what is in `small` or in `large`."""
    result: list[int] = []
    done = 0
    for index in range(0, len(small), 2):
        start, end = small[index], small[index + 1]
        first = bisect_left(large, start, done)
        last = bisect_right(large, end, first)
        result.extend(large[done:first])
        if not first & 1:
            result.append(start)
        if not last & 1:
            result.append(end)
        done = last
    result.extend(large[done:])
    return result


def _blocks(start: int, end: int) -> int:
    """How many networks cover `start <= x < end`.

    They grow up to the one address in it that most powers of two divide, and shrink from there.
    """
    low = (start ^ end).bit_length() - 1
    middle = end >> low << low
    return (middle - start).bit_count() + (end - middle).bit_count()


def _without_pairs(boundaries: list[int]) -> list[int]:
    """Join ranges that touch: an end that is the next start is no boundary."""
    result: list[int] = []
    for boundary in boundaries:
        if result and result[-1] == boundary:
            result.pop()
        else:
            result.append(boundary)
    return result


class AddressSet:
    """An immutable set of addresses of one IP version, held as integers."""

    __slots__ = ("boundaries", "version")

    boundaries: list[int]
    """Strictly ascending, of even length, within 0..2**bits; never to be changed."""
    version: int
    """4 or 6."""

    def __init__(self, boundaries: list[int], version: int) -> None:
        """Take over canonical boundaries without a check; others use the named constructors."""
        self.boundaries = boundaries
        self.version = version

    @classmethod
    def everything(cls, version: int) -> Self:
        """Every address."""
        return cls([0, 1 << BITS[version]], version)

    @classmethod
    def nothing(cls, version: int) -> Self:
        """No address."""
        return cls([], version)

    @classmethod
    def single(cls, address: int, version: int) -> Self:
        """One address."""
        return cls([address, address + 1], version)

    @classmethod
    def span(cls, first: int, last: int, version: int) -> Self:
        """From `first` to `last`, both included; nothing when `last` is smaller."""
        return cls([first, last + 1] if first <= last else [], version)

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int]], version: int) -> Self:
        """The union of (first, last) pairs, both included, in any order; they may overlap."""
        boundaries: list[int] = []
        start = end = -1
        for first, last in sorted(ranges):
            if first > end:
                if start >= 0:
                    boundaries += (start, end)
                start, end = first, last + 1
            elif last >= end:
                end = last + 1
        if start >= 0:
            boundaries += (start, end)
        return cls(boundaries, version)

    @classmethod
    def from_networks(
        cls, networks: Iterable[str | IPv4Network | IPv6Network], version: int
    ) -> Self:
        """The union of networks in CIDR notation; host bits may be set.

        Raises:
            ValueError: Not a network, or one of the other IP version.
        """
        ranges = []
        for given in networks:
            network = ip_network(given, strict=False) if isinstance(given, str) else given
            if network.version != version:
                raise ValueError(f"{network} is not an IPv{version} network")
            first = int(network.network_address)
            ranges.append((first, first + network.num_addresses - 1))
        return cls.from_ranges(ranges, version)

    @classmethod
    def from_edges(cls, starts: list[int], ends: list[int], version: int) -> Self | None:
        """The union of disjoint ranges by their ascending starts and (excluded) ends.

        None when they are not disjoint, or no ranges.
        """
        paired = len(starts) == len(ends)
        if not paired or not all(map(lt, starts, ends)) or not all(map(le, ends, starts[1:])):
            return None
        edges = list(chain.from_iterable(zip(starts, ends, strict=True)))
        touching = any(map(eq, ends, starts[1:]))
        return cls(_without_pairs(edges) if touching else edges, version)

    @classmethod
    def from_bounds(cls, starts: list[int], ends: list[int], version: int) -> Self:
        """The union of ranges by their ascending starts and (excluded) ends; they may overlap."""
        disjoint = cls.from_edges(starts, ends, version)
        if disjoint is not None:
            return disjoint
        boundaries: list[int] = []
        ended = 0
        for begun, start in enumerate(starts):
            while ends[ended] < start:
                ended += 1
                if ended == begun:
                    boundaries.append(ends[ended - 1])
            if ended == begun:
                boundaries.append(start)
        return cls(boundaries + ends[-1:], version)

    @classmethod
    def union(cls, sets: Sequence[Self], version: int) -> Self:
        """The union of many sets at once: of small ones together, of large ones by two."""
        large = [each for each in sets if len(each.boundaries) > SMALL]
        small = (each.ranges() for each in sets if len(each.boundaries) <= SMALL)
        return reduce(or_, large, cls.from_ranges(chain.from_iterable(small), version))

    def parted(self, by: Self) -> tuple[Self, Self]:
        """The members that are in `by`, and those that are not."""
        if len(by.boundaries) != 2:
            return self & by, self - by
        ours, (start, end) = self.boundaries, by.boundaries
        first = bisect_right(ours, start)
        last = bisect_left(ours, end, first)
        inside, outside = ours[first:last], ours[:first]
        if first & 1:
            inside.insert(0, start)
            if outside[-1] == start:
                outside.pop()
            else:
                outside.append(start)
        elif first == last:
            return type(self)([], self.version), self
        if last & 1:
            inside.append(end)
            if ours[last] == end:
                last += 1
            else:
                outside.append(end)
        outside += ours[last:]
        return type(self)(inside, self.version), type(self)(outside, self.version)

    def __and__(self, other: Self) -> Self:
        small, large = self, other
        if len(self.boundaries) > len(other.boundaries):
            small, large = other, self
        ours, theirs = small.boundaries, large.boundaries
        if ours == theirs or small.full:
            return large
        if len(ours) == 2:
            place = bisect_right(theirs, ours[0])
            if place & 1 and theirs[place] >= ours[1]:
                return small
        elif self._complements(other):
            return type(self)([], self.version)
        result = _clip(ours, theirs, outside=False)
        if result == theirs:
            return large
        return small if result == ours else type(self)(result, self.version)

    def __sub__(self, other: Self) -> Self:
        ours, theirs = self.boundaries, other.boundaries
        if not ours or not theirs or self._complements(other):
            return self
        if ours == theirs:
            return type(self)([], self.version)
        if len(ours) <= len(theirs):
            result = _clip(ours, theirs, outside=True)
        else:
            result = _clip((~other).boundaries, ours, outside=False)
        return self if result == ours else type(self)(result, self.version)

    def __or__(self, other: Self) -> Self:
        small, large = self, other
        if len(self.boundaries) > len(other.boundaries):
            small, large = other, self
        ours, theirs = small.boundaries, large.boundaries
        if not ours or ours == theirs:
            return large
        if self._complements(other):
            return type(self).everything(self.version)
        result = _join(ours, theirs)
        return large if result == theirs else type(self)(result, self.version)

    def _complements(self, other: Self) -> bool:
        """Whether the other is all the rest: filters part sources, so that this is frequent."""
        ours, theirs = self.boundaries, other.boundaries
        if abs(len(ours) - len(theirs)) > 2 or not ours or not theirs:
            return False
        inside = 1 if ours[0] == 0 else 0
        if inside == (1 if theirs[0] == 0 else 0):
            return False
        if len(ours) > 4 and ours[inside + 1] != theirs[2 - inside]:
            return False
        return (~self).boundaries == theirs

    def __invert__(self) -> Self:
        boundaries, top = self.boundaries, 1 << BITS[self.version]
        if not boundaries:
            return type(self)([0, top], self.version)
        result = boundaries[1:] if boundaries[0] == 0 else [0, *boundaries]
        if result and result[-1] == top:
            result.pop()
        else:
            result.append(top)
        return type(self)(result, self.version)

    def __contains__(self, address: object) -> bool:
        value = int(address) if isinstance(address, IPv4Address | IPv6Address) else address
        return isinstance(value, int) and bisect_right(self.boundaries, value) & 1 == 1

    def __bool__(self) -> bool:
        return bool(self.boundaries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AddressSet):
            return NotImplemented
        return self.version == other.version and self.boundaries == other.boundaries

    def __hash__(self) -> int:
        return hash((self.version, tuple(self.boundaries)))

    def __le__(self, other: Self) -> bool:
        """Whether every member is a member of `other`."""
        return not self - other

    def __repr__(self) -> str:
        shown = list(map(str, self.networks(limit=8)))
        more = ", ..." if self and self.networks(limit=9)[8:] else ""
        return f"AddressSet({', '.join(shown)}{more}, version={self.version})"

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return sum(self.boundaries[1::2]) - sum(self.boundaries[0::2])

    @property
    def full(self) -> bool:
        """Whether it holds every address."""
        boundaries = self.boundaries
        return len(boundaries) == 2 and boundaries[1] - boundaries[0] == 1 << BITS[self.version]

    def witness(self) -> IPv4Address | IPv6Address:
        """A member: one inside the first range rather than at its edge, where there is a choice.

        Raises:
            ValueError: The set is empty.
        """
        if not self.boundaries:
            raise ValueError("an empty set has no witness")
        start, end = self.boundaries[:2]
        value = start + 1 if end - start > 2 else start
        return IPv4Address(value) if self.version == 4 else IPv6Address(value)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The maximal ranges as (first, last), both included, ascending."""
        pairs = iter(self.boundaries)
        return ((start, end - 1) for start, end in zip(pairs, pairs, strict=True))

    def runs_around(self, others: Self) -> list[tuple[int, int]]:
        """The maximal ranges that hold a member of others, which are all members of this set."""
        ours = self.boundaries
        found = dict.fromkeys(bisect_right(ours, start) for start in others.boundaries[0::2])
        return [(ours[end - 1], ours[end] - 1) for end in found]

    def networks(self, limit: int | None = None) -> tuple[IPv4Network | IPv6Network, ...]:
        """The smallest cover by networks, ascending; at most `limit` of them."""
        bits = BITS[self.version]
        network = IPv4Network if self.version == 4 else IPv6Network
        cover = islice(self._cover(), limit)
        return tuple(network((first, bits - step)) for first, step in cover)

    @property
    def network_count(self) -> int:
        """How many networks the smallest cover has."""
        return sum(map(_blocks, self.boundaries[0::2], self.boundaries[1::2]))

    def _cover(self) -> Iterator[tuple[int, int]]:
        """The smallest cover by networks: the first address of each, and its size as a power."""
        bits = BITS[self.version]
        for start, last in self.ranges():
            first = start
            while first <= last:
                aligned = (first & -first).bit_length() - 1 if first else bits
                step = min(aligned, (last - first + 1).bit_length() - 1)
                yield first, step
                first += 1 << step


class Spans:
    """Ranges in any order, their starts and (excluded) ends apart: there can be very many."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def add(self, span: tuple[int, int]) -> None:
        """Add a range by its first and last member."""
        self.starts.append(span[0])
        self.ends.append(span[1] + 1)

    def __bool__(self) -> bool:
        return bool(self.starts)

    def within(self, others: Spans) -> Spans:
        """Those that lie inside one of others."""
        found = Spans()
        holes = list(zip(others.starts, others.ends, strict=True))
        for start, end in zip(self.starts, self.ends, strict=True):
            if any(first <= start and end <= last for first, last in holes):
                found.add((start, end - 1))
        return found

    def whole(self, version: int) -> AddressSet:
        """Their union."""
        return AddressSet.from_bounds(sorted(self.starts), sorted(self.ends), version)
