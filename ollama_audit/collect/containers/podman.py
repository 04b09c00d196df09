"""Podman's containers, read from the files in which it keeps its state.

Its API is never asked: podman has no daemon, so that whoever connects to podman.socket starts one
(podman-system-service(1)). The state is in `libpod/bolt_state.db` below the folder for images
before podman 5.0 and in `db.sql` after it (podman libpod/boltdb_state.go, libpod/sqlite_state.go;
its database is not in WAL mode). Both hold the same JSON: how a container was created and how it is
(libpod/container_config.go, ContainerState of libpod/container.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ollama_audit.collect.containers import bolt
from ollama_audit.collect.containers.document import address, at, mapping, number, records, text
from ollama_audit.collect.containers.labels import labels, settings
from ollama_audit.collect.containers.quadlet import read_quadlets
from ollama_audit.collect.proc import denied, namespace_of, user_name
from ollama_audit.collect.read import read_bytes, read_text
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.container import (
    Container,
    ContainerEngine,
    ContainerNetwork,
    PublishedPort,
)

_LARGEST = 64 << 20
_STATES = ("unknown", "configured", "created", "running", "stopped", "paused", "exited")
"""ContainerStatus of podman's libpod/define/containerstate.go, by number."""
_RUNNING = frozenset({"running", "paused"})


def read_podman(uid: int, home: str) -> ContainerEngine | None:
    """The containers of one user, or of root; None where there are none and never were.

    Those that systemd would start count, unless podman has them already.
    """
    quadlets = read_quadlets(uid, home)
    storage = _storage(uid, home)
    paths = [f"{storage}/db.sql", f"{storage}/libpod/bolt_state.db"]
    try:
        source = next((path for path in paths if Path(path).exists()), "")
    except PermissionError as error:
        found: Observed[tuple[Container, ...]] = denied(error, storage)
    else:
        if not source and not quadlets:
            return None
        found = _containers(source) if source else Known((), quadlets[0].id)
    if isinstance(found, Known):
        units = {each.labels.get("PODMAN_SYSTEMD_UNIT") for each in found.value}
        more = (q for q in quadlets if q.labels["PODMAN_SYSTEMD_UNIT"] not in units)
        found = Known((*found.value, *more), found.source)
    return ContainerEngine(
        name="podman",
        owner=user_name(uid) or str(uid) if uid else "",
        uid=uid,
        source=found.source,
        containers=found,
    )


_GRAPHROOT = re.compile(r"(?m)^\s*(rootless_storage_path|graphroot)\s*=\s*[\"']([^\"']+)[\"']")


def _storage(uid: int, home: str) -> str:
    """The folder for images and state (containers-storage.conf(5), `graphroot`)."""
    default = f"{home}/.local/share/containers/storage" if uid else "/var/lib/containers/storage"
    files = [f"{home}/.config/containers/storage.conf"] if uid else []
    for path in (*files, "/etc/containers/storage.conf", "/usr/share/containers/storage.conf"):
        named = dict(_GRAPHROOT.findall(known_or(read_text(path, limit=1 << 20, absent=""), "")))
        wanted = "graphroot" if not uid or path in files else "rootless_storage_path"
        if wanted in named:
            user = user_name(uid)
            chosen = str(named[wanted]).replace("$HOME", home).replace("$UID", str(uid))
            return chosen.replace("$USER", user)
    return default


def _containers(path: str) -> Observed[tuple[Container, ...]]:
    file = read_bytes(path, limit=_LARGEST)
    if isinstance(file, Unknown):
        return file
    try:
        pairs = list(_sqlite(file.value) if path.endswith(".sql") else _bolt(file.value))
        found = [_container(mapping(json.loads(c)), mapping(json.loads(s))) for c, s in pairs]
    except (ValueError, RecursionError) as error:
        cure = "run ollama-audit again; if it stays: podman ps --all"
        return Unknown(f"podman's state was not understood: {error}", path, cure)
    return Known(tuple(sorted(found, key=lambda c: (c.name, c.id))), path)


def _bolt(file: bytes) -> Iterator[tuple[str, str]]:
    containers = bolt.root(file).get(b"ctr")
    if not isinstance(containers, bolt.Bucket):
        return
    for _, record in containers:
        if not isinstance(record, bolt.Bucket):
            continue
        found = dict(record)
        config, state = found.get(b"config"), found.get(b"state", b"{}")
        if isinstance(config, bytes) and isinstance(state, bytes):
            yield config.decode(errors="replace"), state.decode(errors="replace")


def _sqlite(file: bytes) -> Iterator[tuple[str, str]]:
    """The rows of a copy in memory: SQLite opens, locks and writes no file for it."""
    import sqlite3  # noqa: PLC0415 - slow to load, and needed only where podman keeps its state so

    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(file)
        query = "SELECT c.JSON, s.JSON FROM ContainerConfig c JOIN ContainerState s ON s.ID = c.ID"
        for config, state in connection.execute(query):
            yield _string(config), _string(state)
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()


def _string(value: object) -> str:
    """A value as text: podman 5 puts blobs into its columns of type TEXT (observed with 5.4.2)."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _container(config: dict[str, Any], state: dict[str, Any]) -> Container:
    code = number(state.get("state"))
    said = _STATES[code] if code < len(_STATES) else "stopping"
    pid = number(state.get("pid"))
    running = said in _RUNNING and _alive(pid, number(state.get("conmonPid")))
    variables = at(config, "spec", "process", "env")
    return Container(
        id=text(config.get("id")),
        name=text(config.get("name")),
        image=text(config.get("rootfsImageName")),
        running=running,
        state=said if running or said not in _RUNNING else "exited",
        pid=pid if running else 0,
        network_namespace=known_or(namespace_of(pid, "net"), 0) if running else 0,
        network_mode=_mode(config),
        networks=tuple(_networks(mapping(state.get("networkStatus")))),
        ports=tuple(_published(config)),
        environment=settings(variables if isinstance(variables, list) else ()),
        labels=labels(mapping(config.get("labels")).items()),
    )


def _alive(pid: int, monitor: int) -> bool:
    """Whether it still runs: after a crash the file names processes that are gone, or others."""
    stat = known_or(read_text(f"/proc/{pid}/stat", absent=""), "") if pid else ""
    fields = stat.rpartition(")")[2].split()
    return len(fields) > 1 and (not monitor or number(fields[1]) == monitor)


def _mode(config: dict[str, Any]) -> str:
    if other := text(config.get("netNsCtr")):
        return f"container:{other}"
    namespaces = records(at(config, "spec", "linux", "namespaces"))
    own = any(namespace.get("type") == "network" for namespace in namespaces)
    return text(config.get("networkMode")) or ("bridge" if own else "host")


def _networks(status: dict[str, Any]) -> Iterator[ContainerNetwork]:
    """Its networks and addresses (common/libnetwork/types StatusBlock)."""
    for name, block in sorted(status.items()):
        yield ContainerNetwork(
            name=name,
            addresses=tuple(
                text(subnet.get("ipnet")).partition("/")[0]
                for interface in mapping(at(block, "interfaces")).values()
                for subnet in records(at(interface, "subnets"))
            ),
        )


def _published(config: dict[str, Any]) -> Iterator[PublishedPort]:
    """`newPortMappings`, each a range of ports; `portMappings` before podman 4.0."""
    for mapped in records(config.get("newPortMappings")):
        if "tcp" not in text(mapped.get("protocol")).split(","):
            continue
        for step in range(min(number(mapped.get("range")) or 1, 65536)):
            yield _port(
                mapped.get("host_ip"),
                number(mapped.get("host_port")) + step,
                number(mapped.get("container_port")) + step,
            )
    for mapped in records(config.get("portMappings")):
        if mapped.get("protocol") == "tcp":
            yield _port(
                mapped.get("hostIP"),
                number(mapped.get("hostPort")),
                number(mapped.get("containerPort")),
            )


def _port(host: object, host_port: int, port: int) -> PublishedPort:
    return PublishedPort(address=address(host), host_port=host_port, port=port)
