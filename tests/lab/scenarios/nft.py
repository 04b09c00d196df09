"""nftables rulesets of the styles found in the wild; Ollama on every address."""

from __future__ import annotations

from tests.lab.scenario import NOTHING, OPEN, Scenario


def nft(name: str, about: str, ruleset: str, truth: dict[str, str]) -> Scenario:
    """Ollama on every address behind this ruleset."""
    setup = f"ollama_host 0.0.0.0; until_open 11434\nnft -f - <<'END'\n{ruleset}\nEND\n"
    return Scenario(name=name, about=about, setup=setup, truth=truth)


SCENARIOS = [
    nft(
        "nft-workstation",
        "Debian's example: input policy drop, established and lo accepted",
        """
        table inet filter {
          chain input {
            type filter hook input priority filter; policy drop;
            ct state invalid drop
            ct state { established, related } accept
            iif lo accept
            meta l4proto { icmp, ipv6-icmp } accept
            tcp dport ssh accept
          }
        }
        """,
        {"lan? -> *": NOTHING, "internet? -> *": NOTHING, "own4 -> lan4": OPEN},
    ),
    nft(
        "nft-ip-only",
        "a table of family ip says nothing about IPv6",
        """
        table ip filter {
          chain input {
            type filter hook input priority 0; policy drop;
            iif lo accept
            ct state established accept
          }
        }
        """,
        {"lan4 -> *": NOTHING, "lan6 -> lan6": OPEN, "internet6 -> lan6": OPEN},
    ),
    nft(
        "nft-policy-accept-empty",
        "an input chain with policy accept and no rule",
        "table inet filter { chain input { type filter hook input priority 0; policy accept; }; }",
        {"internet? -> lan?": OPEN},
    ),
    nft(
        "nft-set",
        "a set of networks that may, with an interval, and a counter",
        """
        table inet guard {
          set may { type ipv4_addr; flags interval; elements = { 192.168.77.0/25, 10.99.0.2 } }
          chain input {
            type filter hook input priority filter; policy accept;
            iifname lo accept
            tcp dport 11434 ip saddr @may counter accept
            tcp dport 11434 drop
          }
        }
        """,
        {
            "lan4 -> lan4": OPEN,
            "vpn4 -> vpn4": OPEN,
            "internet4 -> *": NOTHING,
            "lan6 -> *": NOTHING,
        },
    ),
    nft(
        "nft-verdict-map",
        "a verdict map by interface name",
        """
        table inet filter {
          chain lan { tcp dport 11434 accept; drop; }
          chain input {
            type filter hook input priority filter; policy drop;
            ct state established,related accept
            meta l4proto ipv6-icmp accept
            iifname vmap { "lo" : accept, "eth0" : jump lan }
          }
        }
        """,
        {"lan? -> lan?": OPEN, "uplink? -> *": NOTHING, "vpn? -> *": NOTHING},
    ),
    nft(
        "nft-accept-then-drop",
        "accepted at priority -10, dropped at 0: accept is not final",
        """
        table inet early {
          chain input { type filter hook input priority -10; tcp dport 11434 accept; }
        }
        table inet late {
          chain input {
            type filter hook input priority 0; policy drop;
            iif lo accept
            ct state established accept
            tcp dport 22 accept
          }
        }
        """,
        {"lan? -> *": NOTHING, "internet? -> *": NOTHING},
    ),
    nft(
        "nft-raw-drop",
        "dropped in prerouting at raw priority, input open",
        """
        table inet raw {
          chain pre { type filter hook prerouting priority raw; iifname eth1 tcp dport 11434 drop; }
        }
        """,
        {"uplink? -> *": NOTHING, "lan? -> lan?": OPEN},
    ),
    nft(
        "nft-floods-and-scanners",
        "wide limits on SYNs and connections, and a list of those who scan, with one on it",
        """
        table inet filter {
          set scanners {
            type ipv4_addr; flags dynamic, timeout; timeout 1h
            elements = { 198.51.100.20 }
          }
          chain syns { limit rate 200/second burst 500 packets return; drop; }
          chain input {
            type filter hook input priority 0; policy accept;
            ip saddr @scanners drop
            tcp dport { 23, 445 } add @scanners { ip saddr } drop
            tcp flags & (fin|syn|rst|ack) == syn jump syns
            tcp dport 11434 ct count over 500 reject
            tcp dport 11434 iifname tun0 drop
          }
        }
        """,
        {
            "lan? -> lan?": OPEN,
            "near4 -> *": NOTHING,
            "uplink4 -> lan4": OPEN,
            "vpn? -> *": NOTHING,
        },
    ),
    nft(
        "nft-dormant",
        "a dormant table filters nothing",
        """
        table inet filter {
          flags dormant
          chain input { type filter hook input priority 0; policy drop; }
        }
        """,
        {"internet? -> lan?": OPEN},
    ),
    nft(
        "nft-output-drop",
        "answers are not let out: no connection comes about",
        """
        table inet filter {
          chain output { type filter hook output priority 0; tcp sport 11434 oifname eth0 drop; }
        }
        """,
        {"lan? -> *": NOTHING, "uplink4 -> *": NOTHING, "vpn? -> vpn?": OPEN},
    ),
    Scenario(
        name="nft-load-balancing",
        about="a counter and a hash choose among addresses that all lead to Ollama",
        setup="""
            ollama_host 0.0.0.0; until_open 11434
            nft -f - <<'END'
            table ip balance {
              chain pre {
                type nat hook prerouting priority dstnat;
                tcp dport 80 numgen inc mod 2 vmap { 0 : goto first, 1 : goto second }
                tcp dport 81 dnat to jhash ip saddr mod 2 map {
                  0 : 192.168.77.10, 1 : 198.51.100.10
                } : 11434
              }
              chain first { tcp dport 80 dnat to 192.168.77.10:11434; }
              chain second { tcp dport 80 dnat to 198.51.100.10:11434; }
            }
END
        """,
        ports=(80, 81, 11434),
        truth={"internet4 -> lan4:80": OPEN, "lan4 -> lan4:81": OPEN, "lan6 -> lan6:80": NOTHING},
    ),
    Scenario(
        name="nft-redirect",
        about="port 80 redirected to Ollama on loopback's neighbour, the wildcard socket",
        setup="""
            ollama_host 0.0.0.0; until_open 11434
            nft -f - <<'END'
            table inet nat {
              chain pre {
                type nat hook prerouting priority dstnat;
                tcp dport 80 redirect to :11434
              }
            }
            table inet filter {
              chain input {
                type filter hook input priority 0; policy accept;
                iif != lo tcp dport 11434 ct status dnat accept
                iif != lo tcp dport 11434 drop
              }
            }
END
        """,
        ports=(80, 11434),
        truth={"internet? -> lan?:80": OPEN, "internet? -> lan?:11434": NOTHING},
    ),
]
