"""The instructions of nf_tables programs.

net/netfilter/nft_{cmp,range,bitwise,byteorder,immediate,lookup,fib,meta,ct,nat,redir}.c.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ollama_audit.firewall.answer import Effect
from ollama_audit.firewall.bits import (
    EQUAL,
    GREATER_EQUAL,
    LESS_EQUAL,
    NOT_EQUAL,
    Value,
    constant,
    equals,
    masked,
    ordered,
)
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.fields import Field, fib
from ollama_audit.firewall.host import LOOPBACK
from ollama_audit.firewall.machine import ACCEPT, BREAK, CONTINUE, DROP, Machine, World
from ollama_audit.firewall.match import Match, both, restrict
from ollama_audit.firewall.netlink import MalformedError
from ollama_audit.firewall.sets import Hit, NftSet
from ollama_audit.firewall.state import Phase, State, Tracking

Test = Callable[[Context, State], Match]


class Reader:
    """An instruction that changes nothing for later rules."""

    __slots__ = ()

    writes: ClassVar[bool] = False


class Writer:
    """An instruction that changes what later rules see."""

    __slots__ = ()

    writes: ClassVar[bool] = True


class Destination(NamedTuple):
    """A byte of a destination: `port` or `address`, and its place in that; or of neither."""

    part: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Load(Reader):
    """Put a field of the packet into a register."""

    register: int
    field: Field
    may_miss: bool = False
    destination: tuple[Destination, ...] = ()
    """Byte by byte, what of the packet's destination it loads; empty for nothing of it."""

    def run(self, machine: Machine, world: World) -> bool:
        value = self.field(machine.context, world.state)
        if value is None:
            machine.skip(world, world.sources)
            return False
        if self.may_miss:
            machine.maybe(world)
        world.load(self.register, value)
        return True


@dataclass(frozen=True, slots=True)
class LoadChoice(Load):
    """Put a field into a register that the client may choose in some packets."""

    chosen: frozenset[Phase] = frozenset()
    """The packets in which it may."""

    def run(self, machine: Machine, world: World) -> bool:
        if machine.context.phase in self.chosen:
            machine.fork_by_choice(world)
        return Load.run(self, machine, world)


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

    def run(self, machine: Machine, world: World) -> bool:
        value = world.read(self.register, len(self.expected))
        version = machine.context.version
        if self.operator in (EQUAL, NOT_EQUAL):
            match = equals(value, self.expected, version)
            return machine.decide(world, match if self.operator == EQUAL else ~match)
        return machine.decide(world, ordered(value, self.expected, self.operator, version))


@dataclass(frozen=True, slots=True)
class Between(Reader):
    """Go on if a register is within bounds, both included, or (negated) is not."""

    register: int
    negated: bool
    first: bytes
    last: bytes

    def run(self, machine: Machine, world: World) -> bool:
        value = world.read(self.register, len(self.first))
        version = machine.context.version
        match = both(
            ordered(value, self.first, GREATER_EQUAL, version),
            ordered(value, self.last, LESS_EQUAL, version),
        )
        return machine.decide(world, ~match if self.negated else match)


@dataclass(frozen=True, slots=True)
class Mask(Reader):
    """`target = (source & mask) ^ flip`."""

    source: int
    target: int
    length: int
    mask: bytes
    flip: bytes

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        world.load(self.target, masked(world.read(self.source, self.length), self.mask, self.flip))
        return True


@dataclass(frozen=True, slots=True)
class SwapBytes(Reader):
    """Turn each `size` bytes of a register around, where the machine is little-endian."""

    source: int
    target: int
    length: int
    size: int

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        value = world.read(self.source, self.length)
        swapped: Value = []
        for start in range(0, len(value), self.size):
            group = value[start : start + self.size]
            swapped += group[::-1] if sys.byteorder == "little" else group
        world.load(self.target, swapped)
        return True


@dataclass(frozen=True, slots=True)
class Lookup(Reader):
    """Go on if a register is in a set, or load what a map gives for it."""

    set: NftSet
    source: int
    target: int | None
    """None: membership alone."""
    negated: bool

    def run(self, machine: Machine, world: World) -> bool:
        key = world.read(self.source, self.set.record.key_length)
        try:
            found = self.set.look_up(key, machine.context.version)
        except (MalformedError, KeyError):
            return machine.give_up(world, f"the set {self.set.record.name} is damaged in the dump")
        if self.target is None:
            match = found.membership
            return machine.decide(world, ~match if self.negated else match)
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

    def run(self, machine: Machine, world: World) -> bool:
        context = machine.context
        context.chosen = False
        match = self.test(context, world.state)
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
class SetByNumber(Maybe):
    """The iptables match `set`, whose set is not known by name."""


@dataclass(frozen=True, slots=True)
class SetMark(Writer):
    """Put a register into the packet's mark or the connection's."""

    register: int
    connection: bool

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        known = constant(world.read(self.register, 4))
        value = None if known is None else int.from_bytes(known, sys.byteorder)
        world.state = marked(world.state, value, connection=self.connection)
        return True


def marked(state: State, value: int | None, *, connection: bool) -> State:
    """The state with another mark; packets without a connection have no connection mark."""
    if not connection:
        return state._replace(mark=value)
    if state.tracking in (Tracking.NONE, Tracking.UNTRACKED):
        return state
    return state._replace(connection_mark=value)


@dataclass(frozen=True, slots=True)
class DoNotTrack(Writer):
    """`notrack`: connection tracking lets the packet be, unless it has seen it already."""

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        if world.state.tracking is Tracking.NONE:
            world.state = world.state._replace(tracking=Tracking.UNTRACKED)
        return True


@dataclass(frozen=True, slots=True)
class Verdict(Reader):
    """End the rule with a verdict."""

    code: int
    chain: str = ""

    def run(self, machine: Machine, world: World) -> bool:
        give_verdict(machine, world, self.code, self.chain)
        return False


def give_verdict(machine: Machine, world: World, code: int, chain: str) -> None:
    """Let a world leave with a verdict, and note what ends its way."""
    rule = machine.program.rule
    if code == DROP:
        machine.context.drop(world.sources, rule, ordinary=world.state.ordinary)
    elif code in (CONTINUE, BREAK):
        machine.leave(CONTINUE, world)
    elif code <= ACCEPT:
        if code == ACCEPT and world.state.ordinary:
            machine.context.note(Effect.ACCEPT, world.sources, rule)
        machine.leave(code, world, chain)
    else:
        machine.give_up(world, "it hands packets to a program (queue) or steals them")


@dataclass(frozen=True, slots=True)
class Translate(Writer):
    """DNAT: set the destination, and accept."""

    address: int | None = None
    """The register that holds the new address; None keeps the old one."""
    port: int | None = None
    family: int = 0
    """NFPROTO of the address: packets of another do not match; 0 for any."""
    ranges: bool = False
    """The kernel chooses among several."""

    def run(self, machine: Machine, world: World) -> bool:
        context = machine.context
        if self.family and self.family != (2 if context.version == 4 else 10):
            machine.skip(world, world.sources)
            return False
        state = world.state
        address, port = state.address, state.port
        if self.address is not None:
            address = _number(world, self.address, 4 if context.version == 4 else 16)
        if self.port is not None:
            port = _number(world, self.port, 2)
        if self.ranges:
            address = port = None
        translate(machine, world, address, port)
        return False


def _number(world: World, register: int, length: int) -> int | None:
    known = constant(world.read(register, length))
    return None if known is None else int.from_bytes(known, "big")


def translate(machine: Machine, world: World, address: int | None, port: int | None) -> None:
    """Send a world to a new destination, and accept.

    IPS_DST_NAT is set only if the connection really changes (nf_nat_setup_info).
    """
    state = world.state
    changed = (address, port) != (state.address, state.port) or None in (address, port)
    world.state = state._replace(
        address=address,
        port=port,
        target_address=address,
        target_port=port,
        translated=changed,
        nat_done=True,
    )
    if changed and state.ordinary:
        machine.context.note(
            Effect.TRANSLATE, world.sources, machine.program.rule, f"{address},{port}"
        )
    machine.leave(ACCEPT, world)


@dataclass(frozen=True, slots=True)
class Redirect(Writer):
    """Send to this host: the first address of the ingress interface, or loopback."""

    port: int | None = None
    """The register that holds the new port; None keeps the old one."""
    ranges: bool = False

    def run(self, machine: Machine, world: World) -> bool:
        port = world.state.port if self.port is None else _number(world, self.port, 2)
        redirect(machine, world, None if self.ranges else port)
        return False


def redirect(machine: Machine, world: World, port: int | None) -> None:
    """Redirect a world to a port of this host (net/netfilter/nf_nat_redirect.c)."""
    context, state = machine.context, world.state
    loopback = next(LOOPBACK[6].ranges())[0] if context.version == 6 else 0x7F000001
    address: int | None
    if context.hook == "output":
        address = loopback
    elif context.ingress is None or context.ingress.loopback:
        address = state.address if context.version == 4 else loopback
    else:
        addresses = context.host.addresses(context.ingress, context.version)
        if not addresses:
            rule, detail = machine.program.rule, "no address to redirect to"
            context.drop(world.sources, rule, detail, ordinary=state.ordinary)
            return
        address = addresses[0]
    translate(machine, world, address, port)


@dataclass(frozen=True, slots=True)
class TranslateTo(Writer):
    """DNAT to a constant; None keeps the old address or port."""

    address: int | None
    port: int | None
    ranges: bool = False

    def run(self, machine: Machine, world: World) -> bool:
        state = world.state
        address = state.address if self.address is None else self.address
        port = state.port if self.port is None else self.port
        if self.ranges:
            address = port = None
        translate(machine, world, address, port)
        return False


@dataclass(frozen=True, slots=True)
class RedirectTo(Writer):
    """Redirect to a constant port; None keeps the old one."""

    port: int | None
    ranges: bool = False

    def run(self, machine: Machine, world: World) -> bool:
        port = world.state.port if self.port is None else self.port
        redirect(machine, world, None if self.ranges else port)
        return False


@dataclass(frozen=True, slots=True)
class Masquerade(Writer):
    """SNAT: the source is changed from the end of postrouting on, and the packet accepted."""

    def run(self, machine: Machine, world: World) -> bool:
        world.state = world.state._replace(masqueraded=True)
        machine.leave(ACCEPT, world)
        return False


@dataclass(frozen=True, slots=True)
class GiveUp(Writer):
    """Something nobody models: any verdict, any change."""

    detail: str

    def run(self, machine: Machine, world: World) -> bool:
        return machine.give_up(world, self.detail)


def shifted(value: int, by: int) -> int:
    """A mark shifted to the left, or (negative) to the right; it keeps its 32 bits."""
    return (value << by if by > 0 else value >> -by) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class SetMasked(Writer):
    """`mark = (mark & keep) ^ flip`, for the packet or the connection (xt_mark, xt_connmark)."""

    keep: int
    flip: int
    connection: bool
    shift: int = 0
    """As that of `CopyMark`, applied to the whole."""

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        state = world.state
        old = state.connection_mark if self.connection else state.mark
        new = self.flip if not self.keep else None if old is None else (old & self.keep) ^ self.flip
        if new is not None and self.shift:
            new = shifted(new, self.shift)
        world.state = marked(state, new, connection=self.connection)
        return True


@dataclass(frozen=True, slots=True)
class CopyMark(Writer):
    """Save the packet's mark into the connection's, or restore it (xt_connmark)."""

    save: bool
    keep: int
    """Bits of the target that stay."""
    take: int
    """Bits of the source that are taken."""
    shift: int = 0
    """By how many bits what is taken is shifted, to the left; negative: to the right."""

    def run(self, machine: Machine, world: World) -> bool:
        del machine
        state = world.state
        if state.tracking in (Tracking.NONE, Tracking.UNTRACKED):
            return True
        source = state.mark if self.save else state.connection_mark
        target = state.connection_mark if self.save else state.mark
        new = None
        if source is not None and (target is not None or not self.keep):
            new = ((target or 0) & self.keep) ^ shifted(source & self.take, self.shift)
        world.state = marked(state, new, connection=self.save)
        return True
