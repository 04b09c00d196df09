"""Packet filters as captured: verbatim, with the command or interface that gave them.

Nothing is interpreted here. `ollama_audit.firewall` parses these captures, so that a mistake in
a parser can be mended and an old snapshot judged again.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ollama_audit.observed import Observed


class NftablesDump(msgspec.Struct, frozen=True, kw_only=True):
    """The nf_tables ruleset as the kernel dumps it by netlink (linux/netfilter/nf_tables.h).

    Each field holds the dump's messages end to end, netlink headers included, in the order the
    kernel sent them; base64 in JSON. `nft list ruleset` is lossy and serves for display only.
    """

    generation: int
    """NFTA_GEN_ID, the same before and after the dump."""
    tables: bytes = b""
    chains: bytes = b""
    rules: bytes = b""
    sets: bytes = b""
    elements: bytes = b""
    """NFT_MSG_NEWSETELEM messages of every set; each message names its table and set."""
    flowtables: bytes = b""


class RulesetKind(StrEnum):
    """What printed a ruleset."""

    NFT_JSON = "nft -j list ruleset"
    IPTABLES_SAVE = "iptables-save"
    IP6TABLES_SAVE = "ip6tables-save"
    IPSET_SAVE = "ipset save"


class GivenRuleset(msgspec.Struct, frozen=True, kw_only=True):
    """A ruleset that somebody handed over in a file."""

    file: str
    """Its name, as it was given."""
    kind: RulesetKind
    text: str
    """Verbatim."""


class FirewallCapture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may filter packets in one network namespace."""

    nftables: Observed[NftablesDump]
    nft_listing: Observed[str]
    """`nft -a list ruleset`: how the rules are shown to people, matched by handle."""
    iptables_save: Observed[str]
    """`iptables-nft-save`; the text that shows and explains xt rules. Empty if nothing needs it."""
    ip6tables_save: Observed[str]
    legacy_tables: Observed[tuple[str, ...]]
    """/proc/net/ip_tables_names: the IPv4 tables that iptables-legacy has in the kernel."""
    legacy6_tables: Observed[tuple[str, ...]]
    iptables_legacy_save: Observed[str]
    """`iptables-legacy-save`; run only when `legacy_tables` is not empty."""
    ip6tables_legacy_save: Observed[str]
    ipsets: Observed[str]
    """`ipset save`; run only when a rule refers to a set."""
    unmodelled: Observed[tuple[str, ...]]
    """What may drop packets but can only be detected, a sentence each: tc filters, eBPF, IPVS.

    One that concerns a single interface begins with its name and a colon; `Interface.unmodelled`
    has it too.
    """
    given: tuple[GivenRuleset, ...] = ()
    """Rulesets that stand in for the host's own, of which all of the above is then empty."""
