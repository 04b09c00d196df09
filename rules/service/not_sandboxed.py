"""Ollama's service runs without a sandbox.

## What it checks

The unit of every managed server has the parts of systemd's sandbox that cost Ollama nothing:
NoNewPrivileges, PrivateTmp, ProtectSystem, ProtectHome (unless the models are in a home),
ProtectKernelTunables, ProtectKernelModules, ProtectControlGroups and RestrictSUIDSGID.

## Why it matters

Ollama parses model files that strangers made. Should one of them take the process over, the
sandbox is what keeps it from the rest of the machine: other people's files, the kernel's settings,
programs that raise privileges.

## Fix by hand

`sudo systemctl edit ollama`, add

    [Service]
    NoNewPrivileges=yes
    PrivateTmp=yes
    ProtectSystem=full
    ReadWritePaths=/usr/share/ollama
    ProtectHome=yes
    ProtectKernelTunables=yes
    ProtectKernelModules=yes
    ProtectControlGroups=yes
    RestrictSUIDSGID=yes

and `sudo systemctl restart ollama`. ReadWritePaths names the home of the service's user, because
ProtectSystem=full makes /usr read-only; add the models directory where it is elsewhere. Do not add
PrivateDevices=yes, ProtectClock=yes or ProcSubset=pid: they hide the GPU.

## Limits

Containers have a sandbox of another kind, which is not judged here. A server outside a unit has
none that a unit could give.

## References

- CWE-250: Execution with Unnecessary Privileges
- MITRE ATLAS AML.T0105 Escape to Host
- NIST SP 800-53 SC-39, AC-6
- CIS Controls v8.1 10.5 Enable Anti-Exploitation Features
- BSI SYS.1.1.A37 Kapselung von sicherheitskritischen Anwendungen und Betriebssystemkomponenten
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ollama_audit.rule import (
    Disruption,
    Evidence,
    Host,
    Known,
    ManagedServer,
    Outcome,
    Remedy,
    Severity,
    Unknown,
    failed,
    known_or,
    managed_servers,
    need,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)

_ENOUGH = {
    "NoNewPrivileges": {"yes"},
    "PrivateTmp": {"yes", "disconnected"},
    "ProtectSystem": {"yes", "full", "strict"},
    "ProtectHome": {"yes", "read-only", "tmpfs"},
    "ProtectKernelTunables": {"yes"},
    "ProtectKernelModules": {"yes"},
    "ProtectControlGroups": {"yes", "private", "strict"},
    "RestrictSUIDSGID": {"yes"},
}
"""What `systemctl show` prints where the part is there (systemd.exec(5))."""
_HOMES = ("/home/", "/root/", "/run/user/")


_MORE = {
    "LockPersonality": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "SystemCallArchitectures": "native",
}
"""Beyond what is asked for. All of it is in the NixOS unit, which sees every kind of GPU. Left out
of that one is what needs the host's devices listed: ProtectClock= allows one device, and thereby
no other (systemd.exec(5)), and DevicePolicy= none that is not named."""
_ASKED = {
    "NoNewPrivileges": "yes",
    "PrivateTmp": "yes",
    "ProtectSystem": "full",
    "ProtectHome": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictSUIDSGID": "yes",
}
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._-]*")


@dataclass(frozen=True, slots=True)
class _Cell:
    """A unit, and the drop-in that puts it into a sandbox."""

    unit: str
    drop_in: str
    text: str
    writable: tuple[str, ...]
    properties: tuple[tuple[str, str], ...]


def _cells(host: Host) -> tuple[_Cell, ...]:
    """A sandbox for every unit that has none, if nothing stands against it; else none."""
    lacking = [each for each in managed_servers(host.snapshot) if _lacking(each)]
    cells = [_cell(each) for each in lacking]
    return tuple(cell for cell in cells if cell) if all(cells) else ()


def _cell(each: ManagedServer) -> _Cell | None:
    models, home = each.server.models_directory, each.server.home
    program = known_or(each.server.process.executable, "/home/")
    if not isinstance(models, Known) or not isinstance(home, Known):
        return None
    # As root it owns nothing it could be given; and a program or a home in a home stays reachable
    # only without ProtectHome, which is asked for.
    at_home = f"{models.value}/".startswith(_HOMES)
    if known_or(each.server.process.uid, 0) == 0 or (
        not at_home and f"{home.value}/".startswith(_HOMES)
    ):
        return None
    if program.startswith(_HOMES) and not at_home:
        return None
    writable = tuple(dict.fromkeys([home.value, models.value]))
    if not all(_PLAIN_PATH.fullmatch(path) for path in writable):
        return None
    wanted = {name: value for name, value in _ASKED.items() if name != "ProtectHome" or not at_home}
    lines = wanted | _MORE | {"ReadWritePaths": " ".join(f"-{path}" for path in writable)}
    return _Cell(
        unit=each.unit.name,
        drop_in=each.drop_in("sandbox"),
        text="\n".join(["[Service]", *(f"{name}={value}" for name, value in lines.items())]),
        writable=writable,
        properties=tuple(wanted.items()),
    )


@rule(
    severity=Severity.LOW,
    remedies=(
        Remedy(
            name="systemd",
            title="put the service into a sandbox that leaves it its GPU",
            applies=lambda host: bool(_cells(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {"cells": _cells(host)},
            restarts=lambda host: tuple(cell.unit for cell in _cells(host)),
        ),
    ),
)
def not_sandboxed(host: Host) -> Outcome:
    """Judge the loaded properties of the unit of every managed server."""
    managed = managed_servers(host.snapshot)
    lacking = [(each, name) for each in managed for name in _lacking(each)]
    if lacking:
        units = ", ".join(dict.fromkeys(each.unit.name for each, _ in lacking))
        return failed(
            f"{units} runs without {len({name for _, name in lacking})} parts of the sandbox",
            tuple(
                Evidence(
                    f"systemctl show {each.unit.name}",
                    f"{name}={each.unit.properties.get(name, '')}",
                )
                for each, name in lacking
            ),
        )
    need(host.snapshot.servers)
    need(host.snapshot.units)
    if doubts := unseen(host.snapshot):
        return unread(*doubts)
    if not managed:
        return not_applicable("no running server belongs to a systemd unit")
    if missing := [each.unit.name for each in managed if not each.unit.properties]:
        return unread(Unknown("its properties were not read", f"systemctl show {missing[0]}"))
    return passed("The service is sandboxed")


def _lacking(each: ManagedServer) -> list[str]:
    if not each.unit.properties:
        return []
    models = f"{known_or(each.server.models_directory, '')}/"
    return [
        name
        for name, enough in _ENOUGH.items()
        if each.unit.properties.get(name, "") not in enough
        and not (name == "ProtectHome" and models.startswith(_HOMES))
    ]
