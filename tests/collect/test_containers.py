"""Containers as their engines describe them, from what real engines said."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ollama_audit.collect.containers import bolt, docker, placed, podman, quadlet
from ollama_audit.collect.containers.docker import read_docker
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.container import Container, ContainerEngine, PublishedPort
from tests.hosts import namespace

STATE = Path(__file__).parents[1] / "captures/podman/4.3.1-rootless-bolt_state.db.gz"
"""After `podman run -d --name ollama -p 11434:11434 localhost/ollama` by a user, podman 4.3.1."""

STATE_5 = STATE.with_name("5.4.2-rootless-db.sql.gz")
"""After the same with podman 5.4.2, whose columns of type TEXT hold blobs."""

HASH = "$apr1$x$y"

LISTED: list[dict[str, Any]] = [
    {
        "Id": "c" * 64,
        "Names": ["/web"],
        "Image": "nginx",
        "Ports": [{"PrivatePort": 80, "Type": "tcp"}],
        "Labels": {
            "traefik.http.middlewares.a.basicauth.users": f"ada:{HASH},bob:{HASH}",
            "maintainer": "nobody",
        },
        "State": "running",
        "HostConfig": {"NetworkMode": "lan"},
        "NetworkSettings": {
            "Networks": {"lan": {"IPAddress": "192.168.77.40", "GlobalIPv6Address": ""}}
        },
    },
    {
        "Id": "a" * 64,
        "Names": ["/ollama"],
        "Image": "ollama/ollama",
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 11434, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 11434, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "127.0.0.1", "PrivatePort": 53, "PublicPort": 53, "Type": "udp"},
        ],
        "Labels": {},
        "State": "running",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    },
    {
        "Id": "b" * 64,
        "Names": ["/old"],
        "Image": "ollama/ollama:0.5.1",
        "Ports": [],
        "Labels": None,
        "State": "exited",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": ""}}},
    },
]
"""`GET /containers/json?all=true` in the shape of Docker 20.10.24."""

DOCUMENTS: dict[str, Any] = {
    "/containers/json?all=true": LISTED,
    "/networks": [
        {"Name": "bridge", "Driver": "bridge", "Options": {"com.docker.network.bridge.name": "d0"}},
        {"Name": "lan", "Driver": "macvlan", "Options": {"parent": "eth0"}},
    ],
    f"/containers/{'b' * 64}/json": {
        "HostConfig": {"PortBindings": {"11434/tcp": [{"HostIp": "", "HostPort": "11434"}]}},
        "Config": {"Env": ["OLLAMA_HOST=0.0.0.0", "API_KEY=hunter2"]},
    },
    "/services": [
        {
            "ID": "s1",
            "Spec": {"Name": "ai", "TaskTemplate": {"ContainerSpec": {"Image": "ollama@sha256:0"}}},
            "Endpoint": {
                "Ports": [
                    {
                        "Protocol": "tcp",
                        "TargetPort": 11434,
                        "PublishedPort": 9000,
                        "PublishMode": "ingress",
                    }
                ]
            },
        }
    ],
}


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Path]:
    """A folder like /run, and a process that is called dockerd."""
    program = tmp_path / "dockerd"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as running:
        (tmp_path / "docker.pid").write_text(str(running.pid))
        yield tmp_path
        running.kill()


@contextmanager
def listening(path: Path, answer: Any) -> Iterator[list[str]]:
    """An engine's socket; `answer` gives the body for a path, None for silence."""
    asked: list[str] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            connection, _ = server.accept()
            with connection:
                wanted = connection.recv(4096).decode().split(" ")[1:2]
                if not wanted:
                    continue
                asked.extend(wanted)
                body = answer(wanted[0])
                if body is None:
                    done.wait(5)
                    continue
                status = b"200 OK" if body else b"503 Service Unavailable"
                connection.sendall(b"HTTP/1.0 " + status + b"\r\n\r\n" + body)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        thread.join()
        server.close()


def said(path: str) -> bytes:
    return json.dumps(DOCUMENTS[path]).encode() if path in DOCUMENTS else b""


def containers(engine: ContainerEngine | None) -> dict[str, Container]:
    assert engine is not None
    assert isinstance(engine.containers, Known), engine.containers
    return {container.name: container for container in engine.containers.value}


def unread(engine: ContainerEngine | None) -> Unknown:
    assert engine is not None
    assert isinstance(engine.containers, Unknown), engine.containers
    return engine.containers


def test_docker_tells_its_containers_ports_networks_and_services(runtime: Path) -> None:
    with listening(runtime / "docker.sock", said) as asked:
        engine = read_docker(0, str(runtime))

    found = containers(engine)
    assert engine is not None
    assert (engine.name, engine.owner, str(engine)) == ("docker", "", "docker")
    assert list(found) == ["old", "ollama", "web"]
    assert found["ollama"].ports == (PublishedPort(host_port=8080, port=11434),)
    assert found["ollama"].network_mode == "bridge"
    assert found["ollama"].networks[0].addresses == ("172.17.0.2",)
    assert (found["web"].networks[0].driver, found["web"].ports) == ("macvlan", ())
    assert found["web"].networks[0].options == {"parent": "eth0"}
    assert found["old"].ports == (PublishedPort(host_port=11434, port=11434),)
    assert not found["old"].running
    assert [service.name for service in engine.services] == ["ai"]
    assert engine.services[0].ports == (PublishedPort(host_port=9000, port=11434),)
    # Only lists, and only of stopped containers that seem to be Ollama more.
    assert sorted(asked) == sorted(DOCUMENTS)


def test_secrets_of_containers_stay_out(runtime: Path) -> None:
    with listening(runtime / "docker.sock", said):
        found = containers(read_docker(0, str(runtime)))

    assert found["web"].labels == {
        "traefik.http.middlewares.a.basicauth.users": "ada:***,bob:***",
    }
    assert [(each.name, each.value) for each in found["old"].environment] == [
        ("OLLAMA_HOST", "0.0.0.0")
    ]


def test_a_docker_that_does_not_run_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "docker.pid").write_text(str(os.getpid()))  # left over, and now another program
    with listening(tmp_path / "docker.sock", said) as asked:
        why = unread(read_docker(0, str(tmp_path)))

    assert "not running" in why.reason
    assert why.cure
    assert asked == []


def test_where_docker_never_was_there_is_none(tmp_path: Path) -> None:
    assert read_docker(0, str(tmp_path)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root may read every file, and become nobody")
def test_what_a_user_may_not_see_of_another_users_engines_is_unknown(tmp_path: Path) -> None:
    (tmp_path / ".local/share/containers").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / ".local/share/containers"):
        folder.chmod(0o700)
    os.seteuid(65534)
    try:
        engines = [read_docker(1000, str(tmp_path)), podman.read_podman(1000, str(tmp_path))]
    finally:
        os.seteuid(0)

    assert [unread(engine).cure for engine in engines] == ["sudo ollama-audit"] * 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _: None, "in time"),
        (lambda _: b"", "status 503"),
        (lambda _: b"[{", "not understood"),
    ],
)
def test_a_docker_that_does_not_answer_is_unknown_with_a_cure(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, reason: str
) -> None:
    monkeypatch.setattr(docker, "_LIMIT_S", 0.2)
    with listening(runtime / "docker.sock", answer):
        why = unread(read_docker(0, str(runtime)))

    assert reason in why.reason
    assert why.cure


@pytest.mark.parametrize(
    "odd",
    [None, 5, [1, None], [{"Ports": 3, "Names": "x", "Labels": [], "NetworkSettings": "y"}]],
)
def test_an_answer_of_another_shape_does_no_harm(runtime: Path, odd: Any) -> None:
    with listening(runtime / "docker.sock", lambda _: json.dumps(odd).encode()):
        found = containers(read_docker(0, str(runtime)))

    assert all(container.ports == () for container in found.values())


def test_the_control_group_places_a_container() -> None:
    first = Container(id="me", name="me", running=True, state="running")
    engine = ContainerEngine(
        name="docker", source="socket", containers=Known((first, replace(first, id="no")), "socket")
    )
    here = namespace(inode=77, pid=os.getpid())

    (found,) = placed([engine], [here])

    # This process is in no container, so that nothing is placed by it.
    assert [each.network_namespace for each in known(found)] == [0, 0]


def known(engine: ContainerEngine) -> tuple[Container, ...]:
    assert isinstance(engine.containers, Known)
    return engine.containers.value


def state_file(tmp_path: Path) -> Path:
    path = tmp_path / "bolt_state.db"
    path.write_bytes(gzip.decompress(STATE.read_bytes()))
    return path


def test_podmans_database_before_5_is_read(tmp_path: Path) -> None:
    found = podman._containers(str(state_file(tmp_path)))

    assert isinstance(found, Known)
    (container,) = found.value
    assert (container.name, container.image) == ("ollama", "localhost/ollama:latest")
    assert container.ports == (PublishedPort(host_port=11434, port=11434),)
    assert container.network_mode == "slirp4netns"
    assert [(each.name, each.value) for each in container.environment] == [
        ("OLLAMA_HOST", "0.0.0.0:11434")
    ]


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_database_is_unknown_or_read_never_a_crash(tmp_path: Path, seed: int) -> None:
    path = state_file(tmp_path)
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(1 + seed % 7):
        # Headers of pages are where damage leads astray.
        at = chance.randrange(0, len(content), 4096) + chance.randrange(64)
        content[at] = chance.randrange(256)
    path.write_bytes(content[: chance.randrange(len(content)) if seed % 3 == 0 else None])

    found = podman._containers(str(path))

    assert isinstance(found, Known) or found.cure


def test_pages_that_lead_to_each_other_end() -> None:
    page = bolt._HEADER.pack(0, 1, 200, 0) + bolt._BRANCH.pack(0, 0, 0) * 200

    with pytest.raises(ValueError, match="each other"):
        list(bolt.Bucket(bolt._Pages(page, len(page)), 0))


def database(tmp_path: Path, state: dict[str, Any]) -> str:
    """A db.sql with the tables of podman 5's libpod/sqlite_state_internal.go."""
    config = {
        "id": "d" * 64,
        "name": "ai",
        "rootfsImageName": "docker.io/ollama/ollama:latest",
        "newPortMappings": [
            {"host_ip": "127.0.0.1", "container_port": 1, "host_port": 9, "range": 2},
            {"container_port": 11434, "host_port": 11434, "range": 1, "protocol": "tcp"},
            {"container_port": 11434, "host_port": 80, "range": 2, "protocol": "tcp,udp"},
        ],
        "labels": {"PODMAN_SYSTEMD_UNIT": "ai.service"},
    }
    path = str(tmp_path / "db.sql")
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE ContainerConfig (ID TEXT, Name TEXT, PodID TEXT, JSON TEXT);"
            "CREATE TABLE ContainerState (ID TEXT, State INTEGER, ExitCode INTEGER, JSON TEXT);"
        )
        connection.execute(
            "INSERT INTO ContainerConfig VALUES (1, 'ai', '', ?)", [json.dumps(config)]
        )
        connection.execute("INSERT INTO ContainerState VALUES (1, 3, 0, ?)", [json.dumps(state)])
    connection.close()
    return path


def test_podmans_own_database_since_5_is_read(tmp_path: Path) -> None:
    path = tmp_path / "db.sql"
    path.write_bytes(gzip.decompress(STATE_5.read_bytes()))

    found = podman._containers(str(path))

    assert isinstance(found, Known), found
    (container,) = found.value
    assert (container.name, container.image) == ("ollama", "localhost/ollama:latest")
    assert container.ports == (PublishedPort(host_port=11434, port=11434),)
    assert container.network_mode == "pasta"


def test_podmans_database_since_5_is_read_from_a_copy(tmp_path: Path) -> None:
    path = database(tmp_path, {"state": 3, "pid": os.getpid(), "conmonPid": os.getppid()})
    before = sorted(tmp_path.iterdir())

    found = podman._containers(path)

    assert isinstance(found, Known)
    (container,) = found.value
    assert [str(port) for port in container.ports] == ["11434:11434", "80:11434", "81:11435"]
    assert (container.running, container.pid) == (True, os.getpid())
    assert container.network_namespace == Path("/proc/self/ns/net").stat().st_ino
    assert container.labels == {"PODMAN_SYSTEMD_UNIT": "ai.service"}
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("monitor", [1 << 21, os.getpid()])
def test_a_container_whose_process_is_another_by_now_has_ended(
    tmp_path: Path, monitor: int
) -> None:
    path = database(tmp_path, {"state": 3, "pid": os.getpid(), "conmonPid": monitor})

    found = podman._containers(path)

    assert isinstance(found, Known)
    assert [(each.running, each.state, each.pid) for each in found.value] == [(False, "exited", 0)]


def test_a_file_that_is_no_database_is_unknown(tmp_path: Path) -> None:
    for name in ("db.sql", "bolt_state.db"):
        (tmp_path / name).write_bytes(b"nothing of the kind" * 1000)
        assert isinstance(podman._containers(str(tmp_path / name)), Unknown)


QUADLET = """
[Unit]
Description=Ollama
PublishPort=1:1

[Container]
Image=docker.io/ollama/ollama
PublishPort=11434:11434
PublishPort=[::1]:8080:80
Environment="OLLAMA_HOST=0.0.0.0" TOKEN=hunter2
"""


def test_a_quadlet_is_a_container_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".config/containers/systemd"
    folder.mkdir(parents=True)
    (folder / "ai.container").write_text(QUADLET)
    (folder / "ai.volume").write_text("[Volume]\n")

    engine = podman.read_podman(54321, str(tmp_path))

    found = containers(engine)
    assert list(found) == ["systemd-ai"]
    assert [str(port) for port in found["systemd-ai"].ports] == ["11434:11434", "[::1]:8080:80"]
    assert (found["systemd-ai"].running, found["systemd-ai"].state) == (False, "quadlet")
    assert [(s.name, s.value) for s in found["systemd-ai"].environment] == [
        ("OLLAMA_HOST", "0.0.0.0")
    ]
    # Podman has made it: what it says of it counts.
    monkeypatch.setattr(podman, "_storage", lambda *_: str(tmp_path))
    database(tmp_path, {"state": 6})
    assert list(containers(podman.read_podman(54321, str(tmp_path)))) == ["ai"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("11434", (("", 0, 11434),)),
        ("80:11434", (("", 80, 11434),)),
        ("127.0.0.1:80:11434", (("127.0.0.1", 80, 11434),)),
        ("127.0.0.1::11434", (("127.0.0.1", 0, 11434),)),
        ("0.0.0.0:80:11434/tcp", (("", 80, 11434),)),
        ("[fd00::1]:80:11434", (("fd00::1", 80, 11434),)),
        ("8000-8001:9000-9001", (("", 8000, 9000),)),
        ("53:53/udp", ()),
        ("what", ()),
    ],
)
def test_publish_port_in_every_form(value: str, expected: tuple[tuple[str, int, int], ...]) -> None:
    found = tuple((p.address, p.host_port, p.port) for p in quadlet.published(value))

    assert found == expected
