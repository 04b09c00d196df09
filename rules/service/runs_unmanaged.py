"""An Ollama server runs that no service manager knows.

## What it checks

Every running Ollama server belongs to a unit of systemd, the system's or a user's, or to a
container.

## Why it matters

A server that somebody started by hand has settings of its own, often another port and every
address, runs with that person's rights, and escapes every setting, update and log of the managed
one. Hardening the service leaves it as it is.

## Fix by hand

Ask its owner to stop it (`kill PID`), and to use the service: the command `ollama` finds it at
127.0.0.1:11434. Where a second server is meant, give it a unit.

## Limits

Service managers other than systemd are not asked; on such a host this rule does not apply.

## References

- NIST CSF 2.0 ID.AM-02, PR.PS-05
- NIST SP 800-53 CM-8, CM-11
- CIS Controls v8.1 2.3 Address Unauthorized Software
- BSI SYS.1.1.A6 Deaktivierung nicht benötigter Dienste
"""

from __future__ import annotations

import re

from ollama_audit.rule import (
    Evidence,
    Host,
    InitSystem,
    OllamaServer,
    Outcome,
    Severity,
    failed,
    known_or,
    need,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)


@rule(severity=Severity.MEDIUM)
def runs_unmanaged(host: Host) -> Outcome:
    """Judge who started each server."""
    if host.snapshot.platform.init is not InitSystem.SYSTEMD:
        return not_applicable("process 1 is not systemd")
    if known_or(host.snapshot.platform.container, ""):
        return not_applicable("this is a container: what runs in it is its engine's to manage")
    servers = known_or(host.snapshot.servers, ())
    stray = [server for server in servers if not _managed(server)]
    if stray:
        who = ", ".join(f"process {s.pid} of {s.process.user or 'an unknown user'}" for s in stray)
        return failed(
            f"No service manager runs this Ollama: {who}",
            tuple(
                Evidence(
                    f"process {server.pid}",
                    f"started by process {server.process.parent}, in "
                    f"{server.process.unit or 'no unit'}",
                )
                for server in stray
            ),
        )
    if doubts := unseen(host.snapshot):
        return unread(*doubts)
    if not need(host.snapshot.servers):
        return not_applicable("no Ollama server is running")
    return passed("A service manager runs every Ollama server")


_NOT_ITS_OWN = re.compile(
    r"(?:user@.*|ssh|sshd|sshd@.*|dropbear.*|getty@.*|serial-getty@.*|console-getty"
    r"|anacron|atd|cron|crond|cronie|fcron|rc-local|gdm\d?|lightdm|sddm|display-manager"
    r"|tmux.*|screen.*)\.service"
)
"""Services whose children are what somebody started, not services of their own."""


def _managed(server: OllamaServer) -> bool:
    """In a service of its own: not in `session-3.scope`, and not what cron or ssh started."""
    unit = server.process.unit
    if server.process.container:
        return True
    return unit.endswith(".service") and not _NOT_ITS_OWN.fullmatch(unit)
