"""Random rulesets in the kernel, real handshakes through them, and what the engine says."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import msgspec

from ollama_audit.collect.namespaces import read_namespace
from ollama_audit.collect.nftables import read_nftables
from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.fields import ORDINARY_PORTS
from ollama_audit.firewall.reach import BY_CHOICE, reach
from ollama_audit.observed import Known, need
from ollama_audit.snapshot.firewall import FirewallCapture
from ollama_audit.snapshot.network import Family, NetworkNamespace
from tests.differential.packets import ACK, SYN, SYN_ACK, Reply, Segment
from tests.differential.reasons import why_unknown
from tests.differential.topology import CONTAINER, CONTAINER_LINK, OUTSIDE, Topology

Ask = Callable[[NetworkNamespace, Query], Reach]

USUAL = {
    4: (
        *("10.77.0.1", "10.77.0.50", "198.51.100.7", "203.0.113.5", "8.8.8.8", "192.168.1.5"),
        *("127.0.0.5", "224.0.0.1", "255.255.255.255", "0.0.0.0", "0.1.2.3", "240.0.0.1"),
        *("10.99.0.9", "100.64.1.1", "1.1.1.1"),
    ),
    6: (
        *("2001:db8:77::50", "fe80::1234", "fd99::9", "2a00:1450::1", "2001:db8:99::7"),
        *("2600::1", "ff02::1", "::1", "::ffff:1.2.3.4", "64:ff9b::1", "3fff::1"),
    ),
}
"""Sources that are always of interest."""

BEHIND = {4: ip_network("172.17.0.0/16"), 6: ip_network("fd17::/64")}
"""Sources that would have to be behind the container's link."""

OTHER_FLAGS = (8, 0x20, 0x40, 0xC0, 0xC8, 0x80, 0x28)
"""What a client may set beside SYN: PSH, URG, ECE, CWR."""


def prefix(text: str) -> tuple[int, int, int]:
    """Version, first and last address of a network."""
    network = ip_network(text)
    first = int(network.network_address)
    return network.version, first, first + network.num_addresses - 1


class Probe(NamedTuple):
    """One connection that was tried."""

    version: int
    interface: str
    source: int
    source_port: int
    destination: int
    port: int
    flags: int = SYN

    @property
    def ordinary(self) -> bool:
        """Whether the client chose as clients do by themselves."""
        return self.source_port >= ORDINARY_PORTS[0] and self.flags == SYN

    def __str__(self) -> str:
        source, destination = (
            ip_address(value.to_bytes(4 if self.version == 4 else 16, "big"))
            for value in (self.source, self.destination)
        )
        chosen = "" if self.ordinary else f" from port {self.source_port}, flags {self.flags:#x}"
        return f"{self.interface}: {source} -> {destination} port {self.port}{chosen}"


@dataclass
class Tally:
    """What came out, in numbers and in cases that disagree."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: dict[int, list[str]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why probes were unknown; counted only where a plan asks for it."""
    seconds: float = 0.0
    evaluating: float = 0.0

    @property
    def disagreements(self) -> int:
        """Probes for which the kernel did not do what the engine was sure of."""
        return self.counts["wrong-block"] + self.counts["wrong-accept"]

    def __str__(self) -> str:
        counts = self.counts
        share = 100 * counts["unknown"] / max(1, counts["probes"])
        return (
            f"{counts['rulesets']} rulesets, {counts['probes']} probes,"
            f" {counts['kernel-accept']} accepted by the kernel,"
            f" {self.disagreements} disagreements ({counts['wrong-block']} unsound blocks)"
            f" in {len(self.bad)} rulesets, unknown {share:.2f} %,"
            f" {counts['refused']} rulesets refused, {self.seconds:.0f} s"
        )


class Sources(NamedTuple):
    """Addresses at the edges of what a ruleset mentions."""

    four: list[int]
    six: list[int]


class Kernel:
    """The target's packet filter: loaded, read back, asked and probed."""

    def __init__(self, topology: Topology, ask: Ask = reach) -> None:
        """`ask` is the engine under test."""
        self.topology = topology
        self.ask = ask
        self.namespace = need(read_namespace(_own_pid()))
        self.ports = {True: cycle(range(*ORDINARY_PORTS)), False: cycle(range(1024, 0x8000))}

    def observe(self, **changes: object) -> NetworkNamespace:
        """The namespace with its nf_tables rules as they are now, and other captures replaced."""
        capture = msgspec.structs.replace(
            self.namespace.firewall, nftables=read_nftables(), **changes
        )
        return self.with_capture(capture)

    def with_capture(self, capture: FirewallCapture) -> NetworkNamespace:
        """The namespace with another capture of its filters."""
        return msgspec.structs.replace(self.namespace, firewall=capture)

    def sources(self, edges: dict[int, list[int]], chance: random.Random) -> dict[int, list[int]]:
        """Sources to try: the usual ones, the edges of what rules mention, and some others."""
        result = {}
        for version, bits in ((4, 32), (6, 128)):
            found = {int(ip_address(text)) for text in USUAL[version]}
            for edge in edges[version]:
                found |= {value for value in (edge - 1, edge, edge + 1) if 0 <= value < 1 << bits}
            if version == 4:
                found |= {chance.getrandbits(32) for _ in range(4)}
                found |= {int(ip_address(own.partition("/")[0])) for own, _ in OUTSIDE.values()}
            else:
                found |= {0x2000 << 112 | chance.getrandbits(125) for _ in range(3)}
            behind = BEHIND[version]
            first = int(behind.network_address)
            found = {x for x in found if not first <= x < first + behind.num_addresses}
            count = 40 if version == 4 else 30
            result[version] = chance.sample(sorted(found), min(len(found), count))
        return result

    def queries(self, chance: random.Random) -> list[Query]:
        """One question for each outside interface and family; some about another's address."""
        found = []
        for name in OUTSIDE:
            for version, family in ((4, Family.IPV4), (6, Family.IPV6)):
                owner = chance.choice(list(OUTSIDE)) if chance.random() < 0.3 else name
                address = OUTSIDE[owner][version == 6].partition("/")[0]
                port = chance.choice([11434, 11434, 8080])
                found.append(Query(family=family, interface=name, address=address, port=port))
        return found

    def try_all(
        self, queries: list[Query], sources: dict[int, list[int]], chance: random.Random
    ) -> dict[Probe, bool]:
        """Try every source with every query: whether the whole handshake went through."""
        probes: dict[tuple[int, int], Probe] = {}
        for query in queries:
            version = 4 if query.family is Family.IPV4 else 6
            for source in sources[version]:
                probe = self._probe(query, version, source, chance)
                probes[version, probe.source_port] = probe
                self.topology.peer.send(query.interface, _opening(probe, chance))
        answered = self._shake_hands(probes)
        return {probe: probe in answered for probe in probes.values()}

    def _probe(self, query: Query, version: int, source: int, chance: random.Random) -> Probe:
        port = next(self.ports[chance.random() >= 0.1])
        flags = SYN | (chance.choice(OTHER_FLAGS) if chance.random() < 0.1 else 0)
        destination = int(ip_address(query.address))
        return Probe(version, query.interface, source, port, destination, query.port, flags)

    def _shake_hands(self, probes: dict[tuple[int, int], Probe]) -> set[Probe]:
        answered: set[Probe] = set()
        self._confirm(probes, answered)
        time.sleep(0.001)
        self._confirm(probes, answered)
        time.sleep(0.001)
        completed = {port for _, port in self.topology.accepted()}
        self.topology.peer.replies()
        return {probe for probe in answered if probe.source_port in completed}

    def _confirm(self, probes: dict[tuple[int, int], Probe], answered: set[Probe]) -> None:
        for reply in self.topology.peer.replies():
            probe = probes.get((reply.version, reply.port))
            if probe is not None and _answers(reply, probe):
                answered.add(probe)
                self.topology.peer.send(probe.interface, _confirmation(probe, reply))

    def expectation(self, answer: Reach, source: int, *, ordinary: bool) -> str:
        """What the engine says of one client, with who listens where: accept, block, unknown.

        Where only odd choices of the client may get through, it says that others do not.
        """
        if ordinary and any(
            d.detail == BY_CHOICE and source in d.sources for d in answer.decisions
        ):
            return "block"
        sure = possible = False
        for end in answer.ends:
            listens = self._listens(end.forwarded, end.interface, end.address, end.port)
            sure = sure or (listens is True and source in end.surely)
            possible = possible or (listens is not False and source in end.possibly)
        doubtful = source in answer.unknown and not any(source in e.possibly for e in answer.ends)
        if sure:
            return "accept"
        return "unknown" if possible or doubtful else "block"

    def _listens(self, forwarded: bool, interface: str, address: str, port: int) -> bool | None:  # noqa: FBT001
        if not address or not port:
            return None
        if not forwarded:
            return port in self.topology.target_ports
        if interface == CONTAINER_LINK and address in CONTAINER.values():
            return port in self.topology.container_ports
        return False


def _own_pid() -> int:
    """A process id whose network namespace is that of this thread."""
    import threading  # noqa: PLC0415

    return threading.get_native_id()


def _opening(probe: Probe, chance: random.Random) -> Segment:
    plain = Segment(
        probe.version,
        probe.source,
        probe.destination,
        probe.source_port,
        probe.port,
        flags=probe.flags,
    )
    if chance.random() >= 0.4:
        return plain
    hops = chance.choice([64, 255, 2, 17])
    return plain._replace(hops=hops, fragment=chance.choice([0, 0x4000]))


def _answers(reply: Reply, probe: Probe) -> bool:
    return (
        reply.flags & SYN_ACK == SYN_ACK
        and reply.destination == probe.source
        and reply.source == probe.destination
        and reply.source_port == probe.port
    )


def _confirmation(probe: Probe, reply: Reply) -> Segment:
    return Segment(
        probe.version,
        probe.source,
        probe.destination,
        probe.source_port,
        probe.port,
        flags=ACK,
        sequence=12346,
        acknowledged=(reply.sequence + 1) & 0xFFFFFFFF,
    )


class Case(NamedTuple):
    """One ruleset, loaded."""

    seed: int
    namespace: NetworkNamespace
    edges: dict[int, list[int]]
    printed: FirewallCapture | None = None
    """What the programs print of it, for counting the reasons of what is unknown."""


def judge(kernel: Kernel, case: Case, tally: Tally) -> None:
    """Compare the engine with the kernel for one ruleset."""
    chance = random.Random(case.seed ^ 0x5EED)
    queries = kernel.queries(chance)
    started = time.perf_counter()
    answers = {
        (query.interface, query.family): kernel.ask(case.namespace, query) for query in queries
    }
    tally.evaluating += time.perf_counter() - started
    went = kernel.try_all(queries, kernel.sources(case.edges, chance), chance)
    for probe, through in went.items():
        family = Family.IPV4 if probe.version == 4 else Family.IPV6
        answer = answers[probe.interface, family]
        said = kernel.expectation(answer, probe.source, ordinary=probe.ordinary)
        if said == "unknown" and case.printed is not None:
            tally.reasons[why_unknown(answer, probe.source, case.printed)] += 1
        if said == "accept" and not through and not probe.ordinary:
            tally.counts["kept out by choice"] += 1  # and would get in otherwise
        else:
            record(tally, case.seed, str(probe), said, through=through)
    tally.counts["rulesets"] += 1


def record(tally: Tally, seed: int, probe: str, said: str, *, through: bool) -> None:
    """Count one probe."""
    tally.counts["probes"] += 1
    tally.counts["kernel-accept" if through else "kernel-block"] += 1
    if said == "unknown":
        tally.counts["unknown"] += 1
    elif (said == "accept") != through:
        tally.counts[f"wrong-{said}"] += 1
        tally.bad.setdefault(seed, []).append(f"{probe}: said {said}, did not")


def keep(folder: Path, seed: int, text: str) -> None:
    """Write a ruleset that disagreed to a file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{seed}.txt").write_text(text)


KNOWN_EMPTY = Known("", "nothing loaded")
