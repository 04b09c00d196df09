"""The laws of address sets, against sets of integers and against themselves."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_audit.addresses import BITS, AddressSet

SMALL = 64
Ranges = list[tuple[int, int]]


def ranges_below(top: int) -> st.SearchStrategy[Ranges]:
    value = st.integers(0, top - 1)
    return st.lists(st.tuples(value, value).map(lambda pair: (min(pair), max(pair))), max_size=12)


small = ranges_below(SMALL)
wide = st.sampled_from([4, 6]).flatmap(
    lambda version: st.tuples(
        ranges_below(1 << BITS[version]).map(lambda r: AddressSet.from_ranges(r, version)),
        ranges_below(1 << BITS[version]).map(lambda r: AddressSet.from_ranges(r, version)),
        ranges_below(1 << BITS[version]).map(lambda r: AddressSet.from_ranges(r, version)),
    )
)


def brute(ranges: Ranges) -> set[int]:
    return {value for first, last in ranges for value in range(first, last + 1)}


def members(addresses: AddressSet) -> set[int]:
    return {value for value in range(SMALL) if value in addresses}


@given(small, small)
def test_agrees_with_sets_of_integers(left: Ranges, right: Ranges) -> None:
    """Each operation does what it does on plain sets."""
    a, b = AddressSet.from_ranges(left, 4), AddressSet.from_ranges(right, 4)
    x, y = brute(left), brute(right)

    assert members(a & b) == x & y
    assert members(a | b) == x | y
    assert members(a - b) == x - y
    assert members(~a) == set(range(SMALL)) - x
    assert (a <= b) == (x <= y)
    assert a.size == len(x)
    assert a.network_count == len(a.networks())
    assert (a == b) == (x == y)


@given(wide)
def test_parting_is_intersection_and_difference(
    sets: tuple[AddressSet, AddressSet, AddressSet],
) -> None:
    """Also by a single range, for which there is a shorter way."""
    a, b, _ = sets
    for by in (b, *(AddressSet.span(*span, a.version) for span in (*a.ranges(), *b.ranges()))):
        assert a.parted(by) == (a & by, a - by)
        assert b.parted(by) == (b & by, b - by)


@given(small, st.integers(0, SMALL - 1), st.integers(0, SMALL - 1))
def test_parting_by_one_range(ranges: Ranges, first: int, last: int) -> None:
    """Wherever the range begins and ends."""
    a, by = AddressSet.from_ranges(ranges, 4), AddressSet.span(first, last, 4)

    assert a.parted(by) == (a & by, a - by)


@given(small)
def test_starts_and_ends_by_themselves_are_enough(ranges: Ranges) -> None:
    """The union of ranges does not depend on which end belongs to which start."""
    starts = sorted(first for first, _ in ranges)
    ends = sorted(last + 1 for _, last in ranges)

    assert AddressSet.from_bounds(starts, ends, 4) == AddressSet.from_ranges(ranges, 4)


@given(st.lists(small, max_size=5))
def test_the_union_of_many(sets: list[Ranges]) -> None:
    """It holds what any of them does, in canonical form."""
    many = [AddressSet.from_ranges(each, 4) for each in sets]

    assert AddressSet.union(many, 4) == AddressSet.from_ranges(
        [span for each in sets for span in each], 4
    )


@given(wide)
def test_is_a_boolean_algebra(sets: tuple[AddressSet, AddressSet, AddressSet]) -> None:
    """Commutative, associative, distributive, absorbing; complements; De Morgan."""
    a, b, c = sets
    nothing, everything = AddressSet.nothing(a.version), AddressSet.everything(a.version)

    assert a & b == b & a
    assert a | b == b | a
    assert (a & b) & c == a & (b & c)
    assert (a | b) | c == a | (b | c)
    assert a & (b | c) == (a & b) | (a & c)
    assert a | (a & b) == a
    assert a & ~a == nothing
    assert a | ~a == everything
    assert ~~a == a
    assert ~(a & b) == ~a | ~b
    assert a - b == a & ~b
    assert a & everything == a
    assert a | nothing == a


@given(wide)
def test_boundaries_are_canonical(sets: tuple[AddressSet, AddressSet, AddressSet]) -> None:
    """Strictly ascending, in pairs, within the family: equality is equality of lists."""
    a, b, c = sets
    for result in (a & b, a | c, b - c, ~a):
        boundaries = result.boundaries

        assert len(boundaries) % 2 == 0
        assert all(left < right for left, right in itertools.pairwise(boundaries))
        assert not boundaries or (boundaries[0] >= 0 and boundaries[-1] <= 1 << BITS[a.version])


@given(wide)
def test_cover_is_exact_and_smallest(sets: tuple[AddressSet, AddressSet, AddressSet]) -> None:
    """The cover gives the set back, and the standard library cannot make it smaller."""
    addresses, *_ = sets
    cover = addresses.networks()
    four = [network for network in cover if isinstance(network, IPv4Network)]
    six = [network for network in cover if isinstance(network, IPv6Network)]

    assert AddressSet.from_networks(cover, addresses.version) == addresses
    assert len(list(collapse_addresses(four))) + len(list(collapse_addresses(six))) == len(cover)
    assert addresses.networks(limit=3) == cover[:3]
    assert addresses.network_count == len(cover)


@given(wide)
def test_witness_is_a_member(sets: tuple[AddressSet, AddressSet, AddressSet]) -> None:
    """A witness is in the set; an empty set has none."""
    addresses, *_ = sets
    if addresses:
        assert addresses.witness() in addresses
    else:
        with pytest.raises(ValueError, match="empty"):
            addresses.witness()


def test_networks_of_the_other_version_are_refused() -> None:
    """An IPv6 network has no place in an IPv4 set."""
    with pytest.raises(ValueError, match="not an IPv4 network"):
        AddressSet.from_networks(["2001:db8::/32"], 4)


def test_reads_and_prints_networks() -> None:
    """Host bits are dropped, neighbours join, and the text is that of ipaddress."""
    addresses = AddressSet.from_networks(["192.168.1.7/24", "192.168.0.0/24", "10.0.0.1"], 4)

    assert list(map(str, addresses.networks())) == ["10.0.0.1/32", "192.168.0.0/23"]
    assert IPv4Address("192.168.1.255") in addresses
    assert IPv4Address("192.168.2.0") not in addresses
