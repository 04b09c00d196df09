"""A socket that systemd holds for a service (systemd.socket(5)), before the service runs."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.exposure.forwarders.relays.target import HOST_PORT
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process, names_of


def started_for(terrain: Terrain, listener: Listener, process: Process) -> Process | Onward:
    """The service's process as it will be, once somebody connects; or why it is not known.

    It keeps the id of the manager that holds the socket for it.
    """
    sockets = terrain.snapshot.socket_units
    if isinstance(sockets, Unknown):
        return unclear(process, sockets.reason, kind="relay", cure=sockets.cure)
    owner = "" if process.pid == 1 else process.user
    for unit in sockets.value:
        if unit.owner != owner or not any(_same(each, listener) for each in unit.listens):
            continue
        if isinstance(unit.arguments, Unknown):
            return unclear(process, unit.arguments.reason, cure=unit.arguments.cure)
        names = names_of("", unit.arguments.value)
        return replace(
            process,
            name=names[0] if names else unit.service,
            executable=Known(unit.arguments.value[0] if unit.arguments.value else "", "systemctl"),
            arguments=unit.arguments,
            unit=unit.service,
        )
    reason = f"systemd listens at {listener} for a unit that was not found"
    cure = "systemctl list-sockets --all"
    return unclear(process, reason, cure=cure)


def _same(text: str, listener: Listener) -> bool:
    """Whether `Listen=` of `systemctl show` names this socket."""
    found = HOST_PORT.match(text)
    return found is not None and (
        int(found["port"]) == listener.port
        and (found["v6"] or found["host"]) in {listener.address, str(listener.ip)}
    )
