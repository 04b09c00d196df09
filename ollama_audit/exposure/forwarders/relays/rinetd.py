"""rinetd by its configuration (rinetd.conf(5) of 0.62 and 0.73)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ollama_audit.exposure.forwarders.clients import EVERYONE, NOBODY, Clients
from ollama_audit.exposure.forwarders.names import Takes
from ollama_audit.exposure.forwarders.relays.target import literal, toward
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration, owners, stale
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_SERVICES = {"http": 80, "https": 443, "http-alt": 8080}
"""The names of services(5) that are likely here; numbers are what people write."""


@dataclass(slots=True)
class _Rule:
    """One forwarding rule, and whom it serves besides what holds for all."""

    bind: str
    port: str
    host: str
    target: str
    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    """What a file says."""

    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)


def rinetd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """`BINDADDRESS BINDPORT CONNECTADDRESS CONNECTPORT`, `allow PATTERN`, `deny PATTERN`."""
    found = configuration(terrain, owners(listener, process))
    text = found.files[0].text if found and found.files else None
    if found is None or text is None:
        return (unclear(process, "the configuration of rinetd was not read", kind="relay"),)
    if isinstance(text, Unknown):
        return (unclear(process, text.reason, kind="relay", cure=text.cure),)
    if late := stale(found):
        return (unclear(process, late, kind="relay", cure="systemctl restart rinetd"),)
    read = _parsed(text.value)
    rules = [rule for rule in read.rules if _serves(rule, listener)]
    if not rules:
        reason = f"no rule of {found.main} is about {listener}"
        return (unclear(process, reason, kind="relay"),)
    return tuple(_step(terrain, namespace, process, read, rule) for rule in rules[:1])


def _parsed(text: str) -> _File:
    found = _File()
    for line in text.splitlines():
        words = re.sub(r"\[.*?\]", "", line.partition("#")[0]).split()
        if len(words) == 2 and words[0] in {"allow", "deny"}:
            place = found.rules[-1] if found.rules else found
            (place.allow if words[0] == "allow" else place.deny).append(words[1])
        elif len(words) >= 4:
            found.rules.append(_Rule(words[0], words[1], words[2], words[3]))
    return found


def _port(text: str) -> int:
    """The port of `8080`, `8080/tcp` or a name; 0 for UDP and what is not known."""
    name, _, protocol = text.partition("/")
    if protocol not in {"", "tcp"}:
        return 0
    return int(name) if name.isdecimal() else _SERVICES.get(name, 0)


def _serves(rule: _Rule, listener: Listener) -> bool:
    bound = literal(rule.bind)
    return _port(rule.port) == listener.port and bound in {"", listener.address, str(listener.ip)}


def _step(
    terrain: Terrain, namespace: NetworkNamespace, process: Process, read: _File, rule: _Rule
) -> Onward:
    port = _port(rule.target)
    clients = _clients(read, rule)
    if clients is None or not port:
        reason = f"the rule of rinetd for {rule.bind}:{rule.port} is not understood"
        return unclear(process, reason, kind="relay")
    step = toward(terrain, namespace, process, authority(rule.host, port), Takes.FIRST)
    return replace(step, admits=None if clients.all else clients)


def _clients(read: _File, rule: _Rule) -> Clients | None:
    """Whom a rule serves: whom both lists of patterns let in, those for all and its own.

    Where a list has an allow rule, one must match; and no deny rule may (rinetd.c).
    """
    served = EVERYONE
    for allow, deny in ((read.allow, read.deny), (rule.allow, rule.deny)):
        allowed, denied = _matching(allow), _matching(deny)
        if allowed is None or denied is None:
            return None
        served = (served & allowed if allow else served) - denied
    return served


def _matching(patterns: Sequence[str]) -> Clients | None:
    """The clients whose addresses match one of the patterns; None when it cannot be said."""
    found = NOBODY
    for pattern in patterns:
        if set(pattern) == {"*"}:
            return EVERYONE
        network = re.fullmatch(r"((?:\d+\.){1,3})\*", pattern)
        octets = network[1].count(".") if network else 0
        text = f"{network[1]}{'0.' * (3 - octets)}0/{8 * octets}" if network else pattern
        try:
            found |= Clients.within(text)
        except ValueError:
            return None
    return found
