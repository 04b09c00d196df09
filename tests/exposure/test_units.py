"""Whom systemd keeps from the sockets of a unit, whichever program is behind them."""

from __future__ import annotations

from ipaddress import ip_address

from msgspec.structs import replace

from ollama_audit.exposure.answer import Answer
from ollama_audit.exposure.path import answer
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.service import AddressLists, SocketUnit
from tests.exposure.networked import default, link, networked
from tests.hosts import PID, listener, namespaces, process

RELAY = replace(
    process(700, name="socat", executable="/usr/bin/socat", unit="relay.service"),
    arguments=Known(("socat", "TCP-LISTEN:8080,fork", "TCP:127.0.0.1:11434"), "/proc"),
)
LISTS = AddressLists(
    unit="relay.service", ip_address_allow=("127.0.0.0/8",), ip_address_deny=("192.168.1.0/24",)
)


def relayed(*lists: AddressLists, held_by: int = 700) -> HostSnapshot:
    """A relay at port 8080 in front of Ollama on loopback."""
    host = networked(link("192.168.1.10/24"), routes=(default("192.168.1.1"),))
    assert isinstance(host.namespaces, Known)
    (space,) = host.namespaces.value
    sockets = (
        listener("127.0.0.1:11434", owners=PID),
        listener(
            "0.0.0.0:8080", owners=Known((held_by, *((700,) if held_by == 1 else ())), "/proc")
        ),
    )
    return replace(
        host,
        namespaces=namespaces(replace(space, listeners=Known(sockets, "sock_diag"))),
        processes=(RELAY, process(1, name="systemd", unit="init.scope")),
        address_lists=Known(lists, "systemctl show"),
    )


def ask(host: HostSnapshot, source: str) -> Answer:
    return answer(host, (ip_address(source),), ((ip_address("192.168.1.10"), 8080),)).answers[0]


def test_a_relays_unit_keeps_clients_out() -> None:
    shut = ask(relayed(LISTS), "192.168.1.20")
    assert (shut.reach, shut.because) == (
        "no",
        ("IPAddressDeny= of relay.service or of its slices",),
    )
    assert ask(relayed(LISTS), "203.0.113.7").reach == "yes"
    assert ask(relayed(), "192.168.1.20").reach == "yes"
    assert ask(relayed(replace(LISTS, unit="other.service")), "192.168.1.20").reach == "yes"


def test_a_socket_of_systemds_is_in_the_cgroup_of_its_own_unit() -> None:
    unit = SocketUnit(
        name="relay.socket",
        listens=("0.0.0.0:8080",),
        service="relay.service",
        arguments=RELAY.arguments,
    )
    host = replace(relayed(LISTS, held_by=1), socket_units=Known((unit,), "systemctl show"))
    assert ask(host, "192.168.1.20").reach == "yes"
    lists = Known((LISTS, replace(LISTS, unit="relay.socket")), "systemctl show")
    assert ask(replace(host, address_lists=lists), "192.168.1.20").reach == "no"


def test_lists_that_were_not_read_leave_it_open() -> None:
    lists = Unknown("systemctl took too long", "systemctl show")
    found = ask(replace(relayed(), address_lists=lists), "192.168.1.20")
    assert found.reach == "unknown"
    assert found.because[0] == "whom systemd keeps from 0.0.0.0:8080: systemctl took too long"
