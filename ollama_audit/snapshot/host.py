"""The root of a snapshot: one host, read once."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ollama_audit.observed import Known, Observed
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.container import ContainerEngine
from ollama_audit.snapshot.edge import Edge
from ollama_audit.snapshot.files import FileFact
from ollama_audit.snapshot.network import NetworkNamespace
from ollama_audit.snapshot.platform import Platform, Privileges
from ollama_audit.snapshot.probe import Probe
from ollama_audit.snapshot.process import OllamaServer, Process, Setting
from ollama_audit.snapshot.service import AddressLists, SocketUnit, SshSession, SystemdUnit

SCHEMA = "ollama-audit/snapshot/1"


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Signs that Ollama is installed, running or not."""

    path: str
    kind: str
    """`binary`, `unit`, `snap`, `homebrew`, `models`."""


class HostSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was read from one host, with what could not be read and why."""

    schema: str = SCHEMA
    tool_version: str
    started_at: datetime
    """Aware, UTC, on the host's own clock."""
    platform: Platform
    privileges: Privileges
    servers: Observed[tuple[OllamaServer, ...]]
    """Every Ollama server process, by ascending pid; `Unknown` when processes cannot be listed."""
    unseen_processes: Observed[int]
    """How many processes may be an Ollama server for all we can see: their executable is hidden,
    and their command line is hidden too or fits a renamed one."""
    installations: tuple[Installation, ...] = ()
    namespaces: Observed[tuple[NetworkNamespace, ...]]
    """The host's network namespace first, then by inode those that hold a process that matters."""
    processes: tuple[Process, ...] = ()
    """Owners of listening sockets in those namespaces, and forwarders, by ascending pid."""
    configurations: tuple[Configuration, ...] = ()
    """What programs that run and pass requests on were told to do, by the pid of their master."""
    engines: tuple[ContainerEngine, ...] = ()
    """Container engines: Docker's first, then podman's, each the system's before the users'."""
    units: Observed[tuple[SystemdUnit, ...]]
    """Units that run, ran or would run Ollama, the system's first."""
    socket_units: Observed[tuple[SocketUnit, ...]] = Known((), "systemd holds no TCP socket")
    """Sockets that systemd holds for services (systemd.socket(5)), by name."""
    address_lists: Observed[tuple[AddressLists, ...]] = Known((), "systemd filters no addresses")
    """Units with sockets that systemd filters, by name; those of servers are in `units`."""
    ssh_sessions: tuple[SshSession, ...] = ()
    """Sessions of the SSH server that hold a listening socket, by pid."""
    names: dict[str, tuple[str, ...]] = {}
    """Addresses by name, from /etc/hosts."""
    environment_sources: tuple[Setting, ...] = ()
    """Ollama variables set outside units: /etc/environment, profiles, snap; with path and line."""
    environment_gaps: tuple[str, ...] = ()
    """Such files that exist and could not be read."""
    files: tuple[FileFact, ...] = ()
    edge: Edge = Edge()
    """What stands between the host and the internet."""
    probes: Observed[tuple[Probe, ...]] = Known((), "nothing was asked")
    """What listeners answered to requests of this host's own, one entry a listener."""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema is {self.schema!r}, this program reads {SCHEMA!r}")
        if self.started_at.tzinfo is None:
            raise ValueError("started_at has no time zone")

    def process(self, pid: int) -> Process | None:
        """The process with this id, if the snapshot holds it."""
        return next((process for process in self.processes if process.pid == pid), None)
