"""What nf_tables rules look at: fields loaded into registers, and what is asked of them.

net/netfilter/nft_{cmp,range,bitwise,byteorder,immediate,lookup,fib,meta,payload}.c.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.bits import (
    CLIENT,
    EQUAL,
    GREATER_EQUAL,
    LESS_EQUAL,
    NOT_EQUAL,
    Value,
    equals,
    masked,
    ordered,
)
from ollama_audit.firewall.conditions import Address, Test
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.effects import give_verdict
from ollama_audit.firewall.fields import Field, fib, word
from ollama_audit.firewall.machine import CONTINUE, Machine, Reader, World
from ollama_audit.firewall.match import (
    Judgement,
    Match,
    as_match,
    both,
    definite,
    judgement,
    opposite,
    restrict,
)
from ollama_audit.firewall.netlink import MalformedError
from ollama_audit.firewall.sets import Hit, NftSet
from ollama_audit.firewall.state import Phase, State, Tracking
from ollama_audit.firewall.view import View


class Destination(NamedTuple):
    """A byte of a destination: `port` or `address`, and its place in that; or of neither."""

    part: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Load(Reader):
    """Put a field of the packet into a register."""

    register: int
    field: Field
    may_miss: bool = False
    destination: tuple[Destination, ...] = ()
    """Byte by byte, what of the packet's destination it loads; empty for nothing of it."""
    chosen: frozenset[Phase] = frozenset()
    """The packets in which the client may choose some of it."""
    parts_sources: bool = False
    """It may be the client's address."""

    def run(self, machine: Machine, world: World) -> bool:
        if self.chosen and machine.context.phase in self.chosen:
            machine.fork_by_choice(world)
        value = self.field(machine.context, world.state)
        if value is None:
            machine.skip(world, world.sources)
            return False
        if self.may_miss:
            machine.maybe(world)
        world.load(self.register, value)
        return True


@dataclass(frozen=True, slots=True)
class Constant(Reader):
    """Put bytes into a register."""

    register: int
    value: Value

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        world.load(self.register, self.value)
        return True


@dataclass(frozen=True, slots=True)
class Choose(Reader):
    """Put one of some numbers into a register: which one is chance, or a hash's secret."""

    register: int
    numbers: range

    def run(self, machine: Machine, world: World) -> bool:
        if len(self.numbers) > 1:
            machine.doubt(world, f"which of {len(self.numbers)} ways is taken")
        for value in self.numbers:
            machine.fork(world, world.sources).load(self.register, word(value))
        return False


@dataclass(frozen=True, slots=True)
class Forget(Reader):
    """A register gets a value that is not known; or the rule may end here."""

    register: int
    length: int
    may_miss: bool

    def run(self, machine: Machine, world: World) -> bool:
        if self.may_miss:
            machine.maybe(world)
        world.load(self.register, [None] * self.length)
        return True


@dataclass(frozen=True, slots=True)
class Compare(Reader):
    """Go on if a register compares so with a constant."""

    register: int
    operator: int
    expected: bytes

    @property
    def asks_of(self) -> int | None:
        """The register that it asks something of, where that is all it does."""
        return self.register

    def match(self, value: Value | bytes, version: int) -> Judgement:
        """For which sources a value compares so; it may be longer than what is compared."""
        expected, operator = self.expected, self.operator
        if operator > NOT_EQUAL:
            return judgement(ordered(cut(value, len(expected)), expected, operator, version))
        if value is CLIENT[version] and len(expected) == len(value):
            start = int.from_bytes(expected, "big")
            found: Judgement = AddressSet([start, start + 1], version)
        elif isinstance(value, bytes) and len(value) >= len(expected):
            found = value.startswith(expected)
        else:
            found = judgement(equals(cut(value, len(expected)), expected, version))
        return found if operator == EQUAL else opposite(found)

    def run(self, machine: Machine, world: World) -> bool:
        value = world.read(self.register, len(self.expected))
        return machine.decide(world, as_match(self.match(value, machine.context.version)))


@dataclass(frozen=True, slots=True)
class Between(Reader):
    """Go on if a register is within bounds, both included, or (negated) is not."""

    register: int
    negated: bool
    first: bytes
    last: bytes

    @property
    def asks_of(self) -> int | None:
        """As of `Compare`."""
        return self.register

    def match(self, value: Value | bytes, version: int) -> Judgement:
        """For which sources a value is so; it may be longer than what is compared."""
        compared = cut(value, len(self.first))
        found = both(
            ordered(compared, self.first, GREATER_EQUAL, version),
            ordered(compared, self.last, LESS_EQUAL, version),
        )
        return judgement(~found if self.negated else found)

    def run(self, machine: Machine, world: World) -> bool:
        value = world.read(self.register, len(self.first))
        return machine.decide(world, as_match(self.match(value, machine.context.version)))


def cut(value: Value | bytes, length: int) -> Value:
    """The first bytes of a value; nothing is known of what is behind its end."""
    found: Value = list(value[:length])
    return found + [None] * (length - len(found))


@dataclass(frozen=True, slots=True)
class Mask(Reader):
    """`target = (source & mask) ^ flip`."""

    source: int
    target: int
    length: int
    mask: bytes
    flip: bytes

    def changed(self, value: Value) -> Value:
        """What becomes of a value; it may be longer than what is masked."""
        return masked(cut(value, self.length), self.mask, self.flip)

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        world.load(self.target, self.changed(world.read(self.source, self.length)))
        return True


@dataclass(frozen=True, slots=True)
class SwapBytes(Reader):
    """Turn each `size` bytes of a register around, where the machine is little-endian."""

    source: int
    target: int
    length: int
    size: int

    def changed(self, value: Value) -> Value:
        """What becomes of a value; it may be longer than what is turned around."""
        value = cut(value, self.length)
        swapped: Value = []
        for start in range(0, len(value), self.size):
            group = value[start : start + self.size]
            swapped += group[::-1] if sys.byteorder == "little" else group
        return swapped

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        world.load(self.target, self.changed(world.read(self.source, self.length)))
        return True


@dataclass(frozen=True, slots=True)
class Lookup(Reader):
    """Go on if a register is in a set, or load what a map gives for it."""

    set: NftSet
    source: int
    target: int | None
    """None: membership alone."""
    negated: bool

    @property
    def asks_of(self) -> int | None:
        """As of `Compare`; none of a map, which loads something."""
        return self.source if self.target is None else None

    @property
    def chains(self) -> frozenset[str]:
        """The names of chains that a map of verdicts leads to."""
        try:
            return frozenset(data.chain for data in self.set.data() if data is not None)
        except (MalformedError, KeyError):
            return frozenset()  # it leads nowhere, see `run`

    def of(self, context: Context, state: State) -> Lookup:
        """The lookup as it is for these clients: in the set as captured, if nothing changes it."""
        if not self.set.fluid or not context.settled(self.set.key, state):
            return self
        return Lookup(self.set.as_captured, self.source, self.target, self.negated)

    def match(self, value: Value | bytes, version: int) -> Judgement:
        """For which sources a value is in the set.

        Raises:
            MalformedError, KeyError: The set is damaged in the dump.
        """
        key = value if value is CLIENT[version] else cut(value, self.set.record.key_length)
        found = self.set.membership(key, version)
        return judgement(~found if self.negated else found)

    def run(self, machine: Machine, world: World) -> bool:
        if self.set.fluid:
            machine.fork_by_choice(world)
        return self.of(machine.context, world.state).carry_out(machine, world)

    def carry_out(self, machine: Machine, world: World) -> bool:
        """Look the key up."""
        version = machine.context.version
        key = world.read(self.source, self.set.record.key_length)
        try:
            if self.target is None:
                return machine.decide(world, as_match(self.match(key, version)))
            found = self.set.look_up(key, version)
        except (MalformedError, KeyError):
            return machine.give_up(world, f"the set {self.set.record.name} is damaged in the dump")
        machine.skip(world, restrict(world.sources, found.missing))
        for hit in found.hits:
            self._follow(machine, world, hit, self.target)
        return False

    def _follow(self, machine: Machine, world: World, hit: Hit, target: int) -> None:
        sources = restrict(world.sources, hit.sources)
        if not sources:
            return
        branch = World(world.position, world.registers[:], world.state, sources)
        data = hit.data
        if data is None:
            branch.load(target, [None] * self.set.record.data_length)
        elif data.verdict is None:
            branch.load(target, list(data.value))
        elif data.verdict != CONTINUE:
            give_verdict(machine, branch, data.verdict, data.chain)
            return
        machine.worlds.append(branch)


@dataclass(frozen=True, slots=True)
class RouteLookup(Reader):
    """`fib`: what a route lookup says of an address of the packet."""

    register: int
    result: int
    flags: int

    def run(self, machine: Machine, world: World) -> bool:
        for part, value in fib(machine.context, world.state, self.result, self.flags):
            sources = restrict(world.sources, part)
            if sources and value is None:
                machine.skip(world, sources)
            elif sources and value is not None:
                machine.fork(world, sources).load(self.register, value)
        return False


@dataclass(frozen=True, slots=True)
class Require(Reader):
    """Go on if a test of the packet holds: the matches of iptables."""

    test: Test

    @property
    def parts_sources(self) -> bool:
        """Whether the answer may differ by source: then it is better asked late."""
        return isinstance(self.test, Address)

    def judge(self, view: View) -> Judgement:
        """For which sources it holds."""
        context = view.context
        context.chosen = False
        found = self.test(context, view.state)
        view.chosen = context.chosen
        return judgement(found) if isinstance(found, Match) else found

    def run(self, machine: Machine, world: World) -> bool:
        context = machine.context
        context.chosen = False
        match = as_match(self.test(context, world.state))
        if context.chosen:
            machine.fork_by_choice(world)
        return machine.decide(world, match)


@dataclass(frozen=True, slots=True)
class Maybe(Reader):
    """A match on time, rate or chance, or on what no capture shows."""

    what: str = ""
    """The match by its own name."""

    def run(self, machine: Machine, world: World) -> bool:
        detail = f"whether `{self.what}` matches cannot be said" if self.what else ""
        return machine.maybe(world, detail)


@dataclass(frozen=True, slots=True)
class Ordinarily(Maybe):
    """A match that holds, or does not, for clients who do nothing to change that."""

    holds: bool | None = None
    """None: it cannot be said of them either."""

    def run(self, machine: Machine, world: World) -> bool:
        if self.holds is None or not world.state.ordinary:
            return Maybe.run(self, machine, world)
        machine.fork_by_choice(world)
        return machine.decide(world, definite(self.holds))


@dataclass(frozen=True, slots=True)
class CountConnections(Ordinarily):
    """The iptables match `connlimit`, which counts connections as it meets them.

    Linux 6.18 counts those alone whose first packet it meets, or any over lo, and drops packets of
    a client of whom it counts none (nf_conncount_count_skb, and `hotdrop` of
    net/netfilter/xt_connlimit.c; tried on 6.18.44). Older ones count all.
    """

    writes: ClassVar[bool] = True

    def run(self, machine: Machine, world: World) -> bool:
        context, state, rule = machine.context, world.state, machine.rule
        if context.phase is Phase.OPEN:
            world.state = state._replace(counted=state.counted | {rule})
        elif (
            state.tracking is Tracking.ESTABLISHED
            and not (context.ingress and context.ingress.loopback)
            and (context.phase is Phase.ANSWER or rule not in state.counted)
        ):
            return machine.give_up(world, "`connlimit` did not see the connection opened")
        return Ordinarily.run(self, machine, world)


@dataclass(frozen=True, slots=True)
class AddTo(Ordinarily):
    """Put the client on a list; the rule ends when that is full, or a rate is not kept."""

    listing: Hashable = None


@dataclass(frozen=True, slots=True)
class SetByNumber(Maybe):
    """The iptables match `set`, whose set is not known by name."""
