"""Random inputs of iptables-restore and ip6tables-restore."""
# mypy: ignore-errors

from tests.differential.nft_rulesets import G, D4, D6, C4, C6, IFS


class GI(G):
    """iptables-restore / ip6tables-restore inputs"""

    def src(self, fam):
        x = (self.a4 if fam == 4 else self.a6)()
        r = self.r
        n = "! " if r.random() < 0.25 else ""
        if "-" in x:
            return f"-m iprange {n}--src-range {x}"
        return f"{n}-s {x}"

    def imatch(self, fam, chain):
        r = self.r
        if r.random() < self.unk * 0.5:
            return r.choice(
                [
                    "-m limit --limit 10000/sec --limit-burst 10000",
                    "-p tcp -m tcp --sport 1024:65535",
                    "-m statistic --mode random --probability 0.5",
                    "-m ttl --ttl-eq 64" if fam == 4 else "-m hl --hl-eq 64",
                    "-m length --length 0:1500",
                    "-m recent --rcheck --name zz",
                    "-m mac --mac-source 02:00:00:00:00:01",
                    "-p tcp -m connlimit --connlimit-above 100000",
                    "-m hashlimit --hashlimit-upto 100000/sec --hashlimit-name h1",
                ]
            )
        k = r.random()
        n = "! " if r.random() < 0.2 else ""
        if k < 0.36:
            return self.src(fam)
        if k < 0.5:
            return r.choice(
                [
                    f"-p tcp -m tcp {n}--dport {r.choice(['11434', '8080', '22', '11000:12000', '1:1024'])}",
                    f"-p tcp -m multiport {n}--dports {r.choice(['22,11434', '80,8080:8090', '11434,8080', '443'])}",
                    f"{n}-p tcp",
                    "-p udp -m udp --dport 11434",
                    "-p tcp",
                ]
            )
        if k < 0.62:
            return f"{n}-i {r.choice(['eth0', 'wan0', 'wg0', 'lo', 'docker0', 'w+', 'e+'])}"
        if k < 0.72:
            return r.choice(
                [
                    "-m conntrack --ctstate NEW",
                    "-m conntrack --ctstate RELATED,ESTABLISHED",
                    "-m state --state NEW",
                    "-m conntrack --ctstate INVALID",
                    "-m conntrack ! --ctstate NEW",
                    "-m conntrack --ctstate UNTRACKED",
                    "-m conntrack --ctstate DNAT",
                    "-m conntrack ! --ctstate DNAT",
                    "-p tcp -m conntrack --ctorigdstport 11434",
                    "-m conntrack --ctdir ORIGINAL",
                    "-m conntrack --ctstate NEW,UNTRACKED",
                ]
            )
        if k < 0.8:
            return r.choice(
                [
                    "-m mark --mark 0x1",
                    "-m mark --mark 0x2/0x2",
                    "-m mark ! --mark 0x0",
                    "-m mark --mark 0x0/0xff",
                    "-m connmark --mark 0x0",
                ]
            )
        if k < 0.86:
            return r.choice(
                [
                    "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
                    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN",
                    "-p tcp -m tcp --syn",
                    "-p tcp -m tcp --tcp-flags ALL SYN",
                    "-p tcp -m tcp --tcp-flags SYN,ACK SYN",
                ]
            )
        if k < 0.93:
            return r.choice(
                [
                    "-m addrtype --dst-type LOCAL",
                    "-m addrtype ! --dst-type LOCAL",
                    "-m addrtype --src-type LOCAL",
                    "-m addrtype ! --src-type LOCAL",
                    "-m addrtype --src-type UNICAST",
                    "-m addrtype ! --dst-type UNICAST",
                    "-m addrtype --src-type MULTICAST",
                    "-m pkttype --pkt-type unicast",
                    "-m addrtype --dst-type LOCAL,BROADCAST"
                    if False
                    else '-m comment --comment "a b"',
                    "-m devgroup --src-group 0x5",
                    "-m set --match-set ips%d src" % fam,
                    "-m set ! --match-set ips%d src" % fam,
                    "-m set --match-set ipp%d src,dst" % fam,
                ]
            )
        return f"{n}-d {r.choice(D4 if fam == 4 else D6)}"

    def irule(self, fam, table, chain, nu, ui):
        r = self.r
        ms = []
        has_p = False
        for _ in range(r.choice([0, 1, 1, 2, 2, 3])):
            m = self.imatch(fam, chain)
            if "-p " in m:
                if has_p:
                    continue
                has_p = True
            f = m.split()
            if any(
                x.split()[0:1] == f[0:1]
                and f[0] in ("-s", "-i", "-d", "-m")
                and x.split()[:2] == f[:2]
                for x in ms
            ):
                continue
            key = lambda y: (
                "-s"
                if " -s " in " " + y + " "
                else "-i"
                if " -i " in " " + y + " "
                else "-d"
                if " -d " in " " + y + " "
                else "-m " + y.split("-m ")[1].split()[0]
                if "-m " in y
                else y
            )
            if key(m) in [key(x) for x in ms]:
                continue
            ms.append(m)
        k = r.random()
        if table == "filter":
            if k < 0.3:
                v = "-j ACCEPT"
            elif k < 0.55:
                v = "-j DROP"
            elif k < 0.6:
                v = "-j REJECT"
            elif k < 0.8 and ui + 1 < nu:
                v = f"{r.choice(['-j', '-j', '-g'])} U{r.randint(ui + 1, nu - 1)}"
            elif k < 0.88:
                v = "-j RETURN"
            elif k < 0.94:
                v = ""
            else:
                v = (
                    "-j LOG --log-level 7"
                    if False
                    else "-m comment --comment x"
                    if not any("comment" in x for x in ms)
                    else ""
                )
        elif table == "mangle":
            v = r.choice(
                [
                    "-j MARK --set-xmark 0x1/0xffffffff",
                    "-j MARK --set-xmark 0x2/0x2",
                    "-j ACCEPT",
                    "-j DROP",
                    "-j MARK --set-xmark 0x0/0x1",
                    "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
                    "-j CONNMARK --save-mark --nfmask 0x1 --ctmask 0x3",
                    "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
                    "-j CONNMARK --set-xmark 0x2/0x3",
                    "-j RETURN",
                ]
            )
        elif table == "raw":
            v = r.choice(["-j DROP", "-j CT --notrack", "-j ACCEPT", "-j RETURN"])
        else:
            if not has_p:
                ms = ["-p tcp"] + ms
            elif not any("-p tcp" in x and "! -p" not in x for x in ms):
                ms = [x for x in ms if "-p " not in x]
                ms = ["-p tcp"] + ms
            if fam == 4:
                v = r.choice(
                    [
                        f"-j DNAT --to-destination {C4}:80",
                        f"-j DNAT --to-destination {C4}:8080",
                        "-j REDIRECT --to-ports 11434",
                        "-j REDIRECT --to-ports 8080",
                        "-j DNAT --to-destination 10.77.0.2:8080",
                        "-j RETURN",
                        "-j ACCEPT",
                    ]
                )
            else:
                v = r.choice(
                    [
                        f"-j DNAT --to-destination [{C6}]:80",
                        "-j REDIRECT --to-ports 11434",
                        "-j RETURN",
                        "-j ACCEPT",
                    ]
                )
        # -p first (modules need it)
        ms.sort(key=lambda x: "-p " not in x)
        if "-j REJECT" in v or True:
            pass
        return f"-A {chain} " + " ".join(ms + [v])

    def marked_connections(self):
        """Marks that are kept with the connection, taken back, and looked at."""
        r = self.r
        mark = r.choice(["0x1", "0x2", "0x3"])
        masks = r.choice(["--nfmask 0xffffffff --ctmask 0xffffffff", "--nfmask 0x1 --ctmask 0x3"])
        looked_at = r.choice(
            [
                "INPUT -m connmark --mark 0x1",
                "OUTPUT -m mark --mark 0x1",
                "INPUT -m connmark ! --mark 0x2/0x2",
            ]
        )
        rules = [
            f"-A PREROUTING -j MARK --set-xmark {mark}/0xffffffff",
            f"-A PREROUTING -j CONNMARK --save-mark {masks}",
            f"-A OUTPUT -j CONNMARK --restore-mark {masks}",
            f"-A {looked_at} -j DROP",
        ]
        heads = "".join(
            f":{name} ACCEPT [0:0]\n"
            for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
        )
        return f"*mangle\n{heads}" + "\n".join(rules) + "\nCOMMIT"

    def text(self, fam):
        r = self.r
        out = []
        if r.random() < 0.25:
            out.append(
                "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
                + "".join(
                    self.irule(fam, "raw", "PREROUTING", 0, 0) + "\n"
                    for _ in range(r.randint(1, 2))
                )
                + "COMMIT"
            )
        if r.random() < 0.35:
            out.append(
                "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
                + "".join(
                    self.irule(fam, "mangle", r.choice(["PREROUTING", "PREROUTING", "INPUT"]), 0, 0)
                    + "\n"
                    for _ in range(r.randint(1, 3))
                )
                + "COMMIT"
            )
        if r.random() < 0.35:
            out.append(
                "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
                + "".join(
                    self.irule(fam, "nat", "PREROUTING", 0, 0) + "\n"
                    for _ in range(r.randint(1, 2))
                )
                + "COMMIT"
            )
        if not any(part.startswith("*mangle") for part in out) and r.random() < 0.1:
            out.append(self.marked_connections())
        nu = r.randint(0, 4)
        od = r.random() < 0.15
        f = [
            "*filter",
            f":INPUT {r.choice(['ACCEPT', 'DROP'])} [0:0]",
            f":FORWARD {r.choice(['ACCEPT', 'DROP'])} [0:0]",
            f":OUTPUT {'DROP' if od else 'ACCEPT'} [0:0]",
        ]
        f += [f":U{i} - [0:0]" for i in range(nu)]
        for _ in range(r.randint(1, 9)):
            f.append(self.irule(fam, "filter", "INPUT", nu, -1))
        for _ in range(r.randint(0, 3)):
            f.append(self.irule(fam, "filter", "FORWARD", nu, -1))
        if r.random() < 0.5:
            f.append("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        if od or r.random() < 0.1:
            for _ in range(r.randint(1, 3)):
                f.append(
                    "-A OUTPUT "
                    + r.choice(
                        [
                            "-m conntrack --ctstate ESTABLISHED -j ACCEPT",
                            "-p tcp -m tcp --sport 11434 -j ACCEPT",
                            "-o eth0 -j ACCEPT",
                            "-m conntrack --ctstate NEW -j DROP",
                            "-m conntrack --ctdir REPLY -j ACCEPT",
                            "-m pkttype --pkt-type unicast -j ACCEPT",
                            "-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK -j ACCEPT",
                            (
                                f"-d {self.a4(True)} -j DROP"
                                if fam == 4
                                else f"-d {self.a6(True)} -j DROP"
                            ),
                            "-d 10.0.0.0/8 -j ACCEPT" if fam == 4 else "-d 2001:db8::/32 -j ACCEPT",
                            "-m mark ! --mark 0x0 -j DROP",
                            "-m connmark --mark 0x1 -j DROP",
                            "-p tcp -m multiport --sports 11434,8080 -j ACCEPT",
                        ]
                    )
                )
        for u in range(nu):
            for _ in range(r.randint(0, 4)):
                f.append(self.irule(fam, "filter", f"U{u}", nu, u))
        f.append("COMMIT")
        out.append("\n".join(f))
        return "\n".join(out) + "\n"
