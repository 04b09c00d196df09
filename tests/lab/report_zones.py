"""Set the report's endpoints, zone by zone and family by family, against packets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.lab.scenario import LOGIN, OPEN, Cell
from tests.lab.truth import Truth

ZONES = {
    "lan4": "lan",
    "lan6": "lan",
    "internet4": "internet",
    "internet6": "internet",
    "vpn4": "vpn",
    "vpn6": "vpn",
    "box4": "container",
    "box6": "container",
    "docker4": "container",
    "next4": "lan",
}
"""Clients whose zone nobody can dispute; a neighbour on a public link is left out."""

PUBLIC = {"lan6", "public4", "public6"}
"""The host's addresses that the internet can send to by itself."""

SHUT = {"none", "absent"}
WHOLE = {"lan", "internet", "vpn"}
"""Zones of which every network has a client here; of containers there may be others."""


def zone_contradictions(report: Mapping[str, Any], measured: Mapping[Cell, Truth]) -> list[str]:
    """Where the report's zones are at odds with packets.

    A zone from which a client got through must not be shut at every endpoint, and a zone that is
    open as a whole at a port must let in at least one of its clients there.
    """
    through: set[tuple[str, str, int]] = set()
    for cell, truth in measured.items():
        if ZONES.get(cell.source.name) == "internet" and cell.name not in PUBLIC:
            continue  # only a router's translation brings the internet to a private address
        if cell.source.name in ZONES and truth.outcome in {OPEN, LOGIN}:
            through.add((ZONES[cell.source.name], _family(cell), cell.port.number))
    said = [
        (part["zone"], part["family"], endpoint["port"], part["extent"])
        for endpoint in report["endpoints"]
        for part in endpoint["reach"]
    ]
    found = []
    for zone, family in sorted({key[:2] for key in through}):
        extents = {extent for z, f, _, extent in said if (z, f) == (zone, family)}
        if extents <= SHUT and not report["gaps"]:
            found.append(f"false green: the report shuts out the {zone} over {family}")
    asked = {cell.port.number for cell in measured}
    found += [
        f"false red: the report opens port {port} to the {zone} over {family}"
        for zone, family, port, extent in said
        if extent == "all" and zone in WHOLE and port in asked
        if (zone, family, port) not in through
    ]
    return found


def _family(cell: Cell) -> str:
    return "ipv6" if ":" in cell.address else "ipv4"
