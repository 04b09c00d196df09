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
    ProtectHome=yes
    ProtectKernelTunables=yes
    ProtectKernelModules=yes
    ProtectControlGroups=yes
    RestrictSUIDSGID=yes

and `sudo systemctl restart ollama`. Do not add PrivateDevices=yes or ProcSubset=pid: they hide the
GPU.

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

from ollama_audit.rule import (
    Evidence,
    Host,
    ManagedServer,
    Outcome,
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


@rule(severity=Severity.LOW)
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
