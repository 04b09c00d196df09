"""The LAN's router: a real miniupnpd with packets to prove it, and one with odd answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from ollama_audit.collect.edge import Beyond, igd
from ollama_audit.collect.edge.read import read_edge
from ollama_audit.collect.edge.router import LIMIT_S, default_gateway, read_router
from ollama_audit.observed import Known, Observed
from ollama_audit.snapshot.edge import Forwarding, Router
from tests.collect.igd import ADDRESS, OTHER, Odd
from tests.collect.netns import Netns, needs_root, reason_of, value_of
from tests.exposure.networked import default, link, space
from tests.lab.outer import cache

ODD = Path(__file__).parent / "igd.py"
HOST = space(link("192.168.1.10/24"), routes=(default(ADDRESS),))
OLLAMA = Forwarding(
    external="203.0.113.9",
    external_port=8080,
    internal="192.168.1.10",
    internal_port=11434,
    description="ollama & co",
)
SSH = Forwarding(
    external="203.0.113.9",
    external_port=2222,
    internal="192.168.1.20",
    internal_port=22,
    remote="198.51.100.7",
    description="ssh",
)

pytestmark = needs_root


@dataclass(frozen=True, slots=True)
class Home:
    """A host, its router and the internet."""

    host: Netns
    router: Netns
    internet: Netns

    def ask(self) -> Observed[Router]:
        started = time.monotonic()
        answer: Observed[Router] = self.host.call(lambda: read_router(HOST))
        assert time.monotonic() - started < LIMIT_S + 2  # a busy machine is late
        return answer


@contextmanager
def home() -> Iterator[Home]:
    with Netns() as host, Netns() as router, Netns() as internet:
        host(f"ip link add eth0 type veth peer name lan netns {router.name}")
        internet(f"ip link add eth0 type veth peer name wan netns {router.name}")
        host("ip addr add 192.168.1.10/24 dev eth0", "ip link set eth0 up")
        internet("ip addr add 203.0.113.50/24 dev eth0", "ip link set eth0 up")
        router(
            f"ip addr add {ADDRESS}/24 dev lan",
            f"ip addr add {OTHER}/24 dev lan",
            "ip addr add fd00:1::1/64 dev lan nodad",
            "ip addr add 203.0.113.9/24 dev wan",
            "ip link set lan up",
            "ip link set wan up",
            "sysctl -qw net.ipv4.ip_forward=1",
        )
        host(f"ip route add default via {ADDRESS}")
        yield Home(host, router, internet)


def until(namespace: Netns, socket: str) -> None:
    deadline = time.monotonic() + 10
    while socket not in namespace("ss -Hltun"):
        assert time.monotonic() < deadline, f"nobody opened {socket}"
        time.sleep(0.05)


def odd(mode: str) -> tuple[Observed[Router], str]:
    """What is learnt from the router with odd answers, and what it printed."""
    with home() as place:
        argv = ["ip", "netns", "exec", place.router.name, sys.executable, str(ODD), mode]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        try:
            until(place.router, ":5000 ")
            until(place.router, ":1900 ")
            answer = place.ask()
        finally:
            process.kill()
            printed, _ = process.communicate()
    return answer, printed


def test_a_router_tells_its_address_and_what_it_forwards() -> None:
    answer, _ = odd("plain")
    router = value_of(answer)
    assert router.address == ADDRESS
    assert value_of(router.external_address) == "203.0.113.9"
    off = Forwarding(
        external="203.0.113.9",
        external_port=8081,
        internal="192.168.1.10",
        internal_port=11434,
        protocol="udp",
        enabled=False,
        description="off",
    )
    assert value_of(router.forwardings) == (OLLAMA, SSH, off)
    assert router.complete
    assert router.protocols == ("UPnP-IGD", "NAT-PMP")
    assert value_of(router.ipv6_firewall) is False


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Odd.ELSEWHERE, "is not the router, and is not asked"),
        (Odd.BASE, "is not the router, and is not asked"),
        (Odd.REDIRECT, "status 302"),
        (Odd.BLOW_UP, "declares a document type"),
        (Odd.DEEP, "too many elements"),
        (Odd.HUGE, "larger than 256 KiB"),
        (Odd.NO_XML, "it is not XML"),
        (Odd.OTHER_DEVICE, "names no WAN connection"),
        (Odd.SLOW, "did not answer in time"),
        (Odd.FORBIDDEN, "was refused (606)"),
    ],
)
def test_a_bad_router_leaves_it_unknown_and_nobody_else_is_asked(mode: Odd, reason: str) -> None:
    answer, printed = odd(mode)
    assert reason in reason_of(value_of(answer).forwardings)
    assert printed == ""


def test_it_is_asked_from_the_hosts_own_namespace_and_only_when_told_to() -> None:
    with home() as place:
        pid = place.host.start("sleep", "60")
        place.router.start(sys.executable, str(ODD), "plain")
        until(place.router, ":5000 ")
        until(place.router, ":1900 ")
        there = Known((replace(HOST, pid=pid),), "/proc/PID/ns/net")
        edge = read_edge(there, frozenset({Beyond.ASK_ROUTER}))
        assert edge.router is not None
        assert value_of(edge.router).address == ADDRESS
        assert edge.public_addresses is None
        assert read_edge(there, frozenset()).router is None


def test_an_answer_from_another_machine_is_not_heard() -> None:
    answer, _ = odd(Odd.SPOOFED)
    assert "answers neither UPnP, NAT-PMP nor PCP" in reason_of(answer)


def test_nobody_answering_is_unknown() -> None:
    with home() as place:
        assert "answers neither UPnP, NAT-PMP nor PCP" in reason_of(place.ask())


def test_a_list_without_end_is_cut() -> None:
    router = value_of(odd(Odd.ENDLESS)[0])
    assert not router.complete
    assert 0 < len(value_of(router.forwardings)) <= 256


@pytest.mark.parametrize(("mode", "expected"), [(Odd.GARBAGE, 2), (Odd.CUT, 1)])
def test_what_was_understood_is_kept_and_called_incomplete(mode: Odd, expected: int) -> None:
    router = value_of(odd(mode)[0])
    assert not router.complete
    assert len(value_of(router.forwardings)) == expected


def test_nat_pmp_tells_the_address_that_upnp_does_not() -> None:
    router = value_of(odd(Odd.NO_ADDRESS)[0])
    assert value_of(router.external_address) == "203.0.113.99"
    assert value_of(router.forwardings)[0].external == "203.0.113.99"


@pytest.mark.parametrize(
    ("routes", "reason"),
    [
        ((), "no default gateway"),
        ((default("203.0.113.1"),), "no router of a private network"),
        ((default("100.64.0.1"),), "no router of a private network"),
        ((default("fe80::1"),), "no default gateway"),
        ((default("192.168.1.10"),), "this host itself"),
    ],
)
def test_only_a_router_of_a_private_network_is_asked(
    routes: tuple[object, ...], reason: str
) -> None:
    there = space(link("192.168.1.10/24"), routes=routes)  # type: ignore[arg-type]
    assert reason in reason_of(default_gateway(there))


# --- miniupnpd, as routers run it ---

CONFIGURATION = """
ext_ifname=wan
ext_ip=5.5.5.9
listening_ip=lan
http_port=5000
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=00000000-0000-0000-0000-000000000000
allow 1024-65535 0.0.0.0/0 1024-65535
"""
# It refuses to serve a documentation range as its external address, so it is told another; no
# packet goes there.

RULES = """
table inet filter {
  chain miniupnpd {}
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" accept
    jump miniupnpd
  }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting {
    type nat hook postrouting priority 100;
    jump postrouting_miniupnpd
    oifname "wan" masquerade
  }
}
"""


def miniupnpd() -> Path:
    """Debian's miniupnpd, unpacked once beside the lab's images and not installed."""
    folder = cache() / "miniupnpd"
    program = folder / "usr/sbin/miniupnpd"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = "apt-get download -q miniupnpd-nftables"
        fetch = f"{fetch} || (apt-get update -q && {fetch})"
        unpack = f"cd {folder} && ({fetch}) && dpkg-deb -x miniupnpd-nftables_*.deb ."
        done = subprocess.run(["bash", "-c", unpack], check=False, capture_output=True, text=True)
        if done.returncode or not shutil.which("nft"):
            reason = f"needs Debian's miniupnpd-nftables and nft: {done.stderr[-200:]}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
    return program


@pytest.fixture
def with_miniupnpd(tmp_path: Path) -> Iterator[Home]:
    program = miniupnpd()
    with home() as place:
        place.router("nft -f -", stdin=RULES)
        file = tmp_path / "miniupnpd.conf"
        file.write_text(CONFIGURATION)
        place.router.start(str(program), "-d", "-f", str(file), "-P", str(tmp_path / "pid"))
        until(place.router, ":5351 ")
        until(place.router, ":5000 ")
        yield place


def forward(place: Home, **changes: object) -> None:
    """Have the router forward a port, as a program on the host would."""
    arguments: dict[str, object] = {
        "NewRemoteHost": "",
        "NewExternalPort": 8080,
        "NewProtocol": "TCP",
        "NewInternalPort": 11434,
        "NewInternalClient": "192.168.1.10",
        "NewEnabled": 1,
        "NewPortMappingDescription": "ollama",
        "NewLeaseDuration": 0,
        **changes,
    }

    def add() -> None:
        deadline = time.monotonic() + 5
        description = f"http://{ADDRESS}:5000/rootDesc.xml"
        (service, *_) = igd._services(ADDRESS, description, deadline)
        igd._act(service, "AddPortMapping", arguments)

    place.host.call(add)


def connects(place: Home, port: int) -> bool:
    """Whether the internet gets through the router's port to somebody."""
    test = f"exec 3<>/dev/tcp/203.0.113.9/{port}"
    enter = ["ip", "netns", "exec", place.internet.name, "timeout", "3", "bash", "-c", test]
    return subprocess.run(enter, check=False, capture_output=True).returncode == 0


def test_miniupnpd_lists_what_lets_the_internet_in(with_miniupnpd: Home) -> None:
    place = with_miniupnpd
    before = value_of(place.ask())
    assert value_of(before.forwardings) == ()
    assert before.protocols == ("UPnP-IGD", "NAT-PMP", "PCP")
    assert value_of(before.ipv6_firewall) is True
    place.host.start(sys.executable, "-m", "http.server", "11434")
    until(place.host, ":11434 ")
    assert not connects(place, 8080)

    forward(place)
    forward(place, NewProtocol="UDP", NewExternalPort=8082)

    after = value_of(place.ask())
    assert value_of(after.external_address) == "5.5.5.9"
    told = [each for each in value_of(after.forwardings) if each.protocol == "tcp"]
    assert told == [replace(OLLAMA, external="5.5.5.9", description="ollama")]
    assert after.complete
    assert connects(place, 8080)
    assert not connects(place, 8082)
