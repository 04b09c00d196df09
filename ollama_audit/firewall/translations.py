"""At which addresses and ports a new connection may be translated, without asking one by one.

    found = translations(namespace)
    for each in found.translations:
        each.ports, each.addresses      # whom a connection must be sent to, at least
        each.target                     # where it may be sent instead
    found.edges                         # ports before which anything may change

The rules of the nat chains are read one by one, whatever earlier rules take away: the answer holds
every translation that there is, and perhaps some that never happen. Whether one happens, for
whom and what comes of it, `reach` says. Between two edges all ports fare alike, except that a
translation that keeps the port may meet another socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from ollama_audit.addresses import BITS, AddressSet
from ollama_audit.firewall.answer import Rule
from ollama_audit.firewall.chains import DEEPEST_CALL, Chain, Chains
from ollama_audit.firewall.destinations import Reached, Reader
from ollama_audit.firewall.effects import (
    GiveUp,
    Redirect,
    RedirectTo,
    Translate,
    TranslateTo,
    Verdict,
)
from ollama_audit.firewall.hooks import DESTINATION_HOOKS
from ollama_audit.firewall.instructions import Load, Require
from ollama_audit.firewall.machine import GOTO, JUMP, Instruction
from ollama_audit.firewall.ports import EVERY_PORT, NO_PORT, Ports
from ollama_audit.firewall.program import Program
from ollama_audit.firewall.reach import compiled
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.firewall import FirewallCapture
from ollama_audit.snapshot.network import NetworkNamespace

MOST_STEPS: Final = 200_000
"""Rules and branches of rules that are read for one family before it is given up."""


class Kind(StrEnum):
    """Where a translation sends connections."""

    SOCKET = "socket"
    """To this machine, or to the address that they were sent to anyway."""
    ADDRESS = "address"
    UNKNOWN = "unknown"


class Target(NamedTuple):
    """Where a rule sends connections."""

    kind: Kind
    address: int = 0
    port: int | None = None
    """None: the port stays what it was."""


class Translation(NamedTuple):
    """What one rule may do."""

    version: int
    ports: Ports
    addresses: AddressSet
    """The destinations that the rule, and those that lead to it, ask for."""
    target: Target
    rule: Rule


class Translations(NamedTuple):
    """Everything that nat chains may do with destinations."""

    translations: tuple[Translation, ...] = ()
    edges: Ports = 0
    """Ports at which what rules do may differ from what they do at the port before."""
    reason: str = ""
    """Why some may be missing, or some edges; empty when none is."""


def translations(namespace: NetworkNamespace) -> Translations | Unknown:
    """Read the nat chains of a namespace; why not, when its ruleset was not read."""
    if not _translates(namespace.firewall):
        return Translations()
    filtering = compiled(namespace)
    if isinstance(filtering, Unknown):
        return filtering
    chains = filtering.hooks.chains
    walks = [_Walk(chains, version) for version in (4, 6)]
    found = [each for walk in walks for each in walk.run()]
    if not found:
        return Translations()
    for walk in walks:
        walk.note_all()
    reasons = [walk.reason for walk in walks if walk.reason]
    edges = walks[0].reader.edges | walks[1].reader.edges
    return Translations(tuple(found), edges, reasons[0] if reasons else "")


def port_edges(namespace: NetworkNamespace, version: int) -> Ports:
    """Ports before which what the rules of an IP version do may change; all where that is not told.

    Between two edges all ports fare alike, but for where a translation that keeps the port leads.
    """
    filtering = compiled(namespace)
    if isinstance(filtering, Unknown):
        return NO_PORT
    walk = _Walk(filtering.hooks.chains, version)
    walk.run()
    walk.note_all()
    return EVERY_PORT if walk.reason else walk.reader.edges


def _translates(capture: FirewallCapture) -> bool:
    """Whether there may be nat chains at all: most containers have none."""
    dump = capture.nftables
    legacy = (capture.legacy_tables, capture.legacy6_tables)
    return (
        isinstance(dump, Unknown)
        or b"nat\0" in dump.value.chains
        or any(isinstance(tables, Unknown) or "nat" in tables.value for tables in legacy)
        or bool(capture.given)
    )


class _Walk:
    """The rules for one IP version."""

    def __init__(self, chains: Chains, version: int) -> None:
        self.chains = chains
        self.version = version
        self.reader = Reader(version)
        self.found: list[Translation] = []
        self._seen: set[tuple[Chain, Ports, AddressSet]] = set()
        self._steps = 0
        self._too_much = False

    @property
    def reason(self) -> str:
        """Why something may be missing."""
        if self._too_much:
            return "there are too many rules that translate destinations"
        if self.reader.vague:
            return "a rule looks at parts of a port number"
        return ""

    def run(self) -> list[Translation]:
        """What the chains on the hooks of destinations may do."""
        everywhere = AddressSet.everything(self.version)
        for chain in self._own_chains():
            if chain.hook is not None and chain.hook.nat and chain.hook.name in DESTINATION_HOOKS:
                self._chain(chain, Reached(EVERY_PORT, everywhere), 0)
        return self.found

    def note_all(self) -> None:
        """Note the edges of every other chain, which may mark, let by or drop by the port."""
        anywhere = Reached(EVERY_PORT, AddressSet.everything(self.version))
        for chain in self._own_chains():
            for program in chain.programs:
                if any(_looks_at_ports(each) for each in program.spelled_out):
                    for _ in self._leaving(program, anywhere):
                        pass

    def _own_chains(self) -> Iterator[Chain]:
        families = {"ip": (4,), "ip6": (6,)}
        for chain in self.chains.values():
            if self.version in families.get(chain.key.family, (4, 6)):
                yield chain

    def _chain(self, chain: Chain, at: Reached, depth: int) -> None:
        key = (chain, at.ports, at.addresses)
        if key in self._seen or depth > DEEPEST_CALL:
            return
        self._seen.add(key)
        for program in chain.programs:
            for place, instruction, verdict in self._leaving(program, at):
                if verdict is not None:
                    self._follow(chain, place, verdict, depth)
                elif instruction is not None and (
                    target := _target(place, instruction, self.version)
                ):
                    if target.port is not None:
                        # Who asks for that port already is not translated: IPS_DST_NAT stays off.
                        self.reader.note([(target.port, target.port)])
                    self.found.append(
                        Translation(
                            self.version, place.ports, place.addresses, target, program.rule
                        )
                    )

    def _follow(self, chain: Chain, at: Reached, verdict: Verdict, depth: int) -> None:
        if verdict.code in (JUMP, GOTO):
            called = self.chains.get(chain.key._replace(name=verdict.chain))
            if called is not None:
                self._chain(called, Reached(at.ports, at.addresses), depth + 1)

    def _leaving(
        self, program: Program, at: Reached
    ) -> Iterator[tuple[Reached, Instruction | None, Verdict | None]]:
        """What a rule does at its end, with those that get there."""
        instructions = program.spelled_out
        worlds = [(at, 0)]
        while worlds:
            place, position = worlds.pop()
            self._steps += 1
            if self._steps > MOST_STEPS:
                self._too_much = True
                return
            if position == len(instructions):
                continue
            instruction = instructions[position]
            if isinstance(instruction, Verdict):
                yield place, None, instruction
            elif isinstance(instruction, ENDING):
                yield place, instruction, None
            else:
                for after, data in self.reader.step(instruction, place):
                    if data is not None and data.verdict is not None:
                        yield after, None, Verdict(data.verdict, data.chain)
                    elif after:
                        worlds.append((after, position + 1))


def _looks_at_ports(instruction: Instruction) -> bool:
    if isinstance(instruction, Load):
        return any(byte.part == "port" for byte in instruction.destination)
    return isinstance(instruction, Require)


ENDING = (Translate, TranslateTo, Redirect, RedirectTo, GiveUp)


UNKNOWN: Final = Target(Kind.UNKNOWN)


def _target(at: Reached, instruction: Instruction, version: int) -> Target | None:
    """Where an instruction sends connections; None when it does not apply."""
    if isinstance(instruction, TranslateTo | RedirectTo):
        return UNKNOWN if instruction.ranges else _constant_target(instruction)
    if isinstance(instruction, Translate | Redirect):
        own = 2 if version == 4 else 10
        if isinstance(instruction, Translate) and instruction.family not in {0, own}:
            return None
        return UNKNOWN if instruction.ranges else _loaded_target(at, instruction, version)
    return UNKNOWN


def _constant_target(instruction: TranslateTo | RedirectTo) -> Target:
    if isinstance(instruction, RedirectTo) or instruction.address is None:
        return Target(Kind.SOCKET, port=instruction.port)
    return Target(Kind.ADDRESS, instruction.address, instruction.port)


def _loaded_target(at: Reached, instruction: Translate | Redirect, version: int) -> Target:
    """The target that stands in registers."""
    port = None if instruction.port is None else at.number(instruction.port, 2)
    if instruction.port is not None and port is None:
        return UNKNOWN
    if isinstance(instruction, Redirect) or instruction.address is None:
        return Target(Kind.SOCKET, port=port)
    address = at.number(instruction.address, BITS[version] // 8)
    return UNKNOWN if address is None else Target(Kind.ADDRESS, address, port)
