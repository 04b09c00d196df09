"""Relays: programs that pass a TCP connection on as it is."""

from __future__ import annotations

from ollama_audit.exposure.forwarders.step import Onward
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process


def holds_only(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """A container engine that keeps a published port reserved and never answers at it.

    Translation takes the packets before they get there; moby
    daemon/libnetwork/portallocator/osallocator_linux.go, podman's conmon.
    """
    del terrain, namespace, listener, process
    return ()
