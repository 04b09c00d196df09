"""Where it was not possible to look, and a way to Ollama may therefore be missed."""

from __future__ import annotations

from collections.abc import Iterator

from ollama_audit.exposure.model import Gap
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import NetworkNamespace
from ollama_audit.words import plural

_AS_ROOT = "sudo ollama-audit"


def gaps(terrain: Terrain) -> Iterator[Gap]:
    """What was not read, a gap each."""
    snapshot = terrain.snapshot
    for subject, fact in (
        ("Ollama servers", snapshot.servers),
        ("network namespaces", snapshot.namespaces),
        ("processes", snapshot.unseen_processes),
    ):
        if isinstance(fact, Unknown):
            yield Gap(subject=subject, reason=fact.reason, cure=fact.cure)
    hidden = snapshot.unseen_processes
    if not isinstance(hidden, Unknown) and hidden.value:
        what = plural(hidden.value, "process hides what it runs", "processes hide what they run")
        reason = f"{what}; an Ollama server may be among them"
        yield Gap(subject="processes", reason=reason, cure=_AS_ROOT)
    for namespace in terrain.namespaces.values():
        yield from _of_namespace(namespace)
    for server in terrain.servers.values():
        inode = terrain.server_namespace(server)
        if isinstance(inode, Unknown):
            yield Gap(subject=f"Ollama {server.pid}", reason=inode.reason, cure=inode.cure)
        elif inode not in terrain.namespaces:
            reason = f"its network namespace {inode} could not be read"
            yield Gap(subject=f"Ollama {server.pid}", reason=reason, cure=_AS_ROOT)


def _of_namespace(namespace: NetworkNamespace) -> Iterator[Gap]:
    name = "the host" if namespace.host else f"namespace {namespace.name or namespace.inode}"
    for what, fact in (
        ("sockets", namespace.listeners),
        ("interfaces", namespace.interfaces),
        ("routes", namespace.routes),
    ):
        if isinstance(fact, Unknown):
            yield Gap(subject=f"{what} of {name}", reason=fact.reason, cure=fact.cure)
