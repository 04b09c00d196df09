"""What the LAN's router forwards, asked of the router itself.

Only for `--ask-router`, and only at the address of the default gateway: a search for its UPnP
description sent to it alone (UPnP Device Architecture 1.1, 1.3.3: unicast M-SEARCH), NAT-PMP's
question for the external address (RFC 6886, 3.2) and PCP's announcement (RFC 6887, 14.1), which
change nothing. PCP's and NAT-PMP's own mappings cannot be listed by others (RFC 6887, 11).
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from msgspec.structs import replace

from ollama_audit.collect.edge.igd import Gateway, read_gateway
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.edge import Router
from ollama_audit.snapshot.network import Family, NetworkNamespace

LIMIT_S = 3.0
"""For everything that the router is asked."""
_TRIES_S = (0.0, 0.3, 0.9)
"""When to send each question: the first datagram may be lost while the address is looked up."""
_WAIT_S = 1.5
"""How long to wait for the first answers."""

_PRIVATE = [
    IPv4Network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
]
"""RFC 1918 and RFC 3927."""
_ETHERNET = 1
"""ARPHRD_ETHER (linux/if_arp.h); tunnels and VPNs have others."""
_SSDP, _PORT_CONTROL = 1900, 5351
_TARGET = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
_NAT_PMP = bytes(2)
_NAT_PMP_ANSWER = struct.Struct("!BBHI4s")


def read_router(host: NetworkNamespace) -> Observed[Router]:
    """What the default gateway says of itself, asked from the calling thread's namespace."""
    gateway = default_gateway(host)
    if isinstance(gateway, Unknown):
        return gateway
    deadline = time.monotonic() + LIMIT_S
    try:
        heard = _ask(gateway.value, deadline)
    except OSError as error:
        return Unknown(f"it cannot be asked: {error.strerror or error}", gateway.value)
    upnp = read_gateway(gateway.value, heard.location, deadline) if heard.location else _silent()
    protocols = [*(["UPnP-IGD"] if isinstance(upnp.forwardings, Known) else []), *heard.protocols]
    if not (heard.location or protocols):
        reason = f"the router {gateway.value} answers neither UPnP, NAT-PMP nor PCP"
        return Unknown(reason, gateway.value)
    told = upnp.external_address
    if isinstance(told, Unknown) and heard.external:
        told = Known(heard.external, "NAT-PMP")
    listed = upnp.forwardings
    if isinstance(listed, Known):
        external = known_or(told, "")
        listed = Known(
            tuple(replace(each, external=external) for each in listed.value), listed.source
        )
    router = Router(
        address=gateway.value,
        external_address=told,
        forwardings=listed,
        complete=upnp.complete,
        ipv6_firewall=upnp.ipv6_firewall,
        protocols=tuple(protocols),
    )
    return Known(router, gateway.value)


def default_gateway(host: NetworkNamespace) -> Observed[str]:
    """The IPv4 gateway of the best default route, if it is a LAN's.

    One with a public address is a provider's and not asked.
    """
    if isinstance(host.routes, Unknown):
        return host.routes
    found = [
        route
        for route in host.routes.value
        if route.family is Family.IPV4 and route.type == "unicast" and not route.dead
        if not route.prefix_length and route.gateway and route.table == 254
    ]
    if not found:
        return Unknown("there is no default gateway", host.routes.source)
    best = min(found, key=lambda route: route.metric)
    gateway = best.gateway
    if not any(IPv4Address(gateway) in network for network in _PRIVATE):
        return Unknown(f"{gateway} is no router of a private network", host.routes.source)
    links = known_or(host.interfaces, ())
    if any(link.index == best.interface and link.type != _ETHERNET for link in links):
        return Unknown(f"{gateway} is the far end of a tunnel", host.routes.source)
    if any(own.address == gateway for link in links for own in link.addresses):
        return Unknown(f"{gateway} is this host itself", host.routes.source)
    return Known(gateway, host.routes.source)


def _silent() -> Gateway:
    """What is known of a router without UPnP."""
    why = Unknown("it does not answer UPnP", "UPnP-IGD")
    return Gateway(external_address=why, forwardings=why)


@dataclass(slots=True)
class _Heard:
    """What came back by UDP."""

    location: str = ""
    """Of the UPnP description."""
    external: str = ""
    nat_pmp: bool = False
    pcp: bool = False

    @property
    def protocols(self) -> list[str]:
        """The protocols besides UPnP that were answered."""
        answered = (("NAT-PMP", self.nat_pmp), ("PCP", self.pcp))
        return [name for name, heard in answered if heard]

    @property
    def everything(self) -> bool:
        """Whether there is nothing left to wait for."""
        return bool(self.location) and self.nat_pmp and self.pcp


def _ask(gateway: str, deadline: float) -> _Heard:
    """Send the three questions and gather the answers that come from the gateway."""
    heard = _Heard()
    until = min(deadline, time.monotonic() + _WAIT_S)
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with (
        socket.socket(socket.AF_INET, kind) as search,
        socket.socket(socket.AF_INET, kind) as control,
    ):
        # An answer to the search may come from another port, so that socket stays unconnected.
        control.connect((gateway, _PORT_CONTROL))
        own = control.getsockname()[0]
        times = [time.monotonic() + after for after in _TRIES_S]
        while (now := time.monotonic()) < until and not heard.everything:
            if times and now >= times[0]:
                times.pop(0)
                _send(gateway, search, control, own)
            wait = min([until, *times[:1]]) - time.monotonic()
            for ready in select.select([search, control], [], [], max(0.0, wait))[0]:
                _receive(ready, gateway, heard)
            if heard.location and not times:
                break  # the others have had three chances
    return heard


def _send(gateway: str, search: socket.socket, control: socket.socket, own: str) -> None:
    question = (
        f'M-SEARCH * HTTP/1.1\r\nHOST: {gateway}:{_SSDP}\r\nMAN: "ssdp:discover"\r\n'
        f"MX: 1\r\nST: {_TARGET}\r\n\r\n"
    )
    search.sendto(question.encode("ascii"), (gateway, _SSDP))
    # PCP: version 2, opcode ANNOUNCE, no lifetime, the client's address as IPv4-mapped IPv6.
    announce = struct.pack("!BBHI", 2, 0, 0, 0) + bytes(10) + b"\xff\xff" + socket.inet_aton(own)
    for datagram in (_NAT_PMP, announce):
        try:
            control.send(datagram)
        except ConnectionRefusedError:  # the port was closed when it was tried before
            continue


def _receive(ready: socket.socket, gateway: str, heard: _Heard) -> None:
    try:
        data, (sender, *_) = ready.recvfrom(4096)
    except OSError:
        return  # an ICMP error in answer to an earlier datagram
    if sender != gateway:
        return
    if data.startswith(b"HTTP/1.1 200"):
        heard.location = heard.location or _location(data)
    elif data[:2] == b"\x00\x80" and len(data) >= _NAT_PMP_ANSWER.size:
        _, _, result, _, address = _NAT_PMP_ANSWER.unpack_from(data)
        if not result:
            heard.nat_pmp = True
            heard.external = str(IPv4Address(address)) if any(address) else ""
    elif data[:2] == b"\x02\x80" and len(data) >= 24 and not data[3]:
        heard.pcp = True


def _location(answer: bytes) -> str:
    for line in answer.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            return value.strip()
    return ""
