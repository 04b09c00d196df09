"""Network namespaces as the kernel describes them: sockets, links, addresses, routes, sysctls.

Everything here is per network namespace, because a process in another namespace has sockets,
addresses and packet filters that the host's own tables do not show.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

from ollama_audit.observed import Observed, known_or
from ollama_audit.snapshot.firewall import FirewallCapture
from ollama_audit.words import authority


class Family(StrEnum):
    """An address family."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def label(self) -> str:
        """As people write it."""
        return "IPv4" if self is Family.IPV4 else "IPv6"

    @property
    def everything(self) -> str:
        """The network of every address."""
        return f"{self.wildcard}/0"

    @property
    def bits(self) -> int:
        """The length of an address in bits."""
        return 32 if self is Family.IPV4 else 128

    @property
    def loopback(self) -> str:
        """The address of the host itself."""
        return "127.0.0.1" if self is Family.IPV4 else "::1"

    @property
    def wildcard(self) -> str:
        """The unspecified address, which stands for every one."""
        return "0.0.0.0" if self is Family.IPV4 else "::"  # noqa: S104 - shown, not bound to


def canonical_address(text: str) -> IPv4Address | IPv6Address:
    """The address that `text` names; an IPv4-mapped IPv6 address is the IPv4 address it maps.

    Raises:
        ValueError: Not an address.
    """
    address = ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, IPv4Address) else address


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP socket in state LISTEN (`ss -ltn`, sock_diag(7))."""

    family: Family
    """The family of the socket, not of its clients: see `serves`."""
    address: str
    """The bind address; `0.0.0.0` or `::` when wildcard."""
    port: int
    v6only: Observed[bool]
    """IPV6_V6ONLY (ipv6(7)); a `::` socket without it serves IPv4 too. False for IPv4."""
    device: str = ""
    """The interface of SO_BINDTODEVICE (socket(7)); empty when unbound."""
    inode: int
    uid: int
    owners: Observed[tuple[int, ...]]
    """Process ids that hold the socket, ascending."""

    def __post_init__(self) -> None:
        ip_address(self.address)
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is not in 0..65535")

    @property
    def ip(self) -> IPv4Address | IPv6Address:
        """The bind address as a value, IPv4-mapped addresses as IPv4."""
        return canonical_address(self.address)

    @property
    def on_loopback(self) -> bool:
        """Whether the bind address is in 127.0.0.0/8 or ::1, mapped addresses included."""
        return self.ip.is_loopback

    @property
    def wildcard(self) -> bool:
        """Whether the bind address is the unspecified address."""
        return self.ip.is_unspecified

    @property
    def at_hand(self) -> str:
        """The address at which a program in the same network namespace connects to it.

        A wildcard socket answers on loopback, any other on its own address alone.
        """
        if not self.wildcard:
            return str(self.ip)
        only_v6 = self.family is Family.IPV6 and known_or(self.v6only, default=False)
        return "::1" if only_v6 else "127.0.0.1"

    @property
    def shown(self) -> str:
        """The socket for people, as ss(8) prints it: `*:11434` when it serves both families."""
        both = self.address == "::" and not known_or(self.v6only, default=True)
        return f"*:{self.port}" if both else str(self)

    def __str__(self) -> str:
        return authority(self.address, self.port)


class InterfaceAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address of an interface (`ip address`, rtnetlink(7) RTM_GETADDR)."""

    family: Family
    address: str
    prefix_length: int
    peer: str = ""
    """The other end of a point-to-point link; empty when it is the address itself."""
    scope: str = "global"
    """`global`, `site`, `link` or `host`."""
    temporary: bool = False
    """An IPv6 privacy address (RFC 8981)."""
    tentative: bool = False
    """Not usable: duplicate address detection has not finished or has failed."""
    deprecated: bool = False
    """No longer used for new connections out, and still answering (RFC 4862, 5.5.4)."""

    def __post_init__(self) -> None:
        ip_network((self.address, self.prefix_length), strict=False)

    @property
    def ip(self) -> IPv4Address | IPv6Address:
        """The address as a value."""
        return ip_address(self.address)

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """The connected network; of a point-to-point address, the peer's."""
        return ip_network((self.peer or self.address, self.prefix_length), strict=False)


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface (`ip -d link`, rtnetlink(7) RTM_GETLINK)."""

    index: int
    name: str
    kind: str = ""
    """IFLA_INFO_KIND: `bridge`, `veth`, `wireguard`, `tun`; empty for hardware and loopback."""
    type: int = 1
    """ARPHRD number (linux/if_arp.h): 1 Ethernet, 772 loopback, 65534 none."""
    up: bool = True
    """IFF_UP."""
    loopback: bool = False
    point_to_point: bool = False
    master: int = 0
    """Index of the bridge, bond or VRF it belongs to; 0 for none."""
    master_kind: str = ""
    """IFLA_INFO_SLAVE_KIND: `bridge`, `bond`, `vrf`; empty for none."""
    group: int = 0
    mtu: int = 0
    xdp: bool = False
    """An XDP program is attached: packets may be dropped before any packet filter."""
    parent: int = 0
    """IFLA_LINK: index of the other end of a veth, or of the device that a macvlan or VLAN is on,
    in the namespace of that; 0 for none."""
    peer_namespace: int = -1
    """IFLA_LINK_NETNSID: the other end is in another network namespace; -1 when not."""
    unmodelled: tuple[str, ...] = ()
    """What may drop its packets and can only be detected: XDP, tc filters, bridge netfilter."""
    addresses: tuple[InterfaceAddress, ...] = ()

    @property
    def receives(self) -> bool:
        """Whether packets for the host come in by it.

        Those of a port of a bridge or bond come in by the bridge or bond.
        """
        return self.up and self.master_kind not in {"bridge", "bond", "team"}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route (`ip route show table all`, rtnetlink(7) RTM_GETROUTE)."""

    family: Family
    destination: str
    """Address without prefix length; `0.0.0.0` or `::` with length 0 for the default route."""
    prefix_length: int
    table: int
    """254 main, 255 local, 253 default."""
    type: str = "unicast"
    """As `ip route` prints it: `unicast`, `local`, `broadcast`, `anycast`, `blackhole`, ..."""
    interface: int = 0
    """Index of the outgoing interface; 0 when there is none or several (see `hops`)."""
    gateway: str = ""
    source: str = ""
    """Preferred source address."""
    metric: int = 0
    scope: int = 0
    tos: int = 0
    hops: tuple[int, ...] = ()
    """Indices of the outgoing interfaces of a route that shares its traffic among several."""
    only_from: str = ""
    """CIDR of the sources it is for (`from` of an IPv6 route); empty for any."""
    dead: bool = False
    """RTNH_F_DEAD: not used, as its link is down."""

    def __post_init__(self) -> None:
        ip_network((self.destination, self.prefix_length), strict=False)

    @property
    def interfaces(self) -> tuple[int, ...]:
        """Indices of every outgoing interface."""
        return self.hops or ((self.interface,) if self.interface else ())

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """The destination as a value."""
        return ip_network((self.destination, self.prefix_length), strict=False)


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True):
    """A routing policy rule (`ip rule`, rtnetlink(7) RTM_GETRULE)."""

    family: Family
    priority: int
    action: str = "lookup"
    """`lookup`, `goto`, `nop`, `blackhole`, `unreachable`, `prohibit`."""
    table: int = 0
    source: str = ""
    """CIDR; empty for any."""
    destination: str = ""
    """CIDR; empty for any."""
    in_interface: str = ""
    out_interface: str = ""
    mark: int = 0
    mark_mask: int = 0
    """0 when the mark is not looked at."""
    invert: bool = False
    l3mdev: bool = False
    suppress_prefix_length: int = -1
    goto: int = 0
    other: tuple[str, ...] = ()
    """Selectors that are present but not listed here (ports, protocol, uid range, ...)."""


class NetworkNamespace(msgspec.Struct, frozen=True, kw_only=True):
    """One network namespace and what is in it."""

    inode: int
    """Identity: the inode of `/proc/PID/ns/net` (namespaces(7))."""
    host: bool
    """Whether it is the namespace of the host itself (that of process 1, or our own)."""
    name: str = ""
    """Its name under `/run/netns`, or empty."""
    pid: int
    """A process in it, through which it was read."""
    listeners: Observed[tuple[Listener, ...]]
    interfaces: Observed[tuple[Interface, ...]]
    routes: Observed[tuple[Route, ...]]
    """All tables, `local` included."""
    policy_rules: Observed[tuple[PolicyRule, ...]]
    sysctls: Observed[dict[str, str]]
    """Keys below /proc/sys/net with dots, such as `ipv4.conf.all.rp_filter`; those that matter."""
    firewall: FirewallCapture
