"""Which addresses of a namespace its rules and routes may tell apart, so that not all are asked.

Of two addresses that no rule tells apart, who gets to the one gets to the other by the same
interface. The reading errs on the safe side: what it puts together fares alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.bits import EQUAL, NOT_EQUAL
from ollama_audit.firewall.chains import Chains
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.destinations import MOST_ELEMENTS, Reached, Reader, Shown
from ollama_audit.firewall.instructions import (
    Compare,
    Destination,
    Load,
    Lookup,
    Mask,
    Require,
    SwapBytes,
)
from ollama_audit.firewall.ipset import SetMatch
from ollama_audit.firewall.machine import Instruction
from ollama_audit.firewall.netlink import MalformedError
from ollama_audit.firewall.ports import EVERY_PORT, Ports
from ollama_audit.firewall.reach import compiled
from ollama_audit.firewall.sets import Element, NftSet
from ollama_audit.firewall.translations import Kind, translations
from ollama_audit.observed import Unknown, known_or
from ollama_audit.snapshot.network import NetworkNamespace

MOST_STEPS = 200_000
"""Branches of rules that are read before every address counts as one by itself."""


class ToldApart:
    """The addresses of one version that a namespace tells apart."""

    def __init__(self, namespace: NetworkNamespace, version: int) -> None:
        """Read the rules and the routing policy."""
        self._version = version
        self._sets: dict[AddressSet, None] = {}
        self._each = False
        """Every address is one by itself."""
        for rule in known_or(namespace.policy_rules, ()):
            if rule.source and (":" in rule.source) == (version == 6):
                self._note(AddressSet.from_networks([rule.source], version))
        filtering = compiled(namespace)
        if not isinstance(filtering, Unknown):
            self._read(filtering.hooks.chains)
        found = translations(namespace)
        if not isinstance(found, Unknown):
            # Who asks for that address already may not be translated: IPS_DST_NAT stays off.
            for each in found.translations:
                if each.version == version and each.target.kind is Kind.ADDRESS:
                    self._note(AddressSet.single(each.target.address, version))

    def key(self, address: int) -> Hashable:
        """Equal for two addresses that fare alike."""
        return address if self._each else tuple(address in each for each in self._sets)

    def _note(self, addresses: AddressSet) -> None:
        if addresses and not addresses.full:
            self._sets.setdefault(addresses)

    def _read(self, chains: Chains) -> None:
        family = "ip" if self._version == 4 else "ip6"
        reader = _Reader(self._version, self._sets)
        steps = 0
        for chain in chains.values():
            if chain.key.family not in {family, "inet", "netdev"}:
                continue
            for program in chain.programs:
                instructions = program.spelled_out
                if any(map(_looks_at_addresses, instructions)):
                    steps += reader.read(instructions)
            if steps > MOST_STEPS:
                self._each = True
                return
        self._each = reader.unread


def _looks_at_addresses(instruction: Instruction) -> bool:
    if isinstance(instruction, Load):
        return any(byte.part == "address" for byte in instruction.destination)
    return isinstance(instruction, Require)


def _of_address(shown: tuple[Shown, ...], version: int) -> bool:
    """Whether a value holds part of an address; a longer one is of the other IP version."""
    places = [
        byte.place for byte in shown if isinstance(byte, Destination) and byte.part == "address"
    ]
    return bool(places) and max(places) < BITS[version] // 8


def _large(members: NftSet) -> bool:
    """Whether the reader of destinations passes over the elements of a set, or cannot read them."""
    try:
        return len(members.elements) > MOST_ELEMENTS or members.catch_all is not None
    except (MalformedError, KeyError):
        return True


class _Reader(Reader):
    """Keeps every set of destinations that a comparison is about, negated or not."""

    def __init__(self, version: int, found: dict[AddressSet, None]) -> None:
        super().__init__(version)
        self._found = found
        self.unread = False
        """A test looks at destinations in a way that is not read here."""

    def read(self, instructions: Sequence[Instruction]) -> int:
        """Keep what a rule tells apart; the number of steps that it took."""
        worlds = [(Reached(EVERY_PORT, AddressSet.everything(self.version)), 0)]
        steps = 0
        while worlds and steps <= MOST_STEPS:
            place, position = worlds.pop()
            steps += 1
            if position == len(instructions):
                continue
            instruction = instructions[position]
            if isinstance(instruction, Require):
                self._keep(*self._of_test(instruction.test))
            elif isinstance(instruction, Mask) and (
                network := self._network(instruction, instructions[position + 1 :], place)
            ):
                self._keep(network)
            elif isinstance(instruction, Mask | SwapBytes | Lookup):
                self._check(instruction, place)
            for after, data in self.step(instruction, place):
                if data is None or data.verdict is None:
                    worlds.append((after, position + 1))
        return steps

    def _network(
        self, mask: Mask, rest: Sequence[Instruction], place: Reached
    ) -> AddressSet | None:
        """The network that an address is compared with, when that is what a mask is for."""
        shown, size = place.shown(mask.source, mask.length), BITS[self.version] // 8
        whole = shown == tuple(Destination("address", byte) for byte in range(size))
        ask = rest[0] if rest else None
        if not whole or not isinstance(ask, Compare) or ask.register != mask.target:
            return None
        kept = int.from_bytes(mask.mask[:size], "big")
        free = ~kept & ((1 << BITS[self.version]) - 1)
        plain = ask.operator in (EQUAL, NOT_EQUAL) and len(ask.expected) == size
        if free & (free + 1) or not plain or any(mask.flip[:size]):
            return None
        first = int.from_bytes(ask.expected, "big") & kept
        return AddressSet.span(first, first | free, self.version)

    def _check(self, instruction: Mask | SwapBytes | Lookup, place: Reached) -> None:
        """Note a look at an address of which not all comparisons are seen."""
        if isinstance(instruction, Lookup):
            seen = not _large(instruction.set)
            shown = place.shown(instruction.source, instruction.set.record.key_length)
        else:
            seen, shown = False, place.shown(instruction.source, instruction.length)
        self.unread = self.unread or (not seen and _of_address(shown, self.version))

    def _keep(self, *found: AddressSet) -> None:
        for addresses in found:
            if addresses and not addresses.full:
                self._found.setdefault(addresses)

    def _fitting(
        self, shown: tuple[Shown, ...], fields: list[tuple[int, int]], element: Element
    ) -> tuple[Ports, AddressSet]:
        ports, addresses = super()._fitting(shown, fields, element)
        self.unread = self.unread or (addresses.full and _of_address(shown, self.version))
        self._keep(addresses)
        return ports, addresses

    def _of_test(self, test: Test) -> Iterator[AddressSet]:
        if isinstance(test, on.Tracked | on.Negated):
            yield from self._of_test(test.test)
        elif isinstance(test, on.AllOf | on.AnyOf):
            for one in test.tests:
                yield from self._of_test(one)
        elif (isinstance(test, on.Address) and not test.source) or isinstance(
            test, on.OriginalDestination
        ):
            yield test.addresses
        elif isinstance(test, SetMatch):
            self.unread = self.unread or any(
                side == "dst" and kind in {"ip", "net"} for kind, side in test.parts
            )
