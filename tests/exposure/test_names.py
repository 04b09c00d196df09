"""Which of the addresses of `localhost` a program connects to.

What is expected was observed in a Debian 12 host with both addresses in /etc/hosts and Ollama at
127.0.0.1, and in one of Debian 13: socat, `ncat`, redir, xinetd, nginx, Caddy, Apache and lighttpd
got there, rinetd, pen, HAProxy and systemd-socket-proxyd did not.
"""

from __future__ import annotations

import shlex

import pytest
from msgspec.structs import replace

from ollama_audit.exposure.forwarders import FORWARDERS
from ollama_audit.exposure.forwarders.names import Takes, taken
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import Interface, NetworkNamespace
from tests.exposure.networked import LO, link, space
from tests.exposure.proxied import configured, steps
from tests.hosts import host, listener, namespaces, process

BOTH = ("127.0.0.1", "::1")
LO4 = replace(LO, addresses=LO.addresses[:1])


def place(*listening: str, lo: Interface = LO) -> NetworkNamespace:
    found = space(link("192.168.1.10/24"), routes=())
    listeners = tuple(listener(each) for each in listening)
    return replace(
        found,
        interfaces=Known((lo, link("192.168.1.10/24")), "rtnetlink"),
        listeners=Known(listeners, "sock_diag"),
    )


@pytest.mark.parametrize(
    ("takes", "listening", "expected"),
    [
        (Takes.EACH, "127.0.0.1:11434", "127.0.0.1"),
        (Takes.EACH, "[::1]:11434", "::1"),
        (Takes.EACH, "[::]:11434", "::1"),
        (Takes.EACH, "127.0.0.1:80", "::1"),
        (Takes.FIRST, "127.0.0.1:11434", "::1"),
        (Takes.IPV4, "[::1]:11434", "127.0.0.1"),
        (Takes.IPV6, "127.0.0.1:11434", "::1"),
    ],
)
def test_a_name_of_two_addresses(takes: Takes, listening: str, expected: str) -> None:
    space_ = place(listening)
    terrain = Terrain(host(namespaces=namespaces(space_)).snapshot)

    assert taken(terrain, space_, BOTH, 11434, takes) == expected


def test_without_ipv6_the_first_address_is_the_other_one() -> None:
    space_ = place("127.0.0.1:11434", lo=LO4)
    terrain = Terrain(host(namespaces=namespaces(space_)).snapshot)

    assert taken(terrain, space_, BOTH, 11434, Takes.FIRST) == "127.0.0.1"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("socat TCP4-LISTEN:8080,fork TCP:localhost:11434", "127.0.0.1"),
        ("socat TCP4-LISTEN:8080,fork TCP4:localhost:11434", "127.0.0.1"),
        ("socat TCP4-LISTEN:8080,fork TCP6:localhost:11434", "::1"),
        ("socat TCP4-LISTEN:8080,fork 'EXEC:nc localhost 11434'", "127.0.0.1"),
        ("ncat -lk 8080 --sh-exec 'ncat localhost 11434'", "127.0.0.1"),
        ("redir -n :8080 localhost:11434", "127.0.0.1"),
        ("simpleproxy -L 8080 -R localhost:11434", "127.0.0.1"),
        ("sslh --listen 0.0.0.0:8080 --http localhost:11434", "127.0.0.1"),
        ("pen 8080 localhost:11434", "::1"),
        ("6tunnel 8080 localhost 11434", "::1"),
        ("6tunnel -d4 8080 localhost 11434", "127.0.0.1"),
        ("/lib/systemd/systemd-socket-proxyd localhost:11434", "::1"),
    ],
)
def test_a_relay_to_localhost(command: str, expected: str) -> None:
    words = tuple(shlex.split(command))
    name = words[0].rpartition("/")[2]
    relay = replace(process(77, name=name[:15], executable=name), arguments=Known(words, "/proc"))
    space_ = place("127.0.0.1:11434", "0.0.0.0:8080")
    snapshot = host(namespaces=namespaces(space_), processes=(relay,)).snapshot
    terrain = Terrain(replace(snapshot, names={"localhost": BOTH}))

    (step,) = FORWARDERS[name](terrain, space_, listener("0.0.0.0:8080", owners=77), relay)

    assert step.address == expected


@pytest.mark.parametrize(
    ("server", "expected"),
    [("localhost", "::1"), ("ipv4@localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")],
)
def test_haproxy_takes_the_first_address_of_a_name(server: str, expected: str) -> None:
    text = f"listen ai\n  mode tcp\n  bind :80\n  server a {server}:11434\n"

    found = steps(configured("haproxy", {"/etc/haproxy/haproxy.cfg": text}), "haproxy")

    assert {step.address for step in found} == {expected}
