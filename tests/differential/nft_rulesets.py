"""Random nf_tables rulesets: a grammar whose weights were tuned until it found every known bug.

The grammar is prose of its own kind; it is formatted, not linted.
"""
# mypy: ignore-errors

A4 = [
    "10.77.0.0/24",
    "10.77.0.50",
    "10.77.0.64/26",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "203.0.113.5",
    "192.168.0.0/16",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "8.8.8.8",
    "1.0.0.0/8",
    "128.0.0.0/1",
    "100.64.0.0/10",
    "10.99.0.0/24",
]
A6 = [
    "2001:db8:77::/64",
    "2001:db8:77::50",
    "fe80::/10",
    "fd00::/8",
    "2001:db8::/32",
    "2000::/3",
    "2a00:1450::1",
    "fd99::/64",
    "2001:db8:99::/112",
]
D4 = ["10.77.0.2", "198.51.100.2", "10.99.0.2", "172.17.0.1"]
D6 = ["2001:db8:77::2", "2001:db8:99::2", "fd99::2", "fd17::1"]
C4, C6 = "172.17.0.2", "fd17::2"
PORTS = [11434, 8080]
IFS = ["eth0", "wan0", "wg0"]


def ip4(v):
    return f"{v >> 24}.{v >> 16 & 255}.{v >> 8 & 255}.{v & 255}"


SWARM = False


class G:
    def __init__(self, r, unknown=0.12):
        self.r = r
        self.unk = unknown
        self.used4, self.used6 = [], []  # interesting integer addresses
        self.maps = []
        self.lossy = False
        self.contradictory = True  # rules of one family that ask for the other
        self.sw = (
            {k for k in ("nat", "mark", "notrack", "prio", "fwd") if r.random() < 0.3}
            if SWARM
            else set()
        )

    def a4(self, plain=False):
        r = self.r
        if r.random() < 0.3:
            p = r.choice([8, 12, 16, 20, 24, 25, 28, 30, 31, 32])
            v = r.choice(
                [r.getrandbits(32), 0x0A4D0000 | r.getrandbits(16), 0xCB007100 | r.getrandbits(8)]
            ) & ~((1 << (32 - p)) - 1)
            x = f"{ip4(v)}/{p}" if p < 32 else ip4(v)
        else:
            x = r.choice(A4)
        from tests.differential.compare import prefix

        _, lo, hi = prefix(x)
        if plain:
            lo = r.randint(lo, hi)
            self.used4 += [lo]
            return ip4(lo)
        self.used4 += [lo, hi]
        if r.random() < 0.2 and lo != hi:
            lo2 = r.randint(lo, hi)
            hi2 = r.randint(lo2, hi)
            if lo2 < hi2:
                self.used4 += [lo2, hi2]
                return f"{ip4(lo2)}-{ip4(hi2)}"
        return x

    def a6(self, plain=False):
        import ipaddress

        r = self.r
        if r.random() < 0.25:
            p = r.choice([16, 32, 48, 56, 64, 96, 112, 127, 128])
            v = (0x20010DB8 << 96 | r.getrandbits(96)) & ~((1 << (128 - p)) - 1)
            x = str(ipaddress.IPv6Network((v, p))) if p < 128 else str(ipaddress.IPv6Address(v))
        else:
            x = r.choice(A6)
        from tests.differential.compare import prefix

        _, lo, hi = prefix(x)
        if plain:
            lo = r.randint(lo, hi)
            self.used6 += [lo]
            return str(ipaddress.IPv6Address(lo))
        self.used6 += [lo, hi]
        if r.random() < 0.2 and lo != hi:
            lo2 = r.randint(lo, hi)
            hi2 = r.randint(lo2, hi)
            if lo2 < hi2:
                self.used6 += [lo2, hi2]
                return f"{ipaddress.IPv6Address(lo2)}-{ipaddress.IPv6Address(hi2)}"
        return x

    def addrset(self, f, fam):
        n = self.r.randint(1, 5)
        return "{ " + ", ".join(f() for _ in range(n)) + " }"

    def port(self):
        r = self.r
        return r.choice(
            [
                "11434",
                "8080",
                "22",
                "80",
                "11434",
                "11434",
                "11000-12000",
                "1-1024",
                "8080-11434",
                "11435",
                "{ 22, 11434 }",
                "{ 80, 8080-8090 }",
                "{ 11434, 8080 }",
            ]
        )

    def neg(self, p=0.25):
        return "!= " if self.r.random() < p else ""

    def mk_sets(self):
        r = self.r
        s = []
        self.n4, self.n6, self.np, self.nc, self.ni = [], [], [], [], []
        for i in range(r.randint(0, 2)):
            s.append(
                f"set s4_{i} {{ type ipv4_addr; flags interval; auto-merge; elements = {self.addrset(self.a4, 4)}; }}"
            )
            self.n4.append(f"s4_{i}")
        for i in range(r.randint(0, 1)):
            s.append(
                f"set s6_{i} {{ type ipv6_addr; flags interval; auto-merge; elements = {self.addrset(self.a6, 6)}; }}"
            )
            self.n6.append(f"s6_{i}")
        if r.random() < 0.3:
            s.append(
                "set sp { type inet_service; flags interval; elements = { 22, 11000-12000 }; }"
            )
            self.np.append("sp")
        if r.random() < 0.3:
            # pipapo refuses overlapping first-field with identical...: use disjoint plain keys
            el = ", ".join(f"{self.a4(True)} . {r.choice([11434, 8080, 22])}" for _ in range(3))
            s.append(f"set sc {{ type ipv4_addr . inet_service; elements = {{ {el} }}; }}")
            self.nc.append("sc")
        if r.random() < 0.15:
            s.append('set si { type ifname; elements = { "eth0", "wg0" }; }')
            self.ni.append("si")
        return s + self.mk_ranged() + self.mk_dynamic()

    def mk_ranged(self):
        """Concatenations with ranges (pipapo): first fields apart, since overlaps are refused."""
        r = self.r
        self.nr4, self.nr6, self.vm4 = [], [], []
        if r.random() > 0.3:
            return []
        firsts = r.sample(
            [
                "10.77.0.0/25",
                "10.77.0.128-10.77.0.200",
                "203.0.113.0/24",
                "8.8.8.8",
                "192.168.0.0/16",
            ],
            3,
        )
        ports = lambda: r.choice(["11434", "11000-12000", "22-8080", "8080", "1-65535"])
        self.used4 += [0x0A4D007F, 0x0A4D0080, 0x0A4D00C8, 0xCB007100, 0xCB0071FF, 0x08080808]
        s = [
            "set sr { type ipv4_addr . inet_service; flags interval; elements = { "
            + ", ".join(f"{x} . {ports()}" for x in firsts)
            + " }; }",
            "map mr { type ipv4_addr . inet_service : verdict; flags interval; elements = { "
            + ", ".join(
                f"{x} . {ports()} : {r.choice(['accept', 'drop', 'continue', 'return'])}"
                for x in firsts
            )
            + " }; }",
            "set sr6 { type ipv6_addr . inet_service; flags interval; elements = { "
            f"2001:db8:77::/64 . {ports()}, fd99::-fd99::ff . {ports()} }}; }}",
            "set sri { type ifname . ipv4_addr . inet_service; flags interval; elements = { "
            f'"eth0" . {firsts[0]} . {ports()}, "wan0" . 0.0.0.0/0 . {ports()} }}; }}',
            f"map mm {{ type ipv4_addr : mark; flags interval; elements = {{ {firsts[1]} : 0x1, {firsts[2]} : 0x2 }}; }}",
        ]
        self.used6 += [0x20010DB8007700000000000000000000, 0xFD9900000000000000000000000000FF]
        self.nr4, self.nr6, self.vm4 = ["sr"], ["sr6"], ["mr"]
        return s

    def mk_dynamic(self):
        """Sets that change as packets pass, and elements that expire: nobody can say."""
        self.nd = []
        if self.r.random() >= self.unk:
            return []
        self.nd = ["sd", "st"]
        return [
            "set sd { type ipv4_addr; flags dynamic, timeout; timeout 1m; size 65535; }",
            f"set st {{ type ipv4_addr; flags timeout; elements = {{ {self.a4(True)} timeout 1h, 10.77.0.50 }}; }}",
        ]

    def ranged(self, fam):
        r = self.r
        c = []
        if fam != "ip6":
            c += [f"ip saddr . tcp dport {self.neg()}@sr"] * 3
            c += ["iifname . ip saddr . tcp dport @sri"]
        if fam != "ip":
            c += [f"ip6 saddr . tcp dport {self.neg()}@sr6"]
        return r.choice(c)

    def m4(self):
        r = self.r
        k = r.random()
        if k < 0.45:
            return f"ip saddr {self.neg()}{self.a4()}"
        if k < 0.7:
            return f"ip saddr {self.neg()}{self.addrset(self.a4, 4)}"
        if k < 0.85 and self.n4:
            return f"ip saddr {self.neg()}@{r.choice(self.n4)}"
        if k < 0.92:
            return f"ip saddr {r.choice(['<', '>', '<=', '>='] if self.lossy else ['<=', '>='])} {self.a4(True)}"
        return f"ip saddr & 255.255.{r.choice([0, 240, 255])}.0 {r.choice(['==', '!='])} 10.77.0.0"

    def m6(self):
        r = self.r
        k = r.random()
        if k < 0.5:
            return f"ip6 saddr {self.neg()}{self.a6()}"
        if k < 0.75:
            return f"ip6 saddr {self.neg()}{self.addrset(self.a6, 6)}"
        if k < 0.9 and self.n6:
            return f"ip6 saddr {self.neg()}@{r.choice(self.n6)}"
        return f"ip6 saddr {r.choice(['<', '>', '<=', '>='] if self.lossy else ['<=', '>='])} {self.a6(True)}"

    def match(self, fam, hook, prio):
        r = self.r
        if self.lossy and r.random() < 0.08:
            return r.choice(
                [
                    text
                    for text, against in (("meta protocol ip", "ip6"), ("meta protocol ip6", "ip"))
                    if self.contradictory or fam != against
                ]
                + [
                    "meta protocol != ip",
                    "meta l4proto != udp",
                    "numgen inc mod 2 offset 5 { 5, 6 }",
                    "numgen random mod 3 >= 3",
                    'iifname { "e*", "wg0" }',
                    'iifname != { "w*", "lo" }',
                    'iifname { "wan0", "wg*" }',
                ]
                + (
                    [
                        "ip6 saddr & ffff:ffff:ffff:ffff:: == 2001:db8:77::",
                    ]
                    if fam != "ip"
                    else []
                )
                + (
                    [
                        "ip saddr & 255.255.252.1 == 10.77.0.1",
                        "ip saddr & 255.255.240.255 == 10.77.0.50",
                        "@nh,96,8 10",
                        "@nh,96,16 0x0a4d",
                    ]
                    if fam == "ip"
                    else []
                )
                + (["@th,16,16 11434", "th dport { 11434, 22 }"])
                + (["jhash ip saddr mod 1 0"] if fam == "ip" else [])
            )
        if self.nd and fam != "ip6" and r.random() < 0.15:
            return r.choice(
                ["ip saddr @sd", "ip saddr != @sd", "ip saddr @st", "add @sd { ip saddr }"]
            )
        if self.nr4 and r.random() < 0.12:
            return self.ranged(fam)
        if r.random() < self.unk * 0.5:
            return r.choice(
                [
                    "limit rate 100000/second burst 5000 packets",
                    "ip ttl 64" if fam != "ip6" else "ip6 hoplimit 64",
                    "numgen random mod 2 == 0",
                    "tcp sport 1024-65535",
                    "meta cpu 0-100",
                    "meta length < 1500",
                    "tcp option maxseg size 1-2000",
                    "tcp window > 0",
                ]
                # more ranges than are worth while
                + (["ip6 saddr & ::ff == ::50"] if fam != "ip" else [])
                + (["ip saddr & 255.0.0.255 == 10.0.0.50"] if fam == "ip" else [])
            )
        if "mark" in self.sw and r.random() < 0.3:
            return r.choice(
                [
                    "meta mark 0x1",
                    "meta mark 0x2",
                    "meta mark != 0x0",
                    "meta mark & 0x2 == 0x2",
                    "meta mark >= 0x2",
                    "meta mark 0x0",
                ]
                + (["ct mark 0x1", "ct mark != 0x0"] if hook != "prerouting" or prio > -200 else [])
            )
        if "nat" in self.sw and hook in ("input", "forward") and r.random() < 0.25:
            return r.choice(
                [
                    "ct status dnat",
                    "ct status ! dnat",
                    "meta l4proto tcp ct original proto-dst 8080",
                    "meta l4proto tcp ct original proto-dst != 11434",
                    "ct original ip daddr 10.77.0.2"
                    if fam != "ip6"
                    else "ct original ip6 daddr 2001:db8:77::2",
                    "tcp dport 80",
                    "tcp dport 8080",
                    "tcp dport 11434",
                    "ct state new",
                ]
            )
        if "notrack" in self.sw and r.random() < 0.2:
            return r.choice(
                [
                    "ct state untracked",
                    "ct state new",
                    "ct state { new, untracked }",
                    "ct state invalid",
                    "ct state != untracked",
                ]
            )
        k = r.random()
        if k < 0.34:
            if fam == "ip" or fam == "inet" and r.random() < 0.6:
                return self.m4()
            return self.m6()
        if k < 0.5:
            return (
                f"tcp dport {self.neg(0.2)}{self.port()}"
                if not (self.np and r.random() < 0.2)
                else "tcp dport @sp"
            )
        if k < 0.62:
            kk = r.random()
            if kk < 0.4:
                return f'iifname {self.neg()}"{r.choice(["eth0", "wan0", "wg0", "lo", "docker0", "w*", "e*", "eth1"])}"'
            if kk < 0.55:
                return f'iif {self.neg()}"{r.choice(["eth0", "wan0", "wg0", "lo"])}"'
            if kk < 0.7:
                return f'iifname {self.neg()}{{ "{r.choice(IFS)}", "lo", "{r.choice(IFS)}" }}'
            if kk < 0.8 and self.ni:
                return f"iifname {self.neg()}@si"
            if kk < 0.9:
                return f"iifgroup {self.neg()}{r.choice([0, 5])}"
            return f"meta iiftype {self.neg()}{r.choice(['ether', 'loopback'])}"
        if k < 0.7:
            return r.choice(
                [
                    "ct state new",
                    "ct state established,related",
                    "ct state invalid",
                    "ct state { new, established }",
                    "ct state != new",
                    "ct state & (new|untracked) != 0",
                    "ct state untracked",
                    "ct direction original",
                    "ct status dnat",
                    "ct status & (snat|dnat) == 0",
                    "ct status ! dnat",
                    "ct mark 0x0",
                    "ct state new",
                ]
                + (
                    []
                    if hook == "prerouting" and prio <= -200 or hook == "mixed"
                    else [
                        "meta l4proto tcp ct original proto-dst 11434",
                        "meta l4proto tcp ct original proto-dst != 8080",
                        "ct status & snat == 0",
                    ]
                    + (
                        ["ct original ip daddr 10.77.0.2", "ct original ip saddr 10.77.0.0/24"]
                        if fam != "ip6"
                        else ["ct original ip6 daddr 2001:db8:77::2"]
                    )
                )
                + []
            )
        if k < 0.76:
            return r.choice(
                [
                    "meta nfproto ipv4",
                    "meta nfproto ipv6",
                    "meta l4proto tcp",
                    "meta l4proto { tcp, udp }",
                    "meta l4proto != udp",
                    "meta protocol ip" if fam == "inet" else "meta l4proto tcp",
                    "meta pkttype host",
                    "meta l4proto udp",
                ]
                + (["ip protocol tcp"] if fam != "ip6" else [])
                + (["ip version 4"] if fam == "ip" else [])
            )
        if k < 0.82:
            return r.choice(
                [
                    "meta mark 0x1",
                    "meta mark & 0xf == 0x2",
                    "meta mark != 0x0",
                    "meta mark 0x0",
                    "meta mark { 0x1, 0x3 }",
                    "meta mark 0x1-0x2",
                    "meta mark >= 0x2",
                    "meta mark < 0x2",
                ]
            )
        if k < 0.86:
            return r.choice(
                [
                    "tcp flags syn",
                    "tcp flags & (fin|syn|rst|ack) == syn",
                    "tcp flags & (fin|syn|rst|ack) != syn",
                    "tcp flags & ack != 0",
                    "tcp flags != syn",
                    "tcp flags { syn, syn|ack }",
                    "tcp flags == syn",
                    "tcp flags & (syn|ecn) == syn",
                ]
            )
        if k < 0.91:
            c = [
                "fib daddr type local",
                "fib daddr type != local",
                "fib saddr type local",
                "fib saddr type != local",
                "fib saddr type unicast",
                "fib daddr type unicast",
                "fib daddr type { local, broadcast }",
            ]
            if hook in ("prerouting", "input", "forward"):
                c += [
                    "fib saddr . iif oif missing",
                    "fib saddr . iif oif exists",
                    "fib saddr oif exists",
                ]
                if hook != "forward":
                    c += ["fib daddr . iif type local", "fib daddr . iif type != local"]
                    c += ["fib saddr . iif type local", "fib daddr . iif type unicast"]
                    c += ["fib daddr . iif type { local, broadcast, multicast }"]
            return r.choice(c)
        if k < 0.96:
            kk = r.random()
            if kk < 0.3 and fam != "ip6":
                return f"ip saddr . tcp dport {self.neg()}{{ {self.a4(True)} . 11434, {self.a4(True)} . 8080 }}"
            if kk < 0.45 and fam != "ip6" and self.nc:
                return f"ip saddr . tcp dport {self.neg()}@sc"
            if kk < 0.7:
                return (
                    f'iifname . tcp dport {self.neg()}{{ "{r.choice(IFS)}" . 11434, "wan0" . 22 }}'
                )
            if fam != "ip":
                return (
                    f"ip6 saddr . tcp dport {{ {self.a6(True)} . 11434, {self.a6(True)} . 8080 }}"
                )
            return f"ip saddr . ip daddr {{ {self.a4(True)} . 10.77.0.2 }}"
        if k < 0.98:
            return r.choice(
                (["ip daddr " + r.choice(D4)] if fam != "ip6" else [])
                + (["ip6 daddr " + r.choice(D6)] if fam != "ip" else [])
            )
        return r.choice(
            [
                "udp dport 11434",
                "udp dport != 53",
                "th dport 11434",
                "icmp type echo-request" if fam != "ip6" else "icmpv6 type echo-request",
            ]
        )

    def verdict(self, chain_i, nch, hook, nat, prio, fam=None):
        r = self.r
        k = r.random()
        if nat:
            return None
        if "mark" in self.sw and r.random() < 0.35:
            return r.choice(
                ["meta mark set 0x1", "meta mark set 0x2", "meta mark set meta mark | 0x2"]
                + (["ct mark set 0x1"] if prio > -200 else [])
            )
        if "notrack" in self.sw and hook == "prerouting" and prio < -200 and r.random() < 0.5:
            return "notrack"
        if k < 0.3:
            return "accept"
        if k < 0.52:
            return "drop"
        if k < 0.56 and hook in ("input", "forward"):
            if fam == "inet":
                return r.choice(
                    [
                        "reject",
                        "reject with icmp admin-prohibited",
                        "reject with icmpv6 admin-prohibited",
                        "meta nfproto ipv4 reject",
                        "reject with icmpx host-unreachable",
                        "meta l4proto tcp reject with tcp reset",
                    ]
                )
            return r.choice(["reject", "meta l4proto tcp reject with tcp reset"])
        if k < 0.72 and chain_i + 1 < nch:
            return f"{r.choice(['jump', 'jump', 'goto'])} c{r.randint(chain_i + 1, nch - 1)}"
        if k < 0.78:
            return "return"
        if k < 0.8:
            return "continue"
        if k < 0.88:
            return f"meta mark set {r.choice(['0x1', '0x2', '0x3', 'meta mark | 0x2', 'meta mark & 0x1'])}"
        if k < 0.9:
            c = ["ct mark set 0x1", "ct mark set meta mark", "meta mark set ct mark"]
            c += ["meta mark set tcp dport map { 11434 : 0x1, 8080 : 0x2 }"]
            c += ["meta mark set ip saddr map @mm"] * 2 if self.vm4 and fam != "ip6" else []
            return r.choice(c)
        if k < 0.92 and hook == "prerouting" and prio < -200:
            return "notrack"
        return r.choice(
            ["counter", 'log prefix "x" level debug' if False else "counter", "counter"]
        )

    def rule(self, fam, hook, prio, ci, nch, nat=False):
        x = self.rule_(fam, hook, prio, ci, nch, nat)
        if hook == "output":
            for a, b in (
                ("ip saddr", "ip daddr"),
                ("ip6 saddr", "ip6 daddr"),
                ("iif", "oif"),
                ("tcp dport", "tcp sport"),
                ("fib saddr . iif oif", "fib saddr oif"),
                ("fib daddr . iif", "fib daddr . oif"),
                ("iiftype", "oiftype"),
            ):
                x = x.replace(a, b)
            if "fib saddr oif" in x or "reject" in x and False:
                x = "ct state established,related accept"
            if self.r.random() < 0.35:
                x = self.r.choice(
                    [
                        "ct state established accept",
                        "ct state established,related accept",
                        "tcp sport { 11434, 8080 } accept",
                        'oifname "eth0" accept',
                        "ct state new drop",
                        "ct state invalid drop",
                        "ct direction reply accept",
                        "meta pkttype host accept",
                        "meta mark != 0x0 drop",
                        "ct mark 0x1 drop",
                        "tcp flags & (syn|ack) == (syn|ack) accept",
                        "ct status dnat accept",
                        "ct original saddr 10.0.0.0/8 accept"
                        if False
                        else "ct status seen-reply accept",
                    ]
                )
        return x

    def rule_(self, fam, hook, prio, ci, nch, nat=False):
        r = self.r
        n = r.choice([0, 1, 1, 1, 2, 2, 3])
        ms = [self.match(fam, hook, prio) for _ in range(n)]
        if nat:
            return " ".join(ms + [self.natv(fam)])
        if r.random() < 0.08:
            # vmap
            v = lambda: r.choice(
                ["accept", "drop", "continue", "return"]
                + ([f"jump c{r.randint(ci + 1, nch - 1)}"] if ci + 1 < nch else [])
            )
            k = r.random()
            if self.vm4 and fam != "ip6" and k < 0.5:
                ms.append("ip saddr . tcp dport vmap @mr")
            elif k < 0.3 and fam != "ip6":
                ms.append(f"ip saddr vmap {{ {self.a4(True)} : {v()}, {self.a4(True)} : {v()} }}")
            elif k < 0.45 and fam != "ip6":
                ms.append(
                    f"ip saddr vmap {{ 10.77.0.0/25 : {v()}, 203.0.113.0/24 : {v()}, 8.0.0.0-8.255.255.255 : {v()} }}"
                )
                self.used4 += [0x0A4D007F, 0x0A4D0080, 0x08000000]
            elif k < 0.7:
                ms.append(f"tcp dport vmap {{ 11434 : {v()}, 22 : {v()}, 8000-8100 : {v()} }}")
            elif k < 0.85:
                ms.append(f'iifname vmap {{ "eth0" : {v()}, "wan0" : {v()} }}')
            else:
                ms.append(f"ct state vmap {{ established : accept, new : {v()}, invalid : drop }}")
            return " ".join(ms)
        if False:
            ms.append(
                "jump { "
                + "; ".join(self.rule_(fam, "mixed", prio, 99, 0) for _ in range(r.randint(1, 3)))
                + "; }"
            )
            return " ".join(ms)
        v = self.verdict(ci, nch, hook, nat, prio, fam)
        return " ".join(ms + [v])

    def natv(self, fam):
        r = self.r
        k = r.random()
        if k < 0.35:
            return f"meta l4proto tcp redirect to :{r.choice([11434, 8080, 22])}"
        if k < 0.5:
            return "accept"
        if fam == "ip":
            return f"meta l4proto tcp dnat to {r.choice([C4 + ':80', C4 + ':8080', '10.77.0.2:8080', '198.51.100.2', C4])}"
        if fam == "ip6":
            return f"meta l4proto tcp dnat to {r.choice(['[' + C6 + ']:80', '[' + C6 + ']:8080', '[2001:db8:99::2]:8080'])}"
        return r.choice(
            [
                f"meta l4proto tcp dnat ip to {C4}:80",
                f"meta l4proto tcp dnat ip6 to [{C6}]:8080",
                f"meta l4proto tcp dnat ip to tcp dport map {{ 11434 : {C4} . 8080, 8080 : 10.77.0.2 . 11434 }}",
                f"meta l4proto tcp dnat ip to numgen inc mod 2 map {{ 0 : {C4} . 80, 1 : {C4} . 80 }}",
            ]
        )

    def source_nat(self, fam):
        """A rule that changes the source, of what is forwarded to the container or of answers."""
        r = self.r
        m = r.choice(["", 'oifname "docker0"', 'oifname != "lo"', "tcp dport 80", "ct status dnat"])
        if fam == "ip":
            v = r.choice(["masquerade", "masquerade", "snat to 172.17.0.1", "accept"])
        elif fam == "ip6":
            v = r.choice(["masquerade", "snat to fd17::1", "accept"])
        else:
            v = r.choice(["masquerade", "snat ip to 172.17.0.1", "accept"])
        return f"{m} {v}"

    def table(self, fam, idx, nat_ok=True):
        r = self.r
        out = [f"table {fam} t{idx} {{"]
        out += ["  " + s for s in self.mk_sets()]
        nch = r.randint(0, 4)
        chains = []
        # user chains, declared first in reverse so that jumps resolve
        body = {}
        hook0 = "input"
        nb = r.choice([1, 1, 1, 2, 2, 3])
        bases = []
        for b in range(nb):
            k = r.random()
            if "nat" in self.sw and nat_ok and r.random() < 0.4:
                bases.append(("nat", "prerouting", r.choice([-100, -100, -110, -90, -200, 0, 50])))
                if r.random() < 0.5:
                    bases.append(("filter", "prerouting", r.choice([-150, -105, -95, -50, 0])))
                continue
            if nat_ok and r.random() < (0.3 if "nat" in self.sw else 0.04):
                bases.append(("nat", "postrouting", r.choice([100, 100, 90])))
                continue
            if "notrack" in self.sw and r.random() < 0.4:
                bases.append(("filter", "prerouting", r.choice([-300, -350, -201])))
                continue
            if "mark" in self.sw and r.random() < 0.3:
                bases.append(("filter", "prerouting", r.choice([-150, -300, 0])))
                continue
            if "fwd" in self.sw and r.random() < 0.3:
                bases.append(("filter", "forward", r.choice([0, 0, -10])))
                continue
            if r.random() < 0.12:
                bases.append(("filter", "output", r.choice([0, 0, -10, -300, -150])))
            elif k < 0.62:
                bases.append(("filter", "input", r.choice([0, 0, -10, 10, -150, 50])))
            elif k < 0.8:
                bases.append(("filter", "prerouting", r.choice([-350, -300, -150, -110, -90, 0])))
            elif k < 0.9 and nat_ok:
                bases.append(("nat", "prerouting", r.choice([-100, -100, -110, -90])))
            else:
                bases.append(("filter", "forward", r.choice([0, 0, -10])))
        if "prio" in self.sw:
            bases = [
                (t, h, p if t == "nat" else {"prerouting": -150}.get(h, 0)) for t, h, p in bases
            ]
        hooks = {b[1] for b in bases}
        if "output" in hooks:
            nch = 0
        ch_hook = (
            "input" if hooks == {"input"} else "prerouting" if hooks == {"prerouting"} else "mixed"
        )
        for i in range(nch - 1, -1, -1):
            rs = [self.rule(fam, ch_hook, 0, i, nch) for _ in range(r.randint(0, 4))]
            out.append(f"  chain c{i} {{\n" + "".join("    " + x + "\n" for x in rs) + "  }")
        for j, (ty, hook, prio) in enumerate(bases):
            pol = (
                r.choice(["accept", "drop"])
                if ty == "filter" and hook in ("input", "forward", "output")
                else "accept"
                if ty == "nat" or r.random() < 0.8
                else "drop"
            )
            nr = r.randint(0, 7) if ty == "filter" else r.randint(1, 3)
            rs = [
                self.source_nat(fam)
                if hook == "postrouting"
                else self.rule(fam, hook, prio, -1, nch, ty == "nat")
                for _ in range(nr)
            ]
            out.append(
                f"  chain b{j} {{\n    type {ty} hook {hook} priority {prio}; policy {pol};\n"
                + "".join("    " + x + "\n" for x in rs)
                + "  }"
            )
        out.append("}")
        return "\n".join(out)

    def ingress(self, idx):
        """A chain in front of everything else, of family netdev or inet."""
        r = self.r
        fam = r.choice(["netdev", "inet"])
        self.nd, self.vm4, self.nr4 = [], [], []
        devices = r.choice(['device "eth0"', 'device "wan0"', 'devices = { "eth0", "wg0" }'])
        out = [f"table {fam} e{idx} {{", "  set se { type ipv4_addr; flags interval; auto-merge;"]
        out.append(f"    elements = {self.addrset(self.a4, 4)}; }}")
        out.append(
            "  chain u {\n"
            + f"    {self.ingress_match()} {r.choice(['accept', 'drop', 'return'])}"
            + "\n  }"
        )
        out.append("  chain i {")
        policy = r.choice(["accept", "accept", "drop"])
        out.append(
            f"    type filter hook ingress {devices} priority {r.choice([0, -10, -500, 10])}; policy {policy};"
        )
        for _ in range(r.randint(0, 3)):
            ms = [self.ingress_match() for _ in range(r.choice([1, 1, 2]))]
            if r.random() < 0.15:
                ms = ["tcp dport vmap { 11434 : jump u, 22 : drop }"]
            else:
                ms.append(
                    r.choice(
                        [
                            "accept",
                            "drop",
                            "jump u",
                            "goto u",
                            "meta mark set 0x1",
                            "return",
                            "continue",
                        ]
                    )
                )
            out.append("    " + " ".join(ms))
        if policy == "drop":
            out.append(
                f"    {r.choice(['tcp flags & (syn|ack) != 0 accept', 'ip protocol tcp accept', 'meta protocol { ip, ip6 } accept'])}"
            )
        out += ["  }", "}"]
        return "\n".join(out)

    def ingress_match(self):
        r = self.r
        return r.choice(
            [
                lambda: f"ip saddr {self.neg()}{self.a4()}",
                lambda: f"ip saddr {self.neg()}{self.addrset(self.a4, 4)}",
                lambda: f"ip saddr {self.neg()}@se",
                lambda: f"ip6 saddr {self.neg()}{self.a6()}",
                lambda: f"tcp dport {self.neg()}{self.port()}",
                lambda: f'iifname {self.neg()}"{r.choice(IFS)}"',
                lambda: r.choice(
                    ["meta protocol ip", "meta l4proto tcp", "meta mark 0x0", "ip daddr 10.77.0.2"]
                ),
                lambda: r.choice(
                    ["tcp flags & (fin|syn|rst|ack) == syn", "meta pkttype host", "udp dport 53"]
                ),
            ]
        )()

    def same_tuple(self):
        """A translation that may change nothing, and what looks at its bit."""
        r = self.r
        return (
            "table inet q {\n  chain n {\n    type nat hook prerouting priority -100;\n"
            f"    meta l4proto tcp redirect to :{r.choice([11434, 8080])}\n  }}\n"
            "  chain f {\n    type filter hook input priority 0; policy accept;\n"
            f"    ct status {r.choice(['dnat', '! dnat'])} {r.choice(['drop', 'meta mark set 0x1'])}\n"
            "    meta mark 0x1 drop\n  }\n}"
        )

    def half_tracked(self):
        """Connection tracking sees one direction of the handshake alone."""
        r = self.r
        unseen, watching = r.sample([("prerouting", "output"), ("output", "input")], 2)[0]
        state = r.choice(["established", "invalid", "untracked", "new"])
        verdict, policy = r.choice([("drop", "accept"), ("accept", "drop")])
        return (
            "table inet h {\n"
            f"  chain u {{\n    type filter hook {unseen} priority -300; notrack\n  }}\n"
            f"  chain w {{\n    type filter hook {watching} priority 0; policy {policy};\n"
            f"    ct state {state} {verdict}\n    {'ct state new accept' if watching == 'input' else ''}\n  }}\n}}"
        )

    def one_priority(self):
        """Chains of one priority in one table: the youngest runs first."""
        r = self.r
        hook = "type filter hook input priority 0; policy accept;"
        writer = f"    meta mark set {r.choice(['0x1', '0x2'])}"
        reader = f"    meta mark {r.choice(['0x1', '0x2'])} {r.choice(['drop', 'accept'])}\n    meta mark 0x0 drop"
        self.n4 = []  # sets are those of other tables
        bodies = [writer, reader, f"    {self.m4()} meta mark set 0x2"]
        r.shuffle(bodies)
        chains = "".join(
            f"  chain p{i} {{\n    {hook}\n{body}\n  }}\n" for i, body in enumerate(bodies)
        )
        return f"table inet p {{\n{chains}}}"

    def carried_marks(self):
        """A mark set on what opens the connection, and what looks at it there and on the answer."""
        r = self.r
        looks = r.choice(["0x1", "0x2", "0x0", "0x1-0x2", "0x2-0x3", ">= 0x2", "< 0x2", "<= 0x1"])
        verdict = r.choice(["drop", "accept"])
        policy = "accept" if verdict == "drop" else "drop"
        where = r.choice(["input priority 10", "output priority 0"])
        return (
            "table inet m {\n  chain s {\n    type filter hook input priority -10;\n"
            f"    meta mark set {r.choice(['0x1', '0x2', '0x3'])}\n  }}\n"
            f"  chain l {{\n    type filter hook {where}; policy {policy};\n"
            f"    meta mark {looks} {verdict}\n  }}\n}}"
        )

    def original(self):
        """A translation to another address, and what looks at the address before it."""
        r = self.r
        to, hook = r.choice([("198.51.100.2:11434", "input"), (C4 + ":80", "forward")])
        asked = r.choice(["10.77.0.2", "198.51.100.2", C4])
        return (
            "table ip o {\n  chain n {\n    type nat hook prerouting priority -95;\n"
            f"    ip daddr 10.77.0.2 tcp dport 11434 dnat to {to}\n  }}\n"
            f"  chain f {{\n    type filter hook {hook} priority 0; policy accept;\n"
            f"    ct original ip daddr {self.neg()}{asked} drop\n  }}\n}}"
        )

    def ruleset(self):
        r = self.r
        fams = r.choice(
            [
                ["inet"],
                ["inet"],
                ["inet"],
                ["ip", "ip6"],
                ["inet", "ip"],
                ["inet", "inet"],
                ["inet", "ip6"],
                ["ip"],
            ]
        )
        tables = [self.table(f, i) for i, f in enumerate(fams)]
        if r.random() < 0.15:
            tables.append(self.ingress(len(fams)))
        if "nat" in self.sw and r.random() < 0.3:
            tables.append(self.same_tuple())
        if "notrack" in self.sw and r.random() < 0.4:
            tables.append(self.half_tracked())
        if "prio" in self.sw and r.random() < 0.5:
            tables.append(self.one_priority())
        if "mark" in self.sw and r.random() < 0.3:
            tables.append(self.carried_marks())
        if "nat" in self.sw and r.random() < 0.2:
            tables.append(self.original())
        return "\n".join(tables) + "\n"
