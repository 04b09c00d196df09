"""A decision of the packet filter in words: the rule as its owner prints it, and whose it is."""

from __future__ import annotations

from ollama_audit.firewall.answer import Decision
from ollama_audit.snapshot.firewall import FirewallCapture


def describe(decision: Decision, capture: FirewallCapture) -> str:
    """One line for people: where the rule stands, and what it says."""
    del capture
    rule = decision.rule
    if rule is None:
        return decision.detail or f"the kernel's routing: {decision.effect}"
    where = f"{rule.backend} {rule.family} {rule.table} {rule.chain}"
    place = f"handle {rule.handle}" if rule.handle else f"rule {rule.position}"
    if not rule.handle and not rule.position:
        place = "policy"
    return f"{where} {place}: {decision.effect}"
