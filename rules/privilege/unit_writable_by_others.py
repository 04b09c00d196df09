"""Others may change how Ollama is started.

## What it checks

Only root may change the files that start Ollama: the systemd unit, its drop-ins and its
environment files, and the folders they are in. Of a user's own unit, that user may too.

## Why it matters

Whoever can write one of these files decides which program runs under Ollama's name, as which
user, and who can reach it. For a system service that is the way to root.

## Fix by hand

Give each file and folder that the evidence names back to root:

    sudo chown root: FILE
    sudo chmod go-w FILE

## Limits

A group that may write counts when it has members beside root. Access control lists are seen but
not read: where one is present the answer is unknown, and `getfacl FILE` shows it. Links are
followed, and the folders of both ends are judged.

## References

- CWE-732: Incorrect Permission Assignment for Critical Resource
- MITRE ATLAS AML.T0081 Modify AI Agent Configuration
- NIST CSF 2.0 PR.PS-01, PR.AA-05
- NIST SP 800-53 CM-6, AC-6
- CIS Controls v8.1 3.3 Configure Data Access Control Lists
- BSI SYS.1.1.A16 Sichere Installation und Grundkonfiguration von Servern
"""

from __future__ import annotations

from ollama_audit.rule import (
    Access,
    Disruption,
    FileRole,
    FileTree,
    Host,
    Outcome,
    Remedy,
    Repair,
    Severity,
    SystemdUnit,
    Trusted,
    Unknown,
    failed,
    known_or,
    need,
    not_applicable,
    passed,
    repairs,
    rule,
    unread,
)


def _access(host: Host) -> Access:
    """Why others may change the files, with what could not be read."""
    tree = FileTree(host.snapshot.files)
    owners = _owners(host)
    access = Access()
    for fact in tree.having(FileRole.UNIT, FileRole.ENVIRONMENT_FILE):
        trusted = Trusted().including(None, owners.get(fact.path, ""))
        access += tree.writable(fact.pid, fact.path, trusted)
    return access


def _owners(host: Host) -> dict[str, str]:
    """Whose the files of a user's own service manager are."""
    return {
        path: unit.owner
        for unit in known_or(host.snapshot.units, ())
        if unit.owner
        for path in (
            *(file.path for file in unit.files),
            *(file.path for file in unit.environment_files),
        )
    }


def _repairs(host: Host) -> tuple[Repair, ...]:
    return repairs(host.snapshot.files, _access(host).weak, owner="root:root")


@rule(
    severity=Severity.HIGH,
    remedies=(
        Remedy(
            name="permissions",
            title="let only root change how Ollama is started",
            applies=lambda host: bool(_repairs(host)),
            disruption=Disruption.NONE,
            values=lambda host: {"repairs": _repairs(host)},
        ),
    ),
)
def unit_writable_by_others(host: Host) -> Outcome:
    """Judge the unit files and environment files, and the folders above them."""
    facts = FileTree(host.snapshot.files).having(FileRole.UNIT, FileRole.ENVIRONMENT_FILE)
    access, owners = _access(host), _owners(host)
    if access.weak:
        paths = ", ".join(dict.fromkeys(evidence.source for evidence in access.weak))
        return failed(f"Others may change how Ollama is started: {paths}", access.weak)
    units = need(host.snapshot.units)
    known = {fact.path for fact in facts}
    missed = [
        Unknown("nobody looked at it", path)
        for unit in units
        for path in _paths(unit)
        if path not in known
    ]
    if access.unread or missed:
        return unread(*access.unread, *missed)
    if not facts:
        return not_applicable("no unit of a service manager starts Ollama")
    return passed("Only root may change how Ollama is started" + (" (and its user)" * bool(owners)))


def _paths(unit: SystemdUnit) -> tuple[str, ...]:
    return (*(f.path for f in unit.files), *(f.path for f in unit.environment_files))
