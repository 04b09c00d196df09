"""Sockets that service managers hold, and what they will start for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_audit.collect import socket_units
from ollama_audit.collect.socket_units import read_socket_units
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.service import SocketUnit
from tests.hosts import process

SHOWN = """\
Listen=/run/dbus/system_bus_socket (Stream)
Id=dbus.socket
Triggers=dbus.service

Listen=[::]:8080 (Stream)
Listen=127.0.0.1:8081 (Stream)
Listen=0.0.0.0:69 (Datagram)
Id=front.socket
Triggers=front.service

Listen=0.0.0.0:22 (Stream)
Id=ssh.socket
Triggers=ssh@box.service
"""
"""As systemd 252 prints `systemctl show --property=Id,Listen,Triggers -- '*.socket'`."""

ACCEPTS = """\
Listen=[::]:8080 (Stream)
Accept=yes
Id=front.socket
Triggers=
"""
"""As systemd 252 prints it of a socket with Accept=yes, with the property Accept."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(socket_units, "SYSTEM_FOLDERS", (f"{tmp_path}/etc", f"{tmp_path}/lib"))
    monkeypatch.setattr(socket_units, "USER_FOLDERS", (f"{tmp_path}/etc", f"{tmp_path}/lib"))
    for name in ("etc", "lib"):
        (tmp_path / name).mkdir()
    return tmp_path


def answering(monkeypatch: pytest.MonkeyPatch, text: str) -> list[tuple[str, ...]]:
    """What `systemctl` prints from now on; the commands that were run."""
    asked: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...]) -> Observed[str]:
        asked.append(command)
        return Known(text, "systemctl show")

    monkeypatch.setattr(socket_units, "run", run)
    return asked


MANAGER = process(1, name="systemd", executable="/usr/lib/systemd/systemd", user="root")


def test_the_systems_sockets_are_asked_for_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lib/front.service").write_text(
        "[Service]\nExecStart=!/lib/systemd/systemd-socket-proxyd 127.0.0.1:1\n"
    )
    (folder / "etc/front.service.d").mkdir()
    (folder / "etc/front.service.d/other.conf").write_text(
        "[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-socket-proxyd \\\n 127.0.0.1:11434\n"
    )
    (folder / "lib/ssh@.service").write_text("[Service]\nExecStart=-@/usr/sbin/sshd sshd -i %i\n")
    asked = answering(monkeypatch, SHOWN)

    found = read_socket_units([process(), MANAGER])

    assert len(asked) == 1
    assert isinstance(found, Known)
    assert [(unit.name, unit.listens, unit.service) for unit in found.value] == [
        ("front.socket", ("[::]:8080", "127.0.0.1:8081"), "front.service"),
        ("ssh.socket", ("0.0.0.0:22",), "ssh@box.service"),
    ]
    assert [unit.arguments for unit in found.value] == [
        Known(("/lib/systemd/systemd-socket-proxyd", "127.0.0.1:11434"), "front.service"),
        Known(("/usr/sbin/sshd", "-i", "box"), "ssh@box.service"),
    ]


def test_a_service_for_each_connection_is_the_sockets_template(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "etc/front@.service").write_text("[Service]\nExecStart=nc 127.0.0.1 11434\n")
    answering(monkeypatch, ACCEPTS)

    found = read_socket_units([MANAGER])

    assert isinstance(found, Known)
    (unit,) = found.value
    assert unit.accepts
    assert unit.service == "front@.service"
    assert unit.arguments == Known(("nc", "127.0.0.1", "11434"), "front@.service")


def test_the_network_of_a_service_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "etc/front.service").write_text(
        "[Unit]\nJoinsNamespaceOf=ollama.service\n[Service]\nExecStart=/bin/x\n"
        "PrivateNetwork=no\nPrivateNetwork=on\nNetworkNamespacePath=/run/netns/ai\n"
    )
    answering(monkeypatch, SHOWN)

    found = read_socket_units([MANAGER])

    assert isinstance(found, Known)
    unit = found.value[0]
    assert unit.private_network
    assert unit.joins == ("ollama.service",)
    assert unit.network_path == "/run/netns/ai"


def test_nothing_is_asked_when_process_1_holds_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, SHOWN)

    assert read_socket_units([process()]) == Known((), "systemd holds no TCP socket")
    assert asked == []


def test_a_service_without_files_is_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del folder
    answering(monkeypatch, SHOWN)

    found = read_socket_units([MANAGER])

    assert isinstance(found, Known)
    reason = found.value[0].arguments
    assert isinstance(reason, Unknown)
    assert reason.cure == "systemctl cat front.service"


def test_an_answer_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Unknown("systemctl timed out", "systemctl show")
    monkeypatch.setattr(socket_units, "run", lambda _command: failed)

    assert read_socket_units([MANAGER]) == failed


def test_a_users_sockets_are_read_from_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "etc/front.socket").write_text(
        "[Socket]\nListenStream=8080\nListenStream=/run/front\nListenStream=127.0.0.1:81\n"
        "Service=back.service\n"
    )
    (folder / "etc/back.service").write_text(
        '[Service]\nExecStart=/usr/bin/socat "-" TCP:[::1]:1\n'
    )
    asked = answering(monkeypatch, SHOWN)

    found = read_socket_units([process(700, name="systemd", user="root")])

    assert asked == []
    assert found == Known(
        (
            SocketUnit(
                name="front.socket",
                listens=("[::]:8080", "127.0.0.1:81"),
                service="back.service",
                arguments=Known(("/usr/bin/socat", "-", "TCP:[::1]:1"), "back.service"),
                owner="root",
            ),
        ),
        "unit files",
    )
