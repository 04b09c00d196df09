"""Datatypes of nft and their constants, as bytes in network order.

Names are those that nftables prints (src/{datatype,meta,ct,fib,proto}.c of nftables 1.0.6).
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final, NamedTuple

from ollama_audit.firewall.nft_json.document import Json


class UnreadableError(Exception):
    """A constant or an expression that is not known here, or that the listing leaves in doubt."""


class Datatype(NamedTuple):
    """How constants of a type are written and how long they are."""

    kind: str
    """`number`, `ip`, `ip6`, `name` (of an interface) or `opaque` (nothing is known)."""
    length: int = 0
    symbols: tuple[tuple[str, int], ...] = ()


def _symbols(**names: int) -> tuple[tuple[str, int], ...]:
    return tuple((name.replace("_", "-"), value) for name, value in names.items())


OPAQUE: Final = Datatype("opaque", 16)
IP: Final = Datatype("ip", 4)
IP6: Final = Datatype("ip6", 16)
NAME: Final = Datatype("name", 16)
PORT: Final = Datatype("number", 2)
MARK: Final = Datatype("number", 4)
BYTE: Final = Datatype("number", 1)
PRESENT: Final = Datatype("number", 4)
"""What `fib ... exists` compares with."""
GROUP: Final = Datatype("number", 4, _symbols(default=0))
FAMILY: Final = Datatype("number", 1, _symbols(ipv4=2, ipv6=10))
ETHERTYPE: Final = Datatype(
    "number", 2, (*_symbols(ip=0x0800, ip6=0x86DD, arp=0x0806, vlan=0x8100), ("8021q", 0x8100))
)
PACKET: Final = Datatype("number", 1, _symbols(host=0, unicast=0, broadcast=1, multicast=2))
DIRECTION: Final = Datatype("number", 1, _symbols(original=0, reply=1))
HARDWARE: Final = Datatype(
    "number", 2, _symbols(ether=1, ppp=512, ipip=768, ipip6=769, loopback=772, sit=776, ipgre=778)
)
ADDRESS_TYPE: Final = Datatype(
    "number",
    4,
    _symbols(
        unspec=0,
        unicast=1,
        local=2,
        broadcast=3,
        anycast=4,
        multicast=5,
        blackhole=6,
        unreachable=7,
        prohibit=8,
    ),
)
STATE: Final = Datatype(
    "number", 4, _symbols(invalid=1, established=2, related=4, new=8, untracked=64)
)
STATUS: Final = Datatype(
    "number",
    4,
    _symbols(expected=1, seen_reply=2, assured=4, confirmed=8, snat=16, dnat=32, dying=512),
)
TCP_FLAGS: Final = Datatype(
    "number", 1, _symbols(fin=1, syn=2, rst=4, psh=8, ack=16, urg=32, ecn=64, cwr=128)
)
PROTOCOL: Final = Datatype(
    "number",
    1,
    _symbols(
        icmp=1,
        igmp=2,
        ipencap=4,
        tcp=6,
        udp=17,
        dccp=33,
        ipv6=41,
        gre=47,
        esp=50,
        ah=51,
        ipv6_icmp=58,
        icmpv6=58,
        ospf=89,
        pim=103,
        comp=108,
        ipcomp=108,
        vrrp=112,
        sctp=132,
        udplite=136,
    ),
)


def constant(value: Json, datatype: Datatype) -> bytes:
    """A single value.

    Raises:
        UnreadableError: It is none of the type.
    """
    if datatype.kind == "number":
        number = _number(value, dict(datatype.symbols))
        if not 0 <= number < 1 << 8 * datatype.length:
            raise UnreadableError(f"{number} does not fit")
        return number.to_bytes(datatype.length, "big")
    if not isinstance(value, str):
        raise UnreadableError(f"{value!r:.40} is no constant")
    if datatype.kind == "name":
        if "\\" in value or "*" in value or not 0 < len(value.encode()) < 16:
            raise UnreadableError(f"{value!r:.40} is no name of one interface")
        return value.encode().ljust(16, b"\0")
    if datatype.kind in ("ip", "ip6"):
        return _address(value, datatype)
    raise UnreadableError("nothing is known of the field")


def _address(value: str, datatype: Datatype) -> bytes:
    if datatype is IP:
        # a set may have very many, and IPv4Address takes five times as long
        parts = value.split(".")
        if len(parts) == 4 and value.isascii() and all(map(str.isdecimal, parts)):
            try:
                return bytes(map(int, parts))
            except ValueError as error:
                raise UnreadableError(f"{value:.40} is no address") from error
        raise UnreadableError(f"{value:.40} is no address")
    try:
        return IPv6Address(value).packed
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def _number(value: Json, symbols: dict[str, int]) -> int:
    """A number, a name for one, or several of them or-ed together."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str):
        if value in symbols:
            return symbols[value]
        try:
            return int(value, 0)
        except ValueError as error:
            raise UnreadableError(f"{value!r:.40} has no number here") from error
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("|"), list):
        value = value["|"]
    if isinstance(value, list) and value:
        result = 0
        for one in value:
            result |= _number(one, symbols)
        return result
    raise UnreadableError(f"{value!r:.40} is no number")


def bounds(value: Json, datatype: Datatype) -> tuple[bytes, bytes]:
    """First and last of a value, a prefix, a range, or a name with a star at its end.

    Raises:
        UnreadableError: It is none of these.
    """
    if isinstance(value, dict) and len(value) == 1:
        if "prefix" in value:
            return _prefix(value["prefix"], datatype)
        if isinstance(pair := value.get("range"), list) and len(pair) == 2:
            if datatype is NAME:
                # nft 1.0.6 lists neighbouring names and stars as one range of empty texts
                raise UnreadableError("a range of names, of which the listing lost the ends")
            return constant(pair[0], datatype), constant(pair[1], datatype)
    if datatype is NAME and isinstance(value, str) and value.endswith("*") and value != "*":
        start = stem(value)
        return start.ljust(16, b"\0"), start.ljust(16, b"\xff")
    single = constant(value, datatype)
    return single, single


def stem(value: str) -> bytes:
    """What names begin with that `NAME*` matches.

    Raises:
        UnreadableError: The star or a backslash is not at the end alone.
    """
    start = value[:-1].encode()
    if b"\\" in start or b"*" in start or len(start) > 15:
        raise UnreadableError(f"{value!r:.40} is no beginning of a name")
    return start


def _prefix(value: Json, datatype: Datatype) -> tuple[bytes, bytes]:
    length = value.get("len") if isinstance(value, dict) else None
    bits = 8 * datatype.length
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= bits:
        raise UnreadableError(f"{value!r:.40} is no prefix")
    first = int.from_bytes(constant(value.get("addr"), datatype), "big")
    free = (1 << bits - length) - 1
    first &= ~free
    size = datatype.length
    return first.to_bytes(size, "big"), (first | free).to_bytes(size, "big")
