"""IPv6 is open where IPv4 is shut.

## What it checks

No way to Ollama lets a network in by IPv6 that it keeps out, or lets in only in part, by IPv4. Nor
the internet by a global IPv6 address, where by IPv4 only the local network comes as far as here.

## Why it matters

Nobody does that on purpose. It happens when a firewall was set up for IPv4 alone, or when a
router's translation was taken for one, and it is easily overlooked: `OLLAMA_HOST=0.0.0.0` opens
IPv6 as well, and IPv6 addresses are often public, with no translation in front of them.

## Fix by hand

Give IPv6 the same rules. With ufw, set `IPV6=yes` in `/etc/default/ufw` and run
`sudo ufw reload`. With nftables, use a table of family `inet` instead of `ip`. With iptables, add
the same rules with `ip6tables`. Or let Ollama listen on 127.0.0.1 only.

## Limits

Ways that ask for a login are left out. That a host has no IPv4 at all is not a failure. A router's
IPv6 firewall, which may keep the internet out, cannot be seen from the host.

## References

- CWE-1327: Binding to an Unrestricted IP Address
- NIST CSF 2.0 PR.IR-01
- NIST SP 800-53 SC-7(5), CM-7
- CIS Controls v8.1 4.4 Implement and Manage a Firewall on Servers
- BSI NET.3.2.A17 Deaktivierung von IPv4 oder IPv6
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from ollama_audit.rule import (
    Evidence,
    Extent,
    Family,
    Host,
    Login,
    Outcome,
    Severity,
    Unknown,
    Zone,
    ZoneReach,
    as_unknown,
    failed,
    known_or,
    need,
    not_applicable,
    passed,
    rule,
    spelled,
    unread,
    unseen,
)

_UNADDRESSED = ZoneReach(
    zone=Zone.INTERNET,
    family=Family.IPV4,
    extent=Extent.NONE,
    because=("no public IPv4 address leads here",),
)
"""How the internet comes by IPv4 to a host with private addresses: not by itself."""

_WIDTH = {Extent.NONE: 0, Extent.SOME: 1, Extent.ALL: 2}


@rule(severity=Severity.HIGH, cause="listens-beyond-loopback")
def ipv6_open_ipv4_shut(host: Host) -> Outcome:
    """Compare the families for every port and zone."""
    wider: dict[Evidence, int] = {}
    doubts: list[Unknown] = []
    for namespace, port, zone, v4, v6 in _pairs(host):
        surely = _surely(v4), _surely(v6)
        if None not in surely:
            if _WIDTH[v6.extent] > _WIDTH[v4.extent] and not _same_link(host, namespace, v4, v6):
                wider |= {_evidence(port, zone, part): port for part in (v4, v6)}
        elif v4.extent is not Extent.ALL and v6.extent is not Extent.NONE:
            vague = v4 if surely[0] is None else v6
            why = "; ".join(vague.because) or "the deciding rule is not understood"
            reason = (
                f"who of {zone.who} gets to port {port} by {vague.family.label} is not known: {why}"
            )
            doubts.append(Unknown(reason, f"port {port}", vague.cure))
    if wider:
        ports = ", ".join(dict.fromkeys(evidence.source for evidence in wider))
        return failed(
            f"IPv6 lets in to {ports} whom IPv4 keeps out",
            tuple(wider),
            endpoints=(e.id for e in host.exposure.endpoints if e.port in wider.values()),
        )
    doubts += [*map(as_unknown, host.exposure.gaps), *unseen(host.snapshot)]
    if doubts:
        return unread(*doubts)
    if not need(host.snapshot.servers) and not host.exposure.endpoints:
        return not_applicable("no Ollama server is running")
    return passed("IPv6 lets nobody in to Ollama whom IPv4 keeps out")


def _same_link(host: Host, inode: int, v4: ZoneReach, v6: ZoneReach) -> bool:
    """Whether those whom IPv6 lets in are but the neighbours on links that IPv4 lets in whole.

    A link-local address is a neighbour's; the zone may have other links, where only IPv4 is.
    """
    if not all(network.startswith("fe80:") for network in v6.networks):
        return False
    let_in = [*map(ip_network, v4.networks)]
    links = [
        address.network
        for namespace in known_or(host.snapshot.namespaces, ())
        for interface in known_or(namespace.interfaces, ())
        if namespace.inode == inode and interface.name in v6.interfaces
        for address in interface.addresses
        if address.family is Family.IPV4
    ]
    return bool(links) and all(
        any(link.subnet_of(wide) for wide in let_in if isinstance(wide, IPv4Network))
        for link in links
        if isinstance(link, IPv4Network)
    )


def _surely(part: ZoneReach) -> int | None:
    """How wide it is open, None when that is not known."""
    return None if part.uncertain else _WIDTH.get(part.extent)


def _pairs(host: Host) -> Iterator[tuple[int, int, Zone, ZoneReach, ZoneReach]]:
    """For each namespace, port and zone beyond the host, the widest IPv4 and the widest IPv6 entry.

    Sockets of one port in one namespace count together, because Docker and others open one for
    each family.
    """
    widest: dict[tuple[int, int, Zone, Family], ZoneReach] = {}
    for endpoint in host.exposure.endpoints:
        if endpoint.login is Login.REQUIRED or not endpoint.address:
            continue
        for part in endpoint.reach:
            if part.zone is Zone.HOST or part.extent is Extent.ABSENT:
                continue
            key = endpoint.namespace, endpoint.port, part.zone, part.family
            if key not in widest or _rank(part) > _rank(widest[key]):
                widest[key] = part
    for namespace, port in dict.fromkeys(key[:2] for key in widest):
        lan = widest.get((namespace, port, Zone.LAN, Family.IPV4))
        if lan is not None and lan.open:
            widest.setdefault((namespace, port, Zone.INTERNET, Family.IPV4), _UNADDRESSED)
    for (namespace, port, zone, family), v4 in widest.items():
        v6 = widest.get((namespace, port, zone, Family.IPV6))
        if family is Family.IPV4 and v6 is not None:
            yield namespace, port, zone, v4, v6


def _rank(part: ZoneReach) -> int:
    """Order by how much gets through at most."""
    return [Extent.NONE, Extent.SOME, Extent.UNKNOWN, Extent.ALL].index(part.extent)


def _evidence(port: int, zone: Zone, part: ZoneReach) -> Evidence:
    who = spelled(part.networks, part.more_networks) or "nobody"
    because = "; ".join(part.because) or "no rule"
    return Evidence(
        f"port {port}", f"{part.family.label} from {zone.who}: {who} gets in ({because})"
    )
