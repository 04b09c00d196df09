"""Rules of firewalld in the terms of firewall-cmd(1), as far as its chains tell.

firewalld 1.3, src/firewall/core/nftables.py: the table `firewalld` has for each zone (or policy)
chains filter_IN_ZONE with its target, and filter_IN_ZONE_{pre,log,deny,allow,post} with its rules.
A port and a service with that port give the same rule.
"""

from __future__ import annotations

import re
from typing import Final

CHAIN: Final = re.compile(
    r"(?:filter|nat|mangle|raw)_(IN|FWD|FWDI|FWDO|OUT|PRE|POST)_(policy_)?(.+?)"
    r"(?:_(pre|log|deny|allow|post))?$"
)
PORT: Final = re.compile(
    r"(?:(?:ip|ip6) saddr (?P<source>\S+|\{[^}]*\}) )?(?P<protocol>tcp|udp) dport (?P<port>[\d-]+) "
    r"(?:ct state \{? ?new, ?untracked \}? )?(?P<verdict>accept|drop|reject)\b"
)
SOURCE: Final = re.compile(
    r"(?:ip|ip6) saddr (?P<source>\S+) (?:ct state \{? ?new, ?untracked \}? )?"
    r"(?P<verdict>accept|drop|reject)\b"
)
FORWARD: Final = re.compile(
    r"(?:meta nfproto \S+ )?(?:(?:ip|ip6) saddr (?P<source>\S+) )?"
    r"(?P<protocol>tcp|udp) dport (?P<port>[\d-]+) "
    r"(?:redirect|dnat(?: ip6?)?) to \[?(?P<address>[^\s\]]*?)\]?(?::(?P<to>[\d-]+))?$"
)
"""A forward-port: redirected on the host itself, or sent to another address."""
TARGETS: Final = (
    ("accept", "ACCEPT"),
    ("drop", "DROP"),
    ("reject with icmpx admin-prohibited", "default"),
    ("reject", "REJECT"),
)


def say(chain: str, text: str) -> str:
    """The zone or policy, and what of it the rule is, such as `zone public: port 11434/tcp`."""
    found = CHAIN.match(chain)
    if found is None:
        return ""
    _, policy, name, part = found.groups()
    said = f"policy {name}" if policy else f"zone {name}"
    what = _rule(text) if part else _target(text)
    return f"{said}: {what}" if what else said


def _rule(text: str) -> str:
    port = PORT.match(text)
    if port is not None:
        place = f"port {port['port']}/{port['protocol']}"
        if port["source"]:
            return f"rich rule, from {port['source']} {place} {port['verdict']}"
        return place if port["verdict"] == "accept" else f"rich rule, {place} {port['verdict']}"
    forward = FORWARD.match(text)
    if forward is not None:
        what = f"port={forward['port']}:proto={forward['protocol']}"
        what += f":toport={forward['to'] or ''}:toaddr={forward['address']}"
        whose = f"rich rule, from {forward['source']} " if forward["source"] else ""
        return f"{whose}forward-port {what}"
    source = SOURCE.match(text)
    if source is not None:
        return f"rich rule, from {source['source']} {source['verdict']}"
    return ""


def _target(text: str) -> str:
    for start, target in TARGETS:
        if text == start or text.startswith(f"{start} with"):
            return f"target {target}"
    return ""
