"""Chains of rules, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Effect, Rule
from ollama_audit.firewall.context import Context, Growing, TooComplexError
from ollama_audit.firewall.machine import (
    ACCEPT,
    CONTINUE,
    GOTO,
    JUMP,
    Exit,
    Machine,
)
from ollama_audit.firewall.match import Judgement, may, may_not, restrict
from ollama_audit.firewall.program import Program
from ollama_audit.firewall.state import Flows, State, add, everyone, merge
from ollama_audit.firewall.view import View

MOST_STATES = 256
"""More states than this at one rule are given up as unknown."""

DEEPEST_CALL = 64
"""Beyond the kernel's own limit (NFT_JUMP_STACK_SIZE, and as many for legacy tables)."""


class ChainKey(NamedTuple):
    """Identity of a chain within a namespace."""

    backend: str
    family: str
    table: str
    name: str


class Hook(NamedTuple):
    """Where a base chain is called."""

    name: str
    priority: int
    nat: bool
    accepts: bool
    """The policy."""
    devices: tuple[str, ...] = ()


class Chain:
    """A chain; its rules are compiled when it is first run."""

    def __init__(
        self,
        key: ChainKey,
        handle: int,
        hook: Hook | None,
        compile_rules: Callable[[], list[Program]],
    ) -> None:
        self.key = key
        self.handle = handle
        self.hook = hook
        self._compile = compile_rules

    @cached_property
    def programs(self) -> list[Program]:
        """The rules in order."""
        return self._compile()

    @cached_property
    def writes(self) -> bool:
        """Whether a rule of this chain itself changes what later chains see."""
        return any(program.writes for program in self.programs)

    @property
    def calls(self) -> set[str]:
        """The names of chains that its rules lead to."""
        return {name for program in self.programs for name in program.calls}

    @property
    def policy(self) -> Rule:
        """Where its policy stands."""
        backend, family, table, name = self.key
        return Rule(backend=backend, family=family, table=table, chain=name)


Chains = Mapping[ChainKey, Chain]


class Outcome(NamedTuple):
    """How packets leave a chain: accepted, or at its end."""

    accepted: Flows
    ended: Flows


class _Meeting(NamedTuple):
    """Packets that a rule may concern."""

    view: View
    judged: Judgement
    sources: AddressSet
    added: bool = False
    """They came about just now, by a choice of the client that the rule looks at."""


class _Leaving(NamedTuple):
    """The same while the chain runs, bit by bit."""

    accepted: dict[State, Growing]
    ended: dict[State, Growing]


def _grow(flows: dict[State, Growing], state: State, sources: AddressSet) -> None:
    if state not in flows:
        flows[state] = Growing(sources.version)
    flows[state].add(sources)


class Runner:
    """Runs chains of one ruleset at one place of a packet's way."""

    def __init__(self, context: Context, chains: Chains) -> None:
        self.context = context
        self.chains = chains
        self._views: dict[State, View] = {}

    def run_base(self, chain: Chain, flows: Flows) -> Flows:
        """Run a base chain: what it accepts, by rule or by policy."""
        accepted, ended = self.run(chain, flows)
        if chain.hook is None or chain.hook.accepts:
            for state, sources in ended.items():
                if state.ordinary:
                    self.context.note(Effect.ACCEPT, sources, chain.policy)
            merge(accepted, ended)
        else:
            for state, sources in ended.items():
                self.context.drop(sources, chain.policy, ordinary=state.ordinary)
        return accepted

    def run(self, chain: Chain, flows: Flows) -> Outcome:
        """Run the rules of a chain in order.

        Raises:
            TooComplexError: Chains call each other too deeply.
        """
        if self.context.depth > DEEPEST_CALL:
            raise TooComplexError("chains call each other too deeply")
        self.context.journal.spend(len(chain.programs))
        leaving = _Leaving({}, {})
        for program in chain.programs:
            if not flows:
                break
            met = self._met(program, flows)
            if met:
                flows = self._bounded(self._do(chain, program, met, leaving, flows), program.rule)
        for state, sources in flows.items():
            _grow(leaving.ended, state, sources)
        accepted, ended = (
            {state: grown.whole for state, grown in part.items()} for part in leaving
        )
        return Outcome(accepted, ended)

    def _met(self, program: Program, flows: Flows) -> list[_Meeting]:
        """The packets that a rule may concern, and how far."""
        found = []
        for state, sources in flows.items():
            view = self._views.get(state) or self._view(state)
            judged = program.judge(view)
            if view.choice is not False:
                other = self._view(state._replace(ordinary=False))
                choosing = restrict(sources, view.choice)
                found.append(_Meeting(other, program.judge(other), choosing, added=True))
            if judged is not False:
                found.append(_Meeting(view, judged, sources))
        return found if program.instructions else []

    def _view(self, state: State) -> View:
        view = self._views[state] = View(self.context, state)
        return view

    def _do(
        self,
        chain: Chain,
        program: Program,
        met: list[_Meeting],
        leaving: _Leaving,
        flows: Flows,
    ) -> Flows:
        """Let those who meet a rule's conditions do what it says; who goes on to the next."""
        concerned = {each.view.state for each in met if not each.added}
        following = {state: found for state, found in flows.items() if state not in concerned}
        for view, judged, sources, _ in met:
            taking, staying = self._parted(program, view, judged, sources)
            add(following, view.state, staying)
            if taking:
                machine = Machine(self.context, program.rule, program.instructions)
                for each in machine.run(view.state, taking):
                    self._follow(chain, each, leaving, following)
        return following

    def _parted(
        self, program: Program, view: View, judged: Judgement, sources: AddressSet
    ) -> tuple[AddressSet, AddressSet]:
        """Those who may meet a rule's conditions, and those who may not."""
        if isinstance(judged, AddressSet):
            return sources.parted(judged)
        taking, staying = restrict(sources, may(judged)), restrict(sources, may_not(judged))
        doubtful = taking & staying
        if doubtful and view.state.ordinary:
            self.context.note(Effect.UNKNOWN, doubtful, program.rule)
        return taking, staying

    def _follow(self, chain: Chain, each: Exit, leaving: _Leaving, following: Flows) -> None:
        if each.verdict == CONTINUE:
            add(following, each.state, each.sources)
        elif each.verdict == ACCEPT:
            _grow(leaving.accepted, each.state, each.sources)
        elif each.verdict in (JUMP, GOTO):
            called = self._call(chain, each)
            for state, sources in called.accepted.items():
                _grow(leaving.accepted, state, sources)
            for state, sources in called.ended.items():
                if each.verdict == JUMP:
                    add(following, state, sources)
                else:
                    _grow(leaving.ended, state, sources)
        else:
            _grow(leaving.ended, each.state, each.sources)

    def _call(self, chain: Chain, leaving: Exit) -> Outcome:
        target = self.chains.get(chain.key._replace(name=leaving.chain))
        if target is None:
            self.context.give_up(leaving.sources, None, f"chain {leaving.chain} was not captured")
            return Outcome({}, {})
        self.context.depth += 1
        outcome = self.run(target, {leaving.state: leaving.sources})
        self.context.depth -= 1
        return outcome

    def _bounded(self, flows: Flows, rule: Rule) -> Flows:
        if len(flows) <= MOST_STATES:
            return flows
        detail = "too many combinations of marks and translations"
        self.context.give_up(everyone(flows, self.context.version), rule, detail)
        return {}
