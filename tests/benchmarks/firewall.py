"""What one audit's packet-filter questions cost: `python -m tests.benchmarks.firewall`.

For each ruleset, in a namespace of its own and a fresh process: reading the dump from the kernel,
compiling it, and three questions (two of IPv4, one of IPv6). Times are processor time in
milliseconds, the kernel's share of it apart, and wall time; memory is the peak in MiB. With
`--prototype DIR` the evaluator of that folder is measured in turn on the same rulesets. Needs
root; the namespace is named oa-diff-bench.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

NAMESPACE = "oa-diff-bench"
ADDRESSES = ((4, "192.0.2.1"), (4, "192.0.2.1"), (6, "2001:db8::1"))
HEAD = "type filter hook input priority 0; policy drop;\nct state established,related accept\n"


def _address(chance: random.Random) -> str:
    while True:
        value = chance.getrandbits(32)
        if value >> 24 not in (0, 127):
            return str(IPv4Address(value))


def plain_rules(count: int) -> str:
    """One source and one port a rule."""
    chance = random.Random(count)
    rules = [
        f"ip saddr {_address(chance)} tcp dport {chance.choice([22, 443, 11434])}"
        f" {chance.choice(['accept', 'drop'])}\n"
        for _ in range(count)
    ]
    return f"table inet f {{ chain input {{ {HEAD}{''.join(rules)}tcp dport 11434 accept\n}}\n}}\n"


def one_set(count: int) -> str:
    """One interval set of single addresses and a rule that drops them."""
    chance = random.Random(count)
    members = ",".join({_address(chance) for _ in range(count)})
    kind = "type ipv4_addr; flags interval; auto-merge;"
    return (
        f"table inet f {{ set s {{ {kind} elements = {{ {members} }}; }}\n"
        f"chain input {{ {HEAD}ip saddr @s drop\ntcp dport 11434 accept\n}}\n}}\n"
    )


RULESETS: tuple[tuple[str, Callable[[int], str], int], ...] = (
    ("nothing", plain_rules, 0),
    *(("rules", plain_rules, count) for count in (150, 1000, 2500, 5000)),
    *(("set", one_set, count) for count in (1000, 10_000, 30_000, 100_000)),
)


STOCK = ("ufw", "firewalld")
"""Hosts that were captured with the rules of these, for people's everyday case."""


def load_stock(name: str) -> None:
    """Load what such a host has; the programs that made it need not be here.

    The prototype does not decode iptables' structures, so that ufw is more work for the product.
    """
    import msgspec  # noqa: PLC0415

    from ollama_audit.observed import known_or  # noqa: PLC0415
    from ollama_audit.snapshot.network import NetworkNamespace  # noqa: PLC0415

    path = Path(__file__).parents[1] / "firewall" / "captures" / f"{name}.json"
    firewall = msgspec.json.decode(path.read_bytes(), type=NetworkNamespace).firewall
    inside = ("ip", "netns", "exec", NAMESPACE)
    run(*inside, "nft", "flush", "ruleset")
    saves = (("iptables", firewall.iptables_save), ("ip6tables", firewall.ip6tables_save))
    for program, saved in saves:
        if known_or(saved, ""):
            run(*inside, f"{program}-nft-restore", stdin=known_or(saved, ""))
    if not known_or(firewall.iptables_save, ""):
        run(*inside, "nft", "-f", "-", stdin=known_or(firewall.nft_listing, ""))


def run(*argv: str, stdin: str | None = None) -> str:
    """Run a command; what it prints."""
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True).stdout


def build() -> None:
    """The namespace, with one interface and a default route."""
    run("ip", "netns", "add", NAMESPACE)
    for command in (
        "link set lo up",
        "link add eth0 type veth peer name p0",
        "link set eth0 up",
        "link set p0 up",
        "address add 192.0.2.1/24 dev eth0",
        "address add 2001:db8::1/64 dev eth0 nodad",
        "route add default dev eth0",
        "-6 route add default dev eth0",
    ):
        run("ip", "-n", NAMESPACE, *command.split())


def measure(work: Callable[[], Callable[[], None]]) -> dict[str, float]:
    """Cost of what `work` returns; what it does before that is not counted."""
    counted = work()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    counted()
    after, ended = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    return {
        "user": 1000 * (after.ru_utime - before.ru_utime),
        "system": 1000 * (after.ru_stime - before.ru_stime),
        "wall": 1000 * (ended - began),
        "peak": after.ru_maxrss / 1024,
    }


def product(*, may_doubt: bool) -> Callable[[], None]:
    """This project's engine; `may_doubt` where rules have rates."""
    import os  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from ollama_audit.collect.namespaces import read_namespace  # noqa: PLC0415
    from ollama_audit.collect.nftables import read_nftables  # noqa: PLC0415
    from ollama_audit.firewall.answer import Query  # noqa: PLC0415
    from ollama_audit.firewall.reach import reach  # noqa: PLC0415
    from ollama_audit.observed import need  # noqa: PLC0415
    from ollama_audit.snapshot.network import Family  # noqa: PLC0415

    namespace = need(read_namespace(os.getpid()))

    def counted() -> None:
        firewall = msgspec.structs.replace(namespace.firewall, nftables=read_nftables())
        fresh = msgspec.structs.replace(namespace, firewall=firewall)
        for version, address in ADDRESSES:
            family = Family.IPV4 if version == 4 else Family.IPV6
            query = Query(family=family, interface="eth0", address=address, port=11434)
            if reach(fresh, query).unknown and not may_doubt:
                raise AssertionError("this ruleset is modelled whole")

    return counted


def prototype(folder: str) -> Callable[[], None]:
    """The evaluator that the engine is compared with."""
    sys.path.insert(0, folder)
    core, facts, vm, nl, ivl = (_module(name) for name in ("core", "facts", "vm", "nl", "ivl"))
    host = facts.from_ip(
        json.loads(run("ip", "-j", "-d", "addr")),
        json.loads(run("ip", "-j", "route")),
        json.loads(run("ip", "-j", "-6", "route")),
    )
    for interface in host.ifaces.values():
        interface.sysctl = {"forwarding": 0}

    def counted() -> None:
        rules = vm.load(nl.ruleset()).rs
        for version, address in ADDRESSES:
            number = ivl.addr(address)[1]
            core.reach(host, rules, version, "eth0", number, 11434, lambda *_: True)

    return counted


def _module(name: str) -> Any:
    import importlib  # noqa: PLC0415

    return importlib.import_module(f"fw.{name}")


def in_child(folder: str) -> dict[str, float]:
    """The costs, measured in a fresh process inside the namespace."""
    argv = ("ip", "netns", "exec", NAMESPACE, sys.executable, "-m", "tests.benchmarks.firewall")
    found: dict[str, float] = json.loads(run(*argv, "--measure", folder))
    return found


def main() -> int:
    """Print a row for each ruleset and engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prototype", default="", metavar="DIR")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        stock = given.measure == "stock"
        own = stock or given.measure == "-"
        work = lambda: product(may_doubt=stock) if own else prototype(given.measure)  # noqa: E731
        sys.stdout.write(json.dumps(measure(work)))
        return 0
    engines = [("product", "-")]
    if given.prototype:
        engines.append(("prototype", str(Path(given.prototype).resolve())))
    build()
    try:
        _table(engines)
    finally:
        run("ip", "netns", "del", NAMESPACE)
    return 0


def _table(engines: list[tuple[str, str]]) -> None:
    sys.stdout.write("ruleset      engine     user ms  kernel ms  wall ms  peak MiB\n")
    for stock in STOCK:
        load_stock(stock)
        for name, folder in engines:
            _row(stock, name, in_child("stock" if folder == "-" else folder))
    for kind, make, count in RULESETS:
        given = "flush ruleset\n" + make(count)
        run("ip", "netns", "exec", NAMESPACE, "nft", "-f", "-", stdin=given)
        for name, folder in engines:
            _row(f"{kind} {count}", name, in_child(folder))


def _row(ruleset: str, engine: str, cost: dict[str, float]) -> None:
    sys.stdout.write(
        f"{ruleset:12} {engine:10} {cost['user']:7.0f} {cost['system']:10.0f}"
        f" {cost['wall']:8.0f} {cost['peak']:9.0f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
