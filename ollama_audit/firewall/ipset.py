"""`ipset save`, and the iptables match `set` (ipset(8), net/netfilter/ipset/ip_set_*.c)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import NamedTuple

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.conditions import Test, any_of, anything
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.match import EITHER, Match, definite
from ollama_audit.firewall.state import State


@dataclass
class IpSet:
    """A set as it was saved."""

    kind: str
    entries: list[str] = field(default_factory=list)
    """As they stand behind the name of the set; a set can have very many."""
    changes: bool = False
    """A rule adds to it or removes from it."""


IpSets = Mapping[str, IpSet]

MODELLED = {
    *("hash:ip", "hash:net", "hash:ip,port", "hash:net,port", "hash:net,iface", "bitmap:port"),
    "bitmap:ip",
}


def words(line: str) -> list[str]:
    """The words of a line as the shell would split it; nothing when a quote stays open."""
    if not any(mark in line for mark in "\"'\\"):
        return line.split()
    try:
        return shlex.split(line)
    except ValueError:
        return []


def parse_ipsets(text: str) -> dict[str, IpSet]:
    """The sets by name; lines that are neither `create` nor `add` are passed over."""
    found: dict[str, IpSet] = {}
    for line in map(str.strip, StringIO(text)):
        quoted = '"' in line or "'" in line or "\\" in line
        parts = words(line) if quoted else line.split(maxsplit=2)
        if len(parts) < 3:
            continue
        if parts[0] == "create":
            found[parts[1]] = IpSet(parts[2].partition(" ")[0])
        elif parts[0] == "add" and parts[1] in found:
            found[parts[1]].entries.append(" ".join(parts[2:]))
    return found


def changed_ipsets(saved: str) -> set[str]:
    """Names of sets that rules of an `iptables-save` add to or remove from."""
    found = set()
    for line in saved.splitlines():
        parts = line.split()
        for option, name in pairwise(parts):
            if option in ("--add-set", "--del-set", "--map-set"):
                found.add(name)
    return found


def match_set(sets: IpSets, name: str, directions: str, *, depth: int = 0) -> Test:
    """`--match-set NAME DIRECTIONS`, such as `src,dst`."""
    found = sets.get(name)
    if found is None or found.changes or depth > 1:
        return anything
    if found.kind == "list:set":
        members = [
            match_set(sets, entry.partition(" ")[0], directions, depth=depth + 1)
            for entry in found.entries
        ]
        return any_of(members)
    fields = found.kind.partition(":")[2].split(",")
    sides = directions.split(",")
    if found.kind not in MODELLED or len(sides) < len(fields):
        return anything
    return SetMatch(found, tuple(zip(fields, sides, strict=False)))


@dataclass(frozen=True, slots=True, eq=False)
class SetMatch:
    """A packet is in a set, by these parts of it and their sides."""

    members: IpSet
    parts: tuple[tuple[str, str], ...]
    kept: dict[_Packet, Match] = field(default_factory=dict)

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet."""
        if not context.client_shown(state):
            return EITHER
        client = "dst" if context.answering else "src"
        ingress = context.ingress.name if context.ingress else ""
        egress = context.egress.name if context.egress else ""
        packet = _Packet(context.version, client, state.address, state.port, ingress, egress)
        if packet not in self.kept:
            self.kept[packet] = _membership(self.members, self.parts, packet)
        return self.kept[packet]

    def ports(self) -> Iterator[tuple[int, int]]:
        """The ranges of destination ports that its entries name."""
        places = [place for place, part in enumerate(self.parts) if part == ("port", "dst")]
        for entry in self.members.entries if places else ():
            for place in places:
                first, _, last = (
                    entry.split()[0].split(",")[place].rpartition(":")[2].partition("-")
                )
                if first.isdecimal() and (last or first).isdecimal():
                    yield int(first), int(last or first)


class _Packet(NamedTuple):
    """What of a packet an entry may ask for, beside the client's address."""

    version: int
    client: str
    """Which side the client is, `src` or `dst`; the address and port are the other side's."""
    address: int | None
    port: int | None
    ingress: str
    egress: str


class _UndecidedError(Exception):
    """An entry asks for what nobody knows."""


def _membership(found: IpSet, parts: Sequence[tuple[str, str]], packet: _Packet) -> Match:
    by_client = any(kind in ("ip", "net") and side == packet.client for kind, side in parts)
    plain: list[tuple[int, int]] = []
    timed: list[tuple[int, int]] = []
    excluded: list[tuple[int, int]] = []
    whole = (0, (1 << (32 if packet.version == 4 else 128)) - 1)
    try:
        for entry in map(str.split, found.entries):
            spans = _entry(entry[0], parts, packet)
            if spans is None:
                continue
            if "nomatch" in entry:
                excluded.append(spans or whole)
            elif _expires(entry):
                timed.append(spans or whole)
            else:
                plain.append(spans or whole)
    except (_UndecidedError, ValueError, IndexError):
        return EITHER
    if not by_client:
        return EITHER if excluded or timed else definite(bool(plain))
    surely = AddressSet.from_ranges(plain, packet.version)
    if excluded:
        # the most specific entry decides
        inner = [
            span
            for span in plain
            if any(hole[0] <= span[0] and span[1] <= hole[1] for hole in excluded)
        ]
        holes = AddressSet.from_ranges(excluded, packet.version)
        surely = (surely - holes) | AddressSet.from_ranges(inner, packet.version)
    return Match(surely | AddressSet.from_ranges(timed, packet.version), ~surely)


def _expires(entry: list[str]) -> bool:
    return "timeout" in entry and entry[entry.index("timeout") + 1 :][:1] != ["0"]


def _entry(
    text: str, parts: Sequence[tuple[str, str]], packet: _Packet
) -> tuple[int, int] | tuple[()] | None:
    """The clients of an entry, () for every client, or None when it is about other packets."""
    spans: tuple[int, int] | tuple[()] = ()
    for value, (kind, side) in zip(text.split(","), parts, strict=True):
        if kind in ("ip", "net"):
            span = _span(value, packet.version)
            if span is None:
                return None
            if side == packet.client:
                spans = span
            elif packet.address is None:
                raise _UndecidedError
            elif not span[0] <= packet.address <= span[1]:
                return None
        elif not _other(kind, value, side, packet):
            return None
    return spans


def _span(value: str, version: int) -> tuple[int, int] | None:
    if "-" in value:
        first, last = (ip_address(part) for part in value.split("-"))
        return (int(first), int(last)) if first.version == version else None
    network = ip_network(value, strict=False)
    if network.version != version:
        return None
    start = int(network.network_address)
    return start, start + network.num_addresses - 1


def _other(kind: str, value: str, side: str, packet: _Packet) -> bool:
    if kind == "port":
        protocol, _, ports = value.rpartition(":")
        if side == packet.client or packet.port is None:
            raise _UndecidedError
        first, _, last = ports.partition("-")
        return protocol in ("", "tcp") and int(first) <= packet.port <= int(last or first)
    if kind == "iface" and not value.startswith("physdev:"):
        return value == (packet.ingress if side == "src" else packet.egress)
    raise _UndecidedError
