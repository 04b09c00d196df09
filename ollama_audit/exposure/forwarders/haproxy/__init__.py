"""HAProxy: what a listener's frontends pass on, to where, and for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

from ollama_audit.exposure.forwarders.clients import EVERYONE, Clients, doubt, login, only
from ollama_audit.exposure.forwarders.haproxy.conditions import Conditions, State
from ollama_audit.exposure.forwarders.haproxy.sections import Section, sections
from ollama_audit.exposure.forwarders.haproxy.walk import Walk
from ollama_audit.exposure.forwarders.names import Takes, taken
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    in_force,
    requests,
    resolve,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.observed import Known
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process


def haproxy(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of HAProxy."""
    found = in_force(terrain, listener, process, "sudo systemctl reload haproxy")
    if isinstance(found, Onward):
        return (found,)
    try:
        everything = sections(found)
    except ValueError as error:
        return (unclear(process, str(error), kind="reverse-proxy"),)
    own = Clients(own_addresses(namespace, Family.IPV4), own_addresses(namespace, Family.IPV6))
    backends = {each.name: each for each in everything if each.kind in {"backend", "listen"}}
    lists = {file.path: file.text.value for file in found.files if isinstance(file.text, Known)}
    resolved = partial(_resolved, terrain, namespace, found.names)
    result: list[Onward] = []
    for section in everything:
        for words in _binds(section, listener):
            tls = "ssl" in words
            near = words[0].startswith(("127.", "localhost", "::1", "[::1"))
            gate = only(own if near and not listener.on_loopback else EVERYONE)
            if tls and "verify" in words[:-1] and words[words.index("verify") + 1] == "required":
                gate &= login("client certificate (verify required)")
            if "accept-proxy" in words:
                gate &= doubt("bind ... accept-proxy: it takes no plain HTTP")
            walk = Walk(section, backends, resolved, Conditions(listener.port, lists))
            names = walk.names()
            passages: list[Passage] = []
            for method, path in requests(walk.prefixes()):
                for name in names:
                    state = State(method, path, path, tls, gate, name=name)
                    passages += walk.follow(state)
            encryption = Encryption.TLS if tls else Encryption.PLAIN
            result += steps(terrain, namespace, process, "haproxy", passages, encryption)
    return tuple(result)


def _binds(section: Section, listener: Listener) -> Iterator[tuple[str, ...]]:
    """The words of each `bind` that is this listener, its address first."""
    if section.kind not in {"frontend", "listen"}:
        return
    for line in section.lines:
        if line.words[0] != "bind" or len(line.words) < 2:
            continue
        for text in line.words[1].split(","):
            plain = re.sub(r"^(ipv4@|ipv6@|tcp@|tcp4@|tcp6@)", "", text)
            if plain.startswith(("/", "unix@", "abns@", "fd@", "sockpair@", "quic")):
                continue
            host, _, ports = plain.rpartition(":")
            first, _, last = ports.partition("-")
            if not (first.isdecimal() and int(first) <= listener.port <= int(last or first)):
                continue
            if _same(host.strip("[]"), listener, v6="6@" in text):
                yield (plain, *line.words[2:])


def _same(host: str, listener: Listener, *, v6: bool) -> bool:
    """Whether an address of `bind` is this listener's; without one it is IPv4's wildcard."""
    if host in {"", "*"}:
        return listener.wildcard and (":" in listener.address) == v6
    try:
        bound = ip_address(host)
    except ValueError:
        return True  # a name; HAProxy resolves it at start
    return bound in {listener.ip, ip_address(listener.address)}


def _resolved(
    terrain: Terrain,
    namespace: NetworkNamespace,
    names: dict[str, tuple[str, ...]],
    text: str,
    usual_port: int,
) -> tuple[Upstream, ...]:
    """The address of a server; of a name's the first, or that of a family (`init-addr libc`)."""
    family = re.match(r"(ipv[46])@|tcp([46])@", text)
    plain = re.sub(r"^(ipv4@|ipv6@|tcp@|tcp4@|tcp6@)", "", text)
    if plain.startswith(("/", "unix@", "abns@", "fd@", "sockpair@")):
        return (Upstream(reason=f"what listens at {plain} is not followed"),)
    host, _, port = plain.rpartition(":")
    if not host:
        host, port = plain, ""
    number = int(port) if port.isdecimal() else usual_port
    found = resolve(host, number, names)
    takes = Takes(family[1] or f"ipv{family[2]}") if family else Takes.FIRST
    addresses = [upstream.address for upstream in found if upstream.address]
    chosen = taken(terrain, namespace, addresses, number, takes) if addresses else ""
    return tuple(each for each in found if each.address == chosen)
