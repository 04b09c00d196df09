"""Reverse proxies whose configuration is read and not followed."""

from __future__ import annotations

from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration, owners
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process


def unfollowed(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """Traefik: whether a listener leads to Ollama is not known.

    Traefik's routes may come from its providers (containers, a cluster), which no file names.
    """
    del namespace
    found = configuration(terrain, owners(listener, process))
    files = [
        file.path
        for file in (found.files if found else ())
        if not isinstance(file.text, Unknown) and "11434" in file.text.value
    ]
    where = f"; {files[0]} names port 11434" if files else ""
    reason = f"the configuration of {process.name} is not followed{where}"
    cure = f"look for a route to port 11434 in the configuration of {process.name}"
    return (unclear(process, reason, kind="reverse-proxy", cure=cure),)
