"""Docker's containers, asked of its API on a Unix socket with GET requests that change nothing.

Only a Docker that runs is asked: where systemd holds the socket (docker.socket), connecting would
start Docker, and with it every container that has a restart policy. It runs when the process that
its pid file names is called dockerd (dockerd(8), `--pidfile`). Paths without a version get the
engine's own (Docker Engine API, "Versioned API").
"""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from ollama_audit.collect.containers.document import address, at, mapping, number, records, text
from ollama_audit.collect.containers.labels import labels, settings
from ollama_audit.collect.http import get_unix
from ollama_audit.collect.proc import denied, raw_arguments, user_name
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.container import (
    ClusterService,
    Container,
    ContainerEngine,
    ContainerNetwork,
    PublishedPort,
)

_LIMIT_S = 2.0
"""For all requests to one engine together."""
_MOST_STOPPED = 16
"""Of so many stopped containers the engine is asked what they would publish."""
_SETTINGS = (
    "default-network-opts",
    "firewall-backend",
    "host-gateway-ip",
    "ip",
    "ip6tables",
    "iptables",
    "userland-proxy",
)
_OPTIONS = (
    "com.docker.network.bridge.gateway_mode_ipv4",
    "com.docker.network.bridge.gateway_mode_ipv6",
    "com.docker.network.bridge.host_binding_ipv4",
    "com.docker.network.bridge.name",
    "com.docker.network.bridge.trusted_host_interfaces",
    "parent",
)
_SERVED_BY = "com.docker.network.driver.overlay"


def read_docker(uid: int, runtime: str) -> ContainerEngine | None:
    """The Docker whose files are in this folder: /run, or a user's /run/user/UID; None for none."""
    pid_file = f"{runtime}/docker.pid"
    pid = number(known_or(read_text(pid_file, limit=64, absent=""), "").strip())
    source = f"{runtime}/docker.sock"
    owner = user_name(uid) or str(uid) if uid else ""
    try:
        if not Path(source).exists() and not pid:
            return None
    except PermissionError as error:
        hidden = denied(error, source)
        return ContainerEngine(
            name="docker", owner=owner, uid=uid, source=source, containers=hidden
        )
    running = pid and known_or(read_text(f"/proc/{pid}/comm", absent=""), "").strip() == "dockerd"
    if not running:
        reason = "Docker is not running, and asking at its socket would start it"
        why = Unknown(reason, source, "sudo systemctl start docker, if it is in use")
        return ContainerEngine(name="docker", owner=owner, uid=uid, source=source, containers=why)
    arguments = known_or(raw_arguments(pid), ())
    source = _socket(arguments, source)
    asked = _Api(f"/proc/{pid}/root{source}" if not uid else source)
    containers = asked.containers(source)
    return ContainerEngine(
        name="docker",
        owner=owner,
        uid=uid,
        source=source,
        containers=containers,
        settings=_settings(arguments, uid, pid),
        services=asked.services() if isinstance(containers, Known) else (),
    )


def _socket(arguments: tuple[str, ...], default: str) -> str:
    """Where dockerd listens: `-H unix://PATH`; systemd hands it the default with `-H fd://`."""
    named = [value for option, value in pairwise(arguments) if option in {"-H", "--host"}]
    named += [word.partition("=")[2] for word in arguments if word.startswith(("-H=", "--host="))]
    paths = [value.removeprefix("unix://") for value in named if value.startswith("unix:///")]
    return default if default in paths or not paths else paths[0]


def _settings(arguments: tuple[str, ...], uid: int, pid: int) -> dict[str, str]:
    """The daemon's settings that decide who gets in, from its file and its command line.

    Docker refuses to start when both name the same one (dockerd(8), "Daemon configuration file").
    """
    home = (
        f"/proc/{pid}/root/etc/docker"
        if not uid
        else f"{Path(f'~{user_name(uid)}').expanduser()}/.config/docker"
    )
    named = [value for option, value in pairwise(arguments) if option == "--config-file"]
    named += [w.partition("=")[2] for w in arguments if w.startswith("--config-file=")]
    path = named[0] if named else posixpath.join(home, "daemon.json")
    try:
        document = mapping(json.loads(known_or(read_text(path, limit=1 << 20, absent="{}"), "{}")))
    except (ValueError, RecursionError):
        document = {}
    found = {name: _written(document[name]) for name in _SETTINGS if name in document}
    for word in arguments[1:]:
        name, equals, value = word.removeprefix("--").partition("=")
        if equals and name in _SETTINGS:
            found[name] = value
    return dict(sorted(found.items()))


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Api:
    """The API behind one socket; every answer has to come before one common deadline."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._deadline = time.monotonic() + _LIMIT_S

    def _get(self, path: str) -> Observed[Any]:
        source = f"GET {path} of Docker's API"
        cure = "docker ps, which asks the same, and then the log of Docker"
        try:
            status, _, body = get_unix(self._socket, path, self._deadline)
            if status == 200:
                return Known(json.loads(body), source)
        except TimeoutError:
            return Unknown("Docker did not answer in time", source, cure)
        except PermissionError:
            return Unknown("only root may ask Docker", source, "sudo ollama-audit")
        except OSError as error:
            return Unknown(f"Docker did not answer: {error.strerror or error}", source, cure)
        except (ValueError, RecursionError) as error:
            return Unknown(f"Docker's answer was not understood: {error}", source, cure)
        return Unknown(f"Docker answered with status {status}", source, cure)

    def containers(self, source: str) -> Observed[tuple[Container, ...]]:
        """Every container, running or not, by name."""
        listed = self._get("/containers/json?all=true")
        if isinstance(listed, Unknown):
            return listed
        networks = {text(at(n, "Name")): n for n in records(known_or(self._get("/networks"), None))}
        found = [self._container(record, networks) for record in records(listed.value)]
        stopped = [c for c in found if not c.running and c.seems_ollama][:_MOST_STOPPED]
        ports = {container.id: self._configured(container.id) for container in stopped}
        found = [
            container if container.id not in ports else _with_ports(container, ports[container.id])
            for container in found
        ]
        return Known(tuple(sorted(found, key=lambda c: (c.name, c.id))), source)

    def _container(self, record: dict[str, Any], networks: dict[str, Any]) -> Container:
        names = record.get("Names")
        attached = mapping(at(record, "NetworkSettings", "Networks"))
        mode = text(at(record, "HostConfig", "NetworkMode"))
        return Container(
            id=text(record.get("Id")),
            name=text(names[0] if isinstance(names, list) and names else "").lstrip("/"),
            image=text(record.get("Image")),
            running=record.get("State") in {"running", "paused", "restarting"},
            state=text(record.get("State")),
            network_mode="bridge" if mode == "default" else mode,
            networks=tuple(
                _network(name, attachment, networks)
                for name, attachment in sorted(attached.items())
            ),
            ports=tuple(_published(record.get("Ports"))),
            labels=labels(mapping(record.get("Labels")).items()),
        )

    def _configured(self, identity: str) -> Any:
        """What a container is created with (`GET /containers/ID/json`)."""
        return known_or(self._get(f"/containers/{identity}/json"), None)

    def services(self) -> tuple[ClusterService, ...]:
        """The services of the swarm that this node manages; none for any other."""
        found = [
            ClusterService(
                id=text(record.get("ID")),
                name=text(at(record, "Spec", "Name")),
                image=text(at(record, "Spec", "TaskTemplate", "ContainerSpec", "Image")).partition(
                    "@"
                )[0],
                ports=tuple(
                    PublishedPort(
                        host_port=number(port.get("PublishedPort")),
                        port=number(port.get("TargetPort")),
                    )
                    for port in records(at(record, "Endpoint", "Ports"))
                    if port.get("Protocol") == "tcp" and port.get("PublishMode") == "ingress"
                ),
            )
            for record in records(known_or(self._get("/services"), None))
        ]
        return tuple(sorted(found, key=lambda service: service.name))


def _network(name: str, attachment: object, networks: dict[str, Any]) -> ContainerNetwork:
    addresses = (text(at(attachment, key)) for key in ("IPAddress", "GlobalIPv6Address"))
    options = mapping(at(networks.get(name), "Options"))
    named = [at(attachment, key) for key in ("Aliases", "DNSNames")]
    aliases = [each for each_list in named if isinstance(each_list, list) for each in each_list]
    return ContainerNetwork(
        name=name,
        driver=text(at(networks.get(name), "Driver")),
        addresses=tuple(filter(None, addresses)),
        names=tuple(sorted({text(n) for n in aliases if text(n)})),
        options={key: text(options[key]) for key in _OPTIONS if key in options},
    )


def _published(ports: object) -> Iterator[PublishedPort]:
    """The published ones of `Ports`; both families of one on every address once."""
    found = [
        PublishedPort(
            address=address(port.get("IP")),
            host_port=number(port.get("PublicPort")),
            port=number(port.get("PrivatePort")),
        )
        for port in records(ports)
        if port.get("Type") == "tcp" and number(port.get("PublicPort"))
    ]
    found.sort(key=lambda port: (port.host_port, port.port, port.address))
    yield from dict.fromkeys(found)


def _with_ports(container: Container, inspected: object) -> Container:
    """A stopped container with the ports that it would publish."""
    bindings = mapping(at(inspected, "HostConfig", "PortBindings"))
    ports = [
        {
            "IP": binding.get("HostIp"),
            "PublicPort": number(binding.get("HostPort")),
            "PrivatePort": key.partition("/")[0],
            "Type": key.partition("/")[2],
        }
        for key, chosen in bindings.items()
        for binding in records(chosen)
    ]
    variables = at(inspected, "Config", "Env")
    return msgspec.structs.replace(
        container,
        ports=tuple(_published(ports)),
        environment=settings(variables if isinstance(variables, list) else ()),
    )
