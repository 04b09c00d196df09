"""Which of several namespaces a packet for a private address ends in."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.wires import Wires
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import (
    Family,
    Interface,
    InterfaceAddress,
    NetworkNamespace,
)
from tests.hosts import host, namespace, namespaces

BRIDGE = Interface(index=3, name="docker0", kind="bridge")
OTHER = Interface(index=4, name="virbr0", kind="bridge")
PORT = Interface(
    index=7, name="veth7", kind="veth", parent=2, master=3, master_kind="bridge", peer_namespace=0
)


def inner(kind: str = "veth", parent: int = 7, index: int = 2) -> Interface:
    own = InterfaceAddress(family=Family.IPV4, address="172.17.0.2", prefix_length=16)
    return Interface(index=index, name="eth0", kind=kind, parent=parent, addresses=(own,))


def having(space: NetworkNamespace, *interfaces: Interface) -> NetworkNamespace:
    return replace(space, interfaces=Known(interfaces, "rtnetlink"))


OUTER = having(namespace(), BRIDGE, OTHER, PORT)


@pytest.mark.parametrize(
    ("interface", "egress", "expected"),
    [
        (inner(), "", True),
        (inner(), "docker0", True),
        (inner(), "veth7", True),
        (inner(), "virbr0", False),
        (inner(parent=9), "", False),
        (inner(index=5), "", False),
        (inner(kind="macvlan", parent=3), "", False),
        (inner(kind="tun", parent=0), "", False),
        (inner(kind="vxlan", parent=0), "", None),
        (inner(parent=0), "", None),
    ],
)
def test_a_veth_links_its_two_ends_and_what_its_bridge_joins(
    interface: Interface, egress: str, expected: object
) -> None:
    assert Wires({OUTER.inode: OUTER}).linked(OUTER, interface, egress) is expected


def held(*spaces: NetworkNamespace, egress: str = "docker0") -> list[int]:
    terrain = Terrain(host(namespaces=namespaces(OUTER, *spaces)).snapshot)
    return [space.inode for space, _ in terrain.wires.holders("172.17.0.2", OUTER, egress)]


def test_of_equal_addresses_the_linked_one_counts() -> None:
    near, far = having(namespace(inode=11), inner()), having(namespace(inode=12), inner(parent=9))

    assert held(near, far) == held(far, near) == [11]
    assert held(far) == []


def test_of_equal_addresses_whose_links_are_not_told_all_count() -> None:
    first, second = (having(namespace(inode=at), inner(parent=0)) for at in (11, 12))

    assert held(first, second) == [11, 12]
