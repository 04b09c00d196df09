"""Captures the packet filters of the calling thread's network namespace, verbatim.

The kernel's own dump is the truth; the programs are for what it cannot show, and run only when
there is something for them to print. None of them is asked for a table that does not exist yet,
since that would create it. Measured with nft 1.0.6 and iptables 1.8.9: an empty namespace is as
empty after `nft list ruleset`, `iptables-nft-save` and `iptables-legacy-save` as before.
"""

from __future__ import annotations

from collections.abc import Sequence

from ollama_audit.collect.nftables import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    holds_extensions,
    read_nftables,
    refers_to_ipset,
    same_generation,
)
from ollama_audit.collect.read import read_text
from ollama_audit.collect.run import find_command, run
from ollama_audit.collect.unmodelled import find_unmodelled
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.firewall import FirewallCapture, NftablesDump
from ollama_audit.snapshot.network import Interface

_ATTEMPTS = 3
_TERSE_FROM = 256 << 10
"""Bytes of set elements beyond which a listing for people leaves them out: it takes nft seconds."""


def read_firewall(
    interfaces: Observed[tuple[Interface, ...]], pids: Sequence[int] = ()
) -> FirewallCapture:
    """Everything that may filter packets here, with the listing of the very ruleset dumped.

    `pids` are the processes whose cgroups may have filters of their own.
    """
    legacy4 = _legacy_tables("ip_tables_names")
    legacy6 = _legacy_tables("ip6_tables_names")
    saved4 = _save_legacy("iptables", legacy4)
    saved6 = _save_legacy("ip6tables", legacy6)
    nftables = read_nftables()
    listing, save4, save6 = _list(nftables)
    for _ in range(_ATTEMPTS):
        if isinstance(nftables, Unknown) or same_generation(nftables.value):
            break
        nftables = read_nftables()
        listing, save4, save6 = _list(nftables)
    else:
        changed = Unknown("the ruleset kept changing while it was read", "nf_tables by netlink")
        nftables = listing = save4 = save6 = changed
    return FirewallCapture(
        nftables=nftables,
        nft_listing=listing,
        iptables_save=save4,
        ip6tables_save=save6,
        legacy_tables=legacy4,
        legacy6_tables=legacy6,
        iptables_legacy_save=saved4,
        ip6tables_legacy_save=saved6,
        ipsets=_ipsets(nftables, saved4, saved6),
        unmodelled=find_unmodelled(interfaces, nftables, pids),
    )


def unread_firewall(reason: Unknown) -> FirewallCapture:
    """The capture of a namespace that cannot be looked into."""
    return FirewallCapture(
        nftables=reason,
        nft_listing=reason,
        iptables_save=reason,
        ip6tables_save=reason,
        legacy_tables=reason,
        legacy6_tables=reason,
        iptables_legacy_save=reason,
        ip6tables_legacy_save=reason,
        ipsets=reason,
        unmodelled=reason,
    )


def _list(
    nftables: Observed[NftablesDump],
) -> tuple[Observed[str], Observed[str], Observed[str]]:
    """The listing of nft, and what the iptables programs print of the rules that they made."""
    if isinstance(nftables, Unknown):
        return nftables, nftables, nftables
    dump = nftables.value
    if not dump.tables:
        nothing = Known("", nftables.source)
        return nothing, nothing, nothing
    terse = ("-t",) if len(dump.elements) > _TERSE_FROM else ()
    listing = _ruleset(run(("nft", "-a", *terse, "list", "ruleset"), timeout_s=5), "table ")
    save4: Observed[str] = Known("", nftables.source)
    save6: Observed[str] = Known("", nftables.source)
    if holds_extensions(dump, FAMILY_IPV4):
        save4 = _ruleset(_save("iptables", "nft"), "*")
    if holds_extensions(dump, FAMILY_IPV6):
        save6 = _ruleset(_save("ip6tables", "nft"), "*")
    return listing, save4, save6


def _save(family: str, backend: str) -> Observed[str]:
    """What `iptables-save` prints; where an old release has one backend only, that one's."""
    name = f"{family}-{backend}-save"
    return run((name if find_command(name) else f"{family}-save",), timeout_s=5)


def _ruleset(printed: Observed[str], mark: str) -> Observed[str]:
    """What was printed, if a line begins as each ruleset of its kind does."""
    if isinstance(printed, Unknown) or any(
        line.startswith(mark) for line in printed.value.splitlines()
    ):
        return printed
    return Unknown("it printed no ruleset", printed.source)


def _legacy_tables(name: str) -> Observed[tuple[str, ...]]:
    """The tables of iptables-legacy; reading their names loads nothing."""
    path = f"/proc/thread-self/net/{name}"
    names = read_text(path, absent="")
    if isinstance(names, Unknown):
        return Unknown(names.reason, f"/proc/net/{name}", names.cure)
    return Known(tuple(names.value.split()), f"/proc/net/{name}")


def _save_legacy(family: str, tables: Observed[tuple[str, ...]]) -> Observed[str]:
    if isinstance(tables, Unknown):
        return tables
    if not tables.value:
        return Known("", tables.source)
    return _ruleset(_save(family, "legacy"), "*")


def _ipsets(nftables: Observed[NftablesDump], *saved: Observed[str]) -> Observed[str]:
    """The ipsets, if a rule refers to one."""
    for capture in (nftables, *saved):
        if isinstance(capture, Unknown):
            return capture
    if isinstance(nftables, Known) and refers_to_ipset(nftables.value):
        return run(("ipset", "save"), timeout_s=5)
    for text in saved:
        if isinstance(text, Known) and ("--match-set " in text.value or "-j SET " in text.value):
            return run(("ipset", "save"), timeout_s=5)
    return Known("", "no rule refers to an ipset")
