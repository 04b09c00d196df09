"""The edge: what kinds of address the host has, and what is worth knowing of each."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from ollama_audit.exposure.zones import public
from ollama_audit.snapshot.network import InterfaceAddress


class AddressKind(StrEnum):
    """What an address is for, by the IANA special-purpose address registries (RFC 6890)."""

    GLOBAL = "a public address"
    PRIVATE = "a private address"
    """RFC 1918."""
    SHARED = "an address behind a carrier's translation"
    """RFC 6598; Tailscale gives them to its peers too."""
    UNIQUE_LOCAL = "a unique local address"
    """RFC 4193."""
    LINK_LOCAL = "a link-local address"
    """RFC 3927, RFC 4291."""
    LOOPBACK = "a loopback address"
    DOCUMENTATION = "a documentation range"
    """RFC 5737, RFC 3849, RFC 9637; judged as public, as nothing keeps a router from forwarding."""
    SIX_TO_FOUR = "6to4"
    """RFC 3056: an IPv6 address made of a public IPv4 address."""
    TEREDO = "Teredo"
    """RFC 4380: IPv6 in UDP, through a translation of IPv4."""
    NAT64 = "NAT64"
    """RFC 6052, RFC 8215: stands for an IPv4 address."""
    OTHER = "a reserved address"


_KINDS = (
    ("127.0.0.0/8", AddressKind.LOOPBACK),
    ("10.0.0.0/8", AddressKind.PRIVATE),
    ("172.16.0.0/12", AddressKind.PRIVATE),
    ("192.168.0.0/16", AddressKind.PRIVATE),
    ("100.64.0.0/10", AddressKind.SHARED),
    ("169.254.0.0/16", AddressKind.LINK_LOCAL),
    ("192.0.2.0/24", AddressKind.DOCUMENTATION),
    ("198.51.100.0/24", AddressKind.DOCUMENTATION),
    ("203.0.113.0/24", AddressKind.DOCUMENTATION),
    ("::1/128", AddressKind.LOOPBACK),
    ("64:ff9b::/96", AddressKind.NAT64),
    ("64:ff9b:1::/48", AddressKind.NAT64),
    ("2001::/32", AddressKind.TEREDO),
    ("2001:db8::/32", AddressKind.DOCUMENTATION),
    ("3fff::/20", AddressKind.DOCUMENTATION),
    ("2002::/16", AddressKind.SIX_TO_FOUR),
    ("fc00::/7", AddressKind.UNIQUE_LOCAL),
    ("fe80::/10", AddressKind.LINK_LOCAL),
)


@cache
def _networks() -> tuple[tuple[IPv4Network | IPv6Network, AddressKind], ...]:
    return tuple((ip_network(network), kind) for network, kind in _KINDS)


def kind(address: IPv4Address | IPv6Address) -> AddressKind:
    """What an address is for."""
    for network, found in _networks():
        if address.version == network.version and address in network:
            return found
    return AddressKind.GLOBAL if public(address) else AddressKind.OTHER


def tells_mac(address: IPv4Address | IPv6Address) -> bool:
    """Whether an IPv6 address is made of its link's MAC address (modified EUI-64, RFC 4291 A)."""
    return address.version == 6 and int(address) >> 24 & 0xFFFF == 0xFFFE


def described(own: InterfaceAddress) -> str:
    """An address with what is worth knowing of it: `2001:db8::1 (temporary)`."""
    found = kind(own.ip)
    plain = {AddressKind.GLOBAL, AddressKind.PRIVATE, AddressKind.SHARED}
    marks = [
        "" if found in plain else str(found),
        "temporary" if own.temporary else "",
        "made of the link's MAC address" if tells_mac(own.ip) else "",
        "deprecated" if own.deprecated else "",
    ]
    said = ", ".join(mark for mark in marks if mark)
    return f"{own.address} ({said})" if said else own.address
