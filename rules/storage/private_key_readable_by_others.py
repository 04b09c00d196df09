"""Others can read Ollama's private key.

## What it checks

Only root and the user that Ollama runs as can read `id_ed25519` in the `.ollama` folder: by its
owner and mode, and by the folders on the way to it.

## Why it matters

The key is this machine's identity at ollama.com. Whoever has a copy can push models in your name
and use up your cloud plan, from anywhere and until the key is removed from the account.

## Fix by hand

    sudo chmod 600 /usr/share/ollama/.ollama/id_ed25519
    sudo chown ollama: /usr/share/ollama/.ollama/id_ed25519

If others may have read it, remove the key from your account at ollama.com, delete both
`id_ed25519` files and restart Ollama, which makes new ones.

## Limits

Copies elsewhere, such as backups and container images, are not found. A folder that lets nobody
by protects a readable key, and that counts as protected.

## References

- CWE-732: Incorrect Permission Assignment for Critical Resource
- CWE-522: Insufficiently Protected Credentials
- MITRE ATLAS AML.T0055 Unsecured Credentials
- NIST CSF 2.0 PR.AA-01, PR.DS-01
- NIST SP 800-53 IA-5, SC-28
- CIS Controls v8.1 3.3 Configure Data Access Control Lists
- BSI SYS.1.6.A8 Sichere Speicherung von Zugangsdaten bei Containern
- BSI CON.1.A4 Geeignetes Schlüsselmanagement
"""

from __future__ import annotations

from ollama_audit.rule import (
    Access,
    Disruption,
    FileFact,
    FileKind,
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
    """Why others may read the keys, with what could not be read."""
    tree = FileTree(host.snapshot.files)
    access = Access()
    for fact in tree.having(FileRole.PRIVATE_KEY):
        access += tree.readable(fact.pid, fact.path, _trusted(host, tree, fact))
    return access


def _repairs(host: Host) -> tuple[Repair, ...]:
    """Modes only: whose these ought to be is for people to say."""
    return repairs(host.snapshot.files, _access(host).weak, owner="", mode="go-rwx")


@rule(
    severity=Severity.HIGH,
    remedies=(
        Remedy(
            name="permissions",
            title="let only Ollama and root read the key",
            applies=lambda host: bool(_repairs(host)),
            disruption=Disruption.NONE,
            values=lambda host: {"repairs": _repairs(host)},
        ),
    ),
)
def private_key_readable_by_others(host: Host) -> Outcome:
    """Judge every private key of an Ollama server."""
    facts = FileTree(host.snapshot.files).having(FileRole.PRIVATE_KEY)
    access = _access(host)
    if access.weak:
        paths = ", ".join(dict.fromkeys(evidence.source for evidence in access.weak))
        return failed(f"Others can read Ollama's private key: {paths}", access.weak)
    servers = known_or(host.snapshot.servers, ())
    homes = (each.home for each in servers if isinstance(each.home, Unknown))
    doubts = (*access.unread, *homes, *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    if not facts and need(host.snapshot.servers):
        return unread(Unknown("nobody looked for a private key", "files"))
    if not any(
        isinstance(f.stat, Known) and f.stat.value.kind is not FileKind.MISSING for f in facts
    ):
        return not_applicable("there is no private key")
    return passed("Only Ollama and root can read Ollama's private key")


def _trusted(host: Host, tree: FileTree, fact: FileFact) -> Trusted:
    """Root and those in whose home the key is; if nobody runs there, whoever the unit names."""
    using = [
        server
        for server in known_or(host.snapshot.servers, ())
        if fact.pid in (0, server.pid)
        and isinstance(server.home, Known)
        and fact.path.startswith(f"{tree.real(fact.pid, server.home.value).rstrip('/')}/")
    ]
    return service_users(using, known_or(host.snapshot.units, ()))
