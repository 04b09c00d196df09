"""How networks are told in a sentence."""

from __future__ import annotations

import pytest

from ollama_audit.addresses import AddressSet
from ollama_audit.networks import only_single, plain, spelled, whole_internet
from ollama_audit.snapshot.network import Family


def without(network: str, *addresses: str) -> tuple[str, ...]:
    """The networks that make up one without some addresses of it."""
    whole = AddressSet.from_networks([network], 4)
    return tuple(map(str, (whole - AddressSet.from_networks(addresses, 4)).networks()))


@pytest.mark.parametrize(
    ("networks", "more", "expected"),
    [
        ((), 0, ""),
        (("192.168.1.0/24",), 0, "192.168.1.0/24"),
        (("192.168.77.0/24", "192.168.0.0/16", "fd00::/8"), 0, "192.168.0.0/16 and fd00::/8"),
        (("192.168.1.7/32", "2001:db8::7/128"), 0, "192.168.1.7 and 2001:db8::7"),
        (("2001:db8::/32",), 0, "2001:db8::/32"),
        (("10.0.0.0/8", "fd00::/8", "10.0.0.0/8"), 0, "10.0.0.0/8 and fd00::/8"),
        (
            ("1.0.0.0/8", "2.0.0.0/8", "3.0.0.0/8", "5.0.0.0/8"),
            0,
            "1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8 and 1 more",
        ),
        (without("172.17.0.0/16", "172.17.0.2"), 0, "172.17.0.0/16 but 172.17.0.2"),
        (
            (*without("172.17.0.0/16", "172.17.0.2"), "172.30.0.0/24"),
            0,
            "172.17.0.0/16 and 172.30.0.0/24 but 172.17.0.2",
        ),
        (
            without("10.0.0.0/24", "10.0.0.3", "10.0.0.9"),
            0,
            "10.0.0.0/24 but 10.0.0.3 and 10.0.0.9",
        ),
        (
            without("10.0.0.0/24", "10.0.0.64/30"),
            0,
            "10.0.0.0/26, 10.0.0.68/30, 10.0.0.72/29 and 3 more",
        ),
        (without("10.0.0.0/24", "10.0.0.3"), 5, "10.0.0.0/31, 10.0.0.2, 10.0.0.4/30 and 10 more"),
        (
            (*without("10.0.0.0/24", "10.0.0.3"), "fe80::/64"),
            0,
            "10.0.0.0/31, 10.0.0.2, 10.0.0.4/30 and 6 more",
        ),
    ],
)
def test_networks_are_told_as_people_write_them(
    networks: tuple[str, ...], more: int, expected: str
) -> None:
    assert spelled(networks, more) == expected


@pytest.mark.parametrize(
    ("network", "expected", "single"),
    [
        ("10.0.0.7/32", "10.0.0.7", True),
        ("10.0.0.0/31", "10.0.0.0/31", False),
        ("2001:db8::/32", "2001:db8::/32", False),
        ("::1/128", "::1", True),
    ],
)
def test_a_single_address_is_no_network(network: str, expected: str, *, single: bool) -> None:
    assert plain(network) == expected
    assert only_single([network]) is single


def test_of_the_internet_both_families_are_all() -> None:
    assert whole_internet([Family.IPV4, Family.IPV6]) == "the internet"
    assert whole_internet({Family.IPV6}) == "the IPv6 internet"
    assert whole_internet({Family.IPV4}) == "the IPv4 internet"
