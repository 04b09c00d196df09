"""Reads the whole host, once."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ollama_audit import __version__
from ollama_audit.collect.environment import read_environment_sources
from ollama_audit.collect.files import read_files
from ollama_audit.collect.namespaces import read_namespaces
from ollama_audit.collect.ollama import ask, unasked
from ollama_audit.collect.platform import read_platform, read_privileges
from ollama_audit.collect.proc import describe, environment_of
from ollama_audit.collect.processes import Scan, runners_of, scan
from ollama_audit.collect.proxies import read_proxies
from ollama_audit.collect.systemd import read_units
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.host import HostSnapshot, Installation
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.platform import InitSystem
from ollama_audit.snapshot.process import OllamaServer, Process, Setting
from ollama_audit.snapshot.service import SystemdUnit

_BINARIES = (
    "/usr/local/bin/ollama",
    "/usr/bin/ollama",
    "/bin/ollama",
    "/opt/ollama/bin/ollama",
    "/snap/bin/ollama",
    "/home/linuxbrew/.linuxbrew/bin/ollama",
)
_STORES = ("/usr/share/ollama/.ollama/models", "/var/lib/ollama", "/root/.ollama/models")


def collect(*, probe: bool = True) -> HostSnapshot:
    """Read the host; nothing is changed, and nothing leaves it.

    Without `probe` the servers are not asked about themselves.
    """
    started = datetime.now(UTC)
    found = scan()
    running = [p for p in map(describe, known_or(found.servers, ())) if p is not None]
    units = _units(running)
    namespaces = read_namespaces(process.pid for process in running)
    servers = [_server(process, found, namespaces, probe=probe) for process in running]
    installed = _installations(known_or(units, ()))
    owners = _owners(known_or(namespaces, ()), {process.pid for process in running})
    sources, gaps = read_environment_sources(running)
    return HostSnapshot(
        tool_version=__version__,
        started_at=started,
        platform=read_platform(),
        privileges=read_privileges(),
        servers=_known_servers(found, servers),
        unseen_processes=found.unseen,
        installations=installed,
        namespaces=namespaces,
        processes=owners,
        proxies=read_proxies(owners),
        units=units,
        environment_sources=sources,
        environment_gaps=gaps,
        files=read_files(
            servers,
            known_or(units, ()),
            (each.path for each in installed if each.kind == "binary"),
        ),
    )


def _known_servers(
    found: Scan, servers: Sequence[OllamaServer]
) -> Observed[tuple[OllamaServer, ...]]:
    if isinstance(found.servers, Unknown):
        return found.servers
    return Known(tuple(servers), found.servers.source)


def _units(running: Sequence[Process]) -> Observed[tuple[SystemdUnit, ...]]:
    if read_platform().init is not InitSystem.SYSTEMD:
        return Known((), "process 1 is not systemd")
    return read_units(running)


def _server(
    process: Process,
    found: Scan,
    namespaces: Observed[tuple[NetworkNamespace, ...]],
    *,
    probe: bool,
) -> OllamaServer:
    environment = environment_of(process.pid)
    home = _variable(environment, "HOME")
    models = _models(environment, home)
    own_mounts = known_or(process.own_mounts, default=False)
    answers = unasked("asking was turned off", "leave out --no-probe")
    if probe:
        store = models
        if own_mounts and isinstance(models, Known):
            store = Known(f"/proc/{process.pid}/root{models.value}", models.source)
        answers = ask(process.pid, _listeners(process, known_or(namespaces, ())), store)
    return OllamaServer(
        process=process,
        environment=environment,
        runners=runners_of(process.pid, found.runners),
        models_directory=models,
        home=home,
        api=answers,
    )


def _variable(environment: Observed[tuple[Setting, ...]], name: str) -> Observed[str]:
    """A variable of a process; of equal names Go reads the first."""
    if isinstance(environment, Unknown):
        return environment
    for setting in environment.value:
        if setting.name == name and setting.value is not None:
            return Known(setting.value, environment.source)
    return Unknown(f"{name} is not set", environment.source)


def _models(environment: Observed[tuple[Setting, ...]], home: Observed[str]) -> Observed[str]:
    """OLLAMA_MODELS, or `$HOME/.ollama/models` (Ollama envconfig/config.go Models())."""
    named = _variable(environment, "OLLAMA_MODELS")
    if isinstance(named, Known) and (chosen := named.value.strip().strip("\"'")):
        return Known(chosen, named.source)
    if isinstance(home, Unknown):
        return home
    return Known(posixpath.join(home.value, ".ollama", "models"), home.source)


def _listeners(process: Process, namespaces: Iterable[NetworkNamespace]) -> list[Listener]:
    """The sockets that a process holds in its own namespace."""
    inode = known_or(process.network_namespace, 0)
    return [
        listener
        for namespace in namespaces
        if namespace.inode == inode
        for listener in known_or(namespace.listeners, ())
        if process.pid in known_or(listener.owners, ())
    ]


def _owners(namespaces: Iterable[NetworkNamespace], done: set[int]) -> tuple[Process, ...]:
    """The other processes that hold a listening socket, by pid."""
    pids = {
        pid
        for namespace in namespaces
        for listener in known_or(namespace.listeners, ())
        for pid in known_or(listener.owners, ())
    }
    return tuple(p for p in map(describe, sorted(pids - done)) if p is not None)


def _installations(units: Iterable[SystemdUnit]) -> tuple[Installation, ...]:
    """Signs of an Ollama that may not be running."""
    found = [Installation(path=path, kind="binary") for path in _BINARIES if Path(path).is_file()]
    found += [Installation(path=f.path, kind="unit") for unit in units for f in unit.files[:1]]
    for store in _STORES:
        try:
            present = Path(store, "manifests").is_dir()
        except PermissionError:
            present = False
        if present:
            found.append(Installation(path=store, kind="models"))
    return tuple(found)
