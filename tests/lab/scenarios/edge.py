"""Hosts by what stands between them and the internet: a router, a carrier, nothing.

The lab's `internet4` gets to private addresses because the lab routes it; outside, only a
translation that leads there would bring it. The report's zones are judged by that.
"""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

NO_UPLINK = ("near4", "uplink4", "uplink6", "public4", "public6")
NO_VPN = ("vpn4", "vpn6")

SCENARIOS = [
    Scenario(
        name="private-ipv4-only",
        about="at home behind a router: one private IPv4 address, no IPv6",
        setup="""
            ip link del eth1; ip link del tun0
            sysctl -qw net.ipv6.conf.all.disable_ipv6=1
            ollama_host 0.0.0.0; until_open 11434
        """,
        without=(*NO_UPLINK, *NO_VPN, "lan6", "internet6", "box6", "self6", "own6", "lo6"),
        truth={"lan4 -> lan4": OPEN, "lan4 -> lo4": NOTHING},
        findings={"reachable-from-internet": "pass", "reachable-from-lan": "fail"},
    ),
    Scenario(
        name="carrier-translation",
        about="a carrier's address (CGNAT) on the uplink, and global IPv6 that nobody thought of",
        setup="""
            ip -4 address flush dev eth1
            ip address add 100.70.1.10/24 dev eth1
            ip neighbour replace 100.70.1.1 lladdr 02:00:00:01:00:01 dev eth1 nud permanent
            ip route replace default via 100.70.1.1 dev eth1
            ollama_host 0.0.0.0; until_open 11434
        """,
        without=("public4",),
        addresses={"carrier4": "100.70.1.10"},
        truth={"uplink4 -> carrier4": OPEN, "internet6 -> lan6": OPEN, "lan4 -> lan4": OPEN},
        findings={"reachable-from-internet": "fail", "ipv6-open-ipv4-shut": "fail"},
    ),
    Scenario(
        name="ipv6-only",
        about="no IPv4 but loopback's: the internet comes by IPv6 alone",
        setup="""
            ip link del eth1; ip link del tun0
            ip -4 address flush dev eth0
            ollama_host 0.0.0.0; until_open 11434
        """,
        without=(*NO_UPLINK, *NO_VPN, "lan4", "internet4", "own4"),
        truth={"internet6 -> lan6": OPEN, "self4 -> lo4": OPEN},
        findings={"reachable-from-internet": "fail", "ipv6-open-ipv4-shut": "pass"},
    ),
]
