"""The nf_tables virtual machine, run for every source address at once.

A rule is a program of instructions over registers (net/netfilter/nf_tables_core.c). Packets
whose sources a match separates go different ways; each way is a world of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple, Protocol

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Effect, Rule
from ollama_audit.firewall.bits import Byte, Value
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.match import Match, restrict
from ollama_audit.firewall.state import State

DROP, ACCEPT, CONTINUE, BREAK, JUMP, GOTO, RETURN = 0, 1, -1, -2, -3, -4, -5
"""NF_* and NFT_* verdict codes (linux/netfilter.h, linux/netfilter/nf_tables.h)."""

REGISTER_BYTES = 80


def register_offset(register: int) -> int:
    """Where a register begins: four of 16 bytes behind the verdict, or sixteen of 4 bytes."""
    return (register - 1) * 16 if register < 8 else (register - 8) * 4


class Exit(NamedTuple):
    """How sources left a rule: with a verdict, or to the next rule (CONTINUE)."""

    verdict: int
    state: State
    sources: AddressSet
    chain: str = ""


class World:
    """Packets that have gone the same way through the rule so far."""

    __slots__ = ("position", "registers", "sources", "state")

    def __init__(
        self, position: int, registers: list[Byte], state: State, sources: AddressSet
    ) -> None:
        self.position = position
        self.registers = registers
        self.state = state
        self.sources = sources

    def load(self, register: int, value: Value) -> None:
        """Put a value into a register; what is left of its last word becomes zero."""
        offset = register_offset(register)
        value = whole_words(value)
        self.registers[offset : offset + len(value)] = value

    def read(self, register: int, length: int) -> Value:
        """The first bytes from a register on."""
        offset = register_offset(register)
        return self.registers[offset : offset + length]


def whole_words(value: Value) -> Value:
    """A value as registers hold it: what is left of its last word is zero."""
    padding = -len(value) % 4
    return value + [0] * padding if padding else value


class Instruction(Protocol):
    """One expression of a rule."""

    writes: ClassVar[bool]
    """It changes what later rules see: a mark, the destination, tracking."""

    def run(self, machine: Machine, world: World) -> bool:
        """Take one step; False when nothing of the world is left in the rule."""


class Reader:
    """An instruction that changes nothing for later rules."""

    __slots__ = ()

    writes: ClassVar[bool] = False


class Writer:
    """An instruction that changes what later rules see."""

    __slots__ = ()

    writes: ClassVar[bool] = True


EMPTY: Final[list[Byte]] = [None] * REGISTER_BYTES


class Machine:
    """Runs the instructions of one rule for the packets in one state."""

    __slots__ = ("context", "exits", "instructions", "rule", "worlds")

    def __init__(self, context: Context, rule: Rule, instructions: Sequence[Instruction]) -> None:
        self.context = context
        self.rule = rule
        self.instructions = instructions
        self.exits: list[Exit] = []
        self.worlds: list[World] = []

    def run(self, state: State, sources: AddressSet) -> list[Exit]:
        """How the sources leave the rule."""
        self.worlds.append(World(0, EMPTY[:], state, sources))
        instructions = self.instructions
        count = len(instructions)
        while self.worlds:
            world = self.worlds.pop()
            self.context.journal.spend(1)
            while world.position < count:
                instruction = instructions[world.position]
                world.position += 1
                if not instruction.run(self, world):
                    break
            else:
                self.leave(CONTINUE, world)
        return self.exits

    def leave(self, verdict: int, world: World, chain: str = "") -> None:
        """All of a world leaves the rule."""
        if world.sources:
            self.exits.append(Exit(verdict, world.state, world.sources, chain))

    def skip(self, world: World, sources: AddressSet) -> None:
        """Some sources of a world do not match, and go to the next rule."""
        if sources:
            self.exits.append(Exit(CONTINUE, world.state, sources))

    def fork(self, world: World, sources: AddressSet) -> World:
        """Let some sources of a world go on by themselves."""
        branch = World(world.position, world.registers[:], world.state, sources)
        self.worlds.append(branch)
        return branch

    def fork_by_choice(self, world: World) -> None:
        """The instruction looks at what the client chooses: run it again for any choice."""
        if world.state.ordinary:
            branch = self.fork(world, world.sources)
            branch.position -= 1
            branch.state = branch.state._replace(ordinary=False)

    def decide(self, world: World, match: Match) -> bool:
        """Keep the sources that may match, and let go those that may not."""
        may, may_not = match
        if may_not is False:
            return True
        if may is True:
            self.doubt(world)
        if may_not is True:
            self.exits.append(Exit(CONTINUE, world.state, world.sources))
        else:
            self.skip(world, world.sources & may_not)
        if may is False:
            return False
        world.sources = restrict(world.sources, may)
        return bool(world.sources)

    def doubt(self, world: World, detail: str = "") -> None:
        """Note that this rule cannot be decided."""
        if world.state.ordinary:
            self.context.note(Effect.UNKNOWN, world.sources, self.rule, detail)

    def maybe(self, world: World, detail: str = "") -> bool:
        """Go on with every source, and let every source go as well."""
        self.doubt(world, detail)
        self.exits.append(Exit(CONTINUE, world.state, world.sources))
        return True

    def give_up(self, world: World, detail: str) -> bool:
        """Nothing can be said of these packets from here on."""
        self.context.give_up(world.sources, self.rule, detail, ordinary=world.state.ordinary)
        return False
