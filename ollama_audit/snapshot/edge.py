"""What stands between the host and the internet, as far as the host can tell or was told."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ollama_audit.observed import Observed, Unknown


class Cloud(StrEnum):
    """Whose virtual machine this is."""

    NONE = ""
    """Nobody's that is recognised."""
    AMAZON = "amazon"
    GOOGLE = "google"
    AZURE = "azure"
    DIGITALOCEAN = "digitalocean"
    HETZNER = "hetzner"
    OPENSTACK = "openstack"
    """One of many providers, or one's own."""
    ORACLE = "oracle"
    ALIBABA = "alibaba"
    SCALEWAY = "scaleway"
    VULTR = "vultr"


class Forwarding(msgspec.Struct, frozen=True, kw_only=True):
    """A translation of addresses beyond the host that leads to it."""

    external: str
    """The address at which clients beyond it ask; empty when that is not known."""
    external_port: int = 0
    """0 where every port is translated, as by a cloud's 1:1 NAT."""
    internal: str
    """Where their packets are sent: an address of this host, or of a neighbour."""
    internal_port: int = 0
    protocol: str = "tcp"
    """`tcp`, `udp` or, with every port, `any`."""
    remote: str = ""
    """The only client let through; empty for all."""
    enabled: bool = True
    description: str = ""
    """What whoever set it called it."""


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """The default gateway of the LAN, as it answered."""

    address: str
    external_address: Observed[str]
    """Its own address toward the internet."""
    forwardings: Observed[tuple[Forwarding, ...]]
    """What it lists (UPnP-IGD); those that were set by hand it need not list."""
    complete: bool = True
    """Whether it listed all that it would."""
    ipv6_firewall: Observed[bool] = Unknown("it was not asked", "UPnP-IGD")
    """Whether it says that its IPv6 firewall is on."""
    protocols: tuple[str, ...] = ()
    """By which programs on the LAN may have it forward a port: `UPnP-IGD`, `NAT-PMP`, `PCP`."""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The way from the host to the internet."""

    cloud: Observed[Cloud] = Unknown("an older version wrote this snapshot", "the snapshot")
    """The provider, by the machine's own description (DMI)."""
    public_addresses: Observed[tuple[Forwarding, ...]] | None = None
    """Of this machine, as the cloud's metadata service tells them; None when it was not asked."""
    router: Observed[Router] | None = None
    """What the LAN's router answered; None when it was not asked."""
