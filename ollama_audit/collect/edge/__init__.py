"""Questions to the cloud's metadata service and to the LAN's router, for those who ask for them.

The only packets of this program that leave the host. Nothing is sent but by the options
`--cloud-metadata` and `--ask-router`, to 169.254.169.254 and to the default gateway alone.
"""

from __future__ import annotations

from enum import StrEnum


class Beyond(StrEnum):
    """Whom to ask beyond the host; by the option that allows it."""

    CLOUD_METADATA = "--cloud-metadata"
    ASK_ROUTER = "--ask-router"
