"""A decision of the packet filter in words: the rule as its owner prints it, and whose it is.

Rules are found by handle in what `nft -a list ruleset` printed, those of iptables by their place
in `iptables-save`. Owners are told by the names that their programs give to tables and chains.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from ollama_audit.firewall import engines, firewalld, ufw
from ollama_audit.firewall.answer import GIVEN, Decision, Effect, Rule
from ollama_audit.firewall.iptables import BACKEND, parse_save
from ollama_audit.firewall.lines import Lines
from ollama_audit.observed import known_or
from ollama_audit.snapshot.firewall import FirewallCapture, GivenRuleset, RulesetKind

OWNERS: Final = (
    ("ufw", re.compile(r"ufw6?-")),
    ("firewalld", re.compile(r"firewalld$")),
    ("Docker", re.compile(r"DOCKER|docker")),
    ("podman", re.compile(r"NETAVARK|netavark|CNI-|nv_")),
    ("fail2ban", re.compile(r"f2b-")),
    ("crowdsec", re.compile(r"crowdsec|CROWDSEC")),
    ("tailscale", re.compile(r"ts-")),
    ("libvirt", re.compile(r"LIBVIRT_|libvirt_")),
    ("Kubernetes", re.compile(r"KUBE-|kube-proxy")),
)
"""How the names of tables or chains begin that each program makes."""

NFTABLES: Final = "nftables"
"""The backend of rules from the kernel's nf_tables dump."""

HANDLE = re.compile(r"\s*# handle (\d+)$")
TABLE = re.compile(r"table (\w+) (\S+) \{")
CHAIN = re.compile(r"chain (\S+) \{")


def describe(decision: Decision, capture: FirewallCapture) -> str:
    """One line for people: where the rule stands, what it says, and what is doubtful about it."""
    rule = decision.rule
    if rule is None:
        return decision.detail or f"the kernel's routing: {decision.effect}"
    doubt = decision.effect is Effect.UNKNOWN
    why = f": {decision.detail or 'whether it matches cannot be said'}" if doubt else ""
    return f"{_line(decision, rule, capture)}{why}"


def _line(decision: Decision, rule: Rule, capture: FirewallCapture) -> str:
    text = rule_text(rule, capture)
    place = f"{_program(rule, capture)} {rule.family} {rule.table} {rule.chain}"
    whose = owner(rule, capture)
    if rule.policy:
        what = ufw.say_default(rule, decision.effect) if whose == "ufw" else "default"
        return f"{_owned(whose, what)}{place}: policy {decision.effect}"
    shown = text or str(decision.effect)
    return f"{_owned(whose, _said(whose, rule, text, capture))}{place} {rule.number}: {shown}"


def owner(rule: Rule, capture: FirewallCapture) -> str:
    """The program that made a rule, as far as names tell; empty when they do not."""
    for name, pattern in OWNERS:
        if pattern.match(rule.chain) or pattern.match(rule.table):
            return name
    if rule.table == "filter" and rule.chain in ("INPUT", "FORWARD", "OUTPUT"):
        chain = "ufw6" if rule.family == "ip6" else "ufw"
        text = rule_text(rule, capture)
        if f"{chain}-" in text or (
            rule.policy and f"{chain}-user-input" in _everything(rule, capture)
        ):
            return "ufw"
    if engines.is_dockers(rule.table, rule.chain, rule_text(rule, capture)):
        return "Docker"
    return ""


def rule_text(rule: Rule, capture: FirewallCapture) -> str:
    """The rule as its own program prints it; empty when that was not captured."""
    if not rule.position:
        return ""
    source = _source(rule, capture)
    if source is not None and source.kind is RulesetKind.NFT_JSON:
        from ollama_audit.firewall import given  # noqa: PLC0415  # seldom wanted

        return given.rule_text(source, rule)
    line = _saved_line(rule, _saved(rule, capture))
    if line or rule.backend != NFTABLES:
        return line
    listing = _listing(known_or(capture.nft_listing, ""))
    return listing.get((rule.family, rule.table, rule.chain, rule.handle), "")


def _owned(name: str, what: str) -> str:
    if not name:
        return ""
    return f"{name} {what} - " if what else f"{name} - "


def _said(whose: str, rule: Rule, text: str, capture: FirewallCapture) -> str:
    """What the rule's owner calls it; empty when that is not certain."""
    if whose == "ufw":

        def lines(family: str, chain: str) -> list[str] | None:
            other = msgspec.structs.replace(rule, family=family, chain=chain)
            found = _chains(_saved(other, capture)).get((rule.table, chain))
            return None if found is None else list(found)

        return ufw.say(rule, text, lines)
    if whose == "firewalld":
        return firewalld.say(rule.chain, text)
    return engines.say(rule.chain, text) if whose in ("Docker", "podman") else ""


def _program(rule: Rule, capture: FirewallCapture) -> str:
    """Whose rule it is; among several files, in which it stands."""
    source = _source(rule, capture)
    if source is None:
        return "nft" if rule.backend == NFTABLES else rule.backend
    program = "nft" if source.kind is RulesetKind.NFT_JSON else "iptables"
    return f"{source.file}: {program}" if len(capture.given) > 1 else program


def _source(rule: Rule, capture: FirewallCapture) -> GivenRuleset | None:
    """The file that a rule is from; None if it is the host's own."""
    name, _, number = rule.backend.partition(" ")
    return capture.given[int(number)] if name == GIVEN else None


def _saved(rule: Rule, capture: FirewallCapture) -> str:
    if rule.family not in ("ip", "ip6"):
        return ""
    source = _source(rule, capture)
    if source is not None:
        return "" if source.kind is RulesetKind.NFT_JSON else source.text
    four = rule.family == "ip"
    if rule.backend == BACKEND:
        fact = capture.iptables_legacy_save if four else capture.ip6tables_legacy_save
    else:
        fact = capture.iptables_save if four else capture.ip6tables_save
    return known_or(fact, "")


def _everything(rule: Rule, capture: FirewallCapture) -> str:
    return _saved(rule, capture) or known_or(capture.nft_listing, "")


def _saved_line(rule: Rule, saved: str) -> str:
    """The line at the rule's place; of nf_tables only where no line was left out before it."""
    chain = _chains(saved).get((rule.table, rule.chain))
    if chain is None or not 1 <= rule.position <= len(chain):
        return ""
    return chain[rule.position - 1]


@lru_cache(maxsize=8)
def _chains(saved: str) -> dict[tuple[str, str], Lines]:
    if "incompatible" in saved:
        return {}  # iptables-nft-save leaves native rules out, or prints them as others
    return {key: chain.lines for key, chain in parse_save(saved).items()}


@lru_cache(maxsize=8)
def _listing(text: str) -> dict[tuple[str, str, str, int], str]:
    """Rules of `nft -a list ruleset` by family, table, chain and handle."""
    found: dict[tuple[str, str, str, int], str] = {}
    family = table = chain = ""
    for raw in text.splitlines():
        line = raw.strip()
        if opened := TABLE.match(line):
            family, table, chain = opened[1], opened[2], ""
        elif opened := CHAIN.match(line):
            chain = opened[1]
        elif chain and (handle := HANDLE.search(line)):
            found[family, table, chain, int(handle[1])] = line[: handle.start()]
    return found
