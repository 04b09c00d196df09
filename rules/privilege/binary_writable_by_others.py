"""Others may replace the program that Ollama runs.

## What it checks

Only root may change Ollama's binary, the folders on the PATH of its service, and every folder
above them. Of a server that a user runs on their own, that user may too.

## Why it matters

Whoever can write the binary, or put another program of the same name in front of it, has their
program run by the service. Ollama's install script copies the PATH of the person who runs it into
the unit, with folders of their home.

## Fix by hand

    sudo chown root: FILE && sudo chmod go-w FILE

For a folder that belongs on nobody's PATH, take it out: `sudo systemctl edit ollama`, and set
`Environment="PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"`.

## Limits

A group that may write counts when it has members beside root. Access control lists are seen but
not read: where one is present the answer is unknown. Libraries that the binary loads are not
judged.

## References

- CWE-732: Incorrect Permission Assignment for Critical Resource
- CWE-427: Uncontrolled Search Path Element
- MITRE ATLAS AML.T0010.001 AI Supply Chain Compromise: AI Software
- NIST CSF 2.0 PR.PS-05, PR.AA-05
- NIST SP 800-53 SI-7, AC-6
- CIS Controls v8.1 3.3 Configure Data Access Control Lists
- BSI SYS.1.3.A4 Schutz vor Ausnutzung von Schwachstellen in Anwendungen
"""

from __future__ import annotations

from ollama_audit.rule import (
    Access,
    Disruption,
    FileFact,
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
    unseen,
)


def _access(host: Host) -> Access:
    """Why others may change the files, with what could not be read."""
    tree = FileTree(host.snapshot.files)
    access = Access()
    for fact in tree.having(FileRole.BINARY, FileRole.PATH_FOLDER):
        access += tree.writable(fact.pid, fact.path, _trusted(host, fact))
    return access


def _repairs(host: Host) -> tuple[Repair, ...]:
    return repairs(host.snapshot.files, _access(host).weak, owner="root:root")


@rule(
    severity=Severity.HIGH,
    remedies=(
        Remedy(
            name="permissions",
            title="let only root replace the program",
            applies=lambda host: bool(_repairs(host)),
            disruption=Disruption.NONE,
            values=lambda host: {"repairs": _repairs(host)},
        ),
    ),
)
def binary_writable_by_others(host: Host) -> Outcome:
    """Judge the binaries and the PATH folders, and the folders above them."""
    facts = FileTree(host.snapshot.files).having(FileRole.BINARY, FileRole.PATH_FOLDER)
    access = _access(host)
    if access.weak:
        paths = ", ".join(dict.fromkeys(evidence.source for evidence in access.weak))
        return failed(f"Others may replace the program that Ollama runs: {paths}", access.weak)
    programs = [each.process.executable for each in known_or(host.snapshot.servers, ())]
    hidden = (program for program in programs if isinstance(program, Unknown))
    doubts = (*access.unread, *hidden, *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    if not any(fact.role is FileRole.BINARY for fact in facts):
        if not need(host.snapshot.servers) and not host.snapshot.installations:
            return not_applicable("Ollama is not installed")
        return unread(Unknown("Ollama's binary was not found", "files"))
    return passed("Only root may replace the program that Ollama runs")


def _trusted(host: Host, fact: FileFact) -> Trusted:
    """Root, and whoever runs this outside a system service: it is theirs to change."""
    units = () if fact.pid else known_or(host.snapshot.units, ())  # a container has no unit's
    users = [unit for unit in units if fact.path in (unit.executable, *_search_path(unit))]
    if any(not unit.owner for unit in users):
        return Trusted()
    trusted = Trusted()
    for unit in users:
        trusted = trusted.including(None, unit.owner)
    for server in known_or(host.snapshot.servers, ()):
        process = server.process
        same = fact.pid in (server.pid, 0) and known_or(process.executable, "") == fact.path
        if same and (process.unit_owner or not process.unit.endswith(".service")):
            uid = known_or(process.uid, -1)
            trusted = trusted.including(uid if uid >= 0 else None, process.user)
    return trusted


def _search_path(unit: SystemdUnit) -> list[str]:
    return [
        folder
        for setting in unit.environment
        if setting.name == "PATH"
        for folder in (setting.value or "").split(":")
    ]
