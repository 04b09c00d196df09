"""Reads the whole host, once."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from ollama_audit import __version__
from ollama_audit.collect.address_lists import read_address_lists
from ollama_audit.collect.configurations import read_configurations
from ollama_audit.collect.containers import placed, read_engines
from ollama_audit.collect.edge import Beyond
from ollama_audit.collect.environment import read_environment_sources
from ollama_audit.collect.files import read_files
from ollama_audit.collect.later import Later
from ollama_audit.collect.mentions import names_ollama
from ollama_audit.collect.names import read_names
from ollama_audit.collect.namespaces import read_namespaces
from ollama_audit.collect.ollama import ask, unasked
from ollama_audit.collect.platform import read_cloud, read_platform, read_privileges
from ollama_audit.collect.proc import CURE, describe, environment_of
from ollama_audit.collect.processes import Scan, runners_of, scan
from ollama_audit.collect.socket_units import read_socket_units
from ollama_audit.collect.ssh_sessions import read_ssh_sessions
from ollama_audit.collect.systemd import read_units
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.edge import Edge
from ollama_audit.snapshot.host import HostSnapshot, Installation
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.platform import InitSystem
from ollama_audit.snapshot.process import ApiAnswers, OllamaServer, Process, Setting
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


def collect(*, probe: bool = True, beyond: frozenset[Beyond] = frozenset()) -> HostSnapshot:
    """Read the host; nothing is changed, and nothing leaves it but the questions of `beyond`.

    Without `probe` the servers are not asked about themselves.
    """
    started = datetime.now(UTC)
    engines = Later(read_engines)
    found = scan()
    running = [p for p in map(describe, known_or(found.servers, ())) if p is not None]
    platform = read_platform()
    asked_units = Later(lambda: _units(platform.init, running))
    namespaces = read_namespaces((process.pid for process in running), besides=found.inhabitants)
    asked = [
        Later(partial(_ask, process, running, namespaces) if probe else _unprobed)
        for process in running
    ]
    owners = _others(
        known_or(namespaces, ()), found.forwarders, {process.pid for process in running}
    )
    sockets = Later(partial(read_socket_units, owners))
    lists = read_address_lists(owners) if platform.init is InitSystem.SYSTEMD else None
    edge = Later(partial(_edge, namespaces, beyond)) if beyond else None
    sources, gaps = read_environment_sources(running)
    units = asked_units.result()
    installed = _installations(known_or(units, ()))
    answers = [each.result() for each in asked]
    servers = [_server(*each, found.runners) for each in zip(running, answers, strict=True)]
    return HostSnapshot(
        tool_version=__version__,
        started_at=started,
        platform=platform,
        privileges=read_privileges(),
        servers=_known_servers(found, servers),
        unseen_processes=found.unseen,
        installations=installed,
        namespaces=namespaces,
        processes=owners,
        configurations=read_configurations(owners, known_or(namespaces, ()), probe=probe),
        engines=placed(engines.result(), known_or(namespaces, ())),
        units=units,
        socket_units=sockets.result(),
        address_lists=lists or Known((), "process 1 is not systemd"),
        names=read_names(),
        ssh_sessions=read_ssh_sessions(owners, known_or(namespaces, ())),
        environment_sources=sources,
        environment_gaps=gaps,
        files=read_files(
            servers,
            known_or(units, ()),
            (each.path for each in installed if each.kind == "binary"),
        ),
        edge=edge.result() if edge else Edge(cloud=read_cloud()),
    )


def _edge(namespaces: Observed[tuple[NetworkNamespace, ...]], beyond: frozenset[Beyond]) -> Edge:
    """What those beyond the host say who may be asked."""
    from ollama_audit.collect.edge.read import read_edge  # noqa: PLC0415 - few want it

    return read_edge(namespaces, beyond)


def _known_servers(
    found: Scan, servers: Sequence[OllamaServer]
) -> Observed[tuple[OllamaServer, ...]]:
    if isinstance(found.servers, Unknown):
        return found.servers
    return Known(tuple(servers), found.servers.source)


def _units(init: InitSystem, running: Sequence[Process]) -> Observed[tuple[SystemdUnit, ...]]:
    if init is not InitSystem.SYSTEMD:
        return Known((), "process 1 is not systemd")
    return read_units(running)


def _server(process: Process, answers: ApiAnswers, runners: Sequence[int]) -> OllamaServer:
    environment = environment_of(process.pid)
    home = _variable(environment, "HOME")
    return OllamaServer(
        process=process,
        environment=environment,
        runners=runners_of(process.pid, runners),
        models_directory=_models(environment, home),
        home=home,
        api=answers,
    )


def _unprobed() -> ApiAnswers:
    return unasked("asking was turned off", "leave out --no-probe")


def _ask(
    process: Process,
    running: Sequence[Process],
    namespaces: Observed[tuple[NetworkNamespace, ...]],
) -> ApiAnswers:
    """What a server says of itself, asked where it listens."""
    environment = environment_of(process.pid)
    store = _models(environment, _variable(environment, "HOME"))
    if known_or(process.own_mounts, default=False) and isinstance(store, Known):
        store = Known(f"/proc/{process.pid}/root{store.value}", store.source)
    hidden = False
    for namespace in known_or(namespaces, ()):
        if known_or(process.network_namespace, namespace.inode) != namespace.inode:
            continue
        listeners = known_or(namespace.listeners, ())
        if its_own := [each for each in listeners if _is_of(each, process, running)]:
            return ask(namespace.pid, its_own, store)
        uid = known_or(process.uid, -1)
        hidden = hidden or any(
            isinstance(each.owners, Unknown) and each.uid == uid for each in listeners
        )
    if hidden or isinstance(process.network_namespace, Unknown):
        return unasked("which socket is its own cannot be told", CURE if os.geteuid() else "")
    return unasked("the server has no listening socket")


def _is_of(listener: Listener, process: Process, running: Sequence[Process]) -> bool:
    """Whether a process holds a socket.

    Where its holders are hidden, its user is not: of a user with one server it can only be that
    server's or its runner's, and a runner does not know /api/version.
    """
    if isinstance(listener.owners, Known):
        return process.pid in listener.owners.value
    uid = known_or(process.uid, -1)
    alone = sum(known_or(each.uid, uid) == uid for each in running) == 1
    return alone and uid > 0 and listener.uid == uid


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


def _others(
    namespaces: Iterable[NetworkNamespace], forwarders: Iterable[int], done: set[int]
) -> tuple[Process, ...]:
    """The other processes that hold a listening socket or may pass requests on, by pid."""
    pids = set(forwarders) | {
        pid
        for namespace in namespaces
        for listener in known_or(namespace.listeners, ())
        for pid in known_or(listener.owners, ())
    }
    found = (process for process in map(describe, sorted(pids - done)) if process is not None)
    return tuple(replace(each, names_ollama=names_ollama(each.pid)) for each in found)


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
