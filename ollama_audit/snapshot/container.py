"""Containers as their engines describe them: names, networks and published ports."""

from __future__ import annotations

import msgspec

from ollama_audit.observed import Observed
from ollama_audit.snapshot.process import Setting


class PublishedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP port of a container that its engine publishes on the host (`-p HOST:PORT:PORT`)."""

    address: str = ""
    """The host's address; empty for every address of both families."""
    host_port: int
    """0 where the engine chooses one at the start."""
    port: int
    """In the container."""

    @property
    def everywhere(self) -> bool:
        """Whether it is published on every address of the host."""
        return not self.address

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.host_port}:{self.port}" if host else f"{self.host_port}:{self.port}"


class ContainerNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """A network that a container is attached to."""

    name: str
    driver: str = ""
    """`bridge`, `macvlan`, `ipvlan`, `overlay`, ...; empty when the engine did not say."""
    addresses: tuple[str, ...] = ()
    """The container's addresses there."""
    names: tuple[str, ...] = ()
    """What else other containers there may call it, beside its name and the start of its id."""
    options: dict[str, str] = {}
    """Those of the network's driver that decide who gets in, such as
    `com.docker.network.bridge.gateway_mode_ipv4`."""


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container, running or not."""

    id: str
    """As it stands in its control group's name; the path of the file for a quadlet."""
    name: str
    image: str = ""
    running: bool
    state: str
    """In the engine's words: `running`, `exited`, `created`; `quadlet` for a unit file of
    podman's (podman-systemd.unit(5)) whose container does not exist."""
    pid: int = 0
    """Its first process; 0 when there is none or the engine did not say."""
    network_namespace: int = 0
    """The inode of its network namespace; 0 when it has none or it is not known."""
    network_mode: str = ""
    """`host`, `bridge`, `none`, `container:ID`, `slirp4netns`, `pasta`, or a network's name."""
    networks: tuple[ContainerNetwork, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    environment: tuple[Setting, ...] = ()
    """The variables of Ollama's that it is created with."""
    labels: dict[str, str] = {}
    """Those that say who made it (compose, swarm, systemd) and what a proxy makes of it
    (`traefik.`), with secrets masked."""

    @property
    def seems_ollama(self) -> bool:
        """Whether its image, its name or its ports say that it runs Ollama."""
        named = "ollama" in f"{self.image} {self.name}".lower()
        return named or any(port.port == 11434 for port in self.ports)


class ClusterService(msgspec.Struct, frozen=True, kw_only=True):
    """A service of a Docker swarm that publishes TCP ports on every node (the routing mesh)."""

    id: str
    name: str
    image: str = ""
    ports: tuple[PublishedPort, ...] = ()


class ContainerEngine(msgspec.Struct, frozen=True, kw_only=True):
    """A container engine, and what it says of its containers."""

    name: str
    """`docker`, `podman` or `kubernetes`."""
    owner: str = ""
    """The user of a rootless engine; empty for the system's."""
    uid: int = 0
    source: str
    """The socket or the file that was asked."""
    containers: Observed[tuple[Container, ...]]
    settings: dict[str, str] = {}
    """What of its configuration decides who gets in: Docker's `userland-proxy`, `iptables`,
    `ip6tables`, `ip`, `firewall-backend`."""
    services: tuple[ClusterService, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} of {self.owner}" if self.owner else self.name
