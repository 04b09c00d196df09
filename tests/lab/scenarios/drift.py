"""What runs is not what is configured, and servers nobody manages."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

SCENARIOS = [
    Scenario(
        name="edited-not-restarted",
        about="the drop-in says 0.0.0.0, the running service is older",
        setup="""
            mkdir -p /etc/systemd/system/ollama.service.d
            printf '[Service]\\nEnvironment="OLLAMA_HOST=0.0.0.0"\\n' \\
              >/etc/systemd/system/ollama.service.d/override.conf
            systemctl daemon-reload; until_open 11434
        """,
        truth={"self4 -> lo4": OPEN, "lan? -> *": NOTHING},
    ),
    Scenario(
        name="closed-not-restarted",
        about="the drop-in says 127.0.0.1 now, but the open server still runs",
        setup="""
            ollama_host 0.0.0.0; until_open 11434
            printf '[Service]\\nEnvironment="OLLAMA_HOST=127.0.0.1"\\n' \\
              >/etc/systemd/system/ollama.service.d/override.conf
            systemctl daemon-reload
        """,
        truth={"lan? -> lan?": OPEN},
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="users-own-server",
        about="the service on loopback, and beside it a user's own server on every address",
        setup="as ada env OLLAMA_HOST=0.0.0.0:12345 bash -c 'ollama serve &'; until_open 12345",
        ports=(11434, 12345),
        truth={"lan? -> lan?:12345": OPEN, "lan? -> *:11434": NOTHING, "self4 -> lo4": OPEN},
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="stopped",
        about="installed, enabled, not running",
        setup="systemctl stop ollama",
        truth={"self4 -> *": NOTHING, "lan4 -> *": NOTHING},
    ),
    Scenario(
        name="other-namespace",
        about="a server in a network namespace of its own, with an address of the container bridge",
        setup="""
            systemctl disable -q --now ollama
            ip netns add cage
            ip link add cage0 type veth peer name eth0 netns cage
            ip link set cage0 master br0 up
            ip -n cage address add 172.30.0.9/24 dev eth0
            ip -n cage link set lo up; ip -n cage link set eth0 up
            ip -n cage route add default via 172.30.0.1
            sysctl -qw net.ipv4.ip_forward=1
            systemd-run -q --unit=caged -p NetworkNamespacePath=/run/netns/cage \\
              -p User=ollama -E HOME=/usr/share/ollama -E OLLAMA_HOST=0.0.0.0 \\
              /usr/local/bin/ollama serve
            until_open 11434 172.30.0.9
        """,
        addresses={"cage": "172.30.0.9"},
        truth={
            "box4 -> cage": OPEN,
            "self4 -> lo4": NOTHING,
            "lan4 -> cage": OPEN,
            "lan4 -> lan4": NOTHING,
        },
    ),
    Scenario(
        name="unprivileged-audit",
        about="as an ordinary user the packet filter cannot be read: unknown, never yes or no",
        setup="ollama_host 0.0.0.0; until_open 11434; ufw --force enable",
        user="ada",
        truth={"lan4 -> lan4": NOTHING, "self4 -> lo4": OPEN},
    ),
]
