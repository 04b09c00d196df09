"""How the network namespaces of a host are joined: who has an address, and who gets to whom."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from ollama_audit.exposure.memo import Memo
from ollama_audit.exposure.zones import uplink_of
from ollama_audit.observed import known_or
from ollama_audit.snapshot.network import Interface, NetworkNamespace


class Held(NamedTuple):
    """A namespace that has an address, and its interface with it."""

    namespace: NetworkNamespace
    interface: Interface


class Wires:
    """The links, addresses and bridges of a host's namespaces."""

    def __init__(self, namespaces: Mapping[int, NetworkNamespace]) -> None:
        self.namespaces = namespaces
        self._memo = Memo()

    @cached_property
    def host(self) -> NetworkNamespace | None:
        """The host's own network namespace, None when it could not be read."""
        return next((n for n in self.namespaces.values() if n.host), None)

    @cached_property
    def _held(self) -> dict[str, list[Held]]:
        found: dict[str, list[Held]] = {}
        for namespace in self.namespaces.values():
            for interface in known_or(namespace.interfaces, ()):
                if namespace.host or interface.loopback:
                    continue
                for own in interface.addresses:
                    found.setdefault(own.address, []).append(Held(namespace, interface))
        return found

    def held(self, address: str) -> tuple[Held, ...]:
        """Every namespace but the host's that has an address, and its interface with it."""
        return tuple(self._held.get(address, ()))

    def holders(self, address: str, beside: NetworkNamespace, egress: str = "") -> tuple[Held, ...]:
        """Where packets from a namespace to an address end: another one, and its interface there.

        Several namespaces may have the same private address, so those count that are linked to
        this one, by `egress` if that is known; if there are none, those of which it is not told.
        """

        def look() -> tuple[Held, ...]:
            links = [
                (self.linked(beside, held.interface, egress), held)
                for held in self.held(address)
                if held.namespace.inode != beside.inode
            ]
            sure = tuple(held for link, held in links if link)
            return sure or tuple(held for link, held in links if link is None)

        return self._memo.once("holders", (address, beside.inode, egress), look)

    def kept_apart(self, address: str, host: NetworkNamespace) -> bool:
        """Whether an address is only that of containers which the host itself cannot reach."""
        held = self.held(address)
        return bool(held) and all(isolated(host, each.interface) for each in held)

    def beside(self, address: str) -> Held | None:
        """The container that has an address of its own on a network that the host is on, too."""
        for held in self.held(address):
            if self.host is not None and uplink_of(self.host, held.interface) is not None:
                return held
        return None

    @cached_property
    def _veths(self) -> dict[tuple[int, int], list[Held]]:
        """Ends of veths by their own index and the other end's; the host's first."""
        found: dict[tuple[int, int], list[Held]] = {}
        for namespace in sorted(self.namespaces.values(), key=lambda each: not each.host):
            for interface in known_or(namespace.interfaces, ()):
                if interface.kind == "veth" and interface.parent:
                    key = interface.index, interface.parent
                    found.setdefault(key, []).append(Held(namespace, interface))
        return found

    def outer_end(self, inner: Interface) -> Held | None:
        """The other end of a container's veth (veth(4)), and the namespace that it is in."""
        if inner.kind != "veth" or not inner.parent:
            return None
        return next(iter(self._veths.get((inner.parent, inner.index), ())), None)

    def linked(self, beside: NetworkNamespace, inner: Interface, egress: str = "") -> bool | None:
        """Whether packets that leave a namespace can come in by another one's interface.

        They can over a veth, directly or through a bridge (veth(4), ip-link(8)). They cannot over
        a macvlan or ipvlan, which the device below it does not talk to, nor over a tap that a
        program holds, such as slirp4netns. None when it is not told, as of overlays.
        """
        if inner.kind in {"macvlan", "ipvlan", "tun"}:
            return False
        if inner.kind != "veth" or not inner.parent:
            return None
        ends = self._veths.get((inner.parent, inner.index), ())
        outer = next((end.interface for end in ends if end.namespace.inode == beside.inode), None)
        if outer is None or not egress or egress == outer.name:
            return outer is not None
        return any(
            interface.index == outer.master and interface.name == egress
            for interface in known_or(beside.interfaces, ())
        )

    def segment(self, inner: Interface) -> tuple[int, int] | None:
        """What tells whether two containers' interfaces are on one wire; None when it is not told.

        The bridge that joins their veths, or the device below their macvlans.
        """
        if inner.kind in {"macvlan", "ipvlan"} and inner.parent:
            return 0, inner.parent
        outer = self.outer_end(inner)
        if outer is None or not outer.interface.master:
            return None
        return outer.namespace.inode, outer.interface.master

    def segments(self, namespace: NetworkNamespace) -> frozenset[tuple[int, int]]:
        """The wires that a namespace is on, as far as they are told."""

        def look() -> frozenset[tuple[int, int]]:
            found = (self.segment(each) for each in known_or(namespace.interfaces, ()))
            return frozenset(each for each in found if each)

        return self._memo.once("segments", namespace.inode, look)

    def interface(self, namespace: NetworkNamespace, address: str) -> Interface | None:
        """The interface of a namespace that owns an address; loopback for 127.0.0.0/8."""

        def look() -> dict[str, Interface]:
            return {
                own.address: interface
                for interface in reversed(known_or(namespace.interfaces, ()))
                for own in interface.addresses
            }

        found = self._memo.once("owned", namespace.inode, look).get(address)
        if found is None and address.startswith("127."):
            return next((i for i in known_or(namespace.interfaces, ()) if i.loopback), None)
        return found

    def neighbour(self, namespace: NetworkNamespace, address: str) -> str:
        """The namespace's own address in the connected network of `address`, or empty."""

        def look() -> list[tuple[IPv4Network | IPv6Network, str]]:
            return [
                (own.network, own.address)
                for interface in known_or(namespace.interfaces, ())
                for own in interface.addresses
            ]

        target = ip_address(address)
        networks = self._memo.once("networks", namespace.inode, look)
        return next((own for network, own in networks if target in network), "")


def isolated(host: NetworkNamespace, inner: Interface) -> bool:
    """Whether a container and the host share a device that keeps them apart.

    A macvlan or ipvlan never talks to the device below it (ip-link(8)).
    """
    below = (each.index for each in known_or(host.interfaces, ()))
    return inner.kind in {"macvlan", "ipvlan"} and inner.parent in below
