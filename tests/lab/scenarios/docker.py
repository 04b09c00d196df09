"""Ollama in Docker; the host's own server is off."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario, Source

NEIGHBOUR = Source(
    name="docker4", address="172.17.0.3", namespace="/run/lab/client", interface="docker0"
)
"""The second container of the default bridge; the server is the first, 172.17.0.2."""

NEXT = Source(name="next4", address="192.168.77.1", namespace="world", interface="")
"""A machine on the LAN that sends to its neighbours itself; the others send all to the host."""


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
    docker(
        "docker-iptables-off",
        "iptables off in daemon.json: the proxy's own sockets, and so ufw, decide",
        "-p 11434:11434",
        {"self4 -> lo4": OPEN, "lan? -> *": NOTHING, "internet? -> *": NOTHING},
        before="ufw --force enable >/dev/null",
        daemon="'{\"iptables\": false}'",
    ),
    docker(
        "docker-default-address",
        "-p 11434:11434 where daemon.json publishes on 127.0.0.1",
        "-p 11434:11434",
        {"self4 -> lo4": OPEN, "lan4 -> lan4": NOTHING},
        daemon='\'{"ip": "127.0.0.1"}\'',
    ),
    Scenario(
        name="docker-macvlan",
        about="a macvlan network: the container is a machine of its own on the LAN",
        setup="""
            ufw --force enable >/dev/null
            with_docker
            docker network create -d macvlan --subnet 192.168.77.0/24 --gateway 192.168.77.1 \\
              -o parent=eth0 lan >/dev/null
            docker run -d --name ollama --network lan --ip 192.168.77.200 ollama/ollama >/dev/null
            nsenter -t "$(docker inspect -f '{{.State.Pid}}' ollama)" -n ip neigh replace \\
              192.168.77.1 lladdr 02:00:00:00:77:01 dev eth0 nud permanent
            sleep 0.5
        """,
        truth={"next4 -> own": OPEN, "self4 -> own": NOTHING, "next4 -> lan4": NOTHING},
        addresses={"own": "192.168.77.200"},
        sources=(NEXT,),
    ),
    Scenario(
        name="docker-behind-nginx",
        about="nginx in a container, published, before Ollama in another that is not",
        setup="""
            with_docker
            nginx_image
            docker network create web >/dev/null
            docker run -d --name ollama --network web ollama/ollama >/dev/null
            docker run -d --name proxy --network web -p 8080:80 nginx >/dev/null
            until_open 8080
        """,
        ports=(8080, 11434),
        truth={"lan4 -> lan4:8080": OPEN, "internet4 -> lan4:8080": OPEN, "* -> *:11434": NOTHING},
    ),
    Scenario(
        name="docker-host-port",
        about="a service of a swarm that publishes on its own node (mode host)",
        setup="""
            with_docker
            docker swarm init --advertise-addr 192.168.77.10 >/dev/null
            docker service create -q --detach --name ai \\
              --publish mode=host,published=11434,target=11434 ollama/ollama >/dev/null
            until_open 11434
        """,
        truth={"lan4 -> lan4": OPEN},
    ),
]
