"""Which connections rules put on lists: sets that rules add to, and those of xt_recent."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.chains import Chains
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.destinations import Reached, Reader
from ollama_audit.firewall.instructions import AddTo, Require
from ollama_audit.firewall.machine import Instruction
from ollama_audit.firewall.ports import EVERY_PORT, NO_PORT, Ports


class Written:
    """The ports about which rules may be that put clients on a list; read when first asked for.

    A rule in a chain that others lead to is taken to be about every port that it allows itself.
    """

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._ports: dict[Hashable, Ports] | None = None

    def __call__(self, listing: Hashable) -> Ports:
        """The ports of those rules, as a set of bits."""
        if self._ports is None:
            self._ports = {}
            for chain in self._chains.values():
                for program in chain.programs:
                    for written, ports in _written(program.spelled_out):
                        self._ports[written] = self._ports.get(written, NO_PORT) | ports
        return self._ports.get(listing, NO_PORT)


def _written(instructions: Sequence[Instruction]) -> Iterator[tuple[Hashable, Ports]]:
    """The lists that a rule writes to, each with the ports of the packets that get to its end."""
    found = [each.listing for each in instructions if isinstance(each, AddTo)]
    found += [
        name for each in instructions if isinstance(each, Require) for name in _set_by(each.test)
    ]
    if found:
        ports = _ports(instructions)
        yield from ((listing, ports) for listing in found)


def _set_by(test: Test) -> Iterator[Hashable]:
    if isinstance(test, on.Tracked | on.Negated):
        yield from _set_by(test.test)
    elif isinstance(test, on.AllOf | on.AnyOf):
        for one in test.tests:
            yield from _set_by(one)
    elif isinstance(test, on.Recent) and test.sets:
        yield test.listing


MOST_STEPS = 10_000
"""Branches of one rule."""


def _ports(instructions: Sequence[Instruction]) -> Ports:
    reader = Reader(4)
    worlds = [(Reached(EVERY_PORT, AddressSet.everything(4)), 0)]
    ports, steps = NO_PORT, 0
    while worlds:
        place, position = worlds.pop()
        steps += 1
        if position == len(instructions):
            ports |= place.ports
            continue
        for after, data in reader.step(instructions[position], place):
            if data is not None and data.verdict is not None:
                ports |= after.ports
            else:
                worlds.append((after, position + 1))
        if steps > MOST_STEPS or reader.vague:
            return EVERY_PORT
    return ports
