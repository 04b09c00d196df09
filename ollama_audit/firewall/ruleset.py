"""Everything that filters in one namespace, compiled from its capture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import repeat

from ollama_audit.firewall import netlink
from ollama_audit.firewall.answer import Rule
from ollama_audit.firewall.chains import Chain, ChainKey, Hook
from ollama_audit.firewall.expressions import Scope, decode, expression_list
from ollama_audit.firewall.hooks import Hooks
from ollama_audit.firewall.host import Host
from ollama_audit.firewall.ipset import IpSet, IpSets, changed_ipsets, parse_ipsets
from ollama_audit.firewall.iptables import parse_save, saved_chains
from ollama_audit.firewall.listings import Written
from ollama_audit.firewall.machine import Instruction
from ollama_audit.firewall.program import Program, program
from ollama_audit.firewall.sets import NftSet
from ollama_audit.observed import Unknown, UnobservedError, known_or, need
from ollama_audit.snapshot.firewall import FirewallCapture, NftablesDump
from ollama_audit.snapshot.network import NetworkNamespace

INET_HOOKS = {
    0: "prerouting",
    1: "input",
    2: "forward",
    3: "output",
    4: "postrouting",
    5: "ingress",
}
NETDEV_HOOKS = {0: "ingress", 1: "egress"}
"""NF_INET_* and NF_NETDEV_* (linux/netfilter.h)."""


def nftables_chains(dump: NftablesDump, texts: Texts) -> Iterator[Chain]:
    """The chains of a dump; rules and sets are decoded when they are met.

    Raises:
        MalformedError, KeyError: The dump is damaged.
    """
    dormant = {(table.family, table.name) for table in netlink.tables(dump.tables) if table.dormant}
    by_chain: dict[tuple[str, str, str], list[netlink.RuleRecord]] = {}
    changed = set()
    for record in netlink.rules(dump.rules):
        by_chain.setdefault(record[:3], []).append(record)
        if b"dynset\0" in record.expressions:
            changed |= _changed_sets(record)
    sets = _sets(dump, changed)
    decoded: dict[tuple[str, str], dict[bytes, Instruction | None]] = {}
    for chain in netlink.chains(dump.chains):
        records = by_chain.get((chain.family, chain.table, chain.name), [])
        hook = None if (chain.family, chain.table) in dormant else _hook(chain)
        key = ChainKey("nftables", chain.family, chain.table, chain.name)
        lines = texts.lines(chain.family, chain.table, chain.name, len(records))
        shared = decoded.setdefault((chain.family, chain.table), {})
        compiler = _Compiler(records, sets, shared, lines, texts.ipsets)
        yield Chain(key, chain.handle, hook, compiler)


def captured_ipsets(capture: FirewallCapture) -> dict[str, IpSet]:
    """The ipsets, with those marked that rules of any backend add to or remove from."""
    found = parse_ipsets(known_or(capture.ipsets, ""))
    saves = (
        capture.iptables_save,
        capture.ip6tables_save,
        capture.iptables_legacy_save,
        capture.ip6tables_legacy_save,
    )
    for saved in saves:
        for name, ports in changed_ipsets(known_or(saved, "")).items():
            if name in found:
                found[name].changes |= ports
    return found


class Texts:
    """What commands printed beside the dump: names that iptables' structures lack."""

    def __init__(self, capture: FirewallCapture) -> None:
        self.ipsets = captured_ipsets(capture)
        self._chains = {}
        for family, fact in (("ip", capture.iptables_save), ("ip6", capture.ip6tables_save)):
            saved = known_or(fact, "")
            if "incompatible" not in saved:
                self._chains[family] = parse_save(saved)

    def lines(self, family: str, table: str, chain: str, count: int) -> Iterable[str]:
        """A chain's rules as iptables-nft-save prints them, if it prints every one of them."""
        found = self._chains.get(family, {}).get((table, chain))
        known = found is not None and len(found.lines) == count
        return found.lines if found is not None and known else repeat("", count)


class _Compiler:
    """Compiles the rules of a chain when asked."""

    def __init__(
        self,
        records: list[netlink.RuleRecord],
        sets: dict[netlink.SetKey, NftSet],
        decoded: dict[bytes, Instruction | None],
        lines: Iterable[str],
        ipsets: IpSets,
    ) -> None:
        self.records = records
        self.sets = sets
        self.decoded = decoded
        self.lines = lines
        self.ipsets = ipsets

    def __call__(self) -> list[Program]:
        return [
            program(
                Rule(
                    backend="nftables",
                    family=record.family,
                    table=record.table,
                    chain=record.chain,
                    handle=record.handle,
                    position=position,
                ),
                decode(Scope(record, self.sets, self.decoded, line, self.ipsets)),
            )
            for position, (record, line) in enumerate(zip(self.records, self.lines, strict=True), 1)
        ]


def _hook(chain: netlink.ChainRecord) -> Hook | None:
    if chain.hook is None:
        return None
    if chain.family == "netdev":
        name = NETDEV_HOOKS.get(chain.hook, "")
    elif chain.family in ("ip", "ip6", "inet"):
        name = INET_HOOKS.get(chain.hook, "")
    else:
        return None
    return Hook(name, chain.priority, chain.kind == "nat", chain.accepts, chain.devices)


def _changed_sets(record: netlink.RuleRecord) -> set[netlink.SetKey]:
    try:
        expressions = expression_list(record)
    except (netlink.MalformedError, KeyError):
        return set()
    return {
        (record.family, record.table, netlink.text(parts[1]))
        for name, parts in expressions
        if name == "dynset" and 1 in parts
    }


def _sets(dump: NftablesDump, changed: set[netlink.SetKey]) -> dict[netlink.SetKey, NftSet]:
    elements = netlink.elements(dump.elements)
    found = {}
    for record in netlink.sets(dump.sets):
        key = (record.family, record.table, record.name)
        found[key] = NftSet(record, elements.get(key, []), changes=key in changed)
    return found


BRIDGED = ("the nf_tables bridge table ", "the module ebtable")
"""Doubts of the capture that concern frames between the ports of a bridge only."""

HARMLESS = ("the flowtable ",)
"""Only packets behind the handshake skip rules by a flowtable (nft_flow_offload_eval)."""


class Compiled:
    """One namespace, ready to be asked."""

    def __init__(self, host: Host, hooks: Hooks, doubts: tuple[str, ...]) -> None:
        self.host = host
        self.hooks = hooks
        self._doubts = doubts

    def reasons_for(self, interface: str) -> tuple[str, ...]:
        """Why nothing can be said of packets through an interface; empty if it can."""
        link = self.host.interfaces.get(interface)
        if link is None:
            return (f"there is no interface {interface}",)
        bridged = link.kind == "bridge" or link.master_kind == "bridge"
        names = tuple(f"{name}: " for name in self.host.interfaces)
        found = [
            doubt
            for doubt in self._doubts
            if not doubt.startswith(names)
            and not doubt.startswith(HARMLESS)
            and (bridged or not doubt.startswith(BRIDGED))
        ]
        found += [f"{interface}: {doubt}" for doubt in link.unmodelled]
        if self.host.in_vrf(interface):
            found.append(f"{interface} belongs to a VRF, which is not modelled")
        return tuple(found)


def compile_namespace(namespace: NetworkNamespace) -> Compiled:
    """Compile what was captured.

    Raises:
        UnobservedError: Something that decides was not read, or is damaged.
    """
    capture = namespace.firewall
    host = Host(namespace)
    dump = need(capture.nftables)
    try:
        chains = {chain.key: chain for chain in nftables_chains(dump, Texts(capture))}
    except (netlink.MalformedError, KeyError) as error:
        reason = f"the captured nf_tables ruleset is damaged: {error}"
        raise UnobservedError(Unknown(reason, "nf_tables dump")) from error
    chains |= {chain.key: chain for chain in _legacy(capture)}
    doubts = need(capture.unmodelled)
    if capture.given:
        from ollama_audit.firewall import given  # noqa: PLC0415  # seldom wanted

        found = given.chains(capture, tuple(host.interfaces))
        chains |= {chain.key: chain for chain in found}
        doubts = (*doubts, *given.doubts(capture))
    host.written = Written(chains)
    return Compiled(host, Hooks(chains), doubts)


def _legacy(capture: FirewallCapture) -> Iterator[Chain]:
    """The chains of iptables-legacy, where the kernel has any.

    Raises:
        UnobservedError: It has tables, and they were not read whole.
    """
    captured = (
        (4, capture.legacy_tables, capture.iptables_legacy_save),
        (6, capture.legacy6_tables, capture.ip6tables_legacy_save),
    )
    for version, tables, saved in captured:
        names = need(tables)
        if not names:
            continue
        text = need(saved)
        missing = [name for name in names if not re.search(rf"(?m)^\*{re.escape(name)}$", text)]
        if missing:
            reason = f"iptables-legacy-save does not show the table {missing[0]}"
            raise UnobservedError(Unknown(reason, "iptables-legacy-save"))
        yield from saved_chains(text, version, captured_ipsets(capture))
