"""Deliberately broken engines: `python -m tests.differential.mutants` shows which are caught.

Each mutant changes one thing that the kernel does otherwise, so that none of them is the engine in
other words. A mutant that no short run catches is a hole in the grammar of rulesets. All of them
are caught (Linux 6.18, nft 1.0.6): four only since the grammar makes what chance seldom does, see
`G.same_tuple`, `G.half_tracked`, `G.one_priority` and `GI.marked_connections`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall import (
    bits,
    chains,
    conditions,
    effects,
    fields,
    hooks,
    host,
    instructions,
    ip_layer,
    loads,
    path,
    program,
    remembered,
    sets,
)
from ollama_audit.firewall.host import LOOPBACK
from ollama_audit.firewall.machine import ACCEPT, GOTO, JUMP, RETURN
from ollama_audit.firewall.match import Match, complement
from ollama_audit.firewall.reach import forget
from ollama_audit.firewall.state import Phase, State, Tracking, merge
from tests.differential.run import Plan, run

Patch = tuple[Any, str, Any]

SHORT = (
    Plan(mode="nft", rulesets=120, seed=12, swarm=True, stop_at_first=True),
    Plan(mode="nft", rulesets=120, seed=11, unmodelled=0.0, stop_at_first=True),
    Plan(mode="iptables-legacy", rulesets=60, seed=15, unmodelled=0.0, stop_at_first=True),
    Plan(mode="local", rulesets=30, seed=17, stop_at_first=True),
)


def _equals_ignores_last(self: Any, value: Any, version: int) -> Any:
    if self.operator not in (bits.EQUAL, bits.NOT_EQUAL) or len(self.expected) < 2:
        return _COMPARE(self, value, version)
    shorter = instructions.Compare(self.register, self.operator, self.expected[:-1])
    return _COMPARE(shorter, value, version)


_COMPARE = instructions.Compare.match


def _ordered_swapped(value: bits.Value, bound: bytes, operator: int, version: int) -> Match:
    other = {bits.LESS: bits.LESS_EQUAL, bits.GREATER: bits.GREATER_EQUAL}
    return bits.ordered(value, bound, other.get(operator, operator), version)


def _always_new(context: Any, state: State) -> bits.Value:
    del context, state
    return fields.word(8)


def _translated_always(machine: Any, world: Any, address: int | None, port: int | None) -> None:
    world.state = world.state._replace(
        address=address,
        port=port,
        target_address=address,
        target_port=port,
        translated=True,
        nat_done=True,
    )
    machine.leave(ACCEPT, world)


def _no_refusals(*_given: object) -> list[ip_layer.Refusal]:
    return []


def _no_answer(self: path.Walk, flows: Any, container: str) -> Any:
    del self, container
    return path._next_packet(flows)


def _no_confirm(self: path.Walk, legs: Any, flows: Any, *, translate: bool = True) -> Any:
    del self, legs, translate
    return flows


def _goto_is_jump(self: Any, chain: Any, leaving: Any, outcome: Any, following: Any) -> None:
    if leaving.verdict == GOTO:
        leaving = leaving._replace(verdict=JUMP)
    _FOLLOW(self, chain, leaving, outcome, following)


def _return_accepts(self: Any, chain: Any, leaving: Any, outcome: Any, following: Any) -> None:
    if leaving.verdict == RETURN:
        leaving = leaving._replace(verdict=ACCEPT)
    _FOLLOW(self, chain, leaving, outcome, following)


_FOLLOW = chains.Runner._follow


def _policy_accepts(self: Any, chain: Any, flows: Any) -> Any:
    accepted, ended = self.run(chain, flows)
    merge(accepted, ended)
    return accepted


def _untracked_as_tracked(context: Any, flows: Any) -> Any:
    return {
        state._replace(
            tracking=Tracking.NEW if context.phase is Phase.OPEN else Tracking.ESTABLISHED
        ): sources
        for state, sources in flows.items()
    }


def _oldest_first(steps: list[hooks.Step]) -> list[hooks.Step]:
    return sorted(steps, key=lambda step: step.chain.handle if step.chain else 0)


def _either_is_always(self: Any, rule: Any, view: Any, judged: Any, sources: Any) -> Any:
    if isinstance(judged, Match) and judged.may is True and judged.may_not is not False:
        return sources, AddressSet.nothing(sources.version)
    return _PARTED(self, rule, view, judged, sources)


_PARTED = chains.Runner._parted


def _no_local(self: host.Host, version: int, interface: str = "") -> AddressSet:
    found = _LOCAL(self, version, interface)
    return found - LOOPBACK[version]


_LOCAL = host.Host.local


def _no_broadcast(self: host.Host) -> AddressSet:
    del self
    return AddressSet.nothing(4)


def _mark_kept(flows: Any) -> Any:
    return {
        state._replace(
            tracking=Tracking.NONE, seen=path.SEEN_AFTER.get(state.tracking, state.seen)
        ): sources
        for state, sources in flows.items()
    }


def _first_hit_only(self: Any, hits: Any, *, matched: Any) -> sets.Found:
    del self
    return sets.Found(hits[:1], complement(matched))


def _state_any(names: frozenset[str]) -> conditions.Test:
    del names
    return conditions.always


def _flags_known(mask: int, wanted: int) -> conditions.Test:
    del mask
    return conditions.always if wanted & 2 else conditions.never


def _unchanged(self: Any, value: bits.Value) -> bits.Value:
    return value[: self.length]


def _wrong_family(self: Any, machine: Any, world: Any) -> bool:
    return _TRANSLATE(effects.Translate(self.address, self.port, 0, self.ranges), machine, world)


_TRANSLATE = effects.Translate.run


def _negation_lost(self: Any, value: Any, version: int) -> Any:
    return _IN_SET(instructions.Lookup(self.set, self.source, None, negated=False), value, version)


_IN_SET = instructions.Lookup.match


def _may_forward_all(self: path.Walk, egress: str, flows: Any) -> Any:
    del self, egress
    return flows


def _no_reply_route(host_: Any, version: int, interface: str, lookup: Any) -> dict[str, AddressSet]:
    del host_, lookup
    return {interface: AddressSet.everything(version)}


def _inet_only(chain: Any, devices: Any, place: Any) -> bool:
    return chain.key.family == "inet" and _CALLED(chain, devices, place)


_CALLED = hooks._called


def _forgets_notrack(self: Any, machine: Any, world: Any) -> bool:
    del self, machine, world
    return True


def _nobody_else_chooses(self: Any, view: Any) -> Any:
    judged = _JUDGE(self, view)
    view.choice = False
    return judged


_JUDGE = program.Program.judge


def _alike(self: Any, context: Any, state: Any) -> bool:
    del self, context, state
    return True


def _no_ingress(chain: Any, devices: Any, place: Any) -> bool:
    return place[0] != "ingress" and _CALLED(chain, devices, place)


def _ranges_are_points(self: Any, key: Any, element: Any, version: int) -> Match:
    return _MATCH(self, key, element._replace(last=element.first), version)


_MATCH = sets.NftSet._match


def _whole_handshake(phase: Phase, seen: Any) -> Tracking:
    del seen
    return Tracking.NEW if phase is Phase.OPEN else Tracking.ESTABLISHED


def _nothing_copied(self: Any, machine: Any, world: Any) -> bool:
    del self, machine, world
    return True


def _present_destination(context: Any, state: State) -> bits.Value:
    return context.service(state)  # type: ignore[no-any-return]


MUTANTS: dict[str, Patch] = {
    "equality ignores the last byte": (instructions.Compare, "match", _equals_ignores_last),
    "< is <=": (instructions, "ordered", _ordered_swapped),
    "everything is ct state new": (fields, "_state", _always_new),
    "DNAT to the same tuple sets the bit": (effects, "translate", _translated_always),
    "the IP layer refuses no source": (path, "refusals", _no_refusals),
    "the answer meets no rules": (path.Walk, "_answer", _no_answer),
    "the third packet meets no rules": (path.Walk, "_confirm", _no_confirm),
    "goto returns to its own chain": (chains.Runner, "_follow", _goto_is_jump),
    "return accepts": (chains.Runner, "_follow", _return_accepts),
    "every policy is accept": (chains.Runner, "run_base", _policy_accepts),
    "notrack is forgotten by conntrack": (hooks, "_track", _untracked_as_tracked),
    "notrack does nothing": (effects.DoNotTrack, "run", _forgets_notrack),
    "what is in doubt holds": (chains.Runner, "_parted", _either_is_always),
    "127.0.0.0/8 is not local": (host.Host, "local", _no_local),
    "no broadcast addresses": (host.Host, "broadcast", _no_broadcast),
    "marks go over to the answer": (path, "_next_packet", _mark_kept),
    "maps give their first entry": (sets.NftSet, "_rest", _first_hit_only),
    "--ctstate always holds": (conditions, "tracking_state", _state_any),
    "--tcp-flags looks at SYN alone": (conditions, "tcp_flags", _flags_known),
    "byte order is left as it is": (instructions.SwapBytes, "changed", _unchanged),
    "masks are ignored": (instructions.Mask, "changed", _unchanged),
    "dnat ip also takes IPv6": (effects.Translate, "run", _wrong_family),
    "!= @set is == @set": (instructions.Lookup, "match", _negation_lost),
    "link-local sources are forwarded": (path.Walk, "_may_forward", _may_forward_all),
    "every answer finds its way back": (path, "answerable", _no_reply_route),
    "only inet chains run": (hooks, "_called", _inet_only),
    "every client chooses ordinarily": (program.Program, "judge", _nobody_else_chooses),
    "ingress chains do not run": (hooks, "_called", _no_ingress),
    "ranges in concatenations are points": (sets.NftSet, "_match", _ranges_are_points),
    "every answer is established": (hooks, "_tracked", _whole_handshake),
    "CONNMARK copies nothing": (effects.CopyMark, "run", _nothing_copied),
    "ct original shows what is": (fields, "_original_destination", _present_destination),
    "a chain does with every packet what it did with the first": (
        remembered._Run,
        "holds_for",
        _alike,
    ),
    "youngest chain runs last": (hooks, "_youngest_first", _oldest_first),
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The engine with one thing broken."""
    owner, attribute, replacement = MUTANTS[name]
    _forget()
    with patch.object(owner, attribute, replacement):
        yield
    _forget()


def _forget() -> None:
    """Let go of all that was made of the engine as it was."""
    forget()
    loads.load_connection.cache_clear()
    loads.load_header.cache_clear()


def caught(name: str) -> str:
    """What caught a mutant: the run and its tally, or empty."""
    for plan in SHORT:
        try:
            with mutated(name):
                tally = run(plan)
        except Exception as error:  # noqa: BLE001 - a mutant may break an invariant
            return f"{plan.mode}: {type(error).__name__}"
        if tally.disagreements:
            return f"{plan.mode}: after {tally.counts['rulesets']} rulesets"
    return ""


def main() -> int:
    """Try every mutant; 1 when one survives."""
    survivors = 0
    for name in sys.argv[1:] or MUTANTS:
        how = caught(name)
        survivors += not how
        sys.stdout.write(f"{'caught' if how else 'SURVIVED':8} {name}  {how}\n")
        sys.stdout.flush()
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
