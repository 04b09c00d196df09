"""Expressions of the listing as instructions that load a register, always in network order.

Dependencies that the listing leaves out are put back: `ip saddr` is of IPv4 packets alone, and
`udp dport` of UDP, whatever the operator (src/payload.c of nftables: payload_gen_dependency).
That of TCP is met by every packet that is asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.bits import EQUAL
from ollama_audit.firewall.fields import ADDRESS_TYPE as TYPE_RESULT
from ollama_audit.firewall.fields import (
    META,
    OIF,
    OIF_NAME,
)
from ollama_audit.firewall.fields import PRESENT as IS_PRESENT
from ollama_audit.firewall.instructions import (
    Compare,
    Constant,
    Forget,
    Load,
    Lookup,
    Mask,
    Require,
    RouteLookup,
    SwapBytes,
)
from ollama_audit.firewall.loads import load_connection, load_header
from ollama_audit.firewall.machine import REGISTER_BYTES, Instruction, register_offset
from ollama_audit.firewall.nft_json import datatypes as of
from ollama_audit.firewall.nft_json.datatypes import Datatype, UnreadableError, constant
from ollama_audit.firewall.nft_json.document import Json, names, text_of
from ollama_audit.firewall.nft_json.elements import Sets
from ollama_audit.firewall.nft_json.headers import (
    CONNECTION_FIELDS,
    HOST_ORDER,
    META_FIELDS,
    NETWORK,
    OTHER_PROTOCOLS,
    ROUTE_FLAGS,
    TRANSPORT,
)

FIRST, FAMILY_REGISTER, DATA = 8, 23, 16
"""Registers of four bytes: where operands begin, for dependencies, and for what maps give."""

NEVER: Final = Require(on.never)


class Operand(NamedTuple):
    """Instructions that leave a value in registers, and the types of its parts."""

    program: tuple[Instruction, ...]
    parts: tuple[Datatype, ...]
    register: int = FIRST

    @property
    def datatype(self) -> Datatype:
        """The type of a value that is not concatenated.

        Raises:
            UnreadableError: It is.
        """
        if len(self.parts) != 1:
            raise UnreadableError("a concatenation where a single value belongs")
        return self.parts[0]

    @property
    def opaque(self) -> bool:
        """Whether nothing is known of any of its parts."""
        return all(part is of.OPAQUE for part in self.parts)


def is_family(number: int) -> tuple[Instruction, ...]:
    """Go on with packets of a family (NFPROTO_*) alone."""
    return (
        Load(FAMILY_REGISTER, META[15]),
        Compare(FAMILY_REGISTER, EQUAL, bytes([number])),
    )


def words(length: int) -> int:
    """Registers of four bytes that so many bytes take."""
    return (length + 3) // 4


class Operands:
    """Compiles the expressions of one table."""

    def __init__(self, family: str, sets: Sets) -> None:
        self.family = family
        self.sets = sets

    def compile(self, expression: Json, register: int = FIRST, right: Json = None) -> Operand:
        """Load an expression; `right` is what it is compared with.

        Raises:
            UnreadableError: It cannot be said what it loads.
        """
        if not isinstance(expression, dict) or len(expression) != 1:
            raise UnreadableError(f"the expression {expression!r:.60}")
        ((kind, value),) = expression.items()
        if kind == "fib":
            return _route(value, register, present=isinstance(right, bool))
        compiler = COMPILERS.get(kind)
        return _opaque(register) if compiler is None else compiler(self, value, register)

    def dependency(self, protocol: str) -> tuple[Instruction, ...]:
        """What a field of a header implies."""
        if protocol in NETWORK:
            return () if self.family == protocol else is_family(NETWORK[protocol][0])
        return (NEVER,) if protocol in OTHER_PROTOCOLS else ()

    def header(self, value: Json, register: int) -> Operand:
        """A field of a header (`payload`)."""
        if "base" in value:
            return _raw(value, register, self.family)
        protocol, name = text_of(value["protocol"]), text_of(value["field"])
        before = self.dependency(protocol)
        if protocol in NETWORK and name == "version":
            known = Constant(register, [4 if protocol == "ip" else 6])
            return Operand((*before, known), (of.BYTE,), register)
        if protocol in NETWORK:
            base, found = 1, NETWORK[protocol][1].get(name)
        elif protocol in ("tcp", "th"):
            base, found = 2, TRANSPORT.get(name)
        else:
            base, found = 0, None
        if found is None:
            return Operand((*before, *_opaque(register).program), (of.OPAQUE,), register)
        offset, length, datatype = found
        family = protocol if protocol in NETWORK else self.family
        load = load_header(family, register, base, offset, length)
        return Operand((*before, load), (datatype,), register)

    def tracked(self, value: Json, register: int) -> Operand:
        """What connection tracking knows (`ct`)."""
        key = text_of(value["key"])
        direction = {"original": 0, "reply": 1}.get(value.get("dir"))
        if key in ("saddr", "daddr") and self.family in ("ip", "ip6"):
            number = 8 if key == "saddr" else 9
            datatype = of.IP if self.family == "ip" else of.IP6
        elif key in CONNECTION_FIELDS:
            number, datatype = CONNECTION_FIELDS[key]
        else:
            # in the other families the listing drops `meta nfproto` before `ct saddr`
            return _opaque(register)
        return _loaded(load_connection(register, number, direction), datatype, register)

    def concatenation(self, values: Json, register: int) -> Operand:
        """Several fields side by side, each from a register of its own."""
        program: list[Instruction] = []
        parts: list[Datatype] = []
        place = register
        for value in values:
            operand = self.compile(value, place)
            if register_offset(place) + operand.datatype.length > register_offset(FAMILY_REGISTER):
                raise UnreadableError("a concatenation longer than the registers")
            program += operand.program
            parts.append(operand.datatype)
            place += words(operand.datatype.length)
        return Operand(tuple(program), tuple(parts), register)

    def and_(self, values: Json, register: int) -> Operand:
        """Some bits of a field."""
        return self._bitwise("&", values, register)

    def or_(self, values: Json, register: int) -> Operand:
        """A field with some bits set."""
        return self._bitwise("|", values, register)

    def xor(self, values: Json, register: int) -> Operand:
        """A field with some bits turned around."""
        return self._bitwise("^", values, register)

    def mark(self, value: Json, register: int) -> Operand:
        """A map where a mark belongs."""
        return self.map(value, register, (of.MARK,))

    def meta(self, value: Json, register: int) -> Operand:
        """What the kernel knows of a packet (`meta`)."""
        key = text_of(value["key"])
        if key not in META_FIELDS:
            return _opaque(register)
        number, datatype = META_FIELDS[key]
        return _loaded(Load(register, META[number]), datatype, register)

    def _bitwise(self, kind: str, values: Json, register: int) -> Operand:
        operand = self.compile(values[0], register)
        datatype = operand.datatype
        if datatype.kind == "opaque":
            return operand
        program = list(operand.program)
        for value in values[1:]:
            number = constant(value, datatype)
            every, none = b"\xff" * datatype.length, bytes(datatype.length)
            mask, flip = {
                "&": (number, none),
                "|": (bytes(byte ^ 0xFF for byte in number), number),
                "^": (every, number),
            }[kind]
            program.append(Mask(register, register, datatype.length, mask, flip))
        return Operand(tuple(program), operand.parts, register)

    def map(self, value: Json, register: int, data: tuple[Datatype, ...]) -> Operand:
        """Load what a map gives for a key; a key that is missing ends the rule."""
        key = self.compile(value["key"])
        found = self.sets.map(value["data"], key.parts, data)
        return Operand(
            (*key.program, Lookup(found, key.register, register, negated=False)), data, register
        )


COMPILERS: Final[dict[str, Callable[[Operands, Json, int], Operand]]] = {
    "concat": Operands.concatenation,
    "payload": Operands.header,
    "meta": Operands.meta,
    "ct": Operands.tracked,
    "&": Operands.and_,
    "|": Operands.or_,
    "^": Operands.xor,
    "map": Operands.mark,
}
"""By the key of an expression; every other can be anything."""


def _opaque(register: int) -> Operand:
    """Something nobody can know, or that may not be there, so that the rule ends."""
    length = min(of.OPAQUE.length, REGISTER_BYTES - register_offset(register))
    return Operand((Forget(register, length, may_miss=True),), (of.OPAQUE,), register)


def _loaded(load: Load, datatype: Datatype, register: int) -> Operand:
    if datatype not in HOST_ORDER:
        return Operand((load,), (datatype,), register)
    length = datatype.length
    return Operand((load, SwapBytes(register, register, length, length)), (datatype,), register)


def _raw(value: Json, register: int, family: str) -> Operand:
    """`@nh,OFFSET,LENGTH`, in bits."""
    base = {"nh": 1, "th": 2}.get(value["base"])
    offset, length = value["offset"], value["len"]
    if base is None or offset % 8 or length % 8 or not 0 < length <= 128 or offset < 0:
        return _opaque(register)
    offset, length = offset // 8, length // 8
    load = load_header(family, register, base, offset, length)
    return Operand((load,), (Datatype("number", length),), register)


def _route(value: Json, register: int, *, present: bool) -> Operand:
    flags = 0
    for name in names(value):
        flags |= ROUTE_FLAGS[name]
    result = text_of(value["result"])
    if result == "type":
        number, datatype = TYPE_RESULT, of.ADDRESS_TYPE
    elif result == "check" or (result == "oif" and present):
        number, datatype, flags = OIF, of.PRESENT, flags | IS_PRESENT
    elif result in ("oif", "oifname"):
        return Operand((RouteLookup(register, OIF_NAME, flags),), (of.NAME,), register)
    else:
        return _opaque(register)
    swap = SwapBytes(register, register, 4, 4)
    return Operand((RouteLookup(register, number, flags), swap), (datatype,), register)
