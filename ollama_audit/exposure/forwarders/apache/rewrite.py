"""mod_rewrite at the level of a server: conditions, rules, and the flags that matter here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ollama_audit.exposure.forwarders.apache.syntax import Node
from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    NEVER,
    Clients,
    Fork,
    Gate,
    among,
    doubt,
    doubted,
    matching,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.keys import is_key

_MOST_JUMPS = 64


@dataclass(frozen=True, slots=True)
class Jump:
    """A request after the rules."""

    path: str
    gate: Gate
    target: str = ""
    """The URL it is passed on to by `[P]`; empty when the rules leave that to others."""
    detail: str = ""
    ended: bool = False
    skipped: int = 0
    """The number of the last rule that is left out."""


def rewritten(
    block: tuple[Node, ...], method: str, path: str, gate: Gate, *, tls: bool
) -> list[Jump]:
    """What the rules of a server make of a request; none when they answer or redirect it."""
    engine = [node.args[0].lower() for node in block if node.name == "rewriteengine" and node.args]
    jumps = [Jump(path, gate)]
    if not engine or engine[-1] != "on":
        return jumps
    conditions: list[Node] = []
    number = 0
    for node in block:
        if node.name == "rewritecond":
            conditions.append(node)
        elif node.name == "rewriterule" and len(node.args) >= 2:
            number += 1
            jumps = [
                after
                for before in jumps
                for after in (
                    [before]
                    if before.ended or number <= before.skipped
                    else _ruled(node, conditions, before, method, number, tls=tls)
                )
                if after.gate.passing
            ]
            if len(jumps) > _MOST_JUMPS:
                why = doubt(f"too many RewriteRules decide together ({node.at})")
                return [Jump(path, gate & why)]
            conditions = []
    return jumps


def _ruled(  # noqa: PLR0913 - a rule, what it asks, and of what
    node: Node, conditions: list[Node], jump: Jump, method: str, number: int, *, tls: bool
) -> list[Jump]:
    pattern, substitution = node.args[0], node.args[1]
    flags = node.args[2].strip("[]").split(",") if len(node.args) > 2 else []
    names = {flag.strip().partition("=")[0].upper() for flag in flags}
    negated = pattern.startswith("!")
    try:
        found = re.search(pattern.lstrip("!"), jump.path, re.IGNORECASE if "NC" in names else 0)
    except (re.error, RecursionError):
        found = None
        negated = True
    if names & {"C", "CHAIN", "N", "NEXT"}:
        why = doubt(f"RewriteRule with {'the flag ' + '/'.join(sorted(names))} ({node.at})")
        return [replace(jump, gate=jump.gate & why)]
    if bool(found) == negated:
        return [jump]
    fork = _conditions(conditions, jump, method, tls=tls)
    outside = replace(jump, gate=jump.gate & fork.no)
    inside = replace(jump, gate=jump.gate & fork.yes)
    if names & {"F", "FORBIDDEN", "G", "GONE", "R", "REDIRECT"}:
        return [outside]
    target = substitution.replace("%{REQUEST_URI}", jump.path)
    for group, text in enumerate(found.groups() if found else (), start=1):
        target = target.replace(f"${group}", text or "")
    target = target.replace("$0", found[0] if found else "").partition("?")[0]
    if names & {"P", "PROXY"}:
        return [replace(inside, target=target, detail=node.at, ended=True), outside]
    if target.startswith(("http://", "https://")):
        return [outside]
    ended = bool(names & {"L", "LAST", "END"})
    skip = next((f.partition("=")[2] for f in flags if f.strip().upper().startswith("S")), "")
    if skip.isdecimal():
        inside = replace(inside, skipped=number + int(skip))
    path = jump.path if substitution == "-" else target
    return [replace(inside, path=path, ended=ended), outside]


def _conditions(conditions: list[Node], jump: Jump, method: str, *, tls: bool) -> Fork:
    """All conditions; those marked [OR] with the next one as an alternative."""
    total, either = ALWAYS, NEVER
    for node in conditions:
        either |= _condition(node.args, jump, method, tls=tls)
        flags = node.args[2].upper() if len(node.args) > 2 else ""
        if "OR" not in flags.strip("[]").split(","):
            total, either = total & either, NEVER
    return total


def _condition(args: tuple[str, ...], jump: Jump, method: str, *, tls: bool) -> Fork:
    if len(args) < 2:
        return doubted("a RewriteCond without a pattern")
    tested, pattern = args[0], args[1]
    negated = pattern.startswith("!")
    pattern = pattern.lstrip("!")
    fork = _tested(tested, pattern, jump, method, tls=tls)
    return ~fork if negated else fork


def _tested(  # noqa: PLR0911 - a table
    tested: str, pattern: str, jump: Jump, method: str, *, tls: bool
) -> Fork:
    if pattern in {"-f", "-d", "-l", "-s", "-F"}:
        return NEVER  # no file has the name of a request that Ollama answers
    known = {
        "%{REQUEST_URI}": jump.path,
        "%{REQUEST_METHOD}": method,
        "%{HTTPS}": "on" if tls else "off",
        "%{REQUEST_SCHEME}": "https" if tls else "http",
    }
    if tested in known:
        try:
            plain = pattern.startswith("=")
            held = known[tested] == pattern[1:] if plain else re.search(pattern, known[tested])
        except (re.error, RecursionError):
            return doubted(f"RewriteCond {tested}")
        return truth(value=bool(held))
    if tested == "%{REMOTE_ADDR}":
        clients = matching(pattern) if pattern[:1] != "=" else None
        try:
            return among(clients or Clients.within(pattern.removeprefix("=")))
        except ValueError:
            return doubted(f"RewriteCond {tested} {pattern}")
    if tested.upper().startswith(("%{HTTP:", "%{HTTP_", "%{QUERY_STRING")):
        name = re.sub(r"(?i)^%\{HTTP[:_]|\}$", "", tested).replace("_", "-")
        return proven(f"RewriteCond {tested}") if is_key(name, pattern) else CHOICE
    return doubted(f"RewriteCond {tested}")
