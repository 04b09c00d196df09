"""One step from a process that passes connections on towards Ollama."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ollama_audit.exposure.forwarders.clients import Clients
from ollama_audit.exposure.model import Encryption, Hop, Login
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

PASSES_BYTES = frozenset({"relay", "docker-proxy"})
"""Kinds of hops that pass on bytes as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """One way in which a process passes a connection on."""

    hop: Hop
    namespace: NetworkNamespace | None = None
    """Where it connects from; None when it is not known whether it connects to Ollama."""
    address: str = ""
    port: int = 0
    admits: Clients | None = None
    """Which sources it serves; None for everybody."""
    login: Login = Login.NONE
    login_because: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """The services that it asks who may pass; see `Gate`."""
    open_paths: tuple[str, ...] = ()
    only_paths: tuple[str, ...] = ()
    """The API paths that it lets through, where it is not all of them."""
    tls: Encryption = Encryption.PLAIN
    hosts: tuple[str, ...] | None = None
    """The Host headers it sends along; None when a client can choose them."""
    reason: str = ""
    """Why it is not known where it leads."""
    guess: bool = False
    """It is a program that merely might pass connections on, as any program may."""
    cure: str = ""


Forwarder: TypeAlias = Callable[[Terrain, NetworkNamespace, Listener, Process], tuple[Onward, ...]]
"""What one kind of program does with a connection to one of its listeners: its steps, none when
its configuration proves that this listener leads nowhere, or one without a namespace when it
cannot be said."""


def unclear(
    process: Process,
    reason: str,
    *,
    kind: str = "application",
    cure: str = "",
    guess: bool = False,
) -> Onward:
    """The step of a process of which it cannot be said where it leads, and why."""
    return Onward(
        hop=Hop(kind=kind, name=f"{process.name} ({process.pid})", pid=process.pid),
        login=Login.UNKNOWN,
        tls=Encryption.UNKNOWN,
        reason=reason,
        cure=cure,
        guess=guess,
    )
