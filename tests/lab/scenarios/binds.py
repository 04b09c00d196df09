"""Where Ollama's own socket is bound, and nothing in front of it."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

SCENARIOS = [
    Scenario(
        name="as-installed",
        about="the installer's unit, untouched: 127.0.0.1 only",
        truth={
            "self4 -> lo4": OPEN,
            "own4 -> lo4": OPEN,
            "self6 -> lo6": NOTHING,
            "lan? -> *": NOTHING,
            "internet? -> *": NOTHING,
            "box? -> *": NOTHING,
        },
    ),
    Scenario(
        name="all-addresses",
        about="OLLAMA_HOST=0.0.0.0 in a drop-in: one dual-stack socket, no firewall",
        setup="ollama_host 0.0.0.0",
        truth={
            "lan4 -> lan4": OPEN,
            "lan6 -> lan6": OPEN,
            "internet? -> lan?": OPEN,
            "uplink? -> public?": OPEN,
            "vpn? -> vpn?": OPEN,
            "box? -> box?": OPEN,
            "lan4 -> lo4": NOTHING,
        },
    ),
]
