"""Where a program in a container connects to, and who is beside a container on a shared wire."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.attempts import attempts, unasked
from ollama_audit.exposure.leading import leads_on
from ollama_audit.exposure.model import Zone
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.ways import ways
from ollama_audit.exposure.zones import sources_beside, uplink_of
from ollama_audit.observed import Known
from ollama_audit.snapshot.container import Container, ContainerEngine, ContainerNetwork
from ollama_audit.snapshot.network import Family, Interface, NetworkNamespace
from tests.exposure.networked import address, default, link, space
from tests.hosts import host, in_container, listener, namespaces, process, server

ETH0 = link("192.168.1.10/24", index=2)


def veth(index: int, peer: int, *own: str, name: str = "eth0", bridge: int = 0) -> Interface:
    return Interface(
        index=index,
        name=name,
        kind="veth",
        parent=peer,
        master=bridge,
        master_kind="bridge" if bridge else "",
        addresses=tuple(map(address, own)),
    )


def machine() -> NetworkNamespace:
    """Two bridges of containers, one with two ports."""
    return space(
        ETH0,
        link("172.17.0.1/16", index=3, name="docker0", kind="bridge"),
        link("172.18.0.1/16", index=4, name="br-0123456789ab", kind="bridge"),
        veth(11, 2, name="veth1", bridge=3),
        veth(12, 2, name="veth2", bridge=3),
        veth(13, 2, name="veth3", bridge=4),
        routes=(default("192.168.1.1"),),
    )


def container(inode: int, peer: int, own: str, gateway: str) -> NetworkNamespace:
    found = space(veth(2, peer, own), routes=(default(gateway),))
    return replace(found, inode=inode, host=False)


FIRST = container(21, 11, "172.17.0.2/16", "172.17.0.1")
SECOND = container(22, 12, "172.17.0.3/16", "172.17.0.1")
THIRD = container(23, 13, "172.18.0.2/16", "172.18.0.1")


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("127.0.0.1", [(21, "lo", "127.0.0.1")]),
        ("172.17.0.2", [(21, "lo", "172.17.0.2")]),
        ("172.17.0.3", [(22, "eth0", "172.17.0.2")]),
        ("172.18.0.2", [(1, "docker0", "172.17.0.2")]),
        ("172.17.0.1", [(1, "docker0", "172.17.0.2")]),
        ("192.168.1.10", [(1, "docker0", "172.17.0.2")]),
        ("192.168.1.77", []),
        ("203.0.113.9", []),
    ],
)
def test_a_container_connects_to_itself_a_neighbour_or_through_the_host(
    to: str, expected: list[tuple[int, str, str]]
) -> None:
    outer = machine()
    terrain = Terrain(host(namespaces=namespaces(outer, FIRST, SECOND, THIRD)).snapshot)

    found = ways(terrain, FIRST, to)

    assert [
        (1 if way.namespace.host else way.namespace.inode, way.interface, way.source)
        for way in found
    ] == expected


def test_a_helper_connects_for_its_container_as_a_program_of_the_host() -> None:
    tap = replace(link("10.0.2.100/24", name="tap0", kind="tun"), index=2)
    inner = replace(space(tap, routes=(default("10.0.2.2"),)), inode=24, host=False)
    terrain = Terrain(host(namespaces=namespaces(machine(), inner)).snapshot)

    (way,) = ways(terrain, inner, "192.168.1.10")

    assert (way.namespace.host, way.interface, way.source) == (True, "lo", "192.168.1.10")


MACVLAN = Interface(
    index=5, name="eth0", kind="macvlan", parent=2, addresses=(address("192.168.1.50/24"),)
)
BRIDGED = space(
    link("192.168.1.10/24", index=3, name="br0", kind="bridge"),
    Interface(index=2, name="eth0", master=3, master_kind="bridge"),
    veth(11, 2, name="veth1", bridge=3),
    routes=(default("192.168.1.1", 3),),
)


@pytest.mark.parametrize(
    ("outer", "inner", "zones"),
    [
        (machine(), MACVLAN, {Zone.LAN, Zone.INTERNET}),
        (BRIDGED, veth(2, 11, "192.168.1.50/24"), {Zone.HOST, Zone.LAN, Zone.INTERNET}),
        (machine(), veth(2, 11, "172.17.0.2/16"), {Zone.HOST, Zone.CONTAINER}),
    ],
    ids=["macvlan", "bridged with the LAN", "behind the host"],
)
def test_a_container_on_the_lan_has_the_neighbours_of_the_host(
    outer: NetworkNamespace, inner: Interface, zones: set[Zone]
) -> None:
    place = replace(
        space(inner, routes=(default("192.168.1.1", inner.index),)), inode=25, host=False
    )

    assert (uplink_of(outer, inner) is not None) == (Zone.LAN in zones)
    found = sources_beside(outer, place, inner, Family.IPV4)
    assert {sources.zone for sources in found} == zones
    if inner is MACVLAN:  # the host itself is kept apart from it
        assert all(int(ETH0.addresses[0].ip) not in sources.wider for sources in found)


def test_containers_of_one_network_know_each_other_by_name() -> None:
    def one(name: str, network: str, own: str, **more: object) -> Container:
        attached = ContainerNetwork(name=network, addresses=(own,), names=(f"{name}-alias",))
        fields = {"id": name * 3, "name": name, "running": True, "state": "running", **more}
        return Container(**fields, networks=(attached,))  # type: ignore[arg-type]

    engine = ContainerEngine(
        name="docker",
        source="socket",
        containers=Known(
            (
                one("proxy", "web", "172.18.0.3"),
                one("ai-1", "web", "172.18.0.2", labels={"com.docker.compose.service": "ollama"}),
                one("far", "other", "172.19.0.2"),
                one("gone", "web", "172.18.0.9", running=False),
            ),
            "socket",
        ),
    )
    process = in_container(50, container="proxyproxyproxy")
    terrain = Terrain(replace(host(processes=(process,)).snapshot, engines=(engine,)))

    found = terrain.containers.names_for([50], terrain.processes.values())

    assert found["ollama"] == found["ai-1"] == found["ai-1-alias"] == ("172.18.0.2",)
    assert not {"far", "gone"} & found.keys()
    assert terrain.containers.names_for([51], terrain.processes.values()) == {}


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_bridge_whose_frames_iptables_sees_is_not_judged_by_the_containers_filter(
    value: str,
) -> None:
    key = "bridge.bridge-nf-call-iptables"
    outer = replace(BRIDGED, sysctls=Known({key: value}, "/proc/sys/net"))
    inner = replace(
        space(veth(2, 11, "192.168.1.50/24"), routes=(default("192.168.1.1"),)),
        inode=25,
        host=False,
    )
    terrain = Terrain(host(namespaces=namespaces(outer, inner)).snapshot)
    at = listener("0.0.0.0:11434")

    doubts = [family for family, _, _ in unasked(terrain, inner, at)]
    asked = {
        attempt.query.interface
        for attempt in attempts(terrain, inner, at)
        if not attempt.namespace.host
    }

    assert doubts == ([Family.IPV4] if value == "1" else [])
    assert ("eth0" in asked) is (value == "0")


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("172.17.0.3:11434", True),
        ("172.18.0.2:11434", True),
        ("192.168.1.10:11434", True),
        ("172.17.0.3:80", False),
        ("203.0.113.9:11434", False),
    ],
)
def test_a_relay_in_a_container_may_lead_to_its_neighbours_and_the_host(
    to: str, expected: object
) -> None:
    relay = replace(
        in_container(50, name="socat", executable="/usr/bin/socat", namespace=FIRST.inode),
        arguments=Known(("socat", "TCP-LISTEN:8080,fork", f"TCP:{to}"), "/proc/50/cmdline"),
    )
    at = listener("0.0.0.0:8080", owners=50)

    def serving(place: NetworkNamespace, pid: int) -> NetworkNamespace:
        found = (listener("0.0.0.0:11434", owners=pid, inode=pid),)
        return replace(place, listeners=Known(found, "sock_diag"))

    outer = serving(machine(), 60)
    first = replace(FIRST, listeners=Known((at,), "sock_diag"))
    spaces = (outer, first, serving(SECOND, 62), serving(THIRD, 63))
    homes = {60: outer.inode, 62: SECOND.inode, 63: THIRD.inode}
    snapshot = host(
        servers=Known(tuple(server(process(p, namespace=n)) for p, n in homes.items()), "/proc"),
        namespaces=namespaces(*spaces),
        processes=(relay,),
    ).snapshot

    assert leads_on(Terrain(snapshot), first, at) is expected
