"""Links, addresses and sysctls of the calling thread's network namespace, by rtnetlink(7).

Numbers are those of linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h (Linux 6.12). No
child process is started.
"""

from __future__ import annotations

import socket
import struct

from ollama_audit.collect.netlink import (
    MALFORMED,
    NATIVE,
    ROUTE,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    messages,
    number,
    text,
)
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import Family, Interface, InterfaceAddress

AF_INET = 2
AF_INET6 = 10
FAMILIES = {AF_INET: Family.IPV4, AF_INET6: Family.IPV6}

_GETLINK = 18
_GETADDR = 22
_IFF_UP, _IFF_LOOPBACK, _IFF_POINTOPOINT = 0x1, 0x8, 0x10
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO = 3, 4, 5, 10, 18
_IFLA_AF_SPEC, _IFLA_GROUP, _IFLA_EXT_MASK, _IFLA_LINK_NETNSID, _IFLA_XDP = 26, 27, 29, 37, 43
_INFO_KIND, _INFO_SLAVE_KIND = 1, 4
_XDP_ATTACHED = 2
_SKIP_STATISTICS = attribute(_IFLA_EXT_MASK, (8).to_bytes(4, NATIVE))
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_TEMPORARY, _IFA_F_OPTIMISTIC, _IFA_F_DADFAILED = 0x1, 0x4, 0x8
_IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x20, 0x40
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}

# Positions in IFLA_INET_CONF (IPV4_DEVCONF_* of linux/ip.h, less one) and IFLA_INET6_CONF
# (DEVCONF_* of linux/ipv6.h): what /proc/sys/net/ipv4/conf/IF and ipv6/conf/IF show, in one answer.
_CONF4 = {
    "forwarding": 0,
    "rp_filter": 7,
    "accept_local": 22,
    "src_valid_mark": 23,
    "route_localnet": 25,
}
_CONF6 = {"forwarding": 0, "disable_ipv6": 26}
_IFLA_INET_CONF, _IFLA_INET6_CONF = 1, 2

_SYSCTLS = (
    "ipv4.ip_forward",
    "ipv4.ip_nonlocal_bind",
    "ipv4.fwmark_reflect",
    "ipv4.tcp_fwmark_accept",
    "ipv4.tcp_l3mdev_accept",
    *(f"ipv4.conf.{which}.{name}" for which in ("all", "default") for name in _CONF4),
    "ipv6.bindv6only",
    "ipv6.ip_nonlocal_bind",
    "ipv6.fwmark_reflect",
    *(f"ipv6.conf.{which}.{name}" for which in ("all", "default") for name in _CONF6),
    "bridge.bridge-nf-call-iptables",
    "bridge.bridge-nf-call-ip6tables",
)


def read_links() -> tuple[Observed[tuple[Interface, ...]], Observed[dict[str, str]]]:
    """The interfaces by ascending index, and the sysctls that decide what reaches them.

    A key that this kernel does not have is left out. The name of an interface stands in its key
    as it is, dots included: `ipv4.conf.eth0.5.rp_filter`.
    """
    source = "rtnetlink RTM_GETLINK, RTM_GETADDR"
    try:
        with Netlink(ROUTE) as netlink:
            links = netlink.dump(_GETLINK, bytes(16) + _SKIP_STATISTICS)
            addresses = netlink.dump(_GETADDR, bytes(8))
        return Known(_interfaces(links, addresses), source), _sysctls(links)
    except NetlinkError as error:
        unknown = error.unknown(source)
    except MALFORMED as error:
        unknown = Unknown(f"the kernel's answer was not understood: {error!r}", source)
    return unknown, unknown


def _interfaces(links: bytes, addresses: bytes) -> tuple[Interface, ...]:
    found: dict[int, list[InterfaceAddress]] = {}
    for _, body in messages(addresses):
        index, address = _address(body)
        if address:
            found.setdefault(index, []).append(address)
    interfaces = [_interface(body, found) for _, body in messages(links)]
    return tuple(sorted(interfaces, key=lambda interface: interface.index))


def _interface(body: memoryview, addresses: dict[int, list[InterfaceAddress]]) -> Interface:
    _, kind, index, flags, _ = _LINK.unpack_from(body)
    link = attributes(body, _LINK.size)
    about = attributes(link[_IFLA_LINKINFO]) if _IFLA_LINKINFO in link else {}
    xdp = attributes(link[_IFLA_XDP]) if _IFLA_XDP in link else {}
    namespace = link.get(_IFLA_LINK_NETNSID)
    return Interface(
        index=index,
        name=text(link[_IFLA_IFNAME]),
        kind=text(about.get(_INFO_KIND, b"")),
        type=kind,
        up=bool(flags & _IFF_UP),
        loopback=bool(flags & _IFF_LOOPBACK),
        point_to_point=bool(flags & _IFF_POINTOPOINT),
        master=number(link.get(_IFLA_MASTER, b"")),
        master_kind=text(about.get(_INFO_SLAVE_KIND, b"")),
        group=number(link.get(_IFLA_GROUP, b"")),
        mtu=number(link.get(_IFLA_MTU, b"")),
        xdp=number(xdp.get(_XDP_ATTACHED, b"")) != 0,
        parent=number(link.get(_IFLA_LINK, b"")),
        peer_namespace=-1 if namespace is None else int.from_bytes(namespace, NATIVE, signed=True),
        addresses=tuple(addresses.get(index, ())),
    )


def _address(body: memoryview) -> tuple[int, InterfaceAddress | None]:
    """The interface index and its address; None for a family that is not ours."""
    family, length, short_flags, scope, index = _ADDRESS.unpack_from(body)
    if family not in (AF_INET, AF_INET6):
        return index, None
    found = attributes(body, _ADDRESS.size)
    # Of a point-to-point address IFA_ADDRESS is the peer; else IPv6 leaves IFA_LOCAL out.
    far = found.get(_IFA_ADDRESS) or found[_IFA_LOCAL]
    near = found.get(_IFA_LOCAL) or far
    flags = number(found[_IFA_FLAGS]) if _IFA_FLAGS in found else short_flags
    undecided = flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC
    return index, InterfaceAddress(
        family=FAMILIES[family],
        address=address_text(near),
        prefix_length=length,
        peer="" if near == far else address_text(far),
        scope=_SCOPES.get(scope, str(scope)),
        # The same bit says "secondary" of an IPv4 address.
        temporary=family == AF_INET6 and bool(flags & _IFA_F_TEMPORARY),
        tentative=bool(undecided or flags & _IFA_F_DADFAILED),
        deprecated=bool(flags & _IFA_F_DEPRECATED),
    )


def _sysctls(links: bytes) -> Observed[dict[str, str]]:
    values: dict[str, str] = {}
    for key in _SYSCTLS:
        # The kernel shows the files of the reading thread's own network namespace.
        observed = read_text(f"/proc/sys/net/{key.replace('.', '/')}", limit=4096, absent="")
        if isinstance(observed, Unknown):
            return observed
        if value := observed.value.strip():
            values[key] = value
    if not values:
        return Unknown("there is no such directory", "/proc/sys/net")
    for _, body in messages(links):
        values |= _interface_sysctls(attributes(body, _LINK.size))
    return Known(values, "/proc/sys/net, rtnetlink RTM_GETLINK")


def _interface_sysctls(link: dict[int, memoryview]) -> dict[str, str]:
    name = text(link[_IFLA_IFNAME])
    families = attributes(link[_IFLA_AF_SPEC]) if _IFLA_AF_SPEC in link else {}
    values: dict[str, str] = {}
    for family, kind, positions, prefix in (
        (AF_INET, _IFLA_INET_CONF, _CONF4, "ipv4"),
        (AF_INET6, _IFLA_INET6_CONF, _CONF6, "ipv6"),
    ):
        settings = attributes(families[family]) if family in families else {}
        array = settings.get(kind, memoryview(b"")).cast("i")
        for setting, position in positions.items():
            if position < len(array):
                values[f"{prefix}.conf.{name}.{setting}"] = str(array[position])
    return values


def address_text(packed: memoryview | bytes) -> str:
    """An address of 4 or 16 bytes as it is written."""
    return socket.inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)
