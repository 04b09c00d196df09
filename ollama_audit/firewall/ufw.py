"""Rules of ufw in its own words, with the numbers of `ufw status numbered`.

ufw 0.36: src/backend_iptables.py writes a rule's lines in its order into the chains ufw-user-input,
-output and -forward (ufw6-... for IPv6), and get_status() counts the rules of IPv4, then those of
IPv6. The lines do not tell everything: a rule for both TCP and UDP is two lines that could be two
rules as well, and rules of several chains have one order. A number is given where it is certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from ollama_audit.firewall.answer import Effect, Rule
from ollama_audit.firewall.ipset import words

USER_CHAIN: Final = re.compile(r"ufw6?-user-(input|forward|output)$")
VERBS: Final = {"ACCEPT": "allow", "DROP": "deny", "REJECT": "reject"}
DIRECTIONS: Final = {"INPUT": "incoming", "OUTPUT": "outgoing", "FORWARD": "routed"}
APPLICATION: Final = re.compile(r"dapp_([^',]+)")
"""The application profile in a rule's comment."""

Lines = Callable[[str, str], Sequence[str] | None]
"""The captured lines of a chain, by family and name; None where it was not captured."""


class Line(NamedTuple):
    """What a line of a user's chain says."""

    verb: str
    options: dict[str, str]
    last: bool
    """It is the last of its rule's lines for its protocol, the one that ends with the verdict."""

    @property
    def protocol(self) -> str:
        """`tcp`, `udp`, or empty."""
        return self.options.get("-p", "")

    @property
    def application(self) -> str:
        """The profile by which the rule was made, with its places; empty when by none."""
        found = APPLICATION.search(self.options.get("--comment", ""))
        if found is None:
            return ""
        name = found[1].replace("%20", " ")
        return " ".join([name, *(self.options.get(key, "") for key in ("-s", "-d", "-i", "-o"))])

    @property
    def elsewhere(self) -> dict[str, str]:
        """Everything but the protocol."""
        return {key: value for key, value in self.options.items() if value not in ("tcp", "udp")}


def say(rule: Rule, text: str, lines: Lines) -> str:
    """What ufw calls this rule, such as `rule 3: allow from 192.168.1.0/24 to any`."""
    limit = re.match(r"ufw6?-user-limit(-accept)?$", rule.chain)
    if limit is not None:
        return "limit rule: below the rate" if limit[1] else "limit rule: too many connections"
    if not USER_CHAIN.match(rule.chain):
        return ""
    line = read(text)
    if line is None:
        return ""
    number = _number(rule, lines)
    return f"rule {number}: {_said(line)}" if number else f"rule: {_said(line)}"


def say_default(rule: Rule, effect: Effect) -> str:
    """The policy of a built-in chain, as `ufw status verbose` has it."""
    verb = "allow" if effect is Effect.ACCEPT else "deny"
    return f"default: {verb} ({DIRECTIONS.get(rule.chain, rule.chain)})"


def read(text: str) -> Line | None:
    """A line of a user's chain; None for what only logs."""
    if not text.startswith("-A "):
        return None
    options = {key: value for key, value in pairwise(words(text)) if key.startswith("-")}
    target = options.get("-j", "")
    if target in VERBS:
        return Line(VERBS[target], options, last=True)
    if re.match(r"ufw6?-user-limit", target) or "--set" in options:
        return Line("limit", options, last=target.endswith("-accept"))
    return None


def _said(line: Line) -> str:
    options = line.options
    port = options.get("--dport") or options.get("--dports") or ""
    said = [line.verb]
    said += [f"in on {options['-i']}"] if "-i" in options else []
    said += [f"out on {options['-o']}"] if "-o" in options else []
    said += [f"from {options.get('-s', 'any')}", f"to {options.get('-d', 'any')}"]
    said += [f"port {port}"] if port else []
    return " ".join(said)


class Numbered(NamedTuple):
    """The rules of one chain."""

    by_position: list[int]
    """For each line its rule's number among those of the chain; 0 where it is not certain."""
    total: int | None
    """How many rules there are; None when that is not certain."""


def number_rules(lines: Sequence[str] | None) -> Numbered:
    """Number the rules of one chain."""
    if lines is None:
        return Numbered([], None)
    numbers: list[int] = []
    count = 0
    certain = True
    waiting = 0
    before: Line | None = None
    applications: dict[str, int] = {}
    for text in lines:
        waiting += 1
        line = read(text)
        if line is None or not line.last:
            continue
        number = applications.get(line.application, 0) if line.application else 0
        if not number:
            again = before is not None and _may_be_one(before, line)
            certain = certain and not again
            count += not again
            number = count if certain else 0
            if line.application:
                applications[line.application] = number
        numbers += [number] * waiting
        waiting, before = 0, line
    numbers += [0] * waiting
    return Numbered(numbers, count if certain else None)


def _may_be_one(first: Line, second: Line) -> bool:
    """Whether two lines may be one rule for any protocol: alike, first for TCP, then for UDP."""
    protocols = (first.protocol, second.protocol)
    return protocols == ("tcp", "udp") and first.elsewhere == second.elsewhere


def _number(rule: Rule, lines: Lines) -> int:
    """The number that ufw shows, or 0."""
    prefix, _, _ = rule.chain.partition("-")
    chains = [f"-user-{name}" for name in ("input", "output", "forward")]
    own = number_rules(lines(rule.family, rule.chain))
    others = [
        lines(rule.family, prefix + chain) for chain in chains if prefix + chain != rule.chain
    ]
    number = own.by_position[rule.position - 1] if rule.position <= len(own.by_position) else 0
    if not number or others != [[], []]:
        return 0
    if rule.family == "ip":
        return number
    before = [number_rules(lines("ip", f"ufw{chain}")).total for chain in chains]
    known = [count for count in before if count is not None]
    return number + sum(known) if len(known) == len(before) else 0
