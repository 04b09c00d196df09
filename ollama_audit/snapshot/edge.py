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


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The way from the host to the internet."""

    cloud: Observed[Cloud] = Unknown("an older version wrote this snapshot", "the snapshot")
    """The provider, by the machine's own description (DMI)."""
