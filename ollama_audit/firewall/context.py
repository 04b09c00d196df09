"""Where a packet is: what rules may look at besides the packet, and what the evaluation notes."""

from __future__ import annotations

from collections.abc import Hashable

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.answer import Decision, Effect, Rule
from ollama_audit.firewall.bits import CLIENT, UNKNOWN_FIELD, Value
from ollama_audit.firewall.host import Host
from ollama_audit.firewall.state import Phase, State
from ollama_audit.snapshot.network import Interface

NAT_DESTINATION, NAT_SOURCE = -100, 100
"""NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC (linux/netfilter_ipv4.h)."""

STEPS_PER_QUERY = 5_000_000
"""Rules evaluated for one query before it is given up as too complex: some seconds."""


class TooComplexError(Exception):
    """The ruleset cannot be evaluated within bounds; the answer is unknown."""


class Growing:
    """A set of sources that grows with many a rule, and is looked at seldom."""

    __slots__ = ("_parts", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        self._parts: list[AddressSet] = []

    def add(self, sources: AddressSet) -> None:
        """Put these in as well."""
        if sources:
            self._parts.append(sources)

    @property
    def whole(self) -> AddressSet:
        """All that was put in."""
        if len(self._parts) != 1:
            self._parts = [AddressSet.union(self._parts, self.version)]
        return self._parts[0]


class Journal:
    """What one query has met so far: what decided, and for whom."""

    def __init__(self, version: int) -> None:
        self.decisions: list[Decision] = []
        self.doubtful = Growing(version)
        """Sources about which nothing can be said any more: both verdicts are possible."""
        self.dropped = Growing(version)
        """Sources of which some packet may be dropped, whatever the client chooses."""
        self.chosen = Growing(version)
        """Sources that may get through with choices that clients do not make by themselves."""
        self.steps = 0

    def spend(self, steps: int) -> None:
        """Count work.

        Raises:
            TooComplexError: The bound is reached.
        """
        self.steps += steps
        if self.steps > STEPS_PER_QUERY:
            raise TooComplexError("the ruleset is too complex to evaluate")


class Context:
    """A hook, at one priority, for one packet of the handshake."""

    __slots__ = (
        "chosen",
        "depth",
        "egress",
        "hook",
        "host",
        "ingress",
        "journal",
        "phase",
        "position",
        "version",
    )

    def __init__(  # noqa: PLR0913 - the whole of where a packet is
        self,
        *,
        host: Host,
        version: int,
        hook: str,
        ingress: Interface | None,
        egress: Interface | None,
        phase: Phase,
        journal: Journal,
    ) -> None:
        self.host = host
        self.version = version
        self.hook = hook
        self.ingress = ingress
        self.egress = egress
        self.phase = phase
        self.journal = journal
        self.position = 0
        """The priority of what is being evaluated."""
        self.depth = 0
        self.chosen = False
        """A test looked at what the client chooses; set by tests, cleared by their caller."""

    @property
    def everything(self) -> AddressSet:
        """Every source."""
        return AddressSet.everything(self.version)

    @property
    def answering(self) -> bool:
        """Whether the client is the destination of the packet."""
        return self.phase is Phase.ANSWER

    def client_shown(self, state: State) -> bool:
        """Whether the packet carries the client's address just now; SNAT replaces it."""
        if not state.masqueraded:
            return True
        if self.answering:
            # The answer is translated back where destinations are (HOOK2MANIP, nf_nat.h).
            back = self.hook in {"prerouting", "output"}
            return self.hook != "ingress" and not (back and self.position <= NAT_DESTINATION)
        if self.hook in {"postrouting", "input"} and self.position >= NAT_SOURCE:
            return False
        # What goes out through lo, translated, comes in again so.
        returned = self.ingress is not None and self.ingress.loopback
        return self.hook != "egress" and not returned

    def client(self, state: State) -> Value:
        """The client's end of the packet, as bytes."""
        if self.client_shown(state):
            return CLIENT[self.version]
        return UNKNOWN_FIELD[: BITS[self.version] // 8]

    def service(self, state: State) -> Value:
        """The other end of the packet, as bytes."""
        return address_bytes(state.address, self.version)

    def settled(self, listing: Hashable, state: State) -> bool:
        """Whether a list that rules write to is for this client as it was captured.

        It is for clients who do nothing to get on it, nor off it; and connecting is nothing of the
        kind, unless a rule that writes to it may be about the port. Whoever asks has to ask for
        the client's choice as well.
        """
        ports = (state.original_port, state.port, state.target_port)
        written = self.host.written(listing) if state.ordinary else 0
        return state.ordinary and all(
            port is not None and not written >> port & 1 for port in ports
        )

    def note(
        self, effect: Effect, sources: AddressSet, rule: Rule | None, detail: str = ""
    ) -> None:
        """Keep what decided about ordinary clients."""
        self.journal.decisions.append(
            Decision(
                effect=effect,
                sources=sources,
                rule=rule,
                hook=self.hook,
                reply=self.answering,
                detail=detail,
            )
        )

    def drop(
        self, sources: AddressSet, rule: Rule | None, detail: str = "", *, ordinary: bool = True
    ) -> None:
        """These sources' packets may end here."""
        if ordinary:
            self.note(Effect.DROP, sources, rule, detail)
            self.journal.dropped.add(sources)

    def give_up(
        self, sources: AddressSet, rule: Rule | None, detail: str, *, ordinary: bool = True
    ) -> None:
        """Nothing more can be said of these sources."""
        if ordinary:
            self.note(Effect.UNKNOWN, sources, rule, detail)
            self.journal.doubtful.add(sources)
        else:
            self.journal.chosen.add(sources)


def address_bytes(address: int | None, version: int) -> Value:
    """An address as bytes, unknown ones if it is None."""
    length = BITS[version] // 8
    return UNKNOWN_FIELD[:length] if address is None else list(address.to_bytes(length, "big"))


def port_bytes(port: int | None) -> Value:
    """A port as bytes, unknown ones if it is None."""
    return [None, None] if port is None else list(port.to_bytes(2, "big"))
