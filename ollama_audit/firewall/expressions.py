"""From the expressions of a nf_tables rule to instructions.

Attribute numbers are those of linux/netfilter/nf_tables.h. What is not known here, or is
truncated, becomes an instruction after which nothing can be said.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ollama_audit.firewall import allowances
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.effects import (
    DoNotTrack,
    GiveUp,
    Masquerade,
    Redirect,
    SetMark,
    Translate,
    Verdict,
)
from ollama_audit.firewall.fields import META, unknown
from ollama_audit.firewall.instructions import (
    AddTo,
    Between,
    Choose,
    Compare,
    Constant,
    Forget,
    Load,
    Lookup,
    Mask,
    Maybe,
    Ordinarily,
    Require,
    RouteLookup,
    SetByNumber,
    SwapBytes,
)
from ollama_audit.firewall.ipset import IpSets, match_set, words
from ollama_audit.firewall.loads import load_connection, load_header
from ollama_audit.firewall.machine import DROP, REGISTER_BYTES, Instruction, register_offset
from ollama_audit.firewall.netlink import (
    Attributes,
    MalformedError,
    RuleRecord,
    SetKey,
    attribute_list,
    attributes,
    number,
    payloads,
    signed,
    text,
)
from ollama_audit.firewall.sets import STATELESS, NftSet
from ollama_audit.firewall.xt_targets import decode_target
from ollama_audit.firewall.xtables import decode_match


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions of a rule may refer to."""

    record: RuleRecord
    sets: Mapping[SetKey, NftSet]
    decoded: dict[bytes, Instruction | None]
    """Instructions by expression, shared by all rules of a table."""
    saved: str = ""
    """The rule as iptables-nft-save prints it; empty when it does not or cannot be trusted."""
    ipsets: IpSets = field(default_factory=dict)


class UnsupportedError(Exception):
    """An expression that is not modelled."""


Decoder = Callable[[Attributes, Scope], Instruction | None]


def expression_list(record: RuleRecord) -> list[tuple[str, Attributes]]:
    """The expressions of a rule by name, undecoded.

    Raises:
        MalformedError: A length does not fit.
        KeyError: An expression has no name.
    """
    found = []
    for _, payload_ in attribute_list(record.expressions):
        parts = attributes(payload_)
        found.append((text(parts[1]), attributes(parts[2]) if 2 in parts else {}))
    return found


def decode(scope: Scope) -> list[Instruction]:
    """The program of a rule; never raises for what the dump holds.

    Rules repeat most of their expressions, and instructions do not change: equal expressions of
    one table are decoded once.
    """
    decoded = scope.decoded
    program: list[Instruction] = []
    try:
        for expression in payloads(scope.record.expressions):
            if expression in decoded:
                instruction = decoded[expression]
            else:
                parts = attributes(expression)
                inner = attributes(parts[2]) if 2 in parts else {}
                instruction = decoded[expression] = _decode_one(text(parts[1]), inner, scope)
            if instruction is not None:
                program.append(instruction)
        return _with_set_names(program, scope) if SET_MATCH in scope.record.expressions else program
    except (MalformedError, KeyError):
        return [GiveUp("the rule is truncated in the dump")]


SET_MATCH = b"\x08\x00\x01\x00set\0"
"""NFTA_MATCH_NAME of the match `set`, on little-endian machines."""


def _with_set_names(program: list[Instruction], scope: Scope) -> list[Instruction]:
    """Set matches name their set by a number that only the saved text translates."""
    options = words(scope.saved)
    found = [index for index, word in enumerate(options) if word == "--match-set"]
    undecided = [index for index, item in enumerate(program) if isinstance(item, SetByNumber)]
    if len(found) != len(undecided) or b"SET\0" in scope.record.expressions:
        return program
    result = list(program)
    for place, index in zip(undecided, found, strict=True):
        plain = not set(options) & {"--return-nomatch", "--packets-eq", "--bytes-eq"}
        names = options[index + 1 : index + 3]
        if plain and len(names) == 2:
            test = match_set(scope.ipsets, *names)
            negated = options[index - 1] == "!"
            result[place] = Require(on.negated(test) if negated else test)
    return result


def _decode_one(name: str, parts: Attributes, scope: Scope) -> Instruction | None:
    decoder = DECODERS.get(name)
    if decoder is None:
        return GiveUp(f"the expression `{name}` is not modelled")
    try:
        return decoder(parts, scope)
    except UnsupportedError as error:
        return GiveUp(f"`{name}`: {error}")
    except (KeyError, IndexError, ValueError, struct.error):
        return GiveUp(f"the expression `{name}` is truncated in the dump")


def _register(data: bytes) -> int:
    """A register that exists.

    Raises:
        ValueError: There is no such register.
    """
    register = number(data)
    if not 1 <= register <= 4 and not 8 <= register <= 23:
        raise ValueError("no such register")
    return register


def _length(data: bytes, register: int) -> int:
    length = number(data)
    if not 0 < length <= REGISTER_BYTES - register_offset(register):
        raise ValueError("no such length")
    return length


def _value(data: bytes) -> bytes:
    value = attributes(data)[1]
    if not 0 < len(value) <= REGISTER_BYTES:
        raise ValueError("no such length")
    return value


def _nothing(parts: Attributes, scope: Scope) -> None:
    """Statements without a say in what passes."""
    del parts, scope


def _maybe(what: str) -> Decoder:
    return lambda _parts, _scope: Maybe(what)


MARK_KEY, IGNORED_META_WRITES = 3, frozenset({2, 12, 14})
"""NFT_META_MARK; PRIORITY, NFTRACE and SECMARK, which no condition of a rule looks at."""


def _meta(parts: Attributes, scope: Scope) -> Instruction | None:
    del scope
    key = number(parts[2])
    if 1 in parts:
        return Load(_register(parts[1]), META.get(key, unknown))
    if key == MARK_KEY:
        return SetMark(_register(parts[3]), connection=False)
    if key in IGNORED_META_WRITES:
        return None
    raise UnsupportedError(f"sets key {key}")


HARMLESS_WRITES: Final = {("ip", 1), ("ip", 8), ("ip6", 7), ("ip6", 0), ("ip6", 1)}
"""TOS, TTL, hop limit, traffic class."""


def _payload(parts: Attributes, scope: Scope) -> Instruction | None:
    base, offset, length = number(parts[2]), number(parts[3]), number(parts[4])
    if 1 in parts:
        register = _register(parts[1])
        length = _length(parts[4], register)
        return load_header(scope.record.family, register, base, offset, length)
    if base == 1 and (scope.record.family, offset) in HARMLESS_WRITES and length <= 2:
        return None
    raise UnsupportedError("it rewrites the packet")


def _ct(parts: Attributes, scope: Scope) -> Instruction | None:
    del scope
    key = number(parts[2])
    if 1 in parts:
        direction = parts[3][0] if 3 in parts else None
        return load_connection(_register(parts[1]), key, direction)
    if key == MARK_KEY:
        return SetMark(_register(parts[4]), connection=True)
    if key in (11, 16, 23):  # labels, event mask, secmark
        return None
    raise UnsupportedError(f"sets key {key}")


def _cmp(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    operator = number(parts[2])
    if operator > 5:
        raise UnsupportedError(f"operator {operator}")
    return Compare(_register(parts[1]), operator, _value(parts[3]))


def _range(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    negated = number(parts[2]) == 1
    return Between(_register(parts[1]), negated, _value(parts[3]), _value(parts[4]))


def _bitwise(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    target = _register(parts[2])
    length = _length(parts[3], target)
    if number(parts.get(6, b"")) == 0 and 4 in parts and 5 in parts:
        mask, flip = _value(parts[4]), _value(parts[5])
        if len(mask) < length or len(flip) < length:
            raise ValueError("mask too short")
        return Mask(_register(parts[1]), target, length, mask, flip)
    return Forget(target, length, may_miss=False)


def _byteorder(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    target = _register(parts[2])
    length, size = _length(parts[4], target), number(parts[5])
    if size not in (2, 4, 8):
        raise UnsupportedError(f"size {size}")
    return SwapBytes(_register(parts[1]), target, length, size)


def _immediate(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    data = attributes(parts[2])
    if 2 in data:
        verdict = attributes(data[2])
        return Verdict(signed(verdict[1]), text(verdict.get(2, b"")))
    return Constant(_register(parts[1]), list(_value(parts[2])))


def _lookup(parts: Attributes, scope: Scope) -> Instruction:
    record = scope.record
    found = scope.sets.get((record.family, record.table, text(parts[1])))
    if found is None:
        raise UnsupportedError(f"set {text(parts[1])} is not in the dump")
    target = _register(parts[3]) if 3 in parts and number(parts[3]) else None
    if 3 in parts and target is None and found.is_map:
        target = VERDICT_REGISTER
    negated = bool(number(parts.get(5, b"")) & 1)
    return Lookup(found, _register(parts[2]), target, negated)


VERDICT_REGISTER = 8
"""Stands in for NFT_REG_VERDICT: data of a verdict map are verdicts and are not loaded."""


def _fib(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    return RouteLookup(_register(parts[1]), number(parts[2]), number(parts[3]))


HARMLESS_OBJECTS, DOUBTFUL_OBJECTS = frozenset({1, 3, 7, 8, 9}), frozenset({2, 4, 5})
"""Counters, helpers, timeouts, secmarks, expectations; quotas, limits, connection limits."""


def _limit(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    return Ordinarily("limit", allowances.nft_limit(parts))


def _connection_limit(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    return Ordinarily("connlimit", allowances.nft_connection_limit(parts))


DELETES = 2
"""NFT_DYNSET_OP_DELETE."""


def _dynset(parts: Attributes, scope: Scope) -> Instruction:
    """Add to a set, or take out of it; each element may have a limit of its own."""
    record = scope.record
    limits = [parts[7]] if 7 in parts else []
    limits += [bytes(payload_) for _, payload_ in attribute_list(parts.get(10, b""))]
    holds = None if number(parts.get(3, b"")) == DELETES else True
    for limit in limits:
        expression = attributes(limit)
        name, inner = text(expression[1]), attributes(expression[2]) if 2 in expression else {}
        if name == "limit":
            holds = allowances.nft_limit(inner)
        elif name == "connlimit":
            holds = allowances.nft_connection_limit(inner, allowances.FROM_ONE)
        elif name not in STATELESS:
            holds = None
    if len(limits) > 1 or number(parts.get(9, b"")) & 1:  # NFT_DYNSET_F_INV
        holds = None
    return AddTo("dynset", holds, (record.family, record.table, text(parts[1])))


def _objref(parts: Attributes, scope: Scope) -> Instruction | None:
    del scope
    kind = number(parts[1]) if 1 in parts else 0
    if kind in HARMLESS_OBJECTS:
        return None
    if kind in DOUBTFUL_OBJECTS or not kind:
        return Maybe("objref")
    raise UnsupportedError(f"object of type {kind}")


def _reject(parts: Attributes, scope: Scope) -> Instruction:
    del parts, scope
    return Verdict(DROP)


def _notrack(parts: Attributes, scope: Scope) -> Instruction:
    del parts, scope
    return DoNotTrack()


PLAIN_NAT_FLAGS = 0x1F
"""NF_NAT_RANGE_* that name an address and a port, or concern source ports only."""


def _nat(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    if number(parts[1]) == 0:  # NFT_NAT_SNAT
        return Masquerade()
    address = _register(parts[3]) if 3 in parts else None
    port = _register(parts[5]) if 5 in parts else None
    ranges = bool(number(parts.get(7, b"")) & ~PLAIN_NAT_FLAGS)
    ranges = ranges or (4 in parts and parts[4] != parts.get(3))
    ranges = ranges or (6 in parts and parts[6] != parts.get(5))
    return Translate(address, port, number(parts[2]), ranges)


def _redir(parts: Attributes, scope: Scope) -> Instruction:
    del scope
    port = _register(parts[1]) if 1 in parts else None
    return Redirect(port, ranges=2 in parts and parts[2] != parts.get(1))


def _masq(parts: Attributes, scope: Scope) -> Instruction:
    del parts, scope
    return Masquerade()


def _loads_something(attribute: int) -> Decoder:
    def decoder(parts: Attributes, scope: Scope) -> Instruction:
        del scope
        if attribute not in parts:
            raise UnsupportedError("it changes the packet")
        return Forget(_register(parts[attribute]), 16, may_miss=True)

    return decoder


MOST_WAYS = 16


def _chooses(register_at: int, modulus_at: int, offset_at: int) -> Decoder:
    """A number below a modulus (nft_{ng_inc,ng_random,jhash,symhash}_eval), which never misses."""

    def decoder(parts: Attributes, scope: Scope) -> Instruction:
        del scope
        register, count = _register(parts[register_at]), number(parts[modulus_at])
        if not 0 < count <= MOST_WAYS:
            return Forget(register, 4, may_miss=False)
        first = number(parts.get(offset_at, b""))
        return Choose(register, range(first, first + count))

    return decoder


def _exthdr(parts: Attributes, scope: Scope) -> Instruction | None:
    if 1 not in parts:
        return None  # rewrites or strips a TCP option
    return _loads_something(1)(parts, scope)


def _table_version(scope: Scope) -> int:
    """The IP version of an iptables table.

    Raises:
        UnsupportedError: The table is of another family.
    """
    version = {"ip": 4, "ip6": 6}.get(scope.record.family)
    if version is None:
        raise UnsupportedError("outside of iptables' own families")
    return version


def _match(parts: Attributes, scope: Scope) -> Instruction:
    name, revision = text(parts[1]), number(parts.get(2, b""))
    return decode_match(name, revision, parts[3], _table_version(scope))


def _target(parts: Attributes, scope: Scope) -> Instruction | None:
    name, revision = text(parts[1]), number(parts.get(2, b""))
    return decode_target(name, revision, parts[3], _table_version(scope))


DECODERS: Final[dict[str, Decoder]] = {
    "counter": _nothing,
    "log": _nothing,
    "last": _nothing,
    "dup": _nothing,
    "flow_offload": _nothing,  # offloads established connections, which then skip rules
    "meta": _meta,
    "payload": _payload,
    "ct": _ct,
    "cmp": _cmp,
    "range": _range,
    "bitwise": _bitwise,
    "byteorder": _byteorder,
    "immediate": _immediate,
    "lookup": _lookup,
    "fib": _fib,
    "limit": _limit,
    "quota": _maybe("quota"),
    "connlimit": _connection_limit,
    "dynset": _dynset,
    "objref": _objref,
    "reject": _reject,
    "notrack": _notrack,
    "nat": _nat,
    "redir": _redir,
    "masq": _masq,
    "hash": _chooses(2, 4, 6),
    "numgen": _chooses(1, 2, 4),
    "exthdr": _exthdr,
    "rt": _loads_something(1),
    "socket": _loads_something(2),
    "osf": _loads_something(1),
    "xfrm": _loads_something(1),
    "tunnel": _loads_something(2),
    "match": _match,
    "target": _target,
}
