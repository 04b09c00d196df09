"""Interfaces by which nothing comes in although no packet filter says so: Tailscale's shields.

With `--shields-up` tailscaled drops every new connection from the tailnet before it hands packets
to its interface (tailscale ipn/prefs.go, ShieldsUp; wgengine/filter, NewShieldsUpFilter).
"""

from __future__ import annotations

import json

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.command_line import command_line
from ollama_audit.exposure.zones import version
from ollama_audit.firewall.answer import Decision, Effect, Query, Reach
from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.host import HostSnapshot

_USUAL = "tailscale0"


def shielded(snapshot: HostSnapshot) -> frozenset[tuple[int, str]]:
    """Network namespaces, by inode, and interfaces with their shields up."""
    processes = {process.pid: process for process in snapshot.processes}
    found = set()
    for configuration in snapshot.configurations:
        process = processes.get(configuration.pid)
        if configuration.program != "tailscaled" or process is None:
            continue
        if isinstance(configuration.running, Known) and _up(configuration.running.value):
            line = command_line(known_or(process.arguments, ()), ())
            inode = known_or(process.network_namespace, 0)
            found.add((inode, line.value("tun") or _USUAL))
    return frozenset(found)


def _up(told: str) -> bool:
    try:
        value = json.loads(told)
    except (ValueError, RecursionError):
        return False
    prefs = value.get("prefs") if isinstance(value, dict) else None
    return isinstance(prefs, dict) and prefs.get("ShieldsUp") is True


def stopped(query: Query) -> Reach:
    """The answer at such an interface: nobody gets through."""
    number = version(query.family)
    everyone, nobody = AddressSet.everything(number), AddressSet.nothing(number)
    why = "tailscaled lets nobody in (tailscale set --shields-up)"
    decision = Decision(effect=Effect.DROP, sources=everyone, detail=why)
    return Reach(
        query=query, surely=nobody, blocked=everyone, unknown=nobody, decisions=(decision,)
    )
