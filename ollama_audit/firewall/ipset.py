"""`ipset save`, and the iptables match `set` (ipset(8), net/netfilter/ipset/ip_set_*.c)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple

from ollama_audit.addresses import BITS, Spans
from ollama_audit.firewall.conditions import Test, any_of, anything
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.lines import Lines, line_spans
from ollama_audit.firewall.match import EITHER, Judgement, Match, definite
from ollama_audit.firewall.ports import EVERY_PORT, NO_PORT, Ports, spans
from ollama_audit.firewall.state import State


@dataclass
class IpSet:
    """A set as it was saved."""

    kind: str
    entries: Lines
    """As they stand behind the name of the set; a set can have very many."""
    expires: bool = False
    """Entries may go by themselves."""
    changes: Ports = NO_PORT
    """The ports about which rules may be that add to it or remove from it."""


IpSets = Mapping[str, IpSet]

MODELLED = {
    *("hash:ip", "hash:net", "hash:ip,port", "hash:net,port", "hash:net,iface", "bitmap:port"),
    *("bitmap:ip", "hash:ip,port,ip", "hash:ip,port,net", "hash:net,net", "hash:net,port,net"),
}


def words(line: str) -> list[str]:
    """The words of a line as the shell would split it; nothing when a quote stays open."""
    if not any(mark in line for mark in "\"'\\"):
        return line.split()
    try:
        return shlex.split(line)
    except ValueError:
        return []


COMMAND: Final = re.compile(r"\s*(create|add)\s+(\"(?:[^\"\\]|\\.)*\"|\S+)\s+(?=\S)")
"""A line of `ipset save`, up to what stands behind the name of its set."""


def parse_ipsets(text: str) -> dict[str, IpSet]:
    """The sets by name; lines that are neither `create` nor `add` are passed over."""
    found: dict[str, IpSet] = {}
    for start, end in line_spans(text):
        command = COMMAND.match(text, start, end)
        if command is None:
            continue
        name = command[2]
        if not name.isalnum():
            name = "".join(words(name))
        if command[1] == "create":
            kind, *options = text[command.end() : end].split()
            found[name] = IpSet(kind, Lines(text), expires="timeout" in options)
        elif name in found:
            found[name].entries.add(command.end())
    return found


CHANGE: Final = re.compile(r"(?m)^.*--(?:add|del|map)-set\s+(\S+).*$")


def changed_ipsets(saved: str) -> dict[str, Ports]:
    """The sets that rules of an `iptables-save` add to or remove from, with those rules' ports."""
    found: dict[str, Ports] = {}
    for line in CHANGE.finditer(saved):
        found[line[1]] = found.get(line[1], NO_PORT) | _ports_of(line[0].split())
    return found


def _ports_of(parts: list[str]) -> Ports:
    """The destination ports of a rule; all when it says nothing plain of them."""
    for before, option, value in zip(parts, parts[1:], parts[2:], strict=False):
        if option in ("--dport", "--dports") and before != "!":
            spans_ = (each.partition(":") for each in value.split(","))
            return spans((int(low), int(high or low)) for low, _, high in spans_)
    return EVERY_PORT


def match_set(sets: IpSets, name: str, directions: str, *, depth: int = 0) -> Test:
    """`--match-set NAME DIRECTIONS`, such as `src,dst`."""
    found = sets.get(name)
    if found is None or depth > 1:
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
    kept: dict[_Packet, Judgement] = field(default_factory=dict)

    def __call__(self, context: Context, state: State) -> Judgement:
        """Judge one packet."""
        if not context.client_shown(state):
            return EITHER
        client = "dst" if context.answering else "src"
        ingress = context.ingress.name if context.ingress else ""
        egress = context.egress.name if context.egress else ""
        settled = True
        if self.fluid:
            context.chosen = True
            ports = (state.original_port, state.port, state.target_port)
            known = all(p is not None and not self.members.changes >> p & 1 for p in ports)
            settled = state.ordinary and known
            if self.members.changes and not settled:
                return EITHER
        packet = _Packet(
            context.version, client, state.address, state.port, ingress, egress, settled
        )
        if packet not in self.kept:
            self.kept[packet] = _membership(self.members, self.parts, packet)
        return self.kept[packet]

    @property
    def fluid(self) -> bool:
        """Whether entries come and go by themselves."""
        return bool(self.members.changes) or self.members.expires

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
    settled: bool
    """For clients who do nothing about it: what expires has not."""


class _UndecidedError(Exception):
    """An entry asks for what nobody knows."""


def _membership(found: IpSet, parts: Sequence[tuple[str, str]], packet: _Packet) -> Judgement:
    by_client = any(kind in ("ip", "net") and side == packet.client for kind, side in parts)
    plain, timed, excluded = Spans(), Spans(), Spans()
    whole = (0, (1 << BITS[packet.version]) - 1)
    try:
        for entry in map(words, found.entries):
            span = _entry(entry[0], parts, packet)
            if span is not None:
                options = _options(entry[1:])
                goes = "timeout" in options and not packet.settled
                kind = excluded if "nomatch" in options else timed if goes else plain
                kind.add(span or whole)
    except (_UndecidedError, ValueError, IndexError):
        return EITHER
    if not by_client:
        return EITHER if excluded or timed else definite(bool(plain))
    surely = plain.whole(packet.version)
    if excluded:
        # the most specific entry decides
        inner = plain.within(excluded)
        surely = (surely - excluded.whole(packet.version)) | inner.whole(packet.version)
    return Match(surely | timed.whole(packet.version), ~surely)


WITH_ARGUMENT: Final = frozenset(
    {"comment", "packets", "bytes", "skbmark", "skbprio", "skbqueue", "timeout"}
)


def _options(rest: Sequence[str]) -> set[str]:
    """The options of an entry, without their arguments; a time limit of 0 is none."""
    found = set()
    place = 0
    while place < len(rest):
        option = rest[place]
        argument = rest[place + 1] if option in WITH_ARGUMENT else ""
        if (option, argument) != ("timeout", "0"):
            found.add(option)
        place += 2 if option in WITH_ARGUMENT else 1
    return found


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
            if side == packet.client and spans:
                raise _UndecidedError  # both addresses are the client's
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
        low, high = (ip_address(part) for part in value.split("-"))
        if low.version != high.version or int(low) > int(high):
            raise ValueError(value)
        return (int(low), int(high)) if low.version == version else None
    text, _, length = value.partition("/")
    address = ip_address(text)
    if address.version != version:
        return None
    free = BITS[version] - int(length or BITS[version])
    start = int(address) >> free << free
    return start, start + (1 << free) - 1


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
