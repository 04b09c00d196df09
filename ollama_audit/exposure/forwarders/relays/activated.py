"""A socket that systemd holds for a service (systemd.socket(5)), before the service runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ollama_audit.exposure.forwarders.relays.target import HOST_PORT
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process, names_of
from ollama_audit.snapshot.service import SocketUnit

_NAMED = frozenset({"/run/netns", "/var/run/netns"})
"""Where ip-netns(8) keeps the names."""


ALONE = 0
"""In place of the inode of a network namespace that has nothing but its own loopback."""


class Started(NamedTuple):
    """What systemd starts for a connection."""

    process: Process
    accepted: bool
    """It gets the connection as its input and output, and not the socket."""


def started_for(terrain: Terrain, listener: Listener, process: Process) -> Started | Onward:
    """The service's process as it will be, once somebody connects; or why it is not known.

    It keeps the id of the manager that holds the socket for it.
    """
    sockets = terrain.snapshot.socket_units
    if isinstance(sockets, Unknown):
        return unclear(process, sockets.reason, kind="relay", cure=sockets.cure)
    unit = held_by(sockets.value, listener, "" if process.pid == 1 else process.user)
    if unit is not None:
        if isinstance(unit.arguments, Unknown):
            return unclear(process, unit.arguments.reason, cure=unit.arguments.cure)
        network = _network(terrain, unit, process)
        if isinstance(network, Unknown):
            return unclear(process, network.reason, kind="relay", cure=network.cure)
        names = names_of("", unit.arguments.value)
        service = replace(
            process,
            name=names[0] if names else unit.service,
            executable=Known(unit.arguments.value[0] if unit.arguments.value else "", "systemctl"),
            arguments=unit.arguments,
            unit=unit.service,
            network_namespace=network,
        )
        return Started(service, unit.accepts)
    reason = f"systemd listens at {listener} for a unit that was not found"
    cure = "systemctl list-sockets --all"
    return unclear(process, reason, cure=cure)


def _network(terrain: Terrain, unit: SocketUnit, process: Process) -> Observed[int]:
    """The network namespace that the service will be in (systemd.exec(5), PrivateNetwork=)."""
    folder, _, name = unit.network_path.rpartition("/")
    if unit.network_path:
        for each in terrain.namespaces.values():
            if each.name == name and folder in _NAMED:
                return Known(each.inode, unit.service)
        reason = f"{unit.service} runs in {unit.network_path}, which was not read"
        return Unknown(reason, unit.service, f"systemctl cat {unit.service}")
    if not unit.private_network:
        return process.network_namespace
    for other in terrain.processes.values():
        if other.unit in unit.joins and not other.unit_owner:
            return other.network_namespace
    return Known(ALONE, unit.service)


def alone(terrain: Terrain, process: Process) -> bool:
    """Whether a service has a network to itself, so that it connects to nobody else."""
    sockets = known_or(terrain.snapshot.socket_units, ())
    return known_or(process.network_namespace, -1) == ALONE or any(
        unit.service == process.unit and unit.private_network and not unit.network_path
        for unit in sockets
    )


def held_by(sockets: Sequence[SocketUnit], listener: Listener, owner: str) -> SocketUnit | None:
    """The unit of a user's manager, or the system's, that a socket belongs to."""
    for unit in sockets:
        if unit.owner == owner and any(_same(each, listener) for each in unit.listens):
            return unit
    return None


def _same(text: str, listener: Listener) -> bool:
    """Whether `Listen=` of `systemctl show` names this socket."""
    found = HOST_PORT.match(text)
    return found is not None and (
        int(found["port"]) == listener.port
        and (found["v6"] or found["host"]) in {listener.address, str(listener.ip)}
    )
