"""What a rule asks of a packet's destination, whoever sends it: read from its instructions.

Both answers err on the safe side. The destinations that a rule may match are at least those that
it does; and ports between which a rule never tells apart are not separated by an edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.bits import (
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    NOT_EQUAL,
)
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.instructions import (
    Between,
    Compare,
    Constant,
    Destination,
    Forget,
    Load,
    Lookup,
    Mask,
    Require,
    RouteLookup,
    SwapBytes,
)
from ollama_audit.firewall.ipset import SetMatch
from ollama_audit.firewall.machine import REGISTER_BYTES, Instruction, register_offset
from ollama_audit.firewall.netlink import MalformedError
from ollama_audit.firewall.ports import EVERY_PORT, LAST, NO_PORT, Ports, spans
from ollama_audit.firewall.sets import Data, Element, NftSet

MOST_ELEMENTS = 4096
"""A map with more is not followed element by element."""

Shown: TypeAlias = int | Destination
"""What is known of a byte of a register: a number, or a byte of the destination."""
UNKNOWN: Final = Destination()
UNKNOWN_BYTES: Final = (UNKNOWN,) * 16
"""As long as the longest field."""
PORT: Final = (Destination("port", 0), Destination("port", 1))


@dataclass(frozen=True, slots=True)
class Reached:
    """Packets that may be at some place of a rule."""

    ports: Ports
    addresses: AddressSet
    registers: tuple[Shown, ...] = (UNKNOWN,) * REGISTER_BYTES

    def shown(self, register: int, length: int) -> tuple[Shown, ...]:
        """What is known of the first bytes of a register."""
        start = register_offset(register)
        return self.registers[start : start + length]

    def number(self, register: int, length: int) -> int | None:
        """The big-endian number in a register, None when it cannot be said."""
        shown = self.shown(register, length)
        numbers = [byte for byte in shown if isinstance(byte, int)]
        return int.from_bytes(bytes(numbers), "big") if len(numbers) == length else None

    def with_register(self, register: int, value: Sequence[Shown]) -> Reached:
        """The same with other bytes in a register."""
        start = register_offset(register)
        padded = [*value, *[0] * (-len(value) % 4)]
        registers = (*self.registers[:start], *padded, *self.registers[start + len(padded) :])
        return replace(self, registers=registers[:REGISTER_BYTES])

    def within(self, ports: Ports, addresses: AddressSet) -> Reached:
        """Those that are sent to these as well."""
        return replace(self, ports=self.ports & ports, addresses=self.addresses & addresses)

    def __bool__(self) -> bool:
        return bool(self.ports) and bool(self.addresses)


# The matches of iptables


def admitted(test: Test, version: int) -> tuple[Ports, AddressSet]:
    """The destinations for which a test may hold."""
    ports, addresses = EVERY_PORT, AddressSet.everything(version)
    if test is on.never:
        ports = NO_PORT
    elif isinstance(test, on.Tracked):
        ports, addresses = admitted(test.test, version)
    elif isinstance(test, on.OriginalPort) or (isinstance(test, on.Port) and not test.source):
        ports = spans(test.ranges)
    elif isinstance(test, on.Address) and not test.source:
        addresses = addresses & test.addresses
    elif isinstance(test, on.Negated):
        ports, addresses = _refused(test.test, version)
    elif isinstance(test, on.AllOf):
        for one in test.tests:
            its_ports, its_addresses = admitted(one, version)
            ports, addresses = ports & its_ports, addresses & its_addresses
    elif isinstance(test, on.AnyOf):
        ports, addresses = NO_PORT, AddressSet.nothing(version)
        for one in test.tests:
            its_ports, its_addresses = admitted(one, version)
            ports, addresses = ports | its_ports, addresses | its_addresses
    return ports, addresses


def _refused(test: Test, version: int) -> tuple[Ports, AddressSet]:
    """The destinations for which a test may fail."""
    everywhere = AddressSet.everything(version)
    if isinstance(test, on.Port) and not test.source:
        return EVERY_PORT & ~spans(test.ranges), everywhere
    if isinstance(test, on.Address) and not test.source:
        return EVERY_PORT, ~(test.addresses & everywhere)
    return EVERY_PORT, everywhere


def named(test: Test) -> Iterator[tuple[int, int]]:
    """Every range of destination ports that a test tells from others."""
    if isinstance(test, on.Tracked | on.Negated):
        yield from named(test.test)
    elif isinstance(test, on.AllOf | on.AnyOf):
        for one in test.tests:
            yield from named(one)
    elif isinstance(test, on.Port | on.OriginalPort):
        yield from test.ranges
    elif isinstance(test, SetMatch):
        yield from test.ports()


# The instructions of nf_tables


class Reader:
    """Reads programs; notes where what they do may change from one port to the next."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.edges: Ports = NO_PORT
        self.vague = False
        """Some rule looks at the port in a way that is not read here."""

    def note(self, ranges: Iterator[tuple[int, int]] | Sequence[tuple[int, int]]) -> None:
        """Keep where ranges begin, and what follows behind them."""
        for first, last in ranges:
            if 0 <= first <= last <= LAST:
                self.edges |= 1 << first | 1 << (last + 1)
        self.edges &= EVERY_PORT

    def step(self, instruction: Instruction, at: Reached) -> list[tuple[Reached, Data | None]]:
        """Where packets are after an instruction; a verdict that they got from a map beside."""
        if isinstance(instruction, Lookup):
            return self._look_up(instruction, at)
        return [(found, None) for found in [self._plain(instruction, at)] if found]

    def _plain(self, instruction: Instruction, at: Reached) -> Reached:
        if isinstance(instruction, Require):
            self.note(named(instruction.test))
            return at.within(*admitted(instruction.test, self.version))
        if isinstance(instruction, Compare | Between):
            return self._compare(instruction, at)
        if isinstance(instruction, Mask | SwapBytes):
            read = at.shown(instruction.source, instruction.length)
            self.vague = self.vague or any(_of_port(byte) for byte in read)
        return _loaded(instruction, at)

    def _compare(self, instruction: Compare | Between, at: Reached) -> Reached:
        if isinstance(instruction, Between):
            first, last, negated = instruction.first, instruction.last, instruction.negated
        elif instruction.operator in (EQUAL, NOT_EQUAL):
            first = last = instruction.expected
            negated = instruction.operator == NOT_EQUAL
        else:
            first, last = _bounds(instruction.operator, instruction.expected)
            negated = False
        shown = at.shown(instruction.register, len(first))
        element = Element(first, last, None, unsure=False)
        ports, addresses = self._fitting(shown, [(0, len(first))], element)
        if negated:
            whole = shown in (PORT, _address(self.version))
            ports = EVERY_PORT & ~ports if whole and ports != EVERY_PORT else EVERY_PORT
            everywhere = AddressSet.everything(self.version)
            addresses = ~addresses if whole and addresses != everywhere else everywhere
        return at.within(ports, addresses)

    def _look_up(self, instruction: Lookup, at: Reached) -> list[tuple[Reached, Data | None]]:
        members = instruction.set
        shown = at.shown(instruction.source, members.record.key_length)
        target = instruction.target
        if not any(isinstance(byte, Destination) and byte.part for byte in shown):
            return self._unread_map(members, at, target)
        try:
            elements = members.elements
            others = [members.catch_all] if members.catch_all is not None else []
        except (MalformedError, KeyError):
            return [(at, None)]
        if len(elements) > MOST_ELEMENTS and not any(_of_port(byte) for byte in shown):
            return self._unread_map(members, at, target)
        fits = [(self._fitting(shown, members.fields, each), each) for each in elements]
        if target is None:
            sure = not (members.changes or others or instruction.negated)
            return [(_joined(at, fits) if sure else at, None)]
        if members.changes or others:
            fits = [((EVERY_PORT, AddressSet.everything(self.version)), each) for _, each in fits]
            fits += [((EVERY_PORT, AddressSet.everything(self.version)), each) for each in others]
        found = []
        for (ports, addresses), each in fits:
            if branch := at.within(ports, addresses):
                found.append(_given(branch, target, each.data, members.record.data_length))
        return found

    def _unread_map(
        self, members: NftSet, at: Reached, target: int | None
    ) -> list[tuple[Reached, Data | None]]:
        """A set or map of something else, or a big one: anything it gives."""
        if target is None:
            return [(at, None)]
        length = members.record.data_length
        try:
            given = members.data()
        except (MalformedError, KeyError):
            given = set()
        if any(data is not None and data.verdict is not None for data in given):
            return [_given(at, target, data, length) for data in given]
        return [(at.with_register(target, (UNKNOWN,) * length), None)]

    def _fitting(
        self, shown: tuple[Shown, ...], fields: list[tuple[int, int]], element: Element
    ) -> tuple[Ports, AddressSet]:
        """The destinations whose bytes are between those of an element, field by field."""
        ports, addresses = EVERY_PORT, AddressSet.everything(self.version)
        for offset, length in fields:
            part = shown[offset : offset + length]
            first = element.first[offset : offset + length]
            last = element.last[offset : offset + length]
            if part == PORT:
                span = (int.from_bytes(first, "big"), int.from_bytes(last, "big"))
                self.note([span])
                ports &= spans([span])
            elif any(_of_port(byte) for byte in part):
                if first != last:
                    self.vague = True
                elif part[-2:] == PORT:
                    port = int.from_bytes(first[-2:], "big")
                    self.note([(port, port)])
                    ports &= spans([(port, port)])
                else:
                    self.vague = True
            else:
                addresses &= self._prefix(part, first, last)
        return ports, addresses

    def _prefix(self, part: tuple[Shown, ...], first: bytes, last: bytes) -> AddressSet:
        """The addresses that begin so."""
        if not part or part != _address(self.version)[: len(part)]:
            return AddressSet.everything(self.version)
        rest = BITS[self.version] - 8 * len(part)
        low = int.from_bytes(first, "big") << rest
        high = (int.from_bytes(last, "big") + 1 << rest) - 1
        if low > high:
            return AddressSet.nothing(self.version)
        return AddressSet.span(low, high, self.version)


def _loaded(instruction: Instruction, at: Reached) -> Reached:
    """The same with what an instruction puts into a register."""
    if isinstance(instruction, Load):
        return at.with_register(instruction.register, instruction.destination or UNKNOWN_BYTES)
    if isinstance(instruction, Constant):
        value = [byte if isinstance(byte, int) else UNKNOWN for byte in instruction.value]
        return at.with_register(instruction.register, value)
    if isinstance(instruction, Forget):
        return at.with_register(instruction.register, (UNKNOWN,) * instruction.length)
    if isinstance(instruction, RouteLookup):
        return at.with_register(instruction.register, UNKNOWN_BYTES)
    if isinstance(instruction, Mask | SwapBytes):
        return at.with_register(instruction.target, (UNKNOWN,) * instruction.length)
    return at


def _of_port(byte: Shown) -> bool:
    return isinstance(byte, Destination) and byte.part == "port"


def _address(version: int) -> tuple[Shown, ...]:
    return tuple(Destination("address", place) for place in range(BITS[version] // 8))


def _bounds(operator: int, expected: bytes) -> tuple[bytes, bytes]:
    """The range that an ordering comparison stands for."""
    length, value = len(expected), int.from_bytes(expected, "big")
    top = (1 << 8 * length) - 1
    low, high = {
        LESS: (0, value - 1),
        LESS_EQUAL: (0, value),
        GREATER: (value + 1, top),
        GREATER_EQUAL: (value, top),
    }[operator]
    low, high = min(low, top), max(high, 0)
    return low.to_bytes(length, "big"), high.to_bytes(length, "big")


def _joined(at: Reached, fits: list[tuple[tuple[Ports, AddressSet], Element]]) -> Reached:
    ports, addresses = NO_PORT, AddressSet.nothing(at.addresses.version)
    for (its_ports, its_addresses), _ in fits:
        ports, addresses = ports | its_ports, addresses | its_addresses
    return at.within(ports, addresses)


def _given(at: Reached, target: int, data: Data | None, length: int) -> tuple[Reached, Data | None]:
    if data is not None and data.verdict is not None:
        return at, data
    value: Sequence[Shown] = list(data.value) if data is not None else (UNKNOWN,) * length
    return at.with_register(target, value), None
