"""Why a probe is unknown, in a form that can be counted: `--reasons` prints the shares."""

from __future__ import annotations

import re

from ollama_audit.collect.firewall import read_firewall
from ollama_audit.firewall.answer import Effect, Reach
from ollama_audit.firewall.wording import rule_text
from ollama_audit.snapshot.firewall import FirewallCapture
from ollama_audit.snapshot.network import NetworkNamespace

VALUE = re.compile(r'"[^"]*"|\b(?=[0-9a-f:.]*[0-9:])[0-9a-fx:.]+(?:[/-][0-9a-f:.]+)*')
"""Names in quotes, numbers, addresses and ranges: what differs between rules of one kind."""


def shown(namespace: NetworkNamespace) -> FirewallCapture:
    """The namespace's filters as their programs print them just now."""
    return read_firewall(namespace.interfaces)


def why_unknown(answer: Reach, source: int, printed: FirewallCapture) -> str:
    """The first thing on the way of this source that cannot be said."""
    for decision in answer.decisions:
        if decision.effect is Effect.UNKNOWN and source in decision.sources:
            said = decision.detail
            if decision.rule is not None:
                said += f" {VALUE.sub('#', rule_text(decision.rule, printed))}"
            place = f"{decision.hook} (answer)" if decision.reply else decision.hook
            return f"{place}: {said.strip()}" if place else said
    return answer.reasons[0] if answer.reasons else "which end a connection reaches"
