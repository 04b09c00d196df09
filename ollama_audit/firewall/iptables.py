"""`iptables-save`: its tables as chains of programs (iptables(8), iptables-extensions(8)).

It reads the same whichever backend it comes from. The text is what the kernel holds, option by
option. An option or match that is not known here makes a match that cannot be decided; a target
that is not known, one behind which nothing can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.answer import Rule
from ollama_audit.firewall.chains import Chain, ChainKey, Hook
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.effects import GiveUp, Verdict
from ollama_audit.firewall.instructions import CountConnections, Maybe, Require
from ollama_audit.firewall.ipset import IpSets, words
from ollama_audit.firewall.iptables_options import (
    BARE_MATCHES,
    NEVER_MATCHES,
    OPTIONS,
    PROTOCOLS,
    addresses,
    argument_count,
)
from ollama_audit.firewall.iptables_targets import target
from ollama_audit.firewall.iptables_together import TOGETHER
from ollama_audit.firewall.lines import Lines, line_spans
from ollama_audit.firewall.machine import ACCEPT, DROP, GOTO, JUMP, RETURN, Instruction
from ollama_audit.firewall.program import Program, program

BACKEND = "iptables-legacy"
PRIORITIES: Final = {"raw": -300, "mangle": -150, "nat": 0, "filter": 0, "security": 50}
HOOKS: Final = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}


PLAIN_VERDICTS: Final = {code: Verdict(code) for code in (ACCEPT, DROP, RETURN)}
"""Shared by all rules: a save can have many thousands."""


@dataclass
class Saved:
    """A chain as it was saved."""

    table: str
    name: str
    policy: str
    """`-` for a user's chain."""
    lines: Lines
    """Its rules, `-A` and all."""


def parse_save(text: str) -> dict[tuple[str, str], Saved]:
    """The chains of a save by table and name, with their `-A` lines."""
    found: dict[tuple[str, str], Saved] = {}
    table = ""
    for start, end in line_spans(text):
        line = text[start:end].strip()
        if line.startswith("["):
            line = line.partition("]")[2].strip()  # counters
        parts = line.split(maxsplit=2)
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and len(parts) >= 2:
            name = parts[0][1:]
            found[table, name] = Saved(table, name, parts[1], Lines(text))
        elif line.startswith("-A ") and (table, parts[1]) in found:
            found[table, parts[1]].lines.add(text.rindex(line, start, end))
    return found


def saved_chains(text: str, version: int, sets: IpSets, backend: str = BACKEND) -> Iterator[Chain]:
    """The chains of `iptables-save` or `ip6tables-save`; `backend` tells them from others."""
    family = "ip" if version == 4 else "ip6"
    saved = parse_save(text)
    for chain in saved.values():
        key = ChainKey(backend, family, chain.table, chain.name)
        users = {name for table, name in saved if table == chain.table}
        yield Chain(key, 0, _hook(chain), _Compiler(chain, key, version, users - set(HOOKS), sets))


def _hook(chain: Saved) -> Hook | None:
    name = HOOKS.get(chain.name)
    if name is None or chain.policy == "-":
        return None
    nat = chain.table == "nat"
    priority = PRIORITIES.get(chain.table, 0)
    if nat:
        priority = -100 if name in ("prerouting", "output") else 100
    return Hook(name, priority, nat, chain.policy == "ACCEPT")


@dataclass
class _Compiler:
    """Compiles the lines of a chain when asked."""

    saved: Saved
    key: ChainKey
    version: int
    users: set[str]
    sets: IpSets
    _kept: dict[tuple[object, ...], Require] = field(default_factory=dict)

    def __call__(self) -> list[Program]:
        return [
            program(self._rule(position), self._compile(line))
            for position, line in enumerate(self.saved.lines, 1)
        ]

    def _rule(self, position: int) -> Rule:
        backend, family, table, chain = self.key
        return Rule(backend=backend, family=family, table=table, chain=chain, position=position)

    def _compile(self, line: str) -> list[Instruction]:
        parts = words(line)
        if not parts:
            return [GiveUp("the line cannot be read")]
        parsed = _Line(parts[2:], self.version, self.sets, self._kept)
        program: list[Instruction] = [each for each in parsed.asked if each.test is not on.always]
        program += parsed.counting
        if parsed.undecided:  # last, so that it is a doubt of those alone who meet the others
            program.append(Maybe(parsed.undecided))
        final = self._target(parsed)
        return [*program, final] if final is not None else program

    def _target(self, parsed: _Line) -> Instruction | None:
        name = parsed.target
        if parsed.goto:
            return Verdict(GOTO, name)
        if name in self.users:
            return Verdict(JUMP, name)
        simple = {"": None, "ACCEPT": ACCEPT, "DROP": DROP, "REJECT": DROP, "RETURN": RETURN}
        if name in simple:
            code = simple[name]
            return None if code is None else PLAIN_VERDICTS[code]
        return target(name, parsed.target_words, self.version)


class _Line:
    """One rule, word by word."""

    def __init__(
        self, parts: list[str], version: int, sets: IpSets, kept: dict[tuple[object, ...], Require]
    ) -> None:
        """`kept` holds what rules of a chain ask: they repeat most of their options."""
        self.version = version
        self._kept = kept
        self.sets = sets
        self.asked: list[Require] = []
        self.counting: list[CountConnections] = []
        """A match that counts the connections which meet the others."""
        self.undecided = ""
        """A match or option that cannot be decided; empty when there is none."""
        self.target = ""
        self.goto = False
        self.target_words: list[str] = []
        self._parts = parts
        self._matches: list[str] = []
        self._reverse_path: set[str] | None = None
        self._together: dict[str, dict[str, tuple[str, ...]]] = {}
        self._read()

    def _read(self) -> None:
        index = 0
        negated = False
        while index < len(self._parts):
            word = self._parts[index]
            if word == "!":
                negated, index = True, index + 1
                continue
            if word in ("-j", "--jump", "-g", "--goto"):
                self.goto = word in ("-g", "--goto")
                self.target = (self._parts[index + 1 :] or [""])[0]
                self.target_words = self._parts[index + 2 :]
                break
            index += 1 + self._option(word, self._parts[index + 1 :], negated=negated)
            negated = False
        if self._reverse_path is not None:
            self._finish_reverse_path(self._reverse_path)
        for match, options in self._together.items():
            self._finish_together(match, options)

    def _finish_reverse_path(self, options: set[str]) -> None:
        test = on.reverse_path_filter(
            loose="--loose" in options,
            accept_local="--accept-local" in options,
            marks="--validmark" in options,
        )
        self.add(test, negated="--invert" in options)

    def _finish_together(self, match: str, options: dict[str, tuple[str, ...]]) -> None:
        """Decide a match by all of its options, unless two of its kind stand in the rule."""
        test: Test | CountConnections | None = None
        if self._matches.count(match) == 1:
            try:
                test = TOGETHER[match](options)
            except (ValueError, IndexError, KeyError, StopIteration):
                test = None
        if test is None:
            self.undecided = match
        elif isinstance(test, CountConnections):
            self.counting = [test]
        else:
            self.asked.append(Require(test))

    def _option(self, word: str, rest: list[str], *, negated: bool) -> int:
        """Take one option; how many words followed it."""
        try:
            plain = PLAIN.get(word)
            if plain is not None:
                return plain(self, rest, negated)
            return self._of_match(word, rest, negated=negated)
        except (ValueError, IndexError, KeyError):
            self.undecided = self.undecided or word
            return 1 if rest and not rest[0].startswith("-") else 0

    def _of_match(self, word: str, rest: list[str], *, negated: bool) -> int:
        for match in reversed(self._matches):
            count = argument_count(match, word)
            if count is None:
                continue
            arguments = rest[:count]
            if match == "rpfilter" and self._reverse_path is not None:
                self._reverse_path.add(word)
            elif match in TOGETHER:
                self._together.setdefault(match, {})[word] = ("!" if negated else "", *arguments)
            else:
                make = OPTIONS.get((match, word))
                if make is None:
                    self.undecided = f"{match} {word}"
                else:
                    key = (match, word, *arguments, negated)
                    if key not in self._kept:
                        test = make(arguments, self.version, self.sets)
                        guarded = match in ("conntrack", "connmark") and word not in STATES
                        test = on.negated(test) if negated else test
                        self._kept[key] = Require(on.tracked(test) if guarded else test)
                    self.asked.append(self._kept[key])
            return count
        raise ValueError(word)

    def begin_match(self, name: str) -> None:
        """`-m NAME`."""
        self._matches.append(name)
        if name in NEVER_MATCHES:
            self.asked.append(Require(on.never))
        elif name == "rpfilter":
            self._reverse_path = set()
        elif name in TOGETHER:
            self._together.setdefault(name, {})
        elif name not in BARE_MATCHES:
            self.undecided = name

    def add(self, test: Test, *, negated: bool) -> None:
        """A test that an option asks for."""
        self.asked.append(Require(on.negated(test) if negated else test))

    def begin_protocol(self, name: str) -> None:
        """`-p NAME`, whose options may follow without `-m`."""
        self._matches.append(name)


STATES: Final = frozenset({"--ctstate", "--state"})


def _source(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    line.add(on.address(addresses(rest[0], line.version), source=True), negated=negated)
    return 1


def _destination(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    line.add(on.address(addresses(rest[0], line.version), source=False), negated=negated)
    return 1


def _ingress(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    line.add(on.interface(rest[0], ingress=True), negated=negated)
    return 1


def _egress(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    line.add(on.interface(rest[0], ingress=False), negated=negated)
    return 1


def _protocol(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    name = rest[0].lower()
    number = int(name) if name.isdigit() else PROTOCOLS[name]
    line.add(on.protocol(number), negated=negated)
    line.begin_protocol(name)
    return 1


def _fragment(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    del rest
    line.add(on.never, negated=negated)
    return 0


def _match(line: _Line, rest: list[str], negated: bool) -> int:  # noqa: FBT001
    del negated
    line.begin_match(rest[0])
    return 1


PLAIN: Final[dict[str, Callable[[_Line, list[str], bool], int]]] = {
    "-s": _source,
    "-d": _destination,
    "-i": _ingress,
    "-o": _egress,
    "-p": _protocol,
    "-f": _fragment,
    "-m": _match,
}
