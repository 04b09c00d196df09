"""Which socket the kernel gives a connection, by the order that its lookup scores."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.sockets import admitted, candidates, families
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.network import Family
from tests.hosts import listener, unit

V4, V6 = Family.IPV4, Family.IPV6


@pytest.mark.parametrize(
    ("listening", "family", "address", "expected"),
    [
        (["0.0.0.0:11434"], V4, "192.0.2.10", ["0.0.0.0:11434"]),
        (["0.0.0.0:11434"], V6, "2001:db8::10", []),
        (["[::]:11434"], V4, "192.0.2.10", ["[::]:11434"]),
        (["[::]:11434"], V6, "2001:db8::10", ["[::]:11434"]),
        (["127.0.0.1:11434"], V4, "192.0.2.10", []),
        (["192.0.2.10:11434", "0.0.0.0:11434"], V4, "192.0.2.10", ["192.0.2.10:11434"]),
        (["[::]:11434", "0.0.0.0:11434"], V4, "192.0.2.10", ["0.0.0.0:11434"]),
        (["[::ffff:192.0.2.10]:11434"], V4, "192.0.2.10", ["[::ffff:192.0.2.10]:11434"]),
        (["0.0.0.0:80"], V4, "192.0.2.10", []),
    ],
)
def test_the_nearest_socket_gets_the_connection(
    listening: list[str], family: Family, address: str, expected: list[str]
) -> None:
    found = candidates(tuple(map(listener, listening)), family, address, 11434, "eth0")
    assert [str(item) for item in found] == expected


def test_an_ipv6_only_socket_serves_no_ipv4() -> None:
    only = replace(listener("[::]:11434"), v6only=Known(value=True, source="sock_diag"))
    assert candidates((only,), V4, "192.0.2.10", 11434, "eth0") == ()
    assert families(only) == (V6,)
    assert families(listener("[::]:11434")) == (V4, V6)


def test_a_socket_of_which_it_is_not_known_stays_a_candidate() -> None:
    doubtful = replace(listener("[::]:11434"), v6only=Unknown("not said", "/proc/net/tcp6"))
    plain = listener("0.0.0.0:11434")
    assert set(candidates((doubtful, plain), V4, "192.0.2.10", 11434, "eth0")) == {doubtful, plain}


def test_a_bound_device_keeps_other_interfaces_out() -> None:
    bound = replace(listener("0.0.0.0:11434"), device="eth1")
    assert candidates((bound,), V4, "192.0.2.10", 11434, "eth0") == ()
    assert candidates((bound,), V4, "192.0.2.10", 11434, "eth1") == (bound,)


def test_allowed_addresses_win_over_denied_ones() -> None:
    filtered = replace(
        unit(), ip_address_allow=("192.168.1.0/24", "::1/128"), ip_address_deny=("0.0.0.0/0",)
    )
    assert admitted(filtered, 4) == AddressSet.from_networks(["192.168.1.0/24"], 4)
    assert admitted(filtered, 6).full
    assert admitted(None, 4).full
