"""Routes of all tables and policy rules of the calling thread's namespace, by rtnetlink(7).

Numbers are those of linux/rtnetlink.h and linux/fib_rules.h (Linux 6.12).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from ollama_audit.collect.netlink import (
    MALFORMED,
    NATIVE,
    ROUTE,
    Netlink,
    NetlinkError,
    attributes,
    messages,
    number,
    text,
)
from ollama_audit.collect.network import FAMILIES, address_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import Family, PolicyRule, Route

T = TypeVar("T")

_GETROUTE = 26
_GETRULE = 34
_LIMIT = 32 << 20  # some 300,000 routes; a full internet table is no host's that runs models

_ROUTE = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_SRC, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC = 1, 2, 4, 5, 6, 7
_RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 9, 15, 18
_HOP = struct.Struct("=HBBi")
_RTM_F_CLONED = 0x200
_RTNH_F_DEAD = 0x1
_ROUTE_TYPES = (
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
)

_RULE = struct.Struct("=BBBBBxxBI")
_FRA_DST, _FRA_SRC, _FRA_IIFNAME, _FRA_GOTO, _FRA_PRIORITY, _FRA_FWMARK = 1, 2, 3, 4, 6, 10
_FRA_FLOW, _FRA_SUPPRESS_PREFIXLEN, _FRA_TABLE, _FRA_FWMASK = 11, 14, 15, 16
_FRA_OIFNAME, _FRA_PAD, _FRA_L3MDEV, _FRA_PROTOCOL = 17, 18, 19, 21
_FRA_MASKS = (27, 28, 29, 30)
_RULE_INVERT = 0x2
_RULE_ACTIONS = {
    1: "lookup",
    2: "goto",
    3: "nop",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
}
_RULE_READ = {
    *(_FRA_DST, _FRA_SRC, _FRA_IIFNAME, _FRA_GOTO, _FRA_PRIORITY, _FRA_FWMARK),
    *(_FRA_SUPPRESS_PREFIXLEN, _FRA_TABLE, _FRA_FWMASK, _FRA_OIFNAME, _FRA_L3MDEV),
    *(_FRA_FLOW, _FRA_PAD, _FRA_PROTOCOL),  # set a realm, fill a gap, name the author: no selectors
    *_FRA_MASKS,  # come with the flow label, ports and DSCP that they are of
}
_RULE_SELECTORS = {
    12: "tun_id",
    13: "suppress_ifgroup",
    20: "uidrange",
    22: "ipproto",
    23: "sport",
    24: "dport",
    25: "dscp",
    26: "flowlabel",
}


def read_routes() -> Observed[tuple[Route, ...]]:
    """The routes of both families and every table, in the kernel's order."""
    return _read(_GETROUTE, _ROUTE.size, _route, "rtnetlink RTM_GETROUTE")


def read_policy_rules() -> Observed[tuple[PolicyRule, ...]]:
    """The policy rules of both families, by ascending priority within each."""
    return _read(_GETRULE, _RULE.size, _rule, "rtnetlink RTM_GETRULE")


def _read(
    kind: int, size: int, parse: Callable[[Family, memoryview], T | None], source: str
) -> Observed[tuple[T, ...]]:
    found: list[T] = []
    try:
        with Netlink(ROUTE, limit=_LIMIT) as netlink:
            for number_, family in FAMILIES.items():
                answer = netlink.dump(kind, bytes([number_]) + bytes(size - 1))
                for _, body in messages(answer):
                    # A kernel without IPv6 answers for all families instead of none.
                    parsed = parse(family, body) if body[0] == number_ else None
                    if parsed is not None:
                        found.append(parsed)
    except NetlinkError as error:
        return error.unknown(source)
    except MALFORMED as error:
        return Unknown(f"the kernel's answer was not understood: {error!r}", source)
    return Known(tuple(found), source)


def _route(family: Family, body: memoryview) -> Route | None:
    _, length, source_length, tos, table, _, scope, kind, flags = _ROUTE.unpack_from(body)
    if flags & _RTM_F_CLONED:
        return None
    route = attributes(body, _ROUTE.size)
    hops = route.get(_RTA_MULTIPATH)
    gateway = route.get(_RTA_GATEWAY)
    if gateway is None and _RTA_VIA in route:
        gateway = route[_RTA_VIA][2:]  # after the family: an IPv4 route by an IPv6 neighbour
    unspecified = bytes(family.bits // 8)
    return Route(
        family=family,
        destination=address_text(route.get(_RTA_DST, unspecified)),
        prefix_length=length,
        table=number(route[_RTA_TABLE]) if _RTA_TABLE in route else table,
        type=_ROUTE_TYPES[kind] if kind < len(_ROUTE_TYPES) else str(kind),
        interface=0 if hops is not None else number(route.get(_RTA_OIF, b"")),
        gateway="" if gateway is None else address_text(gateway),
        source=address_text(route[_RTA_PREFSRC]) if _RTA_PREFSRC in route else "",
        metric=number(route.get(_RTA_PRIORITY, b"")),
        scope=scope,
        tos=tos,
        hops=_live_hops(hops) if hops is not None else (),
        only_from=_prefix(route.get(_RTA_SRC, unspecified), source_length),
        dead=bool(flags & _RTNH_F_DEAD),
    )


def _live_hops(hops: memoryview) -> tuple[int, ...]:
    """The interfaces of the struct rtnexthop that are in use, each once."""
    found: dict[int, None] = {}
    while len(hops) >= _HOP.size:
        length, flags, _, index = _HOP.unpack_from(hops)
        if length < _HOP.size:
            break
        if not flags & _RTNH_F_DEAD:
            found[index] = None
        hops = hops[(length + 3) & ~3 :]
    return tuple(found)


def _rule(family: Family, body: memoryview) -> PolicyRule:
    _, destination_length, source_length, tos, table, action, flags = _RULE.unpack_from(body)
    rule = attributes(body, _RULE.size)
    unspecified = bytes(family.bits // 8)
    others = [_RULE_SELECTORS.get(k, f"attribute {k}") for k in sorted(rule.keys() - _RULE_READ)]
    suppressed = rule.get(_FRA_SUPPRESS_PREFIXLEN, b"\xff\xff\xff\xff")
    return PolicyRule(
        family=family,
        priority=number(rule.get(_FRA_PRIORITY, b"")),
        action=_RULE_ACTIONS.get(action, str(action)),
        table=number(rule[_FRA_TABLE]) if _FRA_TABLE in rule else table,
        source=_prefix(rule.get(_FRA_SRC, unspecified), source_length),
        destination=_prefix(rule.get(_FRA_DST, unspecified), destination_length),
        in_interface=text(rule.get(_FRA_IIFNAME, b"")),
        out_interface=text(rule.get(_FRA_OIFNAME, b"")),
        mark=number(rule.get(_FRA_FWMARK, b"")),
        mark_mask=number(rule.get(_FRA_FWMASK, b"")),
        invert=bool(flags & _RULE_INVERT),
        l3mdev=number(rule.get(_FRA_L3MDEV, b"")) != 0,
        suppress_prefix_length=int.from_bytes(suppressed, NATIVE, signed=True),
        goto=number(rule.get(_FRA_GOTO, b"")),
        other=(*(("tos",) if tos else ()), *others),
    )


def _prefix(address: memoryview | bytes, length: int) -> str:
    """In CIDR notation; empty for every address."""
    return f"{address_text(address)}/{length}" if length else ""
