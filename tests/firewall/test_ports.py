"""Sets of ports as numbers, against sets of ports."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ollama_audit.firewall.ports import members, parted, runs, spans

PORTS = st.sets(st.integers(0, 40) | st.integers(0, 0xFFFF) | st.integers(0xFFF0, 0xFFFF))


def number(ports: set[int]) -> int:
    return sum(1 << port for port in ports)


@given(PORTS)
def test_members_and_runs_are_the_set(ports: set[int]) -> None:
    found = list(members(number(ports)))

    assert found == sorted(ports)
    assert spans(runs(number(ports))) == number(ports)


@given(PORTS)
def test_runs_do_not_touch(ports: set[int]) -> None:
    found = list(runs(number(ports)))

    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


@given(PORTS, PORTS)
def test_parts_make_up_the_set_and_hold_no_edge_inside(ports: set[int], edges: set[int]) -> None:
    found = list(parted(number(ports), number(edges)))

    assert [port for first, last in found for port in range(first, last + 1)] == sorted(ports)
    assert not any(edge for first, last in found for edge in edges if first < edge <= last)


def test_what_is_no_port_is_left_out() -> None:
    assert list(runs(spans([(5, 3), (0xFFFE, 0x1FFFF)]))) == [(0xFFFE, 0xFFFF)]
