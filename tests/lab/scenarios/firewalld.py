"""firewalld, the firewall of Fedora, RHEL and openSUSE; Ollama on every address."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario


def firewalld(name: str, about: str, rules: str, truth: dict[str, str]) -> Scenario:
    """Ollama on every address, firewalld running, then these runtime changes."""
    setup = f"""
        ollama_host 0.0.0.0
        systemctl start firewalld
        until_open 11434
        firewall() {{ firewall-cmd -q "$@"; }}
        {rules}
    """
    return Scenario(name=name, about=about, setup=setup, truth=truth)


SCENARIOS = [
    firewalld(
        "firewalld-stock",
        "zone public: ssh and dhcpv6 only",
        "",
        {"lan? -> *": NOTHING, "internet? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
    firewalld(
        "firewalld-port",
        "the port added to the default zone",
        "firewall --add-port=11434/tcp",
        {"internet? -> lan?": OPEN, "vpn? -> vpn?": OPEN},
    ),
    firewalld(
        "firewalld-interface-trusted",
        "the LAN's interface in zone trusted",
        "firewall --zone=trusted --change-interface=eth0",
        {"lan? -> lan?": OPEN, "internet? -> lan?": OPEN, "uplink? -> *": NOTHING},
    ),
    firewalld(
        "firewalld-source-zone",
        "a zone by source beats the zone of the interface",
        """
                firewall --zone=home --add-source=192.168.77.0/24
                firewall --zone=home --add-port=11434/tcp
              """,
        {"lan4 -> lan4": OPEN, "lan6 -> *": NOTHING, "internet4 -> *": NOTHING},
    ),
    firewalld(
        "firewalld-rich-rule",
        "a rich rule for one neighbour",
        "firewall --add-rich-rule='rule family=ipv4 source address=192.168.77.20 "
        "port port=11434 protocol=tcp accept'",
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING, "lan6 -> *": NOTHING},
    ),
    firewalld(
        "firewalld-panic",
        "panic mode drops everything",
        "firewall --panic-on",
        {"lan? -> *": NOTHING, "vpn? -> *": NOTHING},
    ),
    Scenario(
        name="firewalld-forward-port",
        about="port 80 forwarded to Ollama on the host itself",
        setup="""
            ollama_host 0.0.0.0
            systemctl start firewalld; until_open 11434
            firewall-cmd -q --add-forward-port=port=80:proto=tcp:toport=11434
        """,
        ports=(80, 11434),
        truth={"internet4 -> lan4:80": OPEN, "internet4 -> lan4:11434": NOTHING},
    ),
    firewalld(
        "firewalld-policy",
        "a policy from the LAN's zone to the host lets one neighbour in",
        """
                permanently() { firewall-cmd -q --permanent "$@"; }
                permanently --zone=home --change-interface=eth0
                permanently --new-policy=neighbour
                permanently --policy=neighbour --add-ingress-zone=home
                permanently --policy=neighbour --add-egress-zone=HOST
                permanently --policy=neighbour --add-rich-rule='rule family=ipv4
                  source address=192.168.77.20 port port=11434 protocol=tcp accept'
                firewall --reload
              """,
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING, "lan6 -> *": NOTHING},
    ),
    Scenario(
        name="firewalld-rich-forward-port",
        about="port 81 forwarded by a rich rule for the LAN's IPv4 network",
        setup="""
            ollama_host 0.0.0.0
            systemctl start firewalld; until_open 11434
            firewall-cmd -q --zone=home --change-interface=eth0
            firewall-cmd -q --zone=home --add-rich-rule='rule family=ipv4
              source address=192.168.77.0/24 forward-port port=81 protocol=tcp to-port=11434'
        """,
        ports=(81, 11434),
        truth={
            "lan4 -> lan4:81": OPEN,
            "internet4 -> lan4:81": NOTHING,
            "uplink4 -> *": NOTHING,
            "lan? -> *:11434": NOTHING,
        },
    ),
]
