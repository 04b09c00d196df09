"""Hooks: base chains, connection tracking and translation in the order of their priorities.

net/netfilter/core.c, nf_conntrack_core.c and nf_nat_core.c. All nat chains of a hook run within
one hook function at a priority of its own; their declared priorities order them among each other.
Chains of equal priority run the youngest first; between tables a dump does not show the order,
so that where it matters every order is tried and the outcomes are joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import chain as chained
from itertools import product
from typing import NamedTuple

from ollama_audit.firewall.chains import Chain, ChainKey, Chains
from ollama_audit.firewall.context import NAT_DESTINATION, NAT_SOURCE, Context, TooComplexError
from ollama_audit.firewall.remembered import Remembered
from ollama_audit.firewall.state import Flows, Phase, Seen, Tracking, add, everyone, merge

CONNTRACK_PRIORITY = -200
"""NF_IP_PRI_CONNTRACK."""
MOST_ORDERS = 24
DESTINATION_HOOKS = ("prerouting", "output")
SOURCE_HOOKS = ("input", "postrouting")


class Kind(IntEnum):
    """What a step of a hook is."""

    CHAIN = 0
    TRACK = 1
    TRANSLATE = 2


class Step(NamedTuple):
    """One hook function."""

    kind: Kind
    priority: int
    chain: Chain | None = None
    nat: tuple[Chain, ...] = ()
    """The nat chains, of one possible order."""


class Hooks:
    """The base chains of a ruleset by hook and family, and the orders in which they run."""

    def __init__(self, chains: Chains) -> None:
        self.chains = chains
        self._runs = Remembered(chains)
        self._orders: dict[tuple[str, int, str], list[list[Step]]] = {}

    def run(self, context: Context, flows: Flows, *, translate: bool) -> Flows:
        """Run a hook: what gets past it. What may not is noted in the context's journal.

        `translate`: nat chains may set up a translation here (not for packets over lo).
        """
        device = ""
        if context.hook in ("ingress", "egress"):
            interface = context.ingress if context.hook == "ingress" else context.egress
            device = interface.name if interface else ""
        try:
            orders = self._orders_of(context.hook, context.version, device)
        except TooComplexError as error:
            context.give_up(everyone(flows, context.version), None, str(error))
            return {}
        result: Flows = {}
        for order in orders:
            passed = dict(flows)
            for step in order:
                if not passed:
                    break
                context.position = step.priority
                passed = self._step(context, step, passed, translate=translate)
            if len(orders) == 1:
                return passed
            merge(result, passed)
        return result

    def _step(self, context: Context, step: Step, flows: Flows, *, translate: bool) -> Flows:
        if step.chain is not None:
            return self._runs.run_base(context, step.chain, flows)
        if step.kind is Kind.TRACK:
            return _track(context, flows)
        if context.phase is Phase.OPEN:
            return self._set_up(context, step, flows) if translate else flows
        return _translate(context, step, flows)

    def _set_up(self, context: Context, step: Step, flows: Flows) -> Flows:
        """Let nat chains choose a translation: once for a connection and direction."""
        destination = context.hook in DESTINATION_HOOKS
        for chain in step.nat:
            following: Flows = {}
            asked: Flows = {}
            for state, sources in flows.items():
                done = state.nat_done if destination else state.masqueraded
                if state.tracking is Tracking.UNTRACKED or done:
                    add(following, state, sources)
                else:
                    if state.tracking is Tracking.UNKNOWN:
                        add(following, state, sources)
                    add(asked, state, sources)
            merge(following, self._runs.run_base(context, chain, asked))
            flows = following
        return flows

    def _orders_of(self, hook: str, version: int, device: str) -> list[list[Step]]:
        key = (hook, version, device)
        if key not in self._orders:
            chains = [
                chain
                for chain in self.chains.values()
                if chain.hook is not None and _called(chain, chain.hook.devices, key)
            ]
            self._orders[key] = _orders(chains, hook, self._writers())
        return self._orders[key]

    def _writers(self) -> set[ChainKey]:
        """Tables in which some rule changes what other chains see, as keys without a name."""
        return {chain.key._replace(name="") for chain in self.chains.values() if chain.writes}


def _called(chain: Chain, devices: tuple[str, ...], place: tuple[str, int, str]) -> bool:
    hook, version, device = place
    if chain.hook is None or chain.hook.name != hook:
        return False
    family = chain.key.family
    if hook in ("ingress", "egress"):
        return family in ("netdev", "inet") and device in devices
    return family in ("inet", "ip" if version == 4 else "ip6")


def _orders(chains: Sequence[Chain], hook: str, writers: set[ChainKey]) -> list[list[Step]]:
    """Every order of the steps of a hook that the dump allows.

    Raises:
        TooComplexError: There are too many.
    """
    nat = [chain for chain in chains if chain.hook is not None and chain.hook.nat]
    plain = [chain for chain in chains if chain.hook is not None and not chain.hook.nat]
    steps: list[tuple[int, str, Step]] = []
    for chain in plain:
        if chain.hook is not None:
            name = "/".join(chain.key[:3])
            steps.append((chain.hook.priority, name, Step(Kind.CHAIN, chain.hook.priority, chain)))
    if hook in DESTINATION_HOOKS:
        steps.append((CONNTRACK_PRIORITY, "", Step(Kind.TRACK, CONNTRACK_PRIORITY)))
    alternatives = []
    for order in _nat_orders(nat, writers):
        found = list(steps)
        if hook in DESTINATION_HOOKS + SOURCE_HOOKS:
            priority = NAT_DESTINATION if hook in DESTINATION_HOOKS else NAT_SOURCE
            found.append((priority, "", Step(Kind.TRANSLATE, priority, nat=order)))
        alternatives += _by_priority(found, writers)
    if len(alternatives) > MOST_ORDERS:
        raise TooComplexError("too many possible orders of chains of equal priority")
    return alternatives


def _nat_orders(nat: Sequence[Chain], writers: set[ChainKey]) -> list[tuple[Chain, ...]]:
    steps = [
        (chain.hook.priority, "/".join(chain.key[:3]), Step(Kind.CHAIN, 0, chain))
        for chain in nat
        if chain.hook is not None
    ]
    return [
        tuple(step.chain for step in order if step.chain is not None)
        for order in _by_priority(steps, writers)
    ]


def _by_priority(
    steps: Iterable[tuple[int, str, Step]], writers: set[ChainKey]
) -> list[list[Step]]:
    groups: dict[int, dict[str, list[Step]]] = {}
    for priority, owner, step in steps:
        groups.setdefault(priority, {}).setdefault(owner, []).append(step)
    choices = []
    count = 1
    for priority in sorted(groups):
        owners = [_youngest_first(found) for found in groups[priority].values()]
        matters = any(_matters(step, writers) for found in owners for step in found)
        choices.append(_interleaved(owners) if matters else [list(chained.from_iterable(owners))])
        count *= len(choices[-1])
        if count > MOST_ORDERS:
            raise TooComplexError("too many possible orders of chains of equal priority")
    return [list(chained.from_iterable(order)) for order in product(*choices)]


def _youngest_first(steps: list[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: -(step.chain.handle if step.chain else 0))


def _matters(step: Step, writers: set[ChainKey]) -> bool:
    """Whether it changes what others at the same priority see; verdicts alone commute."""
    return step.chain is None or step.chain.key._replace(name="") in writers


def _interleaved(sequences: list[list[Step]]) -> list[list[Step]]:
    left = [sequence for sequence in sequences if sequence]
    if len(left) < 2:
        return [left[0] if left else []]
    found: list[list[Step]] = []
    for index, sequence in enumerate(left):
        rest = [*left[:index], sequence[1:], *left[index + 1 :]]
        found += [[sequence[0], *order] for order in _interleaved(rest)]
        if len(found) > MOST_ORDERS:
            raise TooComplexError("too many possible orders of chains of equal priority")
    return found


def _track(context: Context, flows: Flows) -> Flows:
    """Connection tracking looks at the packets that it has not seen."""
    found: Flows = {}
    for state, sources in flows.items():
        tracking = state.tracking
        if tracking is Tracking.NONE:
            tracking = _tracked(context.phase, state.seen)
        add(found, state._replace(tracking=tracking), sources)
    return found


def _tracked(phase: Phase, seen: Seen) -> Tracking:
    """What a packet is to connection tracking (tcp_conntracks in nf_conntrack_proto_tcp.c).

    A SYN+ACK without its SYN is invalid, and so is an ACK whose SYN+ACK was not seen; like packets
    not looked at they have no connection. An ACK that is the first packet seen begins a
    connection, unless net.netfilter.nf_conntrack_tcp_loose is off.
    """
    if phase is Phase.OPEN:
        return Tracking.NEW
    if phase is Phase.CONFIRM and seen is Seen.NOTHING:
        return Tracking.UNKNOWN
    whole = seen is (Seen.OPENING if phase is Phase.ANSWER else Seen.ANSWER)
    return Tracking.ESTABLISHED if whole else Tracking.NONE


def _translate(context: Context, step: Step, flows: Flows) -> Flows:
    """Translate a later packet as its connection says; one that is not tracked stays as it is."""
    found: Flows = {}
    for state, sources in flows.items():
        if state.tracking is Tracking.UNKNOWN and step.nat:
            # picked up in the middle, it is a new connection to nat chains
            detail = "whether a packet seen late is translated"
            context.give_up(sources, None, detail, ordinary=state.ordinary)
        elif state.tracking is not Tracking.ESTABLISHED:
            add(found, state, sources)
        elif context.phase is Phase.CONFIRM and context.hook in DESTINATION_HOOKS:
            new = state._replace(address=state.target_address, port=state.target_port)
            add(found, new, sources)
        elif context.phase is Phase.ANSWER and context.hook in SOURCE_HOOKS:
            new = state._replace(address=state.original_address, port=state.original_port)
            add(found, new, sources)
        else:
            add(found, state, sources)
    return found
