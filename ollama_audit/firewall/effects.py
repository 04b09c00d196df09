"""What nf_tables rules do: verdicts, marks, translation.

net/netfilter/nft_{immediate,meta,ct,nat,redir,masq}.c, xt_{mark,connmark}.c.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ollama_audit.firewall.answer import Effect, destination_text
from ollama_audit.firewall.bits import constant
from ollama_audit.firewall.host import LOOPBACK
from ollama_audit.firewall.machine import (
    ACCEPT,
    BREAK,
    CONTINUE,
    DROP,
    Machine,
    Reader,
    World,
    Writer,
)
from ollama_audit.firewall.state import State, Tracking


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
    rule = machine.rule
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
        to = destination_text(address, port, machine.context.version)
        machine.context.note(Effect.TRANSLATE, world.sources, machine.rule, to)
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
            rule, detail = machine.rule, "no address to redirect to"
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
