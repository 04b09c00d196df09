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
    units = known_or(host.snapshot.units, ())
    owners = {path: unit.owner for unit in units for path in _paths(unit)}
    owners |= {tree.real(0, path): owner for path, owner in owners.items()}
    found = [fact.path for fact in tree.having(FileRole.UNIT, FileRole.ENVIRONMENT_FILE)]
    access = Access()
    for path in dict.fromkeys([*found, *owners]):
        access += tree.writable(0, path, Trusted().including(None, owners.get(path, "")))
    return access


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
    access = _access(host)
    if access.weak:
        paths = ", ".join(dict.fromkeys(evidence.source for evidence in access.weak))
        return failed(f"Others may change how Ollama is started: {paths}", access.weak)
    units = need(host.snapshot.units)
    if access.unread:
        return unread(*access.unread)
    if not any(_paths(unit) for unit in units):
        return not_applicable("no unit of a service manager starts Ollama")
    owned = sorted({unit.owner for unit in units if unit.owner})
    also = f", and {', '.join(owned)} their own" if owned else ""
    return passed(f"Only root may change how Ollama is started{also}")


def _paths(unit: SystemdUnit) -> tuple[str, ...]:
    """Its files; of a pattern in EnvironmentFile=, those that matched and set something."""
    sources = [
        path
        for file in unit.environment_files
        for path in (
            {s.path for s in known_or(file.settings, ())} if "*" in file.path else {file.path}
        )
    ]
    return (*(file.path for file in unit.files), *sources)
