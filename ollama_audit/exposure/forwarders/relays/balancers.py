"""Relays that choose among servers: pen by load, sslh by what the client says first."""

from __future__ import annotations

from dataclasses import replace

from ollama_audit.exposure.forwarders.names import Takes
from ollama_audit.exposure.forwarders.relays.target import (
    arguments,
    not_understood,
    operands,
    toward,
    values,
)
from ollama_audit.exposure.forwarders.step import Onward
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_PEN_VALUED = frozenset(f"-{letter}" for letter in "ACEFGKLOTbceijlmopqtuwx")
_SSLH_PLACES = frozenset({"--http", "--anyprot"})


def pen(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`pen 8080 127.0.0.1:11434 10.0.0.9:11434` (pen(1) 0.34): `HOST[:PORT[:...]]` each."""
    words = arguments(process)[1:]
    servers = operands(words, _PEN_VALUED)[1:]
    if not servers or values(words, "-A", "-F", "-G", "-L", "-O"):
        return (not_understood(process),)  # client certificates, access lists, or UDP
    tls = Encryption.TLS if values(words, "-E") else Encryption.PLAIN
    parts = [server.split(":") for server in servers]
    places = [authority(host, (rest or [str(listener.port)])[0]) for host, *rest in parts]
    return tuple(
        replace(toward(terrain, namespace, process, place, Takes.FIRST), tls=tls)
        for place in places
    )


def sslh(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`sslh --listen 0.0.0.0:8080 --http 127.0.0.1:11434` (sslh(8) 1.20 and 2.0).

    A request goes where HTTP is led to, and otherwise where anything is. While it reads them,
    sslh cuts its own arguments at the colons (observed with 1.20).
    """
    del listener
    words = list(arguments(process)[1:])
    for place, word in enumerate(words[:-2]):
        if word in _SSLH_PLACES and words[place + 2].isdecimal():
            words[place + 1] += f":{words[place + 2]}"
    places = values(words, "--http") or values(words, "--anyprot")
    if not places or values(words, "-F", "--config"):
        return (not_understood(process),)
    return (toward(terrain, namespace, process, places[-1]),)
