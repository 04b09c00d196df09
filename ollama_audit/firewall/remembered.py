"""What base chains did, remembered by what they looked at.

An audit asks about many addresses, ports and interfaces of one host, of which most chains look at
few. A chain is run for every source at once, with a packet that notes which of its fields are
looked at. For a packet that is alike in those, it would do the same: that need not be worked out
again. Chains that change packets are run anew each time.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.chains import Chain, ChainKey, Chains, Runner
from ollama_audit.firewall.context import Context, Journal
from ollama_audit.firewall.state import Flows, Phase, State, add

MOST_KEPT = 2_000_000
"""Boundaries of address sets in all runs that are kept: some 16 MiB."""
MANY = 2_000
"""Boundaries from which on it is worth while to look for a set of sources that is the same."""

FIELDS: Final = frozenset(State._fields)
INTERFACES: Final = frozenset({"ingress", "egress"})


class _WatchedState(State):
    """A state that notes which of its fields are looked at."""

    looked_at: set[str]

    def __getattribute__(self, name: str) -> Any:
        if name in FIELDS:
            super().__getattribute__("looked_at").add(name)
        return super().__getattribute__(name)

    def _replace(self, **changes: Any) -> _WatchedState:
        changed = _WatchedState(*State(*self)._replace(**changes))
        changed.looked_at = self.looked_at
        return changed


class _WatchedContext(Context):
    """A place that notes which of its interfaces are looked at."""

    __slots__ = ("looked_at",)

    looked_at: set[str]

    def __getattribute__(self, name: str) -> Any:
        if name in INTERFACES:
            super().__getattribute__("looked_at").add(name)
        return super().__getattribute__(name)


class _Run(NamedTuple):
    """What a chain did with every source in one state."""

    state: tuple[tuple[str, object], ...]
    """The fields that it looked at, and what it saw there."""
    interfaces: tuple[tuple[str, object], ...]
    passed: tuple[tuple[bool, AddressSet], ...]
    """What got through, by whether clients choose ordinarily."""
    journal: Journal

    @property
    def size(self) -> int:
        """How much is kept of it."""
        sets = [sources for _, sources in self.passed]
        sets += [decision.sources for decision in self.journal.decisions]
        return sum(len(each.boundaries) + 32 for each in sets)

    def holds_for(self, context: Context, state: State) -> bool:
        """Whether it would have been the same."""
        return all(getattr(state, name) == seen for name, seen in self.state) and all(
            getattr(context, name) is seen for name, seen in self.interfaces
        )


class Remembered:
    """The runs of the base chains of a ruleset."""

    def __init__(self, chains: Chains) -> None:
        self.chains = chains
        self._runs: dict[tuple[ChainKey, int, Phase], list[_Run]] = {}
        self._changing: dict[ChainKey, bool] = {}
        self._size = 0
        self._shares: deque[_Share] = deque(maxlen=8)

    def run_base(self, context: Context, chain: Chain, flows: Flows) -> Flows:
        """Run a base chain: what it accepts, by rule or by policy."""
        if chain.key not in self._changing:
            self._changing[chain.key] = _changes(chain, self.chains)
        if self._changing[chain.key]:
            return Runner(context, self.chains).run_base(chain, flows)
        passed: Flows = {}
        for state, sources in flows.items():
            run = self._run(context, chain, state)
            share = self._share(sources)
            share.note(run.journal, context.journal)
            for ordinary, through in run.passed:
                add(passed, state._replace(ordinary=ordinary), share.of(through))
        return passed

    def _share(self, sources: AddressSet) -> _Share:
        """Of many sources, the share of a question before this one that was about the same."""
        if len(sources.boundaries) < MANY:
            return _Share(sources)
        for share in self._shares:
            if share.sources == sources:
                return share
        share = _Share(sources)
        self._shares.append(share)
        return share

    def _run(self, context: Context, chain: Chain, state: State) -> _Run:
        kept = self._runs.setdefault((chain.key, context.version, context.phase), [])
        for run in kept:
            if run.holds_for(context, state):
                return run
        run = self._run_anew(context, chain, state)
        self._size += run.size
        if self._size < MOST_KEPT:
            kept.append(run)
        return run

    def _run_anew(self, context: Context, chain: Chain, state: State) -> _Run:
        journal = Journal(context.version)
        journal.steps = context.journal.steps
        place = _WatchedContext(
            host=context.host,
            version=context.version,
            hook=context.hook,
            ingress=context.ingress,
            egress=context.egress,
            phase=context.phase,
            journal=journal,
        )
        place.position = context.position
        place.looked_at, packet = set(), _WatchedState(*state)
        packet.looked_at = set()
        passed = Runner(place, self.chains).run_base(chain, {packet: context.everything})
        context.journal.steps = journal.steps
        return _Run(
            tuple((name, getattr(state, name)) for name in packet.looked_at),
            tuple((name, getattr(context, name)) for name in place.looked_at),
            tuple((State(*each).ordinary, sources) for each, sources in passed.items()),
            journal,
        )


def _changes(chain: Chain, chains: Chains) -> bool:
    """Whether a rule of the chain, or of one that it leads to, changes packets."""
    reached = {chain.key: chain}
    left = [chain]
    while left:
        each = left.pop()
        if each.writes:
            return True
        for name in each.calls:
            key = chain.key._replace(name=name)
            if key in chains and key not in reached:
                reached[key] = chains[key]
                left.append(chains[key])
    return False


class _Share:
    """What of a run concerns some of the sources; of a set that is met again, worked out once."""

    def __init__(self, sources: AddressSet) -> None:
        self.sources = sources
        self._found: dict[int, tuple[AddressSet, AddressSet]] = {}

    def of(self, whole: AddressSet) -> AddressSet:
        """Those of a set, which is kept so that no other takes its identity."""
        if id(whole) not in self._found:
            self._found[id(whole)] = whole, whole & self.sources
        return self._found[id(whole)][1]

    def note(self, of: Journal, into: Journal) -> None:
        """Note for these sources what was noted for all."""
        into.decisions += (
            decision if part is decision.sources else replace(decision, sources=part)
            for decision in of.decisions
            if (part := self.of(decision.sources))
        )
        into.dropped.add(self.of(of.dropped.whole))
        into.doubtful.add(self.of(of.doubtful.whole))
        into.chosen.add(self.of(of.chosen.whole))
