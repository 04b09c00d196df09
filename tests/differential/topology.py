"""Three network namespaces: a target, everybody else, and a container behind the target."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.differential.packets import Peer, enter

PREFIX = "oa-diff-"
OUTSIDE = {
    "eth0": ("10.77.0.2/24", "2001:db8:77::2/64"),
    "wan0": ("198.51.100.2/24", "2001:db8:99::2/64"),
    "wg0": ("10.99.0.2/24", "fd99::2/64"),
}
"""The target's links to everybody else, with its addresses there."""

CONTAINER_LINK = "docker0"
CONTAINER = {4: "172.17.0.2", 6: "fd17::2"}


def run(*argv: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command, and give what it prints."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def _sysctl(namespace: str, *settings: str) -> None:
    run("ip", "netns", "exec", namespace, "sysctl", "-qw", *settings)


@dataclass
class Topology:
    """The namespaces of one run, and the sockets in them."""

    name: str
    peer: Peer
    target_ports: frozenset[int]
    container_ports: frozenset[int]
    listeners: dict[str, list[socket.socket]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The namespace whose packet filter is tested."""
        return f"{PREFIX}{self.name}-t"

    def accepted(self) -> set[tuple[str, int]]:
        """The connections that were completed since: where, and the client's port."""
        found = set()
        for where, sockets in self.listeners.items():
            for listener in sockets:
                while True:
                    try:
                        connection, address = listener.accept()
                    except BlockingIOError:
                        break
                    except OSError:
                        continue
                    found.add((where, int(address[1])))
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    connection.close()
        return found


def _listen(namespace: str, ports: frozenset[int]) -> list[socket.socket]:
    enter(namespace)
    found = []
    for port in sorted(ports):
        for family, address in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
            listener.listen(4096)
            listener.settimeout(0)
            found.append(listener)
    return found


def _tear_down(names: list[str]) -> None:
    for name in names:
        with suppress(RuntimeError):
            run("ip", "netns", "del", name)


def _build(target: str, outside: str, container: str) -> None:
    for name in (target, outside, container):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    _sysctl(
        target,
        "net.ipv4.conf.all.rp_filter=0",
        "net.ipv4.conf.default.rp_filter=0",
        "net.ipv4.tcp_syncookies=2",
        "net.ipv4.ip_forward=1",
        "net.ipv6.conf.all.forwarding=1",
        "net.ipv4.icmp_ratelimit=0",
        "net.ipv4.tcp_syn_retries=1",
    )
    _sysctl(container, "net.ipv4.tcp_syncookies=2", "net.ipv4.conf.all.rp_filter=0")
    for name, addresses in OUTSIDE.items():
        _link(target, name, outside, f"p_{name}")
        _sysctl(outside, f"net.ipv6.conf.p_{name}.disable_ipv6=1")
        run("ip", "-n", target, "link", "set", name, "arp", "off", "up")
        run("ip", "-n", outside, "link", "set", f"p_{name}", "arp", "off", "up")
        _address(target, name, *addresses)
    run("ip", "-n", target, "link", "set", "wg0", "group", "5")
    run("ip", "-n", target, "route", "add", "default", "dev", "eth0")
    run("ip", "-n", target, "-6", "route", "add", "default", "dev", "eth0")
    _link(target, CONTAINER_LINK, container, "ceth")
    _sysctl(container, "net.ipv6.conf.ceth.accept_dad=0")
    run("ip", "-n", target, "link", "set", CONTAINER_LINK, "up")
    run("ip", "-n", container, "link", "set", "ceth", "up")
    _address(target, CONTAINER_LINK, "172.17.0.1/16", "fd17::1/64")
    _address(container, "ceth", "172.17.0.2/16", "fd17::2/64")
    run("ip", "-n", container, "route", "add", "default", "via", "172.17.0.1")
    # As podman sets it: clients at 127.0.0.1 may be sent to a container.
    _sysctl(target, f"net.ipv4.conf.{CONTAINER_LINK}.route_localnet=1")
    run("ip", "-n", container, "-6", "route", "add", "default", "via", "fd17::1")
    for name in (*OUTSIDE, CONTAINER_LINK, "all", "default"):
        _sysctl(target, f"net.ipv4.conf.{name}.rp_filter=0")
    _neighbours(target, CONTAINER_LINK, container, "ceth", ("172.17.0.2", "fd17::2"))
    _neighbours(container, "ceth", target, CONTAINER_LINK, ("172.17.0.1", "fd17::1"))


def _link(inside: str, name: str, outside: str, peer: str) -> None:
    run(
        "ip",
        "-n",
        inside,
        "link",
        "add",
        name,
        "type",
        "veth",
        "peer",
        "name",
        peer,
        "netns",
        outside,
    )
    _sysctl(inside, f"net.ipv6.conf.{name}.accept_dad=0", f"net.ipv6.conf.{name}.accept_ra=0")


def _address(namespace: str, name: str, *addresses: str) -> None:
    for address in addresses:
        extra = ("nodad",) if ":" in address else ()
        run("ip", "-n", namespace, "addr", "add", address, "dev", name, *extra)


def _hardware(namespace: str, name: str) -> str:
    path = f"/sys/class/net/{name}/address"
    return run("ip", "netns", "exec", namespace, "cat", path).strip()


def _neighbours(here: str, name: str, there: str, their: str, addresses: tuple[str, ...]) -> None:
    hardware = _hardware(there, their)
    for address in addresses:
        entry = (address, "lladdr", hardware, "dev", name, "nud", "permanent")
        run("ip", "-n", here, "neigh", "replace", *entry)


@contextmanager
def topology(
    name: str, target_ports: frozenset[int], container_ports: frozenset[int]
) -> Iterator[Topology]:
    """Make the namespaces, and take them away again; the thread is left in the target."""
    names = [f"{PREFIX}{name}-{part}" for part in "tpc"]
    target, outside, container = names
    _tear_down(names)
    listeners: dict[str, list[socket.socket]] = {}
    peer: Peer | None = None
    try:
        _build(target, outside, container)
        listeners["container"] = _listen(container, container_ports)
        listeners["local"] = _listen(target, target_ports)
        links = {link: _hardware(target, link) for link in OUTSIDE}
        peer = Peer(outside, links)
        enter(target)
        yield Topology(name, peer, target_ports, container_ports, listeners)
    finally:
        for listener in [item for found in listeners.values() for item in found]:
            listener.close()
        if peer is not None:
            for end in peer.sockets.values():
                end.close()
        _tear_down(names)
