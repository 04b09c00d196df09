r"""A container publishes Ollama on every address of the host.

## What it checks

No container that runs Ollama, or would run it when started, publishes its port on every address
of this machine (`-p 11434:11434`). Stopped containers and podman's quadlets count: the next start
opens them.

## Why it matters

Docker and rootful podman translate a published port before ufw's and firewalld's rules for this
machine see it, so that a firewall which denies everything does not keep anybody out. A container
that is stopped, or shut by one rule now, is open again after a start, a reload of the firewall or
an update.

## Fix by hand

Publish on loopback, and create the container again:

    docker run -d -p 127.0.0.1:11434:11434 ... ollama/ollama     # podman run: the same
    ports: ["127.0.0.1:11434:11434"]                             # compose.yaml
    PublishPort=127.0.0.1:11434:11434                            # a quadlet

`"ip": "127.0.0.1"` in /etc/docker/daemon.json makes that the default for `-p 11434:11434`. If some
machines need it, keep the others out before Docker's own rules, by the port that they asked for:

    iptables -I DOCKER-USER ! -s 192.168.1.0/24 -p tcp -m conntrack --ctorigdstport 11434 \
        --ctdir ORIGINAL -j DROP     # and ip6tables, if Docker has IPv6

A rootless container's port is an ordinary socket: the rules of ufw and firewalld hold there.

## Limits

This is what the engine was told; who gets through now is judged by the `reachable-from-...`
rules, and so this is of low severity. A container that does not run is taken for Ollama by its
image, its name or port 11434.

## References

- CWE-1327: Binding to an Unrestricted IP Address
- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 CM-7, SC-7
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
"""

from __future__ import annotations

from collections.abc import Iterator

from ollama_audit.rule import (
    Container,
    ContainerEngine,
    Evidence,
    Host,
    HostSnapshot,
    Outcome,
    PublishedPort,
    Severity,
    Unknown,
    failed,
    joined,
    known_or,
    not_applicable,
    passed,
    rule,
    unread,
)

_PORT = 11434


@rule(severity=Severity.LOW)
def container_published_on_every_address(host: Host) -> Outcome:
    """Judge the published ports of every container that runs Ollama or would."""
    found = [
        (engine, container, port)
        for engine in host.snapshot.engines
        for container in known_or(engine.containers, ())
        for port in _ports(host.snapshot, container)
    ]
    wide = [each for each in found if each[2].everywhere]
    if wide:
        names = dict.fromkeys(f"{container.name} ({engine})" for engine, container, _ in wide)
        verb = "publishes" if len(names) == 1 else "publish"
        return failed(
            f"{joined(names)} {verb} Ollama on every address of this machine",
            tuple(_evidence(*each) for each in wide),
        )
    doubts = [e.containers for e in host.snapshot.engines if isinstance(e.containers, Unknown)]
    if doubts:
        return unread(*doubts)
    if found:
        return passed("Every published port of Ollama's containers is on single addresses")
    return not_applicable("no container publishes a port of Ollama")


def _ports(snapshot: HostSnapshot, container: Container) -> Iterator[PublishedPort]:
    """The published ports that lead to Ollama in a container, or would."""
    inside = {
        listener.port
        for namespace in known_or(snapshot.namespaces, ())
        if container.running and namespace.inode == container.network_namespace
        for listener in known_or(namespace.listeners, ())
        for server in known_or(snapshot.servers, ())
        if server.pid in known_or(listener.owners, ())
    }
    if not inside and container.seems_ollama:
        inside = {_PORT}
    yield from (port for port in container.ports if port.port in inside)


def _evidence(engine: ContainerEngine, container: Container, port: PublishedPort) -> Evidence:
    source = container.id if container.state == "quadlet" else engine.containers.source
    verb = "publishes" if container.running else f"is {container.state}, and would publish"
    start = f"-p {port}" if port.host_port else f"-p {port.port}"
    narrow = f"-p 127.0.0.1:{port.host_port or port.port}:{port.port}"
    return Evidence(source, f"{container.name} {verb} {start}; safer: {narrow}")
