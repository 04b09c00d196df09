"""Ports of rootless containers: which container a helper's socket leads to, and who gets there."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.answer import Answer, Verdict
from ollama_audit.exposure.assess import assess
from ollama_audit.exposure.forwarders import onward
from ollama_audit.exposure.path import answer
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.container import Container, ContainerEngine, PublishedPort
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.process import Process
from tests.exposure.networked import default, link, space
from tests.hosts import (
    CONTAINER_NAMESPACE,
    host,
    in_container,
    listener,
    namespaces,
    process,
    server,
)

ADA = 1000
HELPER = 77
TAP = link("10.0.2.100/24", "fd00::100/64", index=2, name="tap0", kind="tun")


def engine(
    *ports: PublishedPort, containers: Observed[tuple[Container, ...]] | None = None, uid: int = ADA
) -> ContainerEngine:
    running = Container(
        id="6f1e",
        name="ai",
        running=True,
        state="running",
        network_namespace=CONTAINER_NAMESPACE,
        network_mode="slirp4netns",
        ports=ports,
    )
    return ContainerEngine(
        name="podman",
        owner="ada",
        uid=uid,
        source="db.sql",
        containers=containers or Known((running,), "db.sql"),
    )


def helper(name: str, *arguments: str) -> Process:
    running = process(HELPER, name=name, executable=f"/usr/bin/{name}", uid=ADA, user="ada")
    return replace(running, arguments=Known((name, *arguments), "/proc/77/cmdline"))


def machine(
    running: Process,
    *engines: ContainerEngine,
    at: str = "0.0.0.0:8080",
    inside: str = "[::]:11434",
    child: bool = False,
) -> HostSnapshot:
    """A host whose socket `at` a helper holds, and Ollama in a container's network."""
    outer = space(link("192.168.1.10/24", "2001:db8::10/64"), routes=(default("192.168.1.1"),))
    outer = replace(outer, listeners=Known((listener(at, owners=HELPER, uid=ADA),), "sock_diag"))
    ollama = in_container(2001, parent=HELPER if child else 1)
    inner = replace(
        space(TAP, routes=(default("10.0.2.2"), default("fd00::2"))),
        inode=CONTAINER_NAMESPACE,
        host=False,
        pid=2001,
        listeners=Known((listener(inside, owners=2001),), "sock_diag"),
    )
    found = host(
        servers=Known((server(ollama),), "/proc"),
        namespaces=namespaces(outer, inner),
        processes=(running,),
    ).snapshot
    return replace(found, engines=engines)


def asked(
    snapshot: HostSnapshot, source: str = "192.168.1.20", to: str = "192.168.1.10", port: int = 8080
) -> Answer:
    (found,) = answer(snapshot, (ip_address(source),), ((ip_address(to), port),)).answers
    return found


PORT = PublishedPort(host_port=8080, port=11434)


@pytest.mark.parametrize("name", ["rootlessport", "slirp4netns", "pasta", "rootlesskit"])
def test_a_helper_leads_where_its_engine_publishes(name: str) -> None:
    found = asked(machine(helper(name), engine(PORT)))

    assert found.reach is Verdict.YES, found.because
    assert found.path[1] == f"{name} to port 11434 of container ai (podman of ada)"
    assert found.path[2] == "ollama in container ai (podman of ada) at *:11434"


def docker_beside(*, holder: str, at: str) -> HostSnapshot:
    """A rootless Docker, whose engine does not tell in which networks its containers are.

    RootlessKit's child is in the network in which Docker's own proxy listens (observed with
    rootlesskit 1.1.0 and docker.io 20.10).
    """
    kit = helper("rootlesskit")
    child = replace(
        process(78, name="exe", executable="/usr/bin/rootlesskit", uid=ADA, parent=HELPER),
        network_namespace=Known(CONTAINER_NAMESPACE, "/proc/78/ns/net"),
    )
    slirp = process(79, name="slirp4netns", executable="/usr/bin/slirp4netns", parent=HELPER)
    found = machine(kit, engine(PublishedPort(host_port=1, port=1)), inside=at)
    owner = {"rootlesskit": HELPER, "slirp4netns": 79}[holder]
    outer, inner = found.namespaces.value  # type: ignore[union-attr]
    held = (listener("0.0.0.0:8080", owners=owner, uid=ADA),)
    outer = replace(outer, listeners=Known(held, "sock_diag"))
    return replace(found, processes=(kit, child, slirp), namespaces=namespaces(outer, inner))


@pytest.mark.parametrize(
    ("holder", "at", "verdict"),
    [
        ("rootlesskit", "127.0.0.1:8080", Verdict.YES),
        ("rootlesskit", "10.0.2.100:8080", Verdict.NO),
        ("rootlesskit", "127.0.0.1:8081", Verdict.NO),
        ("slirp4netns", "10.0.2.100:8080", Verdict.YES),
        ("slirp4netns", "127.0.0.1:8080", Verdict.NO),
    ],
)
def test_a_rootless_docker_publishes_what_listens_at_the_same_port_inside(
    holder: str, at: str, verdict: Verdict
) -> None:
    found = asked(docker_beside(holder=holder, at=at))

    assert found.reach is verdict, found.because


def test_a_port_that_leads_to_another_one_inside_is_no_way() -> None:
    other = PublishedPort(host_port=8080, port=80)

    assert asked(machine(helper("rootlessport"), engine(other))).reach is Verdict.NO


def test_a_container_that_listens_on_its_loopback_is_not_reached_from_its_tap() -> None:
    snapshot = machine(helper("rootlessport"), engine(PORT), inside="127.0.0.1:11434")

    assert asked(snapshot).reach is Verdict.NO


@pytest.mark.parametrize(
    "engines",
    [
        (),
        (engine(PublishedPort(host_port=8081, port=11434)),),
        (engine(PublishedPort(address="127.0.0.1", host_port=8080, port=11434)),),
        (engine(PORT, uid=1001),),
    ],
    ids=["no engine", "another port", "another address", "another user"],
)
def test_what_no_engine_of_the_user_publishes_is_unknown_with_a_cure(
    engines: tuple[ContainerEngine, ...],
) -> None:
    found = asked(machine(helper("rootlessport"), *engines))

    assert found.reach is Verdict.UNKNOWN
    assert "publishes port 8080 of a container" in found.because[0]
    (at_host, _) = assess(machine(helper("rootlessport"), *engines)).endpoints
    assert not at_host.certain
    assert any("podman ps" in part.cure for part in at_host.reach)


def test_an_engine_that_could_not_be_read_says_why() -> None:
    why = Unknown("podman's state was not understood", "db.sql", "podman ps --all")

    found = asked(machine(helper("rootlessport"), engine(containers=why)))

    assert found.reach is Verdict.UNKNOWN
    assert why.reason in found.because[0]


@pytest.mark.parametrize(
    ("arguments", "port", "verdict"),
    [
        (("-t", "8080:11434"), 8080, Verdict.YES),
        (("-t8080:11434",), 8080, Verdict.YES),
        (("--config-net", "-t", "192.168.1.10/8000-8100:11354-11454"), 8080, Verdict.YES),
        (("--tcp-ports=1-9,8080:11434",), 8080, Verdict.YES),
        (("-t", "8080:80"), 8080, Verdict.NO),
        (("-t", "8080"), 8080, Verdict.NO),
        (("-t", "auto"), 11434, Verdict.YES),
        ((), 11434, Verdict.YES),
        (("-t", "9999"), 8080, Verdict.NO),
        (("-t", "8080:80"), 11434, Verdict.YES),
    ],
)
def test_pasta_leads_where_its_arguments_say(
    arguments: tuple[str, ...], port: int, verdict: Verdict
) -> None:
    snapshot = machine(helper("pasta", *arguments), at=f"0.0.0.0:{port}", child=True)

    assert asked(snapshot, port=port).reach is verdict


def test_pasta_brings_loopback_clients_to_the_loopback_inside() -> None:
    snapshot = machine(helper("pasta", "-t", "8080:11434"), inside="127.0.0.1:11434", child=True)

    assert asked(snapshot, "127.0.0.1", "127.0.0.1").reach is Verdict.YES
    assert asked(snapshot).reach is Verdict.NO


def test_pasta_keeps_the_family_of_its_clients() -> None:
    snapshot = machine(
        helper("pasta", "-t", "8080:11434"), at="[::]:8080", inside="0.0.0.0:11434", child=True
    )

    assert asked(snapshot).reach is Verdict.YES
    assert asked(snapshot, "2001:db8::20", "2001:db8::10").reach is Verdict.NO


def test_nobody_is_beside_a_container_whose_tap_a_helper_holds() -> None:
    _, inner = assess(machine(helper("rootlessport"), engine(PORT))).endpoints

    assert inner.id == "[::]:11434 in container ai (podman of ada)"
    assert inner.loopback_only


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("qemu-system-x86_64", "-netdev user,id=n,hostfwd=tcp::8080-:11434", 1),
        ("qemu-system-x86_64", "-nic user,hostfwd=tcp:0.0.0.0:2222-:22,hostfwd=tcp::8080-:80", 1),
        ("qemu-system-x86_64", "-netdev tap,id=n -vnc 0.0.0.0:0", 0),
        ("VBoxHeadless", "--startvm ai", 1),
    ],
)
def test_a_port_that_is_forwarded_into_a_virtual_machine_is_unclear(
    name: str, arguments: str, expected: int
) -> None:
    running = helper(name, *arguments.split())
    snapshot = machine(running)
    terrain = Terrain(snapshot)
    assert terrain.host is not None
    at = listener("0.0.0.0:8080", owners=HELPER, uid=ADA)

    found = onward(terrain, terrain.host, at, (HELPER,))

    assert len(found) == expected
    assert all("into a virtual machine" in step.reason for step in found)


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("2001:db8::20", Verdict.YES),
        ("::1", Verdict.YES),
        ("2001:db8::10", Verdict.UNKNOWN),
    ],
)
def test_who_has_an_address_of_pastas_network_may_get_no_answer(
    source: str, verdict: Verdict
) -> None:
    """Pasta gives its network the addresses of the host."""
    snapshot = machine(helper("pasta"), engine(PORT), at="[::]:8080")
    outer, inner = snapshot.namespaces.value  # type: ignore[union-attr]
    tap = link("192.168.1.10/24", "2001:db8::10/64", index=2, name="eth0", kind="tun")
    routes = (default("192.168.1.1"), default("2001:db8::1"))
    copied = space(tap, routes=routes)
    inner = replace(inner, interfaces=copied.interfaces, routes=copied.routes)
    snapshot = replace(snapshot, namespaces=namespaces(outer, inner))

    found = asked(snapshot, source, "2001:db8::10" if source != "::1" else "::1")

    assert found.reach is verdict, found.because
