"""The matches of iptables as tests of a packet, whichever way they were captured.

Each function gives a test for one kernel match (net/netfilter/xt_*.c); iptables-extensions(8)
has the names. What the client chooses, and what no capture shows, is EITHER. Tests of the
destination, and what is made of other tests, are records that `translations` can read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.context import Context
from ollama_audit.firewall.fields import (
    CT_CONNTRACK_PRIORITY,
    FIXED_TCP_FLAGS,
    ORDINARY_PORTS,
    TCP_FLAGS,
)
from ollama_audit.firewall.host import MAPPED, MULTICAST, UNSPECIFIED
from ollama_audit.firewall.ip_layer import address_types, reverse_path
from ollama_audit.firewall.match import (
    ALWAYS,
    EITHER,
    NEVER,
    Judgement,
    Match,
    as_match,
    conjunction,
    definite,
    either,
    may,
    opposite,
)
from ollama_audit.firewall.policy_routing import Lookup
from ollama_audit.firewall.state import Phase, State, Tracking

Test = Callable[[Context, State], Judgement]
Ranges = Sequence[tuple[int, int]]
"""Ports or numbers, both ends included."""

TYPE_NAMES: Final = ("unspec", "unicast", "local", "broadcast", "anycast", "multicast")
"""RTN_* in order; what follows are kinds of unreachable routes."""


def always(context: Context, state: State) -> Match:
    """It holds."""
    del context, state
    return ALWAYS


def never(context: Context, state: State) -> Match:
    """It does not hold."""
    del context, state
    return NEVER


def anything(context: Context, state: State) -> Match:
    """It cannot be said."""
    del context, state
    return EITHER


@dataclass(frozen=True, slots=True)
class Negated:
    """The opposite of a test."""

    test: Test

    def __call__(self, context: Context, state: State) -> Judgement:
        """Judge one packet."""
        return opposite(self.test(context, state))


def negated(test: Test) -> Test:
    """The opposite."""
    return Negated(test)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of some tests."""

    tests: Sequence[Test]

    def __call__(self, context: Context, state: State) -> Judgement:
        """Judge one packet."""
        result: Judgement = True
        for one in self.tests:
            result = conjunction(result, one(context, state))
            if may(result) is False:
                break
        return result


@dataclass(frozen=True, slots=True)
class Ordinarily:
    """What holds, or does not, for clients who do nothing to change that."""

    holds: bool

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet."""
        context.chosen = True
        return definite(self.holds) if state.ordinary else EITHER


def ordinarily(*, holds: bool) -> Test:
    """It holds, or does not, for clients who do nothing to change that."""
    return Ordinarily(holds)


def all_of(tests: Sequence[Test]) -> Test:
    """Every one of them."""
    return AllOf(tests)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of some tests."""

    tests: Sequence[Test]

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet."""
        result = NEVER
        for one in self.tests:
            result = either(result, as_match(one(context, state)))
        return result


def any_of(tests: Sequence[Test]) -> Test:
    """At least one of them."""
    return AnyOf(tests)


@dataclass(frozen=True, slots=True)
class Address:
    """The packet's source (or destination) is one of these."""

    addresses: AddressSet
    source: bool

    def __call__(self, context: Context, state: State) -> Judgement:
        """Judge one packet."""
        if self.source != context.answering:
            return self.addresses if context.client_shown(state) else EITHER
        return definite(None if state.address is None else state.address in self.addresses)


def address(addresses: AddressSet, *, source: bool) -> Test:
    """The packet's source (or destination) is one of these."""
    return Address(addresses, source)


@dataclass(frozen=True, slots=True)
class Port:
    """The TCP source (or destination) port is in one of these ranges."""

    ranges: Ranges
    source: bool

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet."""
        clients = self.source != context.answering
        if not clients and state.port is not None:
            return definite(in_ranges(state.port, self.ranges))
        low, high = 0, 0xFFFF
        if clients:
            context.chosen = True
            if state.ordinary and not state.masqueraded:
                low, high = ORDINARY_PORTS
        if any(first <= low and last >= high for first, last in self.ranges):
            return ALWAYS
        touched = any(first <= high and last >= low for first, last in self.ranges)
        return EITHER if touched else NEVER


def port(ranges: Ranges, *, source: bool) -> Test:
    """The TCP source (or destination) port is in one of these ranges."""
    return Port(ranges, source)


def in_ranges(value: int, ranges: Ranges) -> bool:
    """Whether a number is in one of the ranges."""
    return any(first <= value <= last for first, last in ranges)


def interface(pattern: str, *, ingress: bool) -> Test:
    """The name of an interface; a trailing `+` stands for anything."""

    def test(context: Context, state: State) -> Match:
        del state
        link = context.ingress if ingress else context.egress
        name = link.name if link is not None else ""
        if pattern.endswith("+"):
            return definite(name.startswith(pattern[:-1]))
        return definite(name == pattern)

    return test


def tcp_flags(mask: int, wanted: int) -> Test:
    """`--tcp-flags`: of the flags in `mask` exactly those in `wanted` are set."""

    def test(context: Context, state: State) -> Match:
        different = (wanted ^ TCP_FLAGS[context.phase]) & mask
        if different & FIXED_TCP_FLAGS or not mask & ~FIXED_TCP_FLAGS:
            return definite(not different)
        context.chosen = True
        return definite(not different) if state.ordinary else EITHER

    return test


def tracking_state(names: frozenset[str]) -> Test:
    """`--ctstate`."""
    own = {
        Tracking.NONE: "INVALID",
        Tracking.NEW: "NEW",
        Tracking.ESTABLISHED: "ESTABLISHED",
        Tracking.UNTRACKED: "UNTRACKED",
    }

    def test(context: Context, state: State) -> Match:
        if state.tracking is Tracking.UNKNOWN or context.position == CT_CONNTRACK_PRIORITY:
            return EITHER
        if own[state.tracking] in names:
            return ALWAYS
        if state.tracking in (Tracking.NEW, Tracking.ESTABLISHED):
            if "DNAT" in names and state.translated:
                return ALWAYS
            if "SNAT" in names and (state.masqueraded or context.hook == "postrouting"):
                return EITHER
        return NEVER

    return test


@dataclass(frozen=True, slots=True)
class Tracked:
    """A test of the connection: never holds for packets without one, negated or not."""

    test: Test

    def __call__(self, context: Context, state: State) -> Judgement:
        """Judge one packet."""
        if state.tracking is Tracking.UNKNOWN or context.position == CT_CONNTRACK_PRIORITY:
            return EITHER
        if state.tracking in (Tracking.NONE, Tracking.UNTRACKED):
            return NEVER
        return self.test(context, state)


def tracked(test: Test) -> Test:
    """A test of the connection: never holds for packets without one, negated or not."""
    return Tracked(test)


def original_source(addresses: AddressSet) -> Test:
    """`--ctorigsrc`."""
    return lambda _context, _state: addresses


@dataclass(frozen=True, slots=True)
class Recent:
    """xt_recent puts the client on a list of its own, or asks whether it is on it."""

    name: str
    sets: bool

    @property
    def listing(self) -> tuple[str, str]:
        """The list, as `Context.settled` has it."""
        return "recent", self.name

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet: nobody is on the list who did nothing for it."""
        if self.sets:
            return ALWAYS
        context.chosen = True
        return NEVER if context.settled(self.listing, state) else EITHER


def recent(name: str, sets: int, hits: int) -> Test:
    """`-m recent`; how often a client may come is not to be told from how often it came."""
    return Recent(name, bool(sets)) if sets or not hits else anything


def owner(low: int, high: int) -> Test:
    """`-m owner --uid-owner` (net/netfilter/xt_owner.c).

    Clients of this host are whoever they choose; ordinary ones are no user that a rule names.
    """

    def test(context: Context, state: State) -> Match:
        if context.hook != "output":
            return EITHER
        if context.answering:
            users = context.host.users_at(state.target_port)
            inside = {low <= user <= high for user in users}
            return definite(inside.pop() if len(inside) == 1 else None)
        context.chosen = True
        named = low == high and low != 0
        return NEVER if state.ordinary and named else EITHER

    return test


ORDINARY_SEGMENTS: Final = (536, 65495)
"""From what RFC 9293 (3.7.1) takes for granted to what loopback has."""


def segment_size(low: int, high: int) -> Test:
    """`-m tcpmss`: the maximum segment size that a SYN names is in a range."""

    def test(context: Context, state: State) -> Match:
        if context.phase is Phase.CONFIRM:
            return NEVER  # it has no such option
        context.chosen = True
        first, last = ORDINARY_SEGMENTS
        within_all, within_none = low <= first and last <= high, high < first or last < low
        if not state.ordinary or not (within_all or within_none):
            return EITHER
        return definite(within_all)

    return test


@dataclass(frozen=True, slots=True)
class OriginalDestination:
    """The destination before translation is one of these."""

    addresses: AddressSet

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet."""
        del context
        return definite(state.original_address in self.addresses)


def original_destination(addresses: AddressSet) -> Test:
    """`--ctorigdst`."""
    return OriginalDestination(addresses)


@dataclass(frozen=True, slots=True)
class OriginalPort:
    """The destination port before translation is in one of these ranges."""

    ranges: Ranges

    def __call__(self, context: Context, state: State) -> Match:
        """Judge one packet."""
        del context
        return definite(in_ranges(state.original_port, self.ranges))


def original_port(ranges: Ranges) -> Test:
    """`--ctorigdstport`."""
    return OriginalPort(ranges)


def protocol(number: int) -> Test:
    """`-p` and `--ctproto`: TCP is 6."""
    return always if number in (0, 6) else never


def direction(*, original: bool) -> Test:
    """`--ctdir`."""
    return lambda context, _state: definite(context.answering != original)


def connection_status(mask: int) -> Test:
    """`--ctstatus`, as IPS_* bits: EXPECTED 1, SEEN_REPLY 2, ASSURED 4, CONFIRMED 8."""

    def test(context: Context, state: State) -> Match:
        del state
        if context.phase is Phase.OPEN and mask and not mask & ~0x7:
            return NEVER
        if mask & 0x2 and context.phase is not Phase.OPEN:
            return ALWAYS
        return NEVER if mask == 0x1 else EITHER

    return test


def mark(value: int, mask: int, *, connection: bool) -> Test:
    """`(mark & MASK) == VALUE`, of the packet or its connection."""

    def test(context: Context, state: State) -> Match:
        del context
        current = state.connection_mark if connection else state.mark
        return definite(None if current is None else current & mask == value)

    return test


UNROUTED_TYPES: Final = {
    frozenset({"unicast"}): ~(MULTICAST[6] | UNSPECIFIED[6] | MAPPED),
    frozenset({"multicast"}): MULTICAST[6],
}
"""Types of IPv6 that the address alone tells: own addresses are unicast too (match_type6)."""


def address_type(names: frozenset[str], *, source: bool, limit: str = "") -> Test:
    """`-m addrtype`; `limit` is `ingress` or `egress` for `--limit-iface-in` and `-out`."""

    def test(context: Context, state: State) -> Judgement:
        if context.version == 6 and names != {"local"}:
            if names in UNROUTED_TYPES:
                return address(UNROUTED_TYPES[names], source=source)(context, state)
            return EITHER
        link = {"ingress": context.ingress, "egress": context.egress}.get(limit)
        types = address_types(context.host, context.version, link.name if link else "")
        sets = {
            "local": types.local,
            "multicast": types.multicast,
            "broadcast": types.broadcast,
            "unicast": types.unicast,
        }
        possibly = otherwise = types.unsure
        for name, addresses in sets.items():
            if name in names:
                possibly = possibly | addresses
            else:
                otherwise = otherwise | addresses
        if source != context.answering:
            return Match(possibly, otherwise) if context.client_shown(state) else EITHER
        if state.address is None:
            return EITHER
        return definite(
            None if state.address in types.unsure else state.address in possibly - types.unsure
        )

    return test


def reverse_path_filter(*, loose: bool, accept_local: bool, marks: bool) -> Test:
    """`-m rpfilter`, not inverted."""

    def test(context: Context, state: State) -> Match:
        if context.ingress is not None and context.ingress.loopback:
            return ALWAYS
        if context.answering or context.ingress is None or not context.client_shown(state):
            return EITHER
        lookup = Lookup(state.address, mark=state.mark if marks else 0)
        found, unsure = reverse_path(
            context.host,
            context.version,
            context.ingress.name,
            lookup,
            loose=loose,
            broadcast=False,
        )
        own = context.host.local(context.version)
        if accept_local:
            found = found | own
        else:
            unsure = unsure | own
        return Match(found | unsure, ~found | unsure)

    return test


def device_group(group: int, mask: int, *, ingress: bool) -> Test:
    """`-m devgroup`."""

    def test(context: Context, state: State) -> Match:
        del state
        link = context.ingress if ingress else context.egress
        return definite(None if link is None else link.group & mask == group & mask)

    return test


def host_packet(context: Context, state: State) -> Match:
    """`-m pkttype --pkt-type unicast`."""
    del state
    return EITHER if context.hook == "postrouting" else ALWAYS
