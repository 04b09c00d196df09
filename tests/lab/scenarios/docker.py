"""Ollama in Docker; the host's own server is off."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario, Source

NEIGHBOUR = Source(
    name="docker4", address="172.17.0.3", namespace="/run/lab/client", interface="docker0"
)
"""The second container of the default bridge; the server is the first, 172.17.0.2."""


def docker(  # noqa: PLR0913 - a row of a table
    name: str,
    about: str,
    publish: str,
    truth: dict[str, str],
    *,
    before: str = "",
    after: str = "",
    daemon: str = "",
    pending: str = "",
) -> Scenario:
    """A container of ollama/ollama run with these options, and a client container beside it."""
    setup = f"""
        {before}
        with_docker {daemon}
        docker run -d --name ollama {publish} ollama/ollama >/dev/null
        docker_client client
        {after}
        sleep 0.3
    """
    return Scenario(
        name=name,
        about=about,
        setup=setup,
        truth=truth,
        sources=(NEIGHBOUR,),
        pending=pending,
        addresses={"server": "172.17.0.2"},
    )


SCENARIOS = [
    docker(
        "docker-published",
        "-p 11434:11434: every address of the host",
        "-p 11434:11434",
        {"internet? -> lan?": OPEN, "self4 -> lo4": OPEN},
    ),
    docker(
        "docker-past-ufw",
        "published past a ufw that denies everything",
        "-p 11434:11434",
        {"internet4 -> lan4": OPEN, "lan4 -> lan4": OPEN},
        before="ufw --force enable >/dev/null",
    ),
    docker(
        "docker-on-loopback",
        "-p 127.0.0.1:11434:11434 with Docker 20.10",
        "-p 127.0.0.1:11434:11434",
        {"self4 -> lo4": OPEN, "lan4 -> lan4": NOTHING, "internet6 -> *": NOTHING},
    ),
    docker(
        "docker-on-one-address",
        "published on the LAN address only",
        "-p 192.168.77.10:11434:11434",
        {"lan4 -> lan4": OPEN, "uplink4 -> public4": NOTHING, "lan6 -> *": NOTHING},
    ),
    docker(
        "docker-user-chain",
        "DOCKER-USER drops the port but from the LAN",
        "-p 11434:11434",
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING},
        after="iptables -I DOCKER-USER ! -s 192.168.77.0/24 -p tcp -m conntrack "
        "--ctorigdstport 11434 --ctdir ORIGINAL -j DROP",
    ),
    docker(
        "docker-no-proxy",
        "userland-proxy off: only NAT carries the port",
        "-p 11434:11434",
        {"internet4 -> lan4": OPEN},
        daemon="'{\"userland-proxy\": false}'",
    ),
    docker(
        "docker-unpublished",
        "not published: the bridge alone, and whoever routes to it",
        "",
        {"docker4 -> server": OPEN, "lan4 -> lan4": NOTHING},
    ),
    Scenario(
        name="docker-host-network",
        about="--network host: the image's 0.0.0.0 is the host's",
        setup="""
            with_docker
            docker run -d --network host ollama/ollama >/dev/null; until_open 11434
        """,
        truth={"internet? -> lan?": OPEN, "self4 -> lo4": OPEN},
    ),
    Scenario(
        name="docker-host-network-ufw",
        about="--network host behind ufw: the host's rules hold here",
        setup="""
            ufw --force enable >/dev/null
            with_docker
            docker run -d --network host ollama/ollama >/dev/null; until_open 11434
        """,
        truth={"internet? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
]
