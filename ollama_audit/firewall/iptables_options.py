"""The options of iptables' matches (iptables-extensions(8)), as `iptables-save` prints them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall import conditions as on
from ollama_audit.firewall.conditions import Test
from ollama_audit.firewall.ipset import IpSets, match_set
from ollama_audit.firewall.iptables_together import ARGUMENTS

PROTOCOLS: Final = {
    "all": 0,
    "icmp": 1,
    "igmp": 2,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
    "dccp": 33,
    "mobility-header": 135,
    "ipcomp": 108,
}
"""protocols(5)."""

Make = Callable[[list[str], int, IpSets], Test]


def addresses(text: str, version: int) -> AddressSet:
    """Networks and addresses with commas between, also with a mask instead of a length."""
    return AddressSet.from_networks(text.split(","), version)


def ports(text: str) -> list[tuple[int, int]]:
    """`22,80:90,:1023`."""
    found = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        low = int(first or 0)
        found.append((low, int(last or 0xFFFF) if colon else low))
    return found


FLAGS: Final = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ALL": 63, "NONE": 0}


def _flag_bits(text: str) -> int:
    bits = 0
    for name in text.split(","):
        bits |= FLAGS[name]
    return bits


def masked_number(text: str) -> tuple[int, int]:
    """VALUE[/MASK]."""
    value, slash, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if slash else 0xFFFFFFFF


def _span(text: str, version: int) -> AddressSet:
    first, _, last = text.partition("-")
    low, high = ip_address(first), ip_address(last or first)
    if low.version != version:
        raise ValueError(text)
    return AddressSet.span(int(low), int(high), version)


def _destination_port(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.port(ports(arguments[0]), source=False)


def _source_port(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.port(ports(arguments[0]), source=True)


def _either_port(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    found = ports(arguments[0])
    return on.any_of([on.port(found, source=True), on.port(found, source=False)])


def _tcp_flags(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.tcp_flags(_flag_bits(arguments[0]), _flag_bits(arguments[1]))


def _syn(arguments: list[str], version: int, sets: IpSets) -> Test:
    del arguments, version, sets
    return on.tcp_flags(0x17, 0x02)


def _state(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.tracking_state(frozenset(arguments[0].upper().split(",")))


def _original_source(arguments: list[str], version: int, sets: IpSets) -> Test:
    del sets
    return on.original_source(addresses(arguments[0], version))


def _original_destination(arguments: list[str], version: int, sets: IpSets) -> Test:
    del sets
    return on.original_destination(addresses(arguments[0], version))


def _original_port(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.original_port(ports(arguments[0]))


def _connection_protocol(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    name = arguments[0].lower()
    return on.protocol(int(name) if name.isdigit() else PROTOCOLS[name])


def _direction(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.direction(original=arguments[0].upper() == "ORIGINAL")


STATUS: Final = {"EXPECTED": 1, "SEEN_REPLY": 2, "ASSURED": 4, "CONFIRMED": 8}


def _status(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    bits = 0
    for name in arguments[0].upper().split(","):
        bits |= STATUS[name]
    return on.connection_status(bits)


def _source_range(arguments: list[str], version: int, sets: IpSets) -> Test:
    del sets
    return on.address(_span(arguments[0], version), source=True)


def _destination_range(arguments: list[str], version: int, sets: IpSets) -> Test:
    del sets
    return on.address(_span(arguments[0], version), source=False)


def _type_names(text: str) -> frozenset[str]:
    return frozenset(text.lower().split(","))


def _source_type(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.address_type(_type_names(arguments[0]), source=True)


def _destination_type(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.address_type(_type_names(arguments[0]), source=False)


def _mark(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.mark(*masked_number(arguments[0]), connection=False)


def _connection_mark(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.mark(*masked_number(arguments[0]), connection=True)


def _set(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version
    return match_set(sets, arguments[0], arguments[1])


def _packet_type(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    if arguments[0].lower() in ("unicast", "host"):
        return on.host_packet
    return on.negated(on.host_packet)


def _source_group(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.device_group(*masked_number(arguments[0]), ingress=True)


def _destination_group(arguments: list[str], version: int, sets: IpSets) -> Test:
    del version, sets
    return on.device_group(*masked_number(arguments[0]), ingress=False)


def _nothing(arguments: list[str], version: int, sets: IpSets) -> Test:
    del arguments, version, sets
    return on.always


OPTIONS: Final[dict[tuple[str, str], Make]] = {
    ("tcp", "--dport"): _destination_port,
    ("tcp", "--sport"): _source_port,
    ("tcp", "--tcp-flags"): _tcp_flags,
    ("tcp", "--syn"): _syn,
    ("multiport", "--dports"): _destination_port,
    ("multiport", "--sports"): _source_port,
    ("multiport", "--ports"): _either_port,
    ("conntrack", "--ctstate"): _state,
    ("state", "--state"): _state,
    ("conntrack", "--ctorigsrc"): _original_source,
    ("conntrack", "--ctorigdst"): _original_destination,
    ("conntrack", "--ctorigdstport"): _original_port,
    ("conntrack", "--ctproto"): _connection_protocol,
    ("conntrack", "--ctdir"): _direction,
    ("conntrack", "--ctstatus"): _status,
    ("comment", "--comment"): _nothing,
    ("iprange", "--src-range"): _source_range,
    ("iprange", "--dst-range"): _destination_range,
    ("addrtype", "--src-type"): _source_type,
    ("addrtype", "--dst-type"): _destination_type,
    ("mark", "--mark"): _mark,
    ("connmark", "--mark"): _connection_mark,
    ("set", "--match-set"): _set,
    ("set", "--update-counters"): _nothing,
    ("set", "--update-subcounters"): _nothing,
    ("pkttype", "--pkt-type"): _packet_type,
    ("devgroup", "--src-group"): _source_group,
    ("devgroup", "--dst-group"): _destination_group,
}
"""What each option asks for; options that are missing cannot be decided."""

WITHOUT_ARGUMENT: Final = frozenset(
    {
        *("--syn", "--update-counters", "--update-subcounters", "--return-nomatch"),
        *("--limit-iface-in", "--limit-iface-out", "--loose", "--validmark", "--accept-local"),
        "--invert",
    }
)
TWO_ARGUMENTS: Final = frozenset({"--tcp-flags", "--match-set"})

RPFILTER_OPTIONS: Final = frozenset({"--loose", "--validmark", "--accept-local", "--invert"})

BARE_MATCHES: Final = frozenset({match for match, _ in OPTIONS} | {"tcp"})
"""Matches that are decided by their options alone."""

NEVER_MATCHES: Final = frozenset(
    {
        *("udp", "udplite", "icmp", "icmp6", "icmpv6", "ipv6-icmp", "sctp", "dccp", "esp", "ah"),
        *("rt", "hbh", "frag", "dst", "mh", "ipcomp"),
    }
)
"""Matches on protocols and headers that a TCP segment without options does not have."""


def argument_count(match: str, option: str) -> int | None:
    """How many words follow an option of a match; None when it has no such option."""
    if match in ARGUMENTS:
        return ARGUMENTS[match].get(option)
    if (match, option) in OPTIONS or (match == "rpfilter" and option in RPFILTER_OPTIONS):
        if option in WITHOUT_ARGUMENT:
            return 0
        return 2 if option in TWO_ARGUMENTS else 1
    return None
