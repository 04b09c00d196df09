"""Ollama servers that the system's systemd manages: what a remedy can change by a drop-in.

A server in a container, of a user's own service manager, or started by hand has no such unit;
what to do about it is said in words, in the rule's manual.
"""

from __future__ import annotations

import re

import msgspec

from ollama_audit.observed import Known, known_or
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.platform import InitSystem
from ollama_audit.snapshot.process import OllamaServer
from ollama_audit.snapshot.service import SystemdUnit

_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,251}\.service")
"""systemd.unit(5): what a unit name may consist of; anything else is not trusted in a script."""
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9:/.,_*\[\]-]*")
"""No quotes, spaces, `$`, `%` or `\\`: systemd.unit(5) and systemd.exec(5) treat them alike."""


class DropInSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that a drop-in of ours gives to a unit; see `environment.sh.j2`."""

    unit: str
    name: str
    value: str
    drop_in: str
    file: str
    """The environment file that the drop-in names."""

    @property
    def assignment(self) -> str:
        """As both files have it: `NAME=VALUE`."""
        return f"{self.name}={self.value}"


class ManagedServer(msgspec.Struct, frozen=True, kw_only=True):
    """A running server and its unit."""

    unit: SystemdUnit
    server: OllamaServer
    listeners: tuple[Listener, ...]
    """Its sockets in whatever network namespace, without those of its runners."""

    @property
    def folder(self) -> str:
        """Where drop-ins of the administrator go (systemd.unit(5) "Unit File Load Path")."""
        return f"/etc/systemd/system/{self.unit.name}.d"

    def drop_in(self, purpose: str, suffix: str = "conf") -> str:
        """The path of a drop-in of ours.

        Drop-ins apply in the order of their names: `zz-` is after the `override.conf` that
        `systemctl edit` writes, and `99-` would not be.
        """
        return f"{self.folder}/zz-ollama-audit-{purpose}.{suffix}"

    def takes(self, value: str) -> bool:
        """Whether `setting` can write this value."""
        return bool(_PLAIN_VALUE.fullmatch(value))

    def setting(self, purpose: str, name: str, value: str) -> DropInSetting:
        """What gives this variable to the unit.

        Raises:
            ValueError: The value holds what the two files would each read in their own way.
        """
        if not self.takes(value):
            raise ValueError(f"{name}: {value!r} cannot be written into a unit")
        return DropInSetting(
            unit=self.unit.name,
            name=name,
            value=value,
            drop_in=self.drop_in(purpose),
            file=self.drop_in(purpose, "env"),
        )

    @property
    def port(self) -> int:
        """The port that it listens on; Ollama's default where none was seen."""
        ports = [at.port for at in self.listeners]
        return min(ports, default=11434)


def managed_servers(snapshot: HostSnapshot) -> tuple[ManagedServer, ...]:
    """The servers that a unit of the system's systemd runs, by unit name."""
    if snapshot.platform.init is not InitSystem.SYSTEMD:
        return ()
    servers = {server.pid: server for server in known_or(snapshot.servers, ())}
    units = known_or(snapshot.units, ())
    return tuple(
        ManagedServer(unit=unit, server=server, listeners=_listeners(snapshot, server.pid))
        for unit in sorted(units, key=lambda unit: unit.name)
        if not unit.owner and _UNIT_NAME.fullmatch(unit.name)
        if (server := servers.get(unit.main_pid) or _in_unit(servers, unit)) is not None
        and not server.process.container
    )


def _in_unit(servers: dict[int, OllamaServer], unit: SystemdUnit) -> OllamaServer | None:
    """The server whose control group is the unit's, where a wrapper is the main process."""
    inside = [
        server
        for server in servers.values()
        if server.process.unit == unit.name and not server.process.unit_owner
    ]
    return inside[0] if inside else None


def _listeners(snapshot: HostSnapshot, pid: int) -> tuple[Listener, ...]:
    return tuple(
        listener
        for namespace in known_or(snapshot.namespaces, ())
        for listener in known_or(namespace.listeners, ())
        if isinstance(listener.owners, Known) and pid in listener.owners.value
    )
