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


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The way from the host to the internet."""

    cloud: Observed[Cloud] = Unknown("an older version wrote this snapshot", "the snapshot")
    """The provider, by the machine's own description (DMI)."""
    public_addresses: Observed[tuple[Forwarding, ...]] | None = None
    """Of this machine, as the cloud's metadata service tells them; None when it was not asked."""
