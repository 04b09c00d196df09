"""Where Ollama's own socket is bound, and nothing in front of it."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

SHUT_OUTSIDE = {
    "lan? -> *": NOTHING,
    "internet? -> *": NOTHING,
    "uplink? -> *": NOTHING,
    "vpn? -> *": NOTHING,
    "box? -> *": NOTHING,
}
OPEN_OUTSIDE = {
    "lan? -> lan?": OPEN,
    "internet? -> lan?": OPEN,
    "uplink? -> public?": OPEN,
    "vpn? -> vpn?": OPEN,
    "box? -> box?": OPEN,
}

SCENARIOS = [
    Scenario(
        name="as-installed",
        about="the installer's unit, untouched: 127.0.0.1 only",
        truth={"self4 -> lo4": OPEN, "own4 -> lo4": OPEN, "self6 -> lo6": NOTHING, **SHUT_OUTSIDE},
        findings={"listens-beyond-loopback": "pass"},
    ),
    Scenario(
        name="all-addresses",
        about="OLLAMA_HOST=0.0.0.0 in a drop-in: one dual-stack socket, no firewall",
        setup="ollama_host 0.0.0.0; until_open 11434",
        truth={**OPEN_OUTSIDE, "lan4 -> lo4": NOTHING},
        findings={"listens-beyond-loopback": "fail", "reachable-from-internet": "fail"},
    ),
    Scenario(
        name="environment-file",
        about="OLLAMA_HOST=:11434 from an EnvironmentFile",
        setup="""
            echo 'OLLAMA_HOST=:11434' >/etc/default/ollama
            mkdir -p /etc/systemd/system/ollama.service.d
            printf '[Service]\\nEnvironmentFile=/etc/default/ollama\\n' \\
              >/etc/systemd/system/ollama.service.d/env.conf
            systemctl daemon-reload; systemctl restart ollama; until_open 11434
        """,
        truth=OPEN_OUTSIDE,
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="scheme-and-space",
        about="Ollama trims spaces and takes a scheme; peers that match prefixes do not",
        setup="ollama_host ' http://0.0.0.0:11434/ '; until_open 11434",
        truth=OPEN_OUTSIDE,
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="lan-address-only",
        about="bound to the LAN address alone: IPv6, VPN and public address stay shut",
        setup="ollama_host 192.168.77.10; until_open 11434 192.168.77.10",
        truth={
            "lan4 -> lan4": OPEN,
            "self4 -> lo4": NOTHING,
            "uplink4 -> public4": NOTHING,
            "internet6 -> *": NOTHING,
        },
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="public-ipv6-only",
        about="bound to a global IPv6 address: nothing of it shows in IPv4",
        setup="ollama_host '[2001:db8:77::10]:11434'; until_open 11434 2001:db8:77::10",
        truth={"internet6 -> lan6": OPEN, "internet4 -> *": NOTHING, "self4 -> lo4": NOTHING},
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="loopback-6",
        about="bound to ::1",
        setup="ollama_host '[::1]'; until_open 11434 ::1",
        truth={"self6 -> lo6": OPEN, "self4 -> lo4": NOTHING, **SHUT_OUTSIDE},
        findings={"listens-beyond-loopback": "pass"},
    ),
    Scenario(
        name="other-port",
        about="on port 8080, where nobody looks for Ollama",
        setup="ollama_host 0.0.0.0:8080; until_open 8080",
        ports=(8080, 11434),
        truth={"lan4 -> lan4:8080": OPEN, "lan4 -> lan4:11434": NOTHING},
        findings={"listens-beyond-loopback": "fail"},
    ),
    Scenario(
        name="route-localnet",
        about="route_localnet=1 lets neighbours in to a 127.0.0.1 listener by its link address",
        setup="sysctl -qw net.ipv4.conf.all.route_localnet=1; until_open 11434",
        truth={
            "lan4 -> lo4": OPEN,
            "internet4 -> lo4": OPEN,
            "lan6 -> *": NOTHING,
            "lan4 -> lan4": NOTHING,
        },
    ),
    Scenario(
        name="strict-reverse-path",
        about="rp_filter=1: what comes in by a link that the answer would not leave by is dropped",
        setup="""
            ollama_host 0.0.0.0; until_open 11434
            sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth1.rp_filter=1
        """,
        truth={"internet4 -> lan4": OPEN, "uplink4 -> *": NOTHING, "near4 -> public4": OPEN},
    ),
]
