"""ufw, the firewall of Ubuntu's and Debian's manuals; Ollama on every address."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario

EVERYWHERE = "ollama_host 0.0.0.0; until_open 11434\n"


def ufw(name: str, about: str, rules: str, truth: dict[str, str]) -> Scenario:
    """Ollama on every address, ufw on, then these rules (allow before enable fails here)."""
    setup = f"{EVERYWHERE}ufw --force enable >/dev/null\n{rules}"
    return Scenario(name=name, about=about, setup=setup, truth=truth)


SCENARIOS = [
    Scenario(
        name="ufw-installed-off",
        about="ufw is there, its rules deny, but it is not on",
        setup=EVERYWHERE + "sed -i s/ENABLED=yes/ENABLED=no/ /etc/ufw/ufw.conf",
        truth={"lan? -> lan?": OPEN, "internet? -> lan?": OPEN},
        findings={"reachable-from-internet": "fail"},
    ),
    ufw(
        "ufw-deny",
        "stock ufw: everything from outside is dropped, both families",
        "",
        {
            "lan? -> lan?": NOTHING,
            "internet? -> *": NOTHING,
            "self4 -> lo4": OPEN,
            "own4 -> lan4": OPEN,
        },
    ),
    ufw(
        "ufw-allow",
        "the port is allowed to everybody",
        "ufw allow 11434/tcp >/dev/null",
        {"internet? -> lan?": OPEN, "vpn? -> vpn?": OPEN},
    ),
    ufw(
        "ufw-allow-lan",
        "allowed from the LAN's IPv4 network only",
        "ufw allow from 192.168.77.0/24 to any port 11434 proto tcp >/dev/null",
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING, "lan6 -> *": NOTHING},
    ),
    ufw(
        "ufw-scoped-4-open-6",
        "IPv4 scoped to one host, IPv6 forgotten and open",
        """
            ufw allow from 192.168.77.20 to any port 11434 proto tcp >/dev/null
            ufw allow from ::/0 to any port 11434 proto tcp >/dev/null
        """,
        {"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING, "internet6 -> lan6": OPEN},
    ),
    ufw(
        "ufw-deny-before-allow",
        "a deny before the allow wins",
        "ufw allow 11434/tcp >/dev/null; ufw insert 1 deny 11434 >/dev/null",
        {"lan4 -> lan4": NOTHING, "internet4 -> lan4": NOTHING},
    ),
    ufw(
        "ufw-port-range",
        "a range that holds the port",
        "ufw allow 11000:12000/tcp >/dev/null",
        {"internet? -> lan?": OPEN},
    ),
    ufw(
        "ufw-interface",
        "allowed on the VPN only",
        "ufw allow in on tun0 to any port 11434 proto tcp >/dev/null",
        {"vpn4 -> vpn4": OPEN, "vpn6 -> vpn6": OPEN, "lan? -> *": NOTHING, "uplink? -> *": NOTHING},
    ),
    ufw(
        "ufw-one-address",
        "IPv4 allowed at the bridge's address, which the LAN can route to, IPv6 at the LAN's",
        """
            ufw allow proto tcp to 172.30.0.1 port 11434 >/dev/null
            ufw allow proto tcp to 2001:db8:77::10 port 11434 >/dev/null
        """,
        {
            "lan4 -> box4": OPEN,
            "lan4 -> lan4": NOTHING,
            "box6 -> lan6": OPEN,
            "box6 -> box6": NOTHING,
        },
    ),
    ufw(
        "ufw-app-profile",
        "an application profile that names the port",
        """
            printf '[Ollama]\\ntitle=Ollama\\ndescription=x\\nports=11434/tcp\\n' \\
              >/etc/ufw/applications.d/ollama
            ufw allow Ollama >/dev/null
        """,
        {"internet? -> lan?": OPEN},
    ),
    ufw(
        "ufw-limit",
        "a rate limit: who gets in depends on who came before",
        "ufw limit 11434/tcp >/dev/null",
        {"self4 -> lo4": OPEN},
    ),
    Scenario(
        name="ufw-ipv6-off",
        about="IPV6=no: ufw 0.36 then drops all IPv6 but loopback",
        setup=EVERYWHERE
        + """
            sed -i s/IPV6=yes/IPV6=no/ /etc/default/ufw
            ufw --force enable >/dev/null; ufw allow 11434/tcp >/dev/null
        """,
        truth={"internet4 -> lan4": OPEN, "lan6 -> *": NOTHING},
    ),
    Scenario(
        name="ufw-route",
        about="8080 translated in before.rules to a server behind the host, routed for the LAN",
        setup="""
            systemctl disable -q --now ollama
            ip netns add cage
            ip link add cage0 type veth peer name eth0 netns cage
            ip address add 10.55.0.1/24 dev cage0; ip link set cage0 up
            ip -n cage address add 10.55.0.2/24 dev eth0
            ip -n cage link set lo up; ip -n cage link set eth0 up
            ip -n cage route add default via 10.55.0.1
            sysctl -qw net.ipv4.ip_forward=1
            systemd-run -q --unit=caged -p NetworkNamespacePath=/run/netns/cage \
              -p User=ollama -E HOME=/usr/share/ollama -E OLLAMA_HOST=0.0.0.0 \
              /usr/local/bin/ollama serve
            until_open 11434 10.55.0.2
            printf '%s\n' '*nat' ':PREROUTING ACCEPT [0:0]' \
              '-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.55.0.2:11434' \
              COMMIT >/tmp/nat
            cat /etc/ufw/before.rules >>/tmp/nat; mv /tmp/nat /etc/ufw/before.rules
            ufw --force enable >/dev/null
            ufw route allow from 192.168.77.0/24 to 10.55.0.2 port 11434 proto tcp >/dev/null
        """,
        ports=(8080,),
        truth={"lan4 -> lan4": OPEN, "internet4 -> *": NOTHING, "lan6 -> *": NOTHING},
    ),
    Scenario(
        name="ubuntu-like",
        about="as Ubuntu Server ships it (on Debian): ufw with OpenSSH allowed, no IPv6 privacy",
        setup=EVERYWHERE + "ufw --force enable >/dev/null; ufw allow OpenSSH >/dev/null",
        truth={"internet? -> *": NOTHING, "lan? -> *": NOTHING, "self4 -> lo4": OPEN},
    ),
]
