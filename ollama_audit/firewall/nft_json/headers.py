"""Which fields the listing names, where they are in a packet, and of which type.

Offsets are those of RFC 791, RFC 8200 and RFC 9293; keys those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from typing import Final

from ollama_audit.firewall.fields import EGRESS, INGRESS, SOURCE
from ollama_audit.firewall.fields import MARK as BY_MARK
from ollama_audit.firewall.nft_json import datatypes as of
from ollama_audit.firewall.nft_json.datatypes import Datatype

NETWORK: Final[dict[str, tuple[int, dict[str, tuple[int, int, Datatype]]]]] = {
    "ip": (
        2,
        {
            "saddr": (12, 4, of.IP),
            "daddr": (16, 4, of.IP),
            "protocol": (9, 1, of.PROTOCOL),
            "frag-off": (6, 2, of.PORT),
            "ttl": (8, 1, of.BYTE),
            "length": (2, 2, of.PORT),
        },
    ),
    "ip6": (
        10,
        {
            "saddr": (8, 16, of.IP6),
            "daddr": (24, 16, of.IP6),
            "nexthdr": (6, 1, of.PROTOCOL),
            "hoplimit": (7, 1, of.BYTE),
            "length": (4, 2, of.PORT),
        },
    ),
}
"""NFPROTO_* and fields, as offset, bytes and type, of the network headers."""

TRANSPORT: Final[dict[str, tuple[int, int, Datatype]]] = {
    "sport": (0, 2, of.PORT),
    "dport": (2, 2, of.PORT),
    "flags": (13, 1, of.TCP_FLAGS),
    "window": (14, 2, of.PORT),
}

OTHER_PROTOCOLS: Final = frozenset(
    {"udp", "udplite", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "gre"}
)
"""Headers that a TCP segment does not have."""

META_FIELDS: Final[dict[str, tuple[int, Datatype]]] = {
    "protocol": (1, of.ETHERTYPE),
    "mark": (3, of.MARK),
    "iif": (6, of.NAME),
    "oif": (7, of.NAME),
    "iifname": (6, of.NAME),
    "oifname": (7, of.NAME),
    "iiftype": (8, of.HARDWARE),
    "oiftype": (9, of.HARDWARE),
    "nfproto": (15, of.FAMILY),
    "l4proto": (16, of.PROTOCOL),
    "pkttype": (19, of.PACKET),
    "iifgroup": (21, of.GROUP),
    "oifgroup": (22, of.GROUP),
    "iifkind": (26, of.NAME),
    "oifkind": (27, of.NAME),
}
"""NFT_META_*; `iif` and `oif` are listed by name, and so are looked at by name here."""

CONNECTION_FIELDS: Final[dict[str, tuple[int, Datatype]]] = {
    "direction": (1, of.DIRECTION),
    "state": (0, of.STATE),
    "status": (2, of.STATUS),
    "mark": (3, of.MARK),
    "l3proto": (7, of.FAMILY),
    "protocol": (10, of.PROTOCOL),
    "proto-src": (11, of.PORT),
    "proto-dst": (12, of.PORT),
    "ip saddr": (19, of.IP),
    "ip daddr": (20, of.IP),
    "ip6 saddr": (21, of.IP6),
    "ip6 daddr": (22, of.IP6),
}
"""NFT_CT_*"""

HOST_ORDER: Final = (of.MARK, of.GROUP, of.HARDWARE, of.STATE, of.STATUS)
"""Types that the kernel keeps in the byte order of the machine."""

DESTINATION = 0x2
ROUTE_FLAGS: Final = {
    "saddr": SOURCE,
    "daddr": DESTINATION,
    "mark": BY_MARK,
    "iif": INGRESS,
    "oif": EGRESS,
}
"""NFTA_FIB_F_*"""
