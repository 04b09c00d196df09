"""The statements of a rule of the listing, other than `match` (libnftables-json(5), STATEMENTS)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.allowances import FROM_ALL, SECONDS, wide_rate
from ollama_audit.firewall.effects import (
    DoNotTrack,
    GiveUp,
    Masquerade,
    Redirect,
    SetMark,
    Translate,
    Verdict,
)
from ollama_audit.firewall.expressions import VERDICT_REGISTER
from ollama_audit.firewall.instructions import (
    Constant,
    Lookup,
    Maybe,
    Ordinarily,
    Require,
    SwapBytes,
)
from ollama_audit.firewall.iptables_options import NEVER_MATCHES
from ollama_audit.firewall.machine import DROP, Instruction, Machine, World
from ollama_audit.firewall.nft_json import datatypes as of
from ollama_audit.firewall.nft_json.datatypes import Datatype, UnreadableError, constant
from ollama_audit.firewall.nft_json.document import Json, names, number_of, text_of
from ollama_audit.firewall.nft_json.elements import (
    VERDICT,
    VERDICTS,
    Sets,
    kinds_of_values,
    verdict,
)
from ollama_audit.firewall.nft_json.headers import NETWORK
from ollama_audit.firewall.nft_json.matches import compile_match
from ollama_audit.firewall.nft_json.operands import DATA, FIRST, Operands, is_family
from ollama_audit.firewall.xt_targets import HARMLESS

NOTHING: Final = frozenset(
    {
        *("counter", "log", "last", "dup", "flow", "ct helper", "ct timeout", "ct expectation"),
        *("secmark", "reset"),
    }
)
"""Statements without a say in what passes."""

PERHAPS: Final = frozenset({"quota", "set", "map", "meter"})
"""Statements after which the rule may end: by amount, or because a set is full."""


def _limit(value: Json) -> bool | None:
    """Whether a rate holds for those within it; None when they cannot be told."""
    if not isinstance(value, dict) or value.get("rate_unit", "packets") != "packets":
        return None
    rate = number_of(value["rate"]) / SECONDS[text_of(value.get("per", "second"))]
    wide = wide_rate(rate, number_of(value.get("burst", 0)))
    return not value.get("inv", False) if wide else None


def _count(value: Json) -> bool | None:
    """The same of a number of connections."""
    wide = isinstance(value, dict) and number_of(value["val"]) >= FROM_ALL
    return not value.get("inv", False) if wide else None


LIMITS: Final = {"limit": _limit, "ct count": _count}

IGNORED_WRITES: Final = frozenset(
    {
        *(("meta", "priority"), ("meta", "nftrace"), ("meta", "secmark"), ("ct", "label")),
        *(("ct", "event"), ("ct", "secmark")),
        *(("ip", name) for name in ("ttl", "dscp", "ecn")),
        *(("ip6", name) for name in ("hoplimit", "dscp", "ecn", "flowlabel")),
    }
)
"""What rules may set without any effect here."""

TCP_RESET: Final = "tcp reset"


NAME_ALONE: Final = "of iptables' {} nft -j shows the name alone: give iptables-save as well"


@dataclass(frozen=True, slots=True)
class NameAlone(Maybe):
    """A match of iptables, `what`, of which the listing has the name alone."""

    def run(self, machine: Machine, world: World) -> bool:
        """Go on with everybody, and say what would settle it."""
        return machine.maybe(world, NAME_ALONE.format(self.what))


class Statements:
    """Compiles the rules of one table."""

    def __init__(self, family: str, sets: Sets) -> None:
        self.family = family
        self.operands = Operands(family, sets)

    def compile(self, statements: Sequence[Json]) -> list[Instruction]:
        """The program of a rule; never raises for what the listing holds."""
        program: list[Instruction] = []
        for index, statement in enumerate(statements):
            try:
                program += self._statement(statement, statements[:index])
            except UnreadableError as error:
                return [*program, GiveUp(str(error))]
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
                return [*program, GiveUp(f"the statement {statement!r:.60} is not understood")]
        return program

    def _statement(self, statement: Json, before: Sequence[Json]) -> Sequence[Instruction]:
        if not isinstance(statement, dict) or len(statement) != 1:
            raise UnreadableError(f"the statement {statement!r:.60} is not modelled")
        ((kind, value),) = statement.items()
        if kind == "match":
            return compile_match(self.operands, value)
        if kind in VERDICTS:
            return (Verdict(*verdict(statement)),)
        if kind == "reject":
            return self._reject(value, before)
        if kind in NOTHING:
            return (Maybe(),) if isinstance(value, dict) and "map" in value else ()
        if kind in LIMITS or kind in PERHAPS:
            return (Ordinarily(kind, LIMITS[kind](value)) if kind in LIMITS else Maybe(kind),)
        compiler = COMPILERS.get(kind)
        if compiler is None:
            raise UnreadableError(f"the statement `{kind}` is not modelled")
        return compiler(self, value)

    def _reject(self, value: Json, before: Sequence[Json]) -> Sequence[Instruction]:
        """A refusal, which is of the family of its ICMP message.

        The listing drops `meta nfproto` before `reject with tcp reset`; where nothing else in
        the rule says of which family it is, it may be of either.
        """
        kind = value.get("type") if isinstance(value, dict) else None
        drop = Verdict(DROP)
        if self.family in ("ip", "ip6") or kind in (None, "icmpx"):
            return (drop,)
        if kind in ("icmp", "icmpv6"):
            return (*is_family(2 if kind == "icmp" else 10), drop)
        if kind == TCP_RESET and any(map(_says_family, before)):
            return (drop,)
        return Maybe(), drop

    def vmap(self, value: Json) -> Sequence[Instruction]:
        """A verdict by a key; a key that is missing ends the rule."""
        key = self.operands.compile(value["key"])
        found = self.operands.sets.map(value["data"], key.parts, VERDICT)
        return (*key.program, Lookup(found, key.register, VERDICT_REGISTER, negated=False))

    def mangle(self, value: Json) -> Sequence[Instruction]:
        """Setting a mark; or a field that no rule asks for."""
        ((kind, target),) = value["key"].items()
        name = target.get("key") or target.get("field")
        if kind in ("meta", "ct") and name == "mark":
            swap = SwapBytes(FIRST, FIRST, 4, 4)
            mark = SetMark(FIRST, connection=kind == "ct")
            return (*self._number(value["value"], of.MARK), swap, mark)
        protocol = target.get("protocol", kind)
        if kind == "tcp option":
            return ()
        if (protocol, name) not in IGNORED_WRITES:
            raise UnreadableError(f"sets `{protocol} {name}`")
        return self.operands.dependency(protocol)

    def _number(self, value: Json, datatype: Datatype, register: int = FIRST) -> list[Instruction]:
        """Load a constant or an expression."""
        if (isinstance(value, dict) and "|" not in value) or _computed(value):
            return list(self.operands.compile(value, register).program)
        return [Constant(register, list(constant(value, datatype)))]

    def dnat(self, value: Json) -> Sequence[Instruction]:
        """A new destination; packets of another family go on."""
        family = value.get("family") or (self.family if self.family in NETWORK else "")
        number = NETWORK[family][0] if family else 0
        address, port = value.get("addr"), value.get("port")
        flags = {*names(value), *names(value, "type_flags")}
        ranges = bool(flags & {"interval", "prefix", "netmap"})
        program: list[Instruction] = []
        registers: dict[str, int | None] = {"address": None, "port": None}
        if address is not None:
            datatype = {2: of.IP, 10: of.IP6}[number]
            place = self._address(address, datatype, program)
            registers["address"] = DATA
            registers["port"] = place
            ranges = ranges or _chosen(address)
        if port is not None:
            ranges = ranges or _chosen(port)
            if not _chosen(port):
                program += self._port(port)
            registers["port"] = FIRST
        return (*program, Translate(registers["address"], registers["port"], number, ranges))

    def _address(self, value: Json, datatype: Datatype, program: list[Instruction]) -> int | None:
        """Load an address, and give the register of the port that a map gives along."""
        if _chosen(value):
            return None
        if not isinstance(value, dict):
            program.append(Constant(DATA, list(constant(value, datatype))))
            return None
        if "map" not in value:
            raise UnreadableError("an address that is computed")
        listed = self.operands.sets.listed(value["map"]["data"])
        parts = (datatype, of.PORT)[: kinds_of_values(listed.elements)]
        program += self.operands.map(value["map"], DATA, parts).program
        return DATA + datatype.length // 4 if len(parts) > 1 else None

    def _port(self, value: Json) -> Sequence[Instruction]:
        if isinstance(value, dict) and "map" in value:
            return self.operands.map(value["map"], FIRST, (of.PORT,)).program
        return (Constant(FIRST, list(constant(value, of.PORT))),)

    def redirect(self, value: Json) -> Sequence[Instruction]:
        """To this host itself."""
        port = value.get("port") if isinstance(value, dict) else None
        if port is None:
            return (Redirect(),)
        if _chosen(port):
            return (Redirect(FIRST, ranges=True),)
        return (*self._port(port), Redirect(FIRST))

    def snat(self, value: Json) -> Sequence[Instruction]:
        """A new source, of packets of the family of its address."""
        family = value.get("family") if isinstance(value, dict) else None
        before = is_family(NETWORK[family][0]) if family else ()
        computed = isinstance(value, dict) and any(
            isinstance(value.get(key), dict) and "map" in value[key] for key in ("addr", "port")
        )
        return (*before, *((Maybe(),) if computed else ()), Masquerade())

    def notrack(self, value: Json) -> Sequence[Instruction]:
        """Without connection tracking."""
        del value
        return (DoNotTrack(),)

    def extension(self, value: Json) -> Sequence[Instruction]:
        """A match or target of iptables, of which the listing has the name alone."""
        kind, name = text_of(value["type"]), text_of(value["name"])
        if kind == "match":
            if name == "comment":
                return ()
            return (Require(on.never),) if name in NEVER_MATCHES else (NameAlone(name),)
        if name in HARMLESS:
            return ()
        simple: dict[str, Instruction] = {
            "REJECT": Verdict(DROP),
            "SNAT": Masquerade(),
            "MASQUERADE": Masquerade(),
            "NOTRACK": DoNotTrack(),
        }
        if name not in simple:
            raise UnreadableError(NAME_ALONE.format(name))
        return (simple[name],)


COMPILERS: Final[dict[str, Callable[[Statements, Json], Sequence[Instruction]]]] = {
    "vmap": Statements.vmap,
    "mangle": Statements.mangle,
    "dnat": Statements.dnat,
    "redirect": Statements.redirect,
    "snat": Statements.snat,
    "masquerade": Statements.snat,
    "notrack": Statements.notrack,
    "xt": Statements.extension,
}


def _chosen(value: Json) -> bool:
    """Whether the kernel chooses among several addresses or ports."""
    return isinstance(value, dict) and ("range" in value or "prefix" in value)


def _computed(value: Json) -> bool:
    """Whether an expression holds more than constants."""
    if isinstance(value, list):
        return any(map(_computed, value))
    return isinstance(value, dict) and ("|" not in value or any(map(_computed, value["|"])))


def _says_family(statement: Json) -> bool:
    """Whether a match is of one family by what it shows."""
    shown = repr(statement)
    marks = ("'nfproto'", "'protocol': 'ip'", "'protocol': 'ip6'", "{'key': 'protocol'}")
    return "match" in statement and any(mark in shown for mark in marks)
