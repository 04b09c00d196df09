"""Ollama in podman; the host's own server is off."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

SCENARIOS = [
    Scenario(
        name="podman-rootful",
        about="published by netavark: NAT, no firewall",
        setup="""
            with_podman >/dev/null
            podman run -d --name ollama -p 11434:11434 localhost/ollama >/dev/null
            sleep 0.3
        """,
        truth={"internet4 -> lan4": OPEN, "lan4 -> lan4": OPEN},
    ),
    Scenario(
        name="podman-rootful-loopback",
        about="published on 127.0.0.1 by netavark",
        setup="""
            with_podman >/dev/null
            podman run -d --name ollama -p 127.0.0.1:11434:11434 localhost/ollama >/dev/null
            sleep 0.3
        """,
        truth={"lan4 -> lan4": NOTHING},
    ),
    Scenario(
        name="podman-rootless",
        about="a user's container: an ordinary socket of rootlessport on the host",
        setup="""
            with_podman ada >/dev/null
            as ada podman run -d --name ollama -p 11434:11434 localhost/ollama
            until_open 11434
        """,
        truth={"lan4 -> lan4": OPEN, "internet4 -> lan4": OPEN},
    ),
    Scenario(
        name="podman-rootless-ufw",
        about="a user's container behind ufw: the host's INPUT decides",
        setup="""
            ufw --force enable >/dev/null
            with_podman ada >/dev/null
            as ada podman run -d --name ollama -p 11434:11434 localhost/ollama
            until_open 11434
        """,
        truth={"lan? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
]
