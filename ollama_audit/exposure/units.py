"""Whom systemd keeps from a socket: the address lists of the unit whose process made it.

The program that does so looks at the cgroup of the socket, and a socket that systemd makes for a
service is in that of its own unit (systemd.socket(5), systemd.resource-control(5)).
"""

from __future__ import annotations

from typing import TypeAlias

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.forwarders.relays.activated import held_by
from ollama_audit.exposure.sockets import admitted
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.service import AddressLists, SystemdUnit

_Lists: TypeAlias = dict[str, SystemdUnit | AddressLists | None]


def let_in_by_systemd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, version: int
) -> tuple[AddressSet, tuple[str, ...]]:
    """Whom systemd lets to a socket, and why that is not sure, if it is not."""
    everyone = AddressSet.everything(version)
    lists = _lists(terrain, namespace, listener)
    if isinstance(lists, Unknown):
        return everyone, (f"whom systemd keeps from {listener.shown}: {lists.reason}",)
    parts = {admitted(each, version) for each in lists.values()}
    if len(parts) > 1:
        return everyone, (f"which unit made {listener.shown} is not known",)
    return next(iter(parts), everyone), ()


def kept_out(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, source: int, version: int
) -> str:
    """What keeps a client from a socket; empty for nothing."""
    lists = _lists(terrain, namespace, listener)
    for unit, each in {} if isinstance(lists, Unknown) else lists.items():
        if source not in admitted(each, version):
            return f"IPAddressDeny= of {unit} or of its slices"
    return ""


def _lists(terrain: Terrain, namespace: NetworkNamespace, listener: Listener) -> _Lists | Unknown:
    """The lists of those units that may have made a socket, by their names."""
    owners = known_or(listener.owners, ())
    for pid in owners:
        if pid in terrain.servers:
            process = terrain.servers[pid].process
            return {process.unit: terrain.unit_of(process)}
    lists = terrain.snapshot.address_lists
    if isinstance(lists, Unknown) or not namespace.host:
        return lists if isinstance(lists, Unknown) and namespace.host else {}
    socket = held_by(known_or(terrain.snapshot.socket_units, ()), listener, "")
    processes = (terrain.processes.get(pid) for pid in owners)
    units = {process.unit for process in processes if process and not process.unit_owner}
    names = {socket.name} if socket and 1 in owners else units
    by_name = {each.unit: each for each in lists.value}
    return {name: by_name.get(name) for name in names}
