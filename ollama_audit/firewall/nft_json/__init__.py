"""Rulesets from `nft -j list ruleset`, compiled into what the kernel's own dump is compiled into.

The listing loses meaning (see `matches` and `statements` for where); what it leaves open makes
an answer unknown. Two things cannot be told from it, and are taken not to be (nftables 1.0.6,
payload_dependency_kill): before a match on the IP header it drops `meta protocol` of the other
family in a table of one, with which a rule never matches, and `meta iiftype ether` in a table of
both, with which it does not match packets from a tunnel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ollama_audit.firewall.answer import Rule
from ollama_audit.firewall.chains import Chain, ChainKey, Hook
from ollama_audit.firewall.effects import Verdict
from ollama_audit.firewall.instructions import Maybe
from ollama_audit.firewall.machine import ACCEPT
from ollama_audit.firewall.nft_json.document import (
    ChainName,
    Document,
    DocumentError,
    ListedChain,
    read_document,
)
from ollama_audit.firewall.nft_json.elements import Sets
from ollama_audit.firewall.nft_json.statements import Statements
from ollama_audit.firewall.program import Program, program

__all__ = ["Document", "DocumentError", "listed_chains", "read_document"]

FAMILIES = ("ip", "ip6", "inet", "netdev")
"""Tables that see packets for this host; those of bridges and ARP do not."""


def listed_chains(document: Document, backend: str, interfaces: tuple[str, ...]) -> Iterator[Chain]:
    """The chains of a listing; rules and sets are compiled when they are met.

    `backend` tells these chains from those of other rulesets.
    """
    compilers = {
        table: Statements(table[0], _sets(document, table))
        for table in {name[:2] for name in document.chains}
    }
    for name, chain in document.chains.items():
        if chain.family in FAMILIES:
            key = ChainKey(backend, *name)
            compiler = _Compiler(document, name, backend, compilers[name[:2]])
            yield Chain(key, chain.handle, _hook(document, chain, interfaces), compiler)


def _sets(document: Document, table: tuple[str, str]) -> Sets:
    return Sets(
        {name[2]: listed for name, listed in document.sets.items() if name[:2] == table},
        frozenset(name[2] for name in document.changed if name[:2] == table),
    )


def _hook(document: Document, chain: ListedChain, interfaces: tuple[str, ...]) -> Hook | None:
    if not chain.hook or (chain.family, chain.table) in document.dormant:
        return None
    devices = interfaces if _somewhere(chain) else chain.devices
    return Hook(chain.hook, chain.priority, chain.kind == "nat", chain.accepts, devices)


def _somewhere(chain: ListedChain) -> bool:
    """Whether it filters at one device or several, of which nft 1.0.6 does not list the names."""
    return chain.hook in ("ingress", "egress") and not chain.devices


@dataclass
class _Compiler:
    """Compiles the rules of a chain when asked."""

    document: Document
    name: ChainName
    backend: str
    statements: Statements

    def __call__(self) -> list[Program]:
        perhaps = program(self._place(), [Maybe("hook ingress device"), Verdict(ACCEPT)])
        return [
            *([perhaps] if _somewhere(self.document.chains[self.name]) else []),
            *(
                program(
                    self._place(rule.handle, position), self.statements.compile(rule.statements)
                )
                for position, rule in enumerate(self.document.rules.get(self.name, ()), 1)
            ),
        ]

    def _place(self, handle: int = 0, position: int = 0) -> Rule:
        family, table, chain = self.name
        return Rule(
            backend=self.backend,
            family=family,
            table=table,
            chain=chain,
            handle=handle,
            position=position,
        )
