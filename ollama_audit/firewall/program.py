"""A rule as it is run: first what it asks of a packet, then what it does.

Most of what a rule holds are loads of a field and comparisons with it. Each pair is put into one
condition here, which needs no registers, and what is the same for every source is asked first:
conditions change nothing, so that their order does not matter. What a condition reads of a packet
is read once for all rules. Instructions that cannot be put so are left to the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from ollama_audit.firewall.answer import Rule
from ollama_audit.firewall.bits import Value, constant
from ollama_audit.firewall.effects import (
    CopyMark,
    DoNotTrack,
    GiveUp,
    Masquerade,
    RedirectTo,
    SetMasked,
    TranslateTo,
    Verdict,
)
from ollama_audit.firewall.instructions import (
    AddTo,
    Between,
    Compare,
    CountConnections,
    Load,
    Lookup,
    Mask,
    Maybe,
    Ordinarily,
    Require,
    SetByNumber,
    SwapBytes,
)
from ollama_audit.firewall.machine import Instruction, whole_words
from ollama_audit.firewall.match import EITHER, Judgement, conjunction, may
from ollama_audit.firewall.netlink import MalformedError
from ollama_audit.firewall.view import View

Change: TypeAlias = Mask | SwapBytes
Question: TypeAlias = Compare | Between | Lookup
"""What is asked of a value in a register; of a lookup, membership alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is compared: a field, and how its bytes are changed before that."""

    load: Load
    changes: tuple[Change, ...] = ()

    def of(self, view: View) -> Value | bytes | None:
        """The value in a packet, as bytes where all of it is known; None: there is none."""
        value = self.load.field(view.context, view.state)
        if value is None:
            return None
        value = whole_words(value)
        for change in self.changes:
            value = whole_words(change.changed(value))
        known = constant(value)
        return value if known is None else known


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A field, and what is asked of it."""

    reading: Reading
    question: Question

    @property
    def parts_sources(self) -> bool:
        """Whether the answer may differ by source."""
        return self.reading.load.parts_sources or type(self.question) is Lookup

    def judge(self, view: View) -> Judgement:
        """For which sources it holds."""
        reading = self.reading
        if reading in view.values:
            value = view.values[reading]
        else:
            value = view.values[reading] = reading.of(view)
        if reading.load.chosen and view.phase in reading.load.chosen:
            view.chosen = True
        if value is None:
            return False
        question = self.question
        if isinstance(question, Lookup) and question.set.fluid:
            view.chosen = True
            question = question.of(view.context, view.state)
        try:
            return question.match(value, view.version)
        except (MalformedError, KeyError):
            return EITHER  # the set is damaged in the dump

    @property
    def spelled_out(self) -> tuple[Instruction, ...]:
        """The instructions that it stands for."""
        return self.reading.load, *self.reading.changes, self.question


@dataclass(frozen=True, slots=True)
class Program:
    """A rule that can be run, and where it stands."""

    rule: Rule
    conditions: tuple[Condition | Require, ...]
    """What it asks of packets."""
    instructions: tuple[Instruction, ...]
    """What happens to those that meet all of that."""

    @property
    def writes(self) -> bool:
        """Whether it changes what later rules see."""
        return any(instruction.writes for instruction in self.instructions)

    @property
    def calls(self) -> set[str]:
        """The names of chains that it may lead to."""
        found: set[str] = set()
        for each in self.instructions:
            if isinstance(each, Verdict):
                found.add(each.chain)
            elif isinstance(each, Lookup):
                found |= each.chains
        return found - {""}

    @property
    def spelled_out(self) -> list[Instruction]:
        """The whole rule as instructions for the machine."""
        found: list[Instruction] = []
        for each in self.conditions:
            found += each.spelled_out if isinstance(each, Condition) else (each,)
        return [*found, *self.instructions]

    def judge(self, view: View) -> Judgement:
        """The sources that meet the conditions, with `view.choice` set."""
        view.choice = False
        result: Judgement = True
        for condition in self.conditions:
            found = condition.judge(view)
            if view.chosen:
                view.chosen = False
                if view.choice is False and view.state.ordinary:
                    view.choice = may(result)
            if found is False:
                return False
            if found is not True:
                result = found if result is True else conjunction(result, found)
        return result


WITHOUT_REGISTERS: Final = frozenset(
    {
        *(Verdict, GiveUp, DoNotTrack, Masquerade, TranslateTo, RedirectTo, SetMasked, CopyMark),
        *(Maybe, SetByNumber, Ordinarily, CountConnections, AddTo),
    }
)


def program(rule: Rule, instructions: Sequence[Instruction]) -> Program:
    """The rule that these instructions make.

    A load that is compared right away becomes a condition with what it is compared to. Its
    register then stays as it was, which is unknown: never wrong, but loads stay for instructions
    that read registers otherwise.
    """
    first: list[Condition | Require] = []
    last: list[Condition | Require] = []  # may part sources, which costs more than a yes or no
    asked: list[int] = []
    left: list[Instruction] = []
    place, end = 0, len(instructions)
    while place < end:
        instruction = instructions[place]
        condition: Condition | Require | None = None
        if isinstance(instruction, Load):
            place, condition = _condition(instruction, instructions, place)
        elif isinstance(instruction, Require):
            condition = instruction
        elif not isinstance(instruction, WITHOUT_EFFECT):
            break
        if condition is None:
            left.append(instruction)
        else:
            (last if condition.parts_sources else first).append(condition)
            asked.append(place)
        place += 1
    left += instructions[place:]
    if not WITHOUT_REGISTERS.issuperset(map(type, left)):
        left = [each for place, each in enumerate(instructions) if place not in asked]
    only = left[0] if len(left) == 1 else None
    then = _alone(only) if isinstance(only, Verdict) else tuple(left)
    return Program(rule, (*first, *last), then)


@lru_cache(maxsize=1024)
def _alone(verdict: Verdict) -> tuple[Instruction, ...]:
    """A verdict alone: what most rules end in, and so kept once."""
    return (verdict,)


QUESTIONS: Final = (Compare, Between, Lookup)
CHANGES: Final = (Mask, SwapBytes)
WITHOUT_EFFECT: Final = (Compare, Between, *CHANGES, Maybe)
"""May stand before a condition: they do not change the packet, nor what becomes of it."""


def _condition(
    load: Load, instructions: Sequence[Instruction], place: int
) -> tuple[int, Condition | None]:
    """The condition that the load at a place begins, and the place of its question, if it does."""
    register = load.register
    changes: tuple[Change, ...] = ()
    for behind in range(place + 1, place if load.may_miss else len(instructions)):
        instruction = instructions[behind]
        if isinstance(instruction, QUESTIONS):
            if instruction.asks_of == register:
                return behind, Condition(_reading(load, changes), instruction)
            break
        if not isinstance(instruction, CHANGES) or instruction.source != register:
            break
        register = instruction.target
        changes = (*changes, instruction)
    return place, None


@lru_cache(maxsize=4096)
def _reading(load: Load, changes: tuple[Change, ...]) -> Reading:
    """One object for what is read alike, so that it is read once."""
    return Reading(load, changes)
