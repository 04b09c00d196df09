"""iptables over nf_tables and the legacy one, alone and together; Ollama on every address."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario


def iptables(name: str, about: str, rules: str, truth: dict[str, str]) -> Scenario:
    """Ollama on every address behind these rules."""
    setup = f"ollama_host 0.0.0.0; until_open 11434\n{rules}"
    return Scenario(name=name, about=about, setup=setup, truth=truth)


def drop_port(command: str) -> str:
    """Let in loopback and established, drop the port, with this iptables."""
    return f"""
        {command} -A INPUT -i lo -j ACCEPT
        {command} -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        {command} -A INPUT -p tcp --dport 11434 -j DROP
    """


SCENARIOS = [
    iptables(
        "iptables-4-only",
        "IPv4 dropped, IPv6 forgotten",
        drop_port("iptables"),
        {"lan4 -> *": NOTHING, "internet6 -> lan6": OPEN},
    ),
    iptables(
        "iptables-both",
        "both families dropped",
        drop_port("iptables") + drop_port("ip6tables"),
        {"lan? -> *": NOTHING, "internet? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
    iptables(
        "iptables-legacy",
        "the same with the legacy tables",
        drop_port("iptables-legacy") + drop_port("ip6tables-legacy"),
        {"lan? -> *": NOTHING, "internet? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
    iptables(
        "legacy-and-nft",
        "legacy accepts, nft drops: both are asked",
        """
                iptables-legacy -A INPUT -p tcp --dport 11434 -j ACCEPT
                nft add table inet f
                nft 'add chain inet f in { type filter hook input priority 0; }'
                nft 'add rule inet f in iifname "eth*" tcp dport 11434 drop'
             """,
        {"lan? -> *": NOTHING, "vpn? -> vpn?": OPEN},
    ),
    iptables(
        "iptables-mangle",
        "dropped in mangle PREROUTING by source",
        "iptables -t mangle -A PREROUTING -s 203.0.113.0/24 -p tcp --dport 11434 -j DROP",
        {"internet4 -> *": NOTHING, "lan4 -> lan4": OPEN, "internet6 -> lan6": OPEN},
    ),
    iptables(
        "iptables-ipset",
        "an ipset of those who may",
        """
                ipset create may hash:net
                ipset add may 192.168.77.0/24
                iptables -A INPUT -i lo -j ACCEPT
                iptables -A INPUT -p tcp --dport 11434 -m set ! --match-set may src -j DROP
             """,
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING},
    ),
    iptables(
        "iptables-multiport-reject",
        "multiport, negated source, reject",
        "iptables -A INPUT ! -s 192.168.77.0/24 -p tcp -m multiport --dports 80,11434 "
        "-j REJECT --reject-with tcp-reset",
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING, "uplink4 -> *": NOTHING},
    ),
    Scenario(
        name="iptables-dnat-loopback",
        about="8080 sent to 127.0.0.1:11434, which route_localnet makes work",
        setup="""
            sysctl -qw net.ipv4.conf.eth0.route_localnet=1
            iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 \\
              -j DNAT --to-destination 127.0.0.1:11434
            until_open 11434
        """,
        ports=(8080, 11434),
        truth={
            "lan4 -> lan4:8080": OPEN,
            "uplink4 -> public4:8080": NOTHING,
            "lan6 -> *:8080": NOTHING,
        },
    ),
]
