"""Chains of rules, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

from ollama_audit.firewall.answer import Effect, Rule
from ollama_audit.firewall.context import Context, TooComplexError
from ollama_audit.firewall.machine import (
    ACCEPT,
    CONTINUE,
    GOTO,
    JUMP,
    Exit,
    Machine,
    Program,
)
from ollama_audit.firewall.state import Flows, add, everyone, merge

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
    def policy(self) -> Rule:
        """Where its policy stands."""
        backend, family, table, name = self.key
        return Rule(backend=backend, family=family, table=table, chain=name)


Chains = Mapping[ChainKey, Chain]


class Outcome(NamedTuple):
    """How packets leave a chain: accepted, or at its end."""

    accepted: Flows
    ended: Flows


class Runner:
    """Runs chains of one ruleset at one place of a packet's way."""

    def __init__(self, context: Context, chains: Chains) -> None:
        self.context = context
        self.chains = chains

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
        accepted: Flows = {}
        returned: Flows = {}
        for program in chain.programs:
            if not flows:
                break
            following: Flows = {}
            for state, sources in flows.items():
                for leaving in Machine(self.context, program).run(state, sources):
                    self._follow(chain, leaving, Outcome(accepted, returned), following)
            flows = self._bounded(following, program.rule)
        merge(returned, flows)
        return Outcome(accepted, returned)

    def _follow(self, chain: Chain, leaving: Exit, outcome: Outcome, following: Flows) -> None:
        if leaving.verdict == CONTINUE:
            add(following, leaving.state, leaving.sources)
        elif leaving.verdict == ACCEPT:
            add(outcome.accepted, leaving.state, leaving.sources)
        elif leaving.verdict in (JUMP, GOTO):
            called = self._call(chain, leaving)
            merge(outcome.accepted, called.accepted)
            merge(following if leaving.verdict == JUMP else outcome.ended, called.ended)
        else:
            add(outcome.ended, leaving.state, leaving.sources)

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
