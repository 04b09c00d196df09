"""Containers by process, network namespace and published port, and what to call them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from ollama_audit.observed import Known, Unknown, known_or
from ollama_audit.snapshot.container import (
    Container,
    ContainerEngine,
    ContainerNetwork,
    PublishedPort,
)
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

Names: TypeAlias = tuple[str, ...]
"""The addresses of a name."""

_WITHOUT_NAMES = frozenset({"bridge", "host", "none", "podman"})


@dataclass(frozen=True, slots=True)
class Contained:
    """A container and its engine."""

    engine: ContainerEngine
    container: Container

    def __str__(self) -> str:
        return f"container {self.container.name or self.container.id[:12]} ({self.engine})"


class Containers:
    """The containers of a host, looked up as the search for ways to Ollama meets them."""

    def __init__(self, snapshot: HostSnapshot) -> None:
        self._engines = snapshot.engines

    @cached_property
    def _running(self) -> tuple[Contained, ...]:
        return tuple(
            Contained(engine, container)
            for engine in self._engines
            for container in known_or(engine.containers, ())
            if container.running
        )

    @cached_property
    def _by_id(self) -> dict[str, Contained]:
        return {each.container.id: each for each in self._running}

    @cached_property
    def _by_pid(self) -> dict[int, Contained]:
        return {each.container.pid: each for each in self._running if each.container.pid}

    @cached_property
    def _by_namespace(self) -> dict[int, Contained]:
        # Of those that share one, whoever was given it publishes its ports.
        borrowing = [each.container.network_mode.startswith("container:") for each in self._running]
        order = sorted(zip(borrowing, self._running, strict=True), key=lambda pair: not pair[0])
        return {each.container.network_namespace: each for _, each in order}

    def name_of(self, process: Process) -> str:
        """`container NAME (ENGINE)` for a process in one; empty for a process of the host."""
        if process.container in self._by_id:
            return str(self._by_id[process.container])
        if process.pid in self._by_pid:
            return str(self._by_pid[process.pid])
        return _unnamed(process.container)

    def name_of_network(self, namespace: NetworkNamespace, inhabitants: list[Process]) -> str:
        """What to call a namespace that is not the host's: its container, else its own name."""
        if namespace.inode in self._by_namespace:
            return str(self._by_namespace[namespace.inode])
        names = sorted({_unnamed(process.container) for process in inhabitants} - {""})
        return (names[0] if names else "") or f"namespace {namespace.name or namespace.inode}"

    def network_mode(self, namespace: NetworkNamespace) -> str:
        """How its engine connected a container's namespace; empty for one of no container."""
        found = self._by_namespace.get(namespace.inode)
        return found.container.network_mode if found else ""

    def names_for(self, pids: Iterable[int], processes: Iterable[Process]) -> dict[str, Names]:
        """The names that the engine's own resolver tells a process in a container.

        Docker's at 127.0.0.11 and podman's aardvark-dns know the containers of the networks that
        both are in, but for the network that every container gets unasked (Docker docs,
        "Container networking"; podman-network-create(1), `--disable-dns`).
        """
        wanted = set(pids)
        ids = {process.container for process in processes if process.pid in wanted}
        mine = [
            each
            for each in self._running
            if each.container.id in ids or each.container.pid in wanted
        ]
        found: dict[str, Names] = {}
        for me in mine:
            near = {network.name for network in me.container.networks} - _WITHOUT_NAMES
            for each in self._running:
                for network in each.container.networks if each.engine is me.engine else ():
                    if network.name in near:
                        for name in _called(each.container, network):
                            found[name] = (*found.get(name, ()), *network.addresses)
        return found

    def publishing(self, listener: Listener, uid: int) -> Iterator[tuple[Contained, PublishedPort]]:
        """The running containers of a user's engines that are published at this socket."""
        for each in self._running:
            for port in each.container.ports:
                if each.engine.uid != uid or port.host_port != listener.port:
                    continue
                if listener.wildcard if port.everywhere else port.address == str(listener.ip):
                    yield each, port

    def unread(self, uid: int) -> Unknown | None:
        """Why the containers of a user are not known; None when they are."""
        engines = [engine for engine in self._engines if engine.uid == uid]
        return next((e.containers for e in engines if not isinstance(e.containers, Known)), None)


def _called(container: Container, network: ContainerNetwork) -> set[str]:
    """The names of a container in a network: compose gives it that of its service."""
    service = container.labels.get("com.docker.compose.service", "")
    names = {container.name, container.id[:12], service, *network.names}
    return {name.lower() for name in names if name}


def _unnamed(identity: str) -> str:
    """A container of which only its control group tells: an id, or a machine's name."""
    if not identity or identity.startswith("pid:["):
        return ""
    plain = len(identity) == 64 and all(digit in "0123456789abcdef" for digit in identity)
    return f"container {identity[:12] if plain else identity}"
