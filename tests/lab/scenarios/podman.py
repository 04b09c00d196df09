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
    Scenario(
        name="podman-rootless-loopback",
        about="a user's container published on 127.0.0.1, on another port",
        setup="""
            with_podman ada >/dev/null
            as ada podman run -d --name ollama -p 127.0.0.1:8080:11434 localhost/ollama
            until_open 8080
        """,
        ports=(8080, 11434),
        truth={"self4 -> lo4:8080": OPEN, "lan? -> *": NOTHING, "* -> *:11434": NOTHING},
    ),
    Scenario(
        name="podman-rootless-slirp",
        about="a user's container whose ports slirp4netns forwards itself",
        setup="""
            with_podman ada >/dev/null
            as ada podman run -d --name ollama --network slirp4netns:port_handler=slirp4netns \\
              -p 11434:11434 localhost/ollama
            until_open 11434
        """,
        truth={"lan4 -> lan4": OPEN},
    ),
    Scenario(
        name="podman-rootless-network",
        about="a user's container in a network of podman's own, inside a namespace of the user's",
        setup="""
            with_podman ada >/dev/null
            as ada podman network create ai
            as ada podman run -d --name ollama --network ai -p 11434:11434 localhost/ollama
            until_open 11434
        """,
        truth={"lan4 -> lan4": OPEN},
    ),
    Scenario(
        name="podman-rootless-host-network",
        about="a user's container with --network host, behind ufw",
        setup="""
            ufw --force enable >/dev/null
            with_podman ada >/dev/null
            as ada podman run -d --name ollama --network host localhost/ollama
            until_open 11434
        """,
        truth={"lan? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
    Scenario(
        name="podman-rootless-pod",
        about="a pod whose port another container than Ollama's holds the network for",
        setup="""
            with_podman ada >/dev/null
            as ada podman pod create --name ai -p 11434:11434 --infra-image localhost/ollama \\
              --infra-command "/usr/bin/sleep infinity"
            as ada podman run -d --pod ai --name ollama localhost/ollama
            until_open 11434
        """,
        truth={"lan4 -> lan4": OPEN},
    ),
    Scenario(
        name="pasta",
        about="pasta(1) forwards a port of the host into a namespace of a user's",
        setup="""
            systemctl disable -q --now ollama
            [ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
            chmod 666 /dev/net/tun
            setsid -f su - ada -c 'OLLAMA_HOST=0.0.0.0 exec \\
              pasta --config-net -t 8080:11434 -- /usr/local/bin/ollama serve' >/dev/null 2>&1
            until_open 8080
        """,
        ports=(8080, 11434),
        truth={"lan4 -> lan4:8080": OPEN, "internet4 -> lan4:8080": OPEN},
    ),
]
