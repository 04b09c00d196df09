"""Who can open a TCP connection to an address of this network namespace.

    answer = reach(namespace, Query(family=Family.IPV4, interface="eth0",
                                    address="192.0.2.10", port=11434))
    answer.surely, answer.blocked, answer.unknown   # AddressSets of the source; a partition
    answer.ends                                     # where the connections end after DNAT
    answer.because(int(IPv4Address("192.0.2.77")))  # the rules that one client meets

`reach` answers about the packet filter and the IP layer only. Whether anybody listens at an
end, and whether its unit filters addresses (IPAddressDeny=), is for the reader to add.
A namespace is compiled once and may be asked many times.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Decision, Effect, End, Query, Reach, address_text
from ollama_audit.firewall.context import TooComplexError
from ollama_audit.firewall.path import Arrival, Walk
from ollama_audit.firewall.ruleset import Compiled, compile_namespace
from ollama_audit.observed import Unknown, UnobservedError
from ollama_audit.snapshot.network import Family, NetworkNamespace

BY_CHOICE = (
    "only by what clients do not do by themselves: odd source ports or TCP flags, "
    "getting on or off a list of the rules, a flood"
)

_KEPT: dict[int, tuple[NetworkNamespace, Compiled | Unknown]] = {}
"""Compiled namespaces by identity; each entry keeps its namespace, so that ids stay unique."""
_MOST_KEPT = 64


def reach(namespace: NetworkNamespace, query: Query) -> Reach:
    """Evaluate the packet filter of `namespace` for one question.

    Never raises for what a capture holds: what cannot be read or understood is `unknown`, with
    the reason and, where there is one, the cure.
    """
    filtering = compiled(namespace)
    if isinstance(filtering, Unknown):
        return _all_unknown(query, (filtering.reason,), filtering.cure)
    reasons = filtering.reasons_for(query.interface)
    if reasons:
        return _all_unknown(query, reasons)
    address = int(ip_address(query.address))
    walk = Walk(filtering.host, filtering.hooks, _version(query), query.interface)
    try:
        if filtering.host.interfaces[query.interface].loopback:
            arrivals = walk.local(address, query.port)
        else:
            arrivals = walk.remote(address, query.port)
    except TooComplexError as error:
        return _all_unknown(query, (str(error),))
    except RecursionError:
        return _all_unknown(query, ("the ruleset is too complex to evaluate",))
    return _answer(query, walk, arrivals)


def forget() -> None:
    """Let go of compiled namespaces: for long-lived programs and tests."""
    _KEPT.clear()


def _version(query: Query) -> int:
    return 4 if query.family is Family.IPV4 else 6


def compiled(namespace: NetworkNamespace) -> Compiled | Unknown:
    """What filters in a namespace, compiled once; or why it is not known."""
    kept = _KEPT.get(id(namespace))
    if kept is not None:
        return kept[1]
    try:
        found: Compiled | Unknown = compile_namespace(namespace)
    except UnobservedError as error:
        found = error.fact
    if len(_KEPT) >= _MOST_KEPT:
        _KEPT.clear()
    _KEPT[id(namespace)] = (namespace, found)
    return found


def _all_unknown(query: Query, reasons: tuple[str, ...], cure: str = "") -> Reach:
    nothing = AddressSet.nothing(_version(query))
    return Reach(
        query=query,
        surely=nothing,
        blocked=nothing,
        unknown=~nothing,
        reasons=reasons,
        cure=cure,
    )


def _answer(query: Query, walk: Walk, arrivals: list[Arrival]) -> Reach:
    """Part the sources by what may have become of them."""
    journal = walk.journal
    ordinarily = journal.doubtful.whole
    by_choice = journal.chosen.whole
    for arrival in arrivals:
        if arrival.state.ordinary:
            ordinarily = ordinarily | arrival.sources
        else:
            by_choice = by_choice | arrival.sources
    may_arrive = ordinarily | by_choice
    may_drop = journal.dropped.whole | journal.doubtful.whole
    unknown = may_arrive & may_drop
    if unknown - ordinarily:
        doubt = Decision(effect=Effect.UNKNOWN, sources=unknown - ordinarily, detail=BY_CHOICE)
        journal.decisions.append(doubt)
    return Reach(
        query=query,
        surely=may_arrive - may_drop,
        blocked=may_drop - may_arrive,
        unknown=unknown,
        ends=_ends(walk.version, arrivals, may_drop),
        decisions=tuple(journal.decisions),
        reasons=_reasons(journal.decisions, unknown),
    )


def _ends(version: int, arrivals: list[Arrival], may_drop: AddressSet) -> tuple[End, ...]:
    possibly: dict[tuple[bool, str, int | None, int | None], AddressSet] = {}
    ordinarily = dict(possibly)
    nothing = AddressSet.nothing(version)
    for arrival in arrivals:
        key = (
            arrival.forwarded,
            arrival.interface,
            arrival.state.target_address,
            arrival.state.target_port,
        )
        possibly[key] = possibly.get(key, nothing) | arrival.sources
        if arrival.state.ordinary:
            ordinarily[key] = ordinarily.get(key, nothing) | arrival.sources
    found = []
    for key, sources in possibly.items():
        surely = ordinarily.get(key, nothing) - may_drop
        for other, others in ordinarily.items():
            if other != key:
                surely = surely - others
        forwarded, interface, address, port = key
        found.append(
            End(
                forwarded=forwarded,
                address=address_text(address, version),
                port=port or 0,
                interface=interface,
                surely=surely,
                possibly=sources,
            )
        )
    return tuple(found)


def _reasons(decisions: Sequence[Decision], unknown: AddressSet) -> tuple[str, ...]:
    if not unknown:
        return ()
    found: dict[str, None] = {}
    for decision in decisions:
        if decision.effect is Effect.UNKNOWN and decision.sources & unknown:
            where = ""
            if decision.rule is not None:
                rule = decision.rule
                where = f"{rule.family} {rule.table} {rule.chain} {rule.number}: "
            found[where + (decision.detail or "whether this rule matches cannot be said")] = None
    return tuple(found)
