"""Others may change the models.

## What it checks

Only root and the user that Ollama runs as may change the models folder and the folders above it.

## Why it matters

A model is a program of a kind: its template and system prompt decide what every answer is, its
weights decide the rest, and a flaw in the parser makes a crafted file run code. Whoever can write
the folder can put such a file there, without a trace in Ollama's log.

## Fix by hand

    sudo chown -R ollama: /usr/share/ollama/.ollama/models
    sudo chmod -R go-w /usr/share/ollama/.ollama/models

The evidence names the folder when yours is elsewhere. Keep it out of `/tmp` and of shares that
others write.

## Limits

The folder is judged, and the ones above it, not every file in it. A group that may write counts
when it has other members; where an access control list is present the answer is unknown. Whoever
can reach the API can change models too: see the `reachable-from-...` rules.

## References

- CWE-732: Incorrect Permission Assignment for Critical Resource
- OWASP LLM04:2025 Data and Model Poisoning
- MITRE ATLAS AML.T0018 Manipulate AI Model
- NIST CSF 2.0 PR.DS-01, PR.AA-05
- NIST SP 800-53 SI-7, SC-28
- CIS Controls v8.1 3.3 Configure Data Access Control Lists
- BSI SYS.1.6.A19 Einbinden von Datenspeichern in Container
"""

from __future__ import annotations

from ollama_audit.rule import (
    Access,
    Disruption,
    FileRole,
    FileTree,
    Host,
    Known,
    Outcome,
    Remedy,
    Repair,
    Severity,
    Trusted,
    Unknown,
    failed,
    known_or,
    need,
    not_applicable,
    passed,
    repairs,
    rule,
    service_users,
    unread,
    unseen,
)


def _access(host: Host) -> Access:
    """Why others may change the models, with what could not be read."""
    tree = FileTree(host.snapshot.files)
    facts = {(fact.pid, fact.path) for fact in tree.having(FileRole.MODELS)}
    named = {
        (pid, server.models_directory.value)
        for server in known_or(host.snapshot.servers, ())
        if isinstance(server.models_directory, Known)
        for pid in (0, server.pid)
        if (pid, tree.real(pid, server.models_directory.value)) in facts
    }
    access = Access()
    for pid, path in sorted(facts | named):
        access += tree.writable(pid, path, _trusted(host, tree, pid, path))
    return access


def _repairs(host: Host) -> tuple[Repair, ...]:
    """Modes only: whose these ought to be is for people to say."""
    return repairs(host.snapshot.files, _access(host).weak, owner="")


@rule(
    severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            name="permissions",
            title="let only Ollama and root change the models",
            applies=lambda host: bool(_repairs(host)),
            disruption=Disruption.NONE,
            values=lambda host: {"repairs": _repairs(host)},
        ),
    ),
)
def models_writable_by_others(host: Host) -> Outcome:
    """Judge the models folders and the folders above them."""
    tree = FileTree(host.snapshot.files)
    facts = tree.having(FileRole.MODELS)
    access = _access(host)
    if access.weak:
        paths = ", ".join(dict.fromkeys(evidence.source for evidence in access.weak))
        return failed(f"Others may change the models: {paths}", access.weak)
    doubts = (*access.unread, *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    servers = need(host.snapshot.servers)
    known = {(fact.pid, fact.path) for fact in facts}
    for server in servers:
        place = need(server.models_directory)
        if not any((pid, tree.real(pid, place)) in known for pid in (0, server.pid)):
            return unread(Unknown("nobody looked at it", place))
    if not facts:
        return not_applicable("there is no models folder")
    return passed("Only Ollama and root may change the models")


def _trusted(host: Host, tree: FileTree, pid: int, path: str) -> Trusted:
    """Root and those who run a server on this folder; if nobody does, whoever the unit names."""
    place = f"{tree.real(pid, path)}/"
    using = [
        server
        for server in known_or(host.snapshot.servers, ())
        if pid in (0, server.pid)
        and isinstance(server.models_directory, Known)
        and place.startswith(f"{tree.real(pid, server.models_directory.value)}/")
    ]
    return service_users(using, known_or(host.snapshot.units, ()))
