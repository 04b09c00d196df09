"""The address lists of units that hold sockets, asked for only where systemd filters them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ollama_audit.collect import address_lists, bpf
from ollama_audit.collect.address_lists import read_address_lists
from ollama_audit.observed import Known, Observed
from ollama_audit.snapshot.service import AddressLists
from tests.hosts import process

NGINX = process(700, name="nginx", unit="nginx.service")
SSH = process(701, name="sshd", unit="ssh.service")

# `systemctl show --property=Id,Slice,IPAddressAllow,IPAddressDeny` of systemd 252.
SHOWN = """\
IPAddressAllow=127.0.0.0/8 ::1/128
IPAddressDeny=0.0.0.0/0 ::/0
Slice=system.slice
Id=nginx.service

IPAddressAllow=
IPAddressDeny=
Slice=system.slice
Id=ssh.service

IPAddressAllow=
IPAddressDeny=
Slice=-.slice
Id=system.slice

IPAddressAllow=192.0.2.0/24
IPAddressDeny=
Id=-.slice
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def run(command: tuple[str, ...]) -> Observed[str]:
        found.extend(command[command.index("--") + 1 :])
        return Known(SHOWN, "systemctl show")

    monkeypatch.setattr(address_lists, "run", run)
    return found


def filtering(monkeypatch: pytest.MonkeyPatch, *units: str) -> None:
    def filtered(_pids: Iterable[int]) -> set[str]:
        return set(units)

    monkeypatch.setattr(bpf, "filtered_by_systemd", filtered)


def test_the_lists_of_a_filtered_unit(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    filtering(monkeypatch, "nginx.service")
    found = read_address_lists([NGINX, SSH])
    assert isinstance(found, Known)
    assert found.value[0] == AddressLists(
        unit="nginx.service",
        ip_address_allow=("127.0.0.0/8", "::1/128", "192.0.2.0/24"),
        ip_address_deny=("0.0.0.0/0", "::/0"),
    )
    assert asked == ["nginx.service", "system.slice", "-.slice"]


def test_nothing_is_asked_where_systemd_filters_nothing(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    filtering(monkeypatch)
    assert read_address_lists([NGINX, SSH]) == Known((), "systemd filters no addresses")
    assert asked == []


def test_every_unit_is_asked_for_where_programs_cannot_be_listed(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    def unavailable(_pids: Iterable[int]) -> set[str]:
        raise bpf.BpfUnavailableError("Operation not permitted")

    monkeypatch.setattr(bpf, "filtered_by_systemd", unavailable)
    read_address_lists([NGINX, SSH, process(702, unit="web.service", unit_owner="ada")])
    assert asked == ["nginx.service", "ssh.service", "system.slice", "-.slice"]
