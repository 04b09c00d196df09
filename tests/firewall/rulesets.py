"""Rulesets for the engine's tests: text of iptables on a captured host without other filters."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.reach import forget, reach
from ollama_audit.observed import Known
from ollama_audit.snapshot.firewall import NftablesDump
from ollama_audit.snapshot.network import Family, NetworkNamespace

CAPTURES = Path(__file__).parent / "captures"
FROM_LAN = Query(family=Family.IPV4, interface="eth0", address="192.0.2.10", port=11434)
FROM_LAN_6 = Query(family=Family.IPV6, interface="eth0", address="2001:db8::10", port=11434)
FROM_HERE = Query(family=Family.IPV4, interface="lo", address="127.0.0.1", port=11434)

NEIGHBOUR = 0xC000024D
"""192.0.2.77"""
HERE = 0x7F000001
"""127.0.0.1"""


def captured(name: str) -> NetworkNamespace:
    """A host that was captured whole."""
    return msgspec.json.decode((CAPTURES / f"{name}.json").read_bytes(), type=NetworkNamespace)


def with_legacy(four: str = "", six: str = "", ipsets: str = "") -> NetworkNamespace:
    """The host of `mixed.json` with nothing but these saves of iptables-legacy."""
    namespace = captured("mixed")
    nothing = NftablesDump(generation=1)
    texts = {4: four, 6: six}
    tables = {
        version: tuple(line[1:] for line in text.splitlines() if line.startswith("*"))
        for version, text in texts.items()
    }
    firewall = msgspec.structs.replace(
        namespace.firewall,
        nftables=Known(nothing, "test"),
        iptables_save=Known("", "test"),
        ip6tables_save=Known("", "test"),
        legacy_tables=Known(tables[4], "test"),
        legacy6_tables=Known(tables[6], "test"),
        iptables_legacy_save=Known(four, "test"),
        ip6tables_legacy_save=Known(six, "test"),
        ipsets=Known(ipsets, "test"),
    )
    return msgspec.structs.replace(namespace, firewall=firewall)


def filter_table(*rules: str, policy: str = "ACCEPT", output: str = "ACCEPT") -> str:
    """A filter table with these rules and the policies of INPUT and OUTPUT."""
    heads = [f":INPUT {policy} [0:0]", ":FORWARD ACCEPT [0:0]", f":OUTPUT {output} [0:0]"]
    return "\n".join(["*filter", *heads, *rules, "COMMIT", ""])


def raw_table(*rules: str) -> str:
    """A raw table with these rules."""
    return "\n".join(["*raw", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *rules, "COMMIT"])


def ask(namespace: NetworkNamespace, query: Query = FROM_LAN) -> Reach:
    """One question, with nothing kept from before."""
    forget()
    return reach(namespace, query)
