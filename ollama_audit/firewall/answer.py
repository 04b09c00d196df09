"""What the packet filter says about one question: the records of its answer."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

import msgspec

from ollama_audit.addresses import AddressSet
from ollama_audit.snapshot.network import Family
from ollama_audit.words import authority

LOCAL_CLIENT = "lo"
"""The ingress interface of a client on the host itself."""


GIVEN = "given"
"""Begins the backend of a rule from a file; the number of the file among those given follows."""


def address_text(address: int | None, version: int) -> str:
    """An address in text; empty when it cannot be said."""
    if address is None:
        return ""
    return str(IPv4Address(address) if version == 4 else IPv6Address(address))


def destination_text(address: int | None, port: int | None, version: int) -> str:
    """ADDRESS:PORT, with a question mark for what cannot be said."""
    text = address_text(address, version) or "?"
    return authority(text, "?" if port is None else port)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A new TCP connection, its source address left open."""

    family: Family
    """The family of the packets: an IPv4 client of a dual-stack socket sends IPv4."""
    interface: str
    """Through which interface it arrives, by name; `lo` for a client on the host itself."""
    address: str
    """The destination address, before any translation."""
    port: int
    """The destination port, before any translation."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rule stands: enough to find it again in what its owner prints."""

    backend: str
    """`nftables` (also iptables-nft), `iptables-legacy`, or GIVEN and a number."""
    family: str
    """`ip`, `ip6`, `inet`, `netdev`."""
    table: str
    chain: str
    handle: int = 0
    """nf_tables handle (`nft -a list ruleset`); 0 for legacy and for a policy."""
    position: int = 0
    """Place in its chain, from 1; 0 for the chain's policy."""

    @property
    def policy(self) -> bool:
        """Whether it is its chain's policy and no rule."""
        return not self.handle and not self.position

    @property
    def number(self) -> str:
        """Which of its chain's rules it is, for people; `policy` when it is none of them."""
        if self.handle:
            return f"handle {self.handle}"
        return "policy" if self.policy else f"rule {self.position}"


class Effect(StrEnum):
    """What became of packets at a decision."""

    ACCEPT = "accept"
    DROP = "drop"
    TRANSLATE = "translate"
    """The destination was changed (DNAT, REDIRECT)."""
    UNKNOWN = "unknown"
    """It cannot be said: a match on something no capture shows, or a rule that is not modelled."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that decided about some of the sources, in the order in which packets met it."""

    effect: Effect
    sources: AddressSet
    """Whom it concerned."""
    rule: Rule | None = None
    """None when the IP layer decided and no rule."""
    hook: str = ""
    """`prerouting`, `input`, ...; empty for the IP layer."""
    reply: bool = False
    """It concerned the answer (SYN+ACK), not the opening packet."""
    detail: str = ""
    """The new destination, or why the IP layer decided or nobody can."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """Where connections end after translation and routing."""

    forwarded: bool
    """False: a socket of this namespace decides. True: it leaves through `interface`."""
    address: str
    """The destination address after translation; empty when it cannot be said."""
    port: int
    """The destination port after translation; 0 when it cannot be said."""
    interface: str
    """The egress interface when forwarded, else the ingress interface."""
    surely: AddressSet
    """Sources whose connections surely get there and whose answers surely get back.

    That is said of clients that choose their source port and TCP flags as clients do by themselves.
    """
    possibly: AddressSet
    """Sources whose connections may get there; includes `surely`."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets through the packet filter: three sets that part all addresses of the family."""

    query: Query
    surely: AddressSet
    """Every packet of the handshake gets through, whatever the parts that no capture shows.

    Odd source ports and TCP flags aside, which nobody need choose.
    """
    blocked: AddressSet
    """None does, whatever the client chooses."""
    unknown: AddressSet
    """Neither is proven."""
    ends: tuple[End, ...] = ()
    """Where connections end; whether somebody listens there is for the reader to look up."""
    decisions: tuple[Decision, ...] = ()
    """What decided, in the order of the path."""
    reasons: tuple[str, ...] = ()
    """Why anything is unknown, a sentence each."""
    cure: str = ""
    """A command that would settle it; empty when there is none."""

    def __post_init__(self) -> None:
        parts = (self.surely, self.blocked, self.unknown)
        total = self.surely | self.blocked | self.unknown
        if not total.full or sum(part.size for part in parts) != total.size:
            raise AssertionError(f"the answer to {self.query} is not a partition")

    def because(self, source: int) -> tuple[Decision, ...]:
        """The decisions that a packet from this address meets, in order."""
        return tuple(decision for decision in self.decisions if source in decision.sources)
