"""The statement `match` of the listing (libnftables-json(5), MATCH).

The listing is ambiguous in places (nftables 1.0.6, src/netlink_delinearize.c); there, what is
not the same in both readings cannot be decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ollama_audit.firewall.bits import (
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    NOT_EQUAL,
)
from ollama_audit.firewall.instructions import Between, Compare, Lookup, Mask, Maybe
from ollama_audit.firewall.machine import Instruction
from ollama_audit.firewall.nft_json import datatypes as of
from ollama_audit.firewall.nft_json.datatypes import (
    Datatype,
    UnreadableError,
    bounds,
    constant,
    stem,
)
from ollama_audit.firewall.nft_json.document import Json
from ollama_audit.firewall.nft_json.operands import Operand, Operands

OPERATORS: Final = {
    "==": EQUAL,
    "!=": NOT_EQUAL,
    "<": LESS,
    "<=": LESS_EQUAL,
    ">": GREATER,
    ">=": GREATER_EQUAL,
}


def compile_match(operands: Operands, value: Json) -> Sequence[Instruction]:
    """One match; what cannot be read is a match that may hold or not."""
    try:
        operator, right = value["op"], value["right"]
        left = operands.compile(value["left"], right=right)
        return (*left.program, *_compared(operands, left, operator, right))
    except UnreadableError:
        return (Maybe(),)


def _compared(
    operands: Operands, left: Operand, operator: str, right: Json
) -> Sequence[Instruction]:
    if left.opaque:
        return (Maybe(),)
    if isinstance(right, str) and right.startswith("@"):
        return (_member(operands, left, operator, right),)
    if isinstance(right, dict) and "set" in right:
        return (_member(operands, left, operator, right),)
    if len(left.parts) > 1:
        return _each_part(left, operator, right)
    return compare(left.register, left.datatype, operator, right)


def _member(operands: Operands, left: Operand, operator: str, right: Json) -> Instruction:
    if operator not in ("==", "!="):
        raise UnreadableError(f"{operator} of a set")
    found = operands.sets.set(right, left.parts)
    return Lookup(found, left.register, None, negated=operator == "!=")


def _each_part(left: Operand, operator: str, right: Json) -> Sequence[Instruction]:
    """A concatenation compared with one: nft does so for a set of a single element."""
    values = right.get("concat") if isinstance(right, dict) else None
    if operator != "==" or not isinstance(values, list) or len(values) != len(left.parts):
        raise UnreadableError("a concatenation compared with something else")
    found: list[Instruction] = []
    register = left.register
    for value, part in zip(values, left.parts, strict=True):
        found += compare(register, part, "==", value)
        register += (part.length + 3) // 4
    return found


def compare(register: int, datatype: Datatype, operator: str, right: Json) -> Sequence[Instruction]:
    """Compare a register with a constant, a prefix, a range, or bits.

    Raises:
        UnreadableError: It cannot be said with what.
    """
    if datatype is of.OPAQUE:
        return (Maybe(),)
    if operator in ("in", "!"):
        return _bits(register, datatype, constant(right, datatype), any_of=operator == "in")
    if operator not in OPERATORS:
        raise UnreadableError(f"the operator {operator!r:.20}")
    code = OPERATORS[operator]
    if isinstance(right, dict) and "range" in right:
        return _range(register, code, *bounds(right, datatype))
    if isinstance(right, dict) and "prefix" in right:
        first, last = bounds(right, datatype)
        size = datatype.length
        mask = bytes(~(low ^ high) & 0xFF for low, high in zip(first, last, strict=True))
        return Mask(register, register, size, mask, bytes(size)), Compare(register, code, first)
    if datatype is of.NAME and isinstance(right, str) and right.endswith("*"):
        if code not in (EQUAL, NOT_EQUAL):
            raise UnreadableError("the order of names")
        return (Compare(register, code, stem(right)),)
    return (Compare(register, code, constant(right, datatype)),)


def _bits(register: int, datatype: Datatype, bits: bytes, *, any_of: bool) -> Sequence[Instruction]:
    """Any of some bits, or none of them; for `ct state 0` nft 1.0.6 lists any of no bits."""
    size = datatype.length
    if not any(bits):
        raise UnreadableError("any of no bits")
    code = NOT_EQUAL if any_of else EQUAL
    return (
        Mask(register, register, size, bits, bytes(size)),
        Compare(register, code, bytes(size)),
    )


def _range(register: int, code: int, first: bytes, last: bytes) -> Sequence[Instruction]:
    """Within a range or (negated) not.

    `< A` followed by `> B`, which both must hold, is listed as `!= A-B` too. For values from A
    to B neither reading holds; for others they differ, unless A is above B: then nft would not
    have taken it as a range.
    """
    if code == EQUAL:
        return (Between(register, negated=False, first=first, last=last),)
    if code != NOT_EQUAL:
        raise UnreadableError("the order of a range")
    if first > last:
        return Compare(register, LESS, first), Compare(register, GREATER, last)
    return Between(register, negated=True, first=first, last=last), Maybe()
