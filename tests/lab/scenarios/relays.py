"""Ollama on loopback, and something that passes connections on to it."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario


def relay(name: str, about: str, setup: str, truth: dict[str, str]) -> Scenario:
    """The relay on 8080, the server as installed."""
    ready = f"until_open 11434\n{setup}\nuntil_open 8080"
    ports = (80, 8080, 11434) if "dport 80 " in setup else (8080, 11434)
    return Scenario(name=name, about=about, setup=ready, ports=ports, truth=truth)


OPEN_ON_8080 = {
    "lan4 -> lan4:8080": OPEN,
    "internet4 -> lan4:8080": OPEN,
    "lan? -> *:11434": NOTHING,
}

UNIT = """
    unit() { cat >"/etc/systemd/system/$1"; }
    until_open 11434
"""

SCENARIOS = [
    relay(
        "socat",
        "socat on every IPv4 address",
        "systemd-run -q socat TCP4-LISTEN:8080,fork,reuseaddr TCP4:127.0.0.1:11434",
        {**OPEN_ON_8080, "lan6 -> *:8080": NOTHING},
    ),
    relay(
        "socket-proxyd",
        "systemd's own: the listener belongs to process 1",
        """
            printf '[Socket]\\nListenStream=8080\\n' >/etc/systemd/system/front.socket
            printf '[Service]\\nExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:11434\\n' \\
              >/etc/systemd/system/front.service
            systemctl daemon-reload; systemctl start front.socket
          """,
        {**OPEN_ON_8080, "lan6 -> lan6:8080": OPEN},
    ),
    relay(
        "ssh-remote-forward",
        "ssh -R to this host, GatewayPorts clientspecified",
        """
            ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id; cp /root/.ssh/id.pub \\
              /root/.ssh/authorized_keys
            echo 'GatewayPorts clientspecified' >/etc/ssh/sshd_config.d/gateway.conf
            mkdir -p /run/sshd; systemctl start ssh
            systemd-run -q ssh -N -i /root/.ssh/id -o StrictHostKeyChecking=no \\
              -R '*:8080:127.0.0.1:11434' root@127.0.0.1
          """,
        OPEN_ON_8080,
    ),
    relay(
        "rinetd",
        "rinetd by its configuration file",
        """
            echo '0.0.0.0 8080 127.0.0.1 11434' >/etc/rinetd.conf
            systemctl start rinetd
          """,
        OPEN_ON_8080,
    ),
    relay(
        "xinetd",
        "xinetd redirect",
        """
            cat >/etc/xinetd.d/ollama <<'END'
service ollama
{
  type = UNLISTED
  port = 8080
  socket_type = stream
  protocol = tcp
  user = nobody
  wait = no
  cps = 1000 1
  per_source = UNLIMITED
  redirect = 127.0.0.1 11434
}
END
            systemctl start xinetd
          """,
        OPEN_ON_8080,
    ),
    relay(
        "socat-chain",
        "a relay to a relay",
        """
            systemd-run -q socat TCP4-LISTEN:8081,bind=127.0.0.1,fork TCP4:127.0.0.1:11434
            until_open 8081
            systemd-run -q socat TCP4-LISTEN:8080,fork TCP4:127.0.0.1:8081
          """,
        OPEN_ON_8080,
    ),
    relay(
        "socat-range",
        "socat serves one network",
        "systemd-run -q socat TCP4-LISTEN:8080,fork,range=192.168.77.0/24 TCP4:127.0.0.1:11434",
        {"lan4 -> lan4:8080": OPEN, "internet4 -> *:8080": NOTHING},
    ),
    relay(
        "ncat",
        "ncat that starts a socat for the LAN and the host",
        """
            systemd-run -q ncat -l -k 8080 --allow 192.168.77.0/24,127.0.0.1 \
              --sh-exec 'exec socat - TCP4:127.0.0.1:11434'
        """,
        {"lan4 -> lan4:8080": OPEN, "internet4 -> *:8080": NOTHING, "lan6 -> *:8080": NOTHING},
    ),
    relay(
        "redir",
        "redir 3.x",
        "systemd-run -q redir -n :8080 127.0.0.1:11434",
        {"lan4 -> lan4:8080": OPEN},
    ),
    relay(
        "rinetd-allow",
        "rinetd with an allow and a deny pattern",
        """
            printf '%s\n' 'allow 192.168.77.*' 'allow 127.0.0.*' \
              '0.0.0.0 8080 127.0.0.1 11434' 'deny 192.168.77.10' >/etc/rinetd.conf
            systemctl start rinetd
        """,
        {"lan4 -> lan4:8080": OPEN, "internet4 -> *:8080": NOTHING, "own4 -> *:8080": NOTHING},
    ),
    relay(
        "xinetd-only-from",
        "xinetd for the LAN and others, without one of them",
        """
            cat >/etc/xinetd.d/ollama <<'END'
service ollama
{
  type = UNLISTED
  port = 8080
  socket_type = stream
  protocol = tcp
  user = nobody
  wait = no
  cps = 1000 1
  per_source = UNLIMITED
  redirect = 127.0.0.1 11434
  only_from = 192.168.77.0 127.0.0.1 203.0.113.0/24
  no_access = 203.0.113.60
}
END
            systemctl start xinetd
        """,
        {
            "lan4 -> lan4:8080": OPEN,
            "internet4 -> lan4:8080": OPEN,
            "uplink4 -> *:8080": NOTHING,
            "vpn4 -> *:8080": NOTHING,
        },
    ),
    relay(
        "ssh-local-forward",
        "ssh -g -L through the host itself",
        """
            ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id; cp /root/.ssh/id.pub \
              /root/.ssh/authorized_keys
            mkdir -p /run/sshd; systemctl start ssh
            systemd-run -q ssh -gN -i /root/.ssh/id -o StrictHostKeyChecking=no \
              -L 8080:127.0.0.1:11434 root@127.0.0.1
        """,
        OPEN_ON_8080,
    ),
    Scenario(
        name="unit-socket-idle",
        about="a socket that systemd holds for a relay that does not run just now",
        setup="""
            until_open 11434
            printf '[Socket]\nListenStream=8080\n' >/etc/systemd/system/front.socket
            printf '[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:11434\n' \
              >/etc/systemd/system/front.service
            systemctl daemon-reload; systemctl start front.socket
            curl -fsS --interface 192.168.77.10 http://192.168.77.10:8080/api/version >/dev/null
            systemctl stop front.service; systemctl is-active -q front.socket
        """,
        truth={"lan4 -> *": NOTHING},
        findings={"reachable-from-lan": "fail"},
    ),
    Scenario(
        name="relays-to-localhost",
        about="with ::1 localhost in /etc/hosts, some try 127.0.0.1 as well and some do not",
        setup=UNIT
        + """
            printf '[Socket]\\nListenStream=8081\\n' | unit proxyd.socket
            printf '[Service]\\nExecStart=/lib/systemd/systemd-socket-proxyd localhost:11434\\n' \\
              | unit proxyd.service
            systemctl daemon-reload; systemctl start proxyd.socket
            cat >/etc/haproxy/haproxy.cfg <<'END'
listen ai
  mode tcp
  bind :8082
  retries 0
  timeout connect 1s
  timeout client 9s
  timeout server 9s
  server a localhost:11434
END
            systemctl start haproxy; until_open 8082
            systemd-run -q socat TCP4-LISTEN:8083,fork TCP:localhost:11434; until_open 8083
        """,
        ports=(8081, 8082, 8083),
        truth={
            "* -> *:8081": NOTHING,
            "* -> *:8082": NOTHING,
            "lan4 -> lan4:8083": OPEN,
        },
    ),
    Scenario(
        name="unit-networks",
        about="services for each connection, and with a network to themselves or Ollama's",
        setup=UNIT
        + """
            printf '[Socket]\\nListenStream=8081\\nAccept=yes\\nMaxConnections=999\\n%s\\n' \\
              TriggerLimitIntervalSec=0 | unit each.socket
            printf '[Service]\\nStandardInput=socket\\nExecStart=socat - TCP:127.0.0.1:11434\\n' \\
              | unit each@.service
            proxyd='ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:11434'
            printf '[Socket]\\nListenStream=8082\\n' | unit alone.socket
            printf '[Service]\\nPrivateNetwork=yes\\n%s\\n' "$proxyd" | unit alone.service
            printf '[Socket]\\nListenStream=8083\\n' | unit joined.socket
            printf '[Unit]\\nJoinsNamespaceOf=hidden.service\\n[Service]\\nPrivateNetwork=yes\\n' \\
              | unit joined.service
            echo "${proxyd/11434/11435}" >>/etc/systemd/system/joined.service
            printf '[Service]\\nPrivateNetwork=yes\\n%s\\n%s\\n' 'User=ollama' \\
              'Environment=OLLAMA_HOST=127.0.0.1:11435 HOME=/usr/share/ollama' | unit hidden.service
            echo 'ExecStart=/usr/local/bin/ollama serve' >>/etc/systemd/system/hidden.service
            systemctl daemon-reload; systemctl start hidden each.socket alone.socket joined.socket
            sleep 1
        """,
        ports=(8081, 8082, 8083),
        truth={
            "lan4 -> lan4:8081": OPEN,
            "lan4 -> *:8082": NOTHING,
            "lan4 -> lan4:8083": OPEN,
        },
    ),
    relay(
        "relay-behind-dnat",
        "a redirect to a relay that connects to a port that only another redirect serves",
        """
            nft -f - <<'END'
            table ip nat {
              chain pre {
                type nat hook prerouting priority dstnat;
                tcp dport 80 redirect to :8080
              }
              chain out {
                type nat hook output priority -100;
                ip daddr 127.0.0.1 tcp dport 9999 redirect to :11434
              }
            }
END
            systemd-run -q socat TCP4-LISTEN:8080,fork TCP4:127.0.0.1:9999
        """,
        OPEN_ON_8080,
    ),
    relay(
        "socat-elsewhere",
        "a relay that leads somewhere else is no way to Ollama",
        """
            systemd-run -q python3 -m http.server --bind 127.0.0.1 9000; until_open 9000
            systemd-run -q socat TCP4-LISTEN:8080,fork TCP4:127.0.0.1:9000
          """,
        {"self4 -> lan4:8080": "other", "lan4 -> lan4:8080": "other"},
    ),
]
