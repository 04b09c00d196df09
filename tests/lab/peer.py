"""Ask llm-host-guard, the nearest peer, and read its host-wide findings as answers to cells.

The peer says one thing about a port, not one about a client. It is read as kindly as its words
allow: its `ports` check decides a port by bind address and its own probe; a scope that it found in
ufw is taken as exactly that scope; what `docker` says of a published port decides that port. A port
that it calls loopback-only, or does not mention, it takes to be shut to everybody but the host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from tests.lab.audit import Said
from tests.lab.host import Host
from tests.lab.outer import LabError
from tests.lab.scenario import Cell
from tests.lab.truth import Truth

OPEN = Said("yes", "none")
SHUT = Said("no", "unknown")
UNKNOWN = Said("unknown", "unknown")


def ask_peer(host: Host, measured: Mapping[Cell, Truth]) -> dict[Cell, Said]:
    """What the peer's report, run as root, says of each cell.

    Raises:
        LabError: It printed no report.
    """
    done = host.run("cd /tmp && llm-host-guard --json", check=False, timeout=120)
    try:
        findings = json.loads(done.out)["findings"]
    except (ValueError, KeyError) as error:
        raise LabError(f"llm-host-guard ended with {done.code}: {done.err[-1000:]}") from error
    return {cell: _said(cell, findings) for cell in measured}


def _said(cell: Cell, findings: list[dict[str, Any]]) -> Said:
    spoken = [f for f in findings if _port(f) == cell.port.number]
    if not cell.source.interface:
        return _to_itself(cell, spoken)
    if cell.name.startswith("lo"):
        return SHUT
    docker = [f for f in spoken if f["check"] == "docker"]
    if docker:
        return SHUT if docker[0]["severity"] == "LOW" else OPEN
    ports = [f for f in spoken if f["check"] == "ports"]
    return _by_ports(cell, ports[0]) if ports else SHUT


def _to_itself(cell: Cell, spoken: list[dict[str, Any]]) -> Said:
    """It says nothing of the host's own programs; loopback-only is taken to be open to them."""
    if spoken:
        return OPEN
    return OPEN if cell.name == "lo4" and cell.port.number == 11434 else SHUT


def _port(finding: dict[str, Any]) -> int | None:
    evidence = finding.get("evidence") or {}
    return evidence.get("port") if isinstance(evidence, dict) else None


def _by_ports(cell: Cell, finding: dict[str, Any]) -> Said:
    if "bound to non-loopback" in finding["title"]:
        return (
            UNKNOWN  # "Probe did not confirm an open API (auth, non-HTTP, or firewall in the way)"
        )
    scopes = [s for s in finding["evidence"].get("ufw_sources", []) if re.search(r"[.:]", s)]
    if not scopes:
        return OPEN
    source = ip_address(cell.source.address)
    inside = any(source in ip_network(scope, strict=False) for scope in scopes)
    return OPEN if inside else SHUT
