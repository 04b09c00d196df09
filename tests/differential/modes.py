"""How each kind of ruleset is made, loaded, and read back from the kernel."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ollama_audit.collect.firewall import read_firewall
from ollama_audit.firewall.given import in_place_of, recognise
from ollama_audit.snapshot.network import NetworkNamespace
from tests.differential import iptables_rulesets, nft_rulesets
from tests.differential.compare import Kernel

IPSETS = """\
create ips4 hash:net family inet
add ips4 10.77.0.0/25
add ips4 203.0.113.0/24
add ips4 203.0.113.64/26 nomatch
add ips4 203.0.113.70
create ips6 hash:net family inet6
add ips6 2001:db8:77::/64
add ips6 fe80::/10
create ipp4 hash:net,port family inet
add ipp4 10.0.0.0/8,tcp:11434
add ipp4 8.0.0.0/8,udp:11434
create ipp6 hash:net,port family inet6
add ipp6 2001:db8::/32,tcp:8080
"""
IPSET_EDGES = [0xCB007140, 0xCB007146, 0xCB00717F, 0xCB007180, 0x0A4D007F, 0x0A4D0080]

BUILT_IN = (
    ("raw", "PREROUTING OUTPUT"),
    ("mangle", "PREROUTING INPUT FORWARD OUTPUT POSTROUTING"),
    ("nat", "PREROUTING INPUT OUTPUT POSTROUTING"),
    ("filter", "INPUT FORWARD OUTPUT"),
)
NOTHING = "".join(
    f"*{table}\n" + "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains.split()) + "COMMIT\n"
    for table, chains in BUILT_IN
)


class Ruleset(NamedTuple):
    """A random ruleset: what is fed to which command, and the addresses at its edges."""

    inputs: tuple[tuple[tuple[str, ...], str], ...]
    edges: dict[int, list[int]]

    @property
    def text(self) -> str:
        """All of it, for a file."""
        return "\n".join(f"### {' '.join(command)}\n{given}" for command, given in self.inputs)


class Mode(Protocol):
    """A kind of ruleset."""

    def prepare(self, kernel: Kernel) -> None:
        """Make what rules refer to."""

    def make(self, chance: random.Random, unmodelled: float) -> Ruleset:
        """A random ruleset, with that share of matches that nobody models."""

    def clear(self) -> None:
        """Take all rules away."""

    def observe(self, kernel: Kernel) -> NetworkNamespace:
        """The namespace with the rules as the kernel has them."""


def feed(command: tuple[str, ...], given: str) -> bool:
    """Run a command on an input; whether it took it."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return done.returncode == 0


class Nft:
    """nf_tables by `nft -f`."""

    contradictory = True

    def prepare(self, kernel: Kernel) -> None:
        del kernel

    def make(self, chance: random.Random, unmodelled: float) -> Ruleset:
        grammar: Any = nft_rulesets.G(chance, unmodelled)  # type: ignore[no-untyped-call]
        grammar.lossy = True
        grammar.contradictory = self.contradictory
        given = "flush ruleset\n" + grammar.ruleset()
        return Ruleset(((("nft", "-f", "-"), given),), {4: grammar.used4, 6: grammar.used6})

    def clear(self) -> None:
        feed(("nft", "flush", "ruleset"), "")

    def observe(self, kernel: Kernel) -> NetworkNamespace:
        return kernel.observe()


class NftJson(Nft):
    """The same, judged by what `nft -j list ruleset` prints of it.

    A rule of a table of one family that asks for the other, and so never matches, is listed as
    if it did not ask: no reader can tell, so none is made.
    """

    contradictory = False

    def observe(self, kernel: Kernel) -> NetworkNamespace:
        return printed(kernel, ("nft", "-j", "list", "ruleset"))


def printed(kernel: Kernel, *commands: tuple[str, ...]) -> NetworkNamespace:
    """The namespace with its rulesets as commands print them."""
    rulesets = [
        recognise(
            " ".join(command), subprocess.run(command, capture_output=True, check=True).stdout
        )
        for command in commands
    ]
    return kernel.with_capture(in_place_of(kernel.namespace.firewall, rulesets))


class Iptables:
    """iptables-restore and ip6tables-restore of one backend."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def prepare(self, kernel: Kernel) -> None:
        del kernel
        if not feed(("ipset", "restore", "-exist"), IPSETS):
            raise RuntimeError("ipset cannot make the sets that rules refer to")

    def make(self, chance: random.Random, unmodelled: float) -> Ruleset:
        grammar: Any = iptables_rulesets.GI(chance, unmodelled)  # type: ignore[no-untyped-call]
        inputs = tuple(
            ((f"{program}-{self.backend}-restore",), grammar.text(version))
            for program, version in (("iptables", 4), ("ip6tables", 6))
        )
        return Ruleset(inputs, {4: grammar.used4 + IPSET_EDGES, 6: grammar.used6})

    def clear(self) -> None:
        if self.backend == "nft":
            feed(("nft", "flush", "ruleset"), "")
        else:
            feed(("iptables-legacy-restore",), NOTHING)
            feed(("ip6tables-legacy-restore",), NOTHING)

    def observe(self, kernel: Kernel) -> NetworkNamespace:
        return kernel.with_capture(read_firewall(kernel.namespace.interfaces))


class Saves(Iptables):
    """iptables over nf_tables, judged by what the programs print into files.

    The listing of nft has the names of extensions alone; the saves are to complete it.
    """

    def __init__(self) -> None:
        super().__init__("nft")

    def observe(self, kernel: Kernel) -> NetworkNamespace:
        commands = (
            ("nft", "-j", "list", "ruleset"),
            ("iptables-nft-save",),
            ("ip6tables-nft-save",),
            ("ipset", "save"),
        )
        return printed(kernel, *commands)


class Mixed:
    """iptables-legacy and nf_tables at the same time."""

    def __init__(self) -> None:
        self.parts = (Nft(), Iptables("legacy"))

    def prepare(self, kernel: Kernel) -> None:
        for part in self.parts:
            part.prepare(kernel)

    def make(self, chance: random.Random, unmodelled: float) -> Ruleset:
        made = [part.make(chance, unmodelled) for part in self.parts]
        edges = {
            version: [edge for one in made for edge in one.edges[version]] for version in (4, 6)
        }
        return Ruleset(tuple(item for one in made for item in one.inputs), edges)

    def clear(self) -> None:
        for part in self.parts:
            part.clear()

    def observe(self, kernel: Kernel) -> NetworkNamespace:
        return self.parts[1].observe(kernel)


MODES: dict[str, Callable[[], Mode]] = {
    "nft": Nft,
    "nft-json": NftJson,
    "iptables-nft": lambda: Iptables("nft"),
    "iptables-legacy": lambda: Iptables("legacy"),
    "saves": Saves,
    "mixed": Mixed,
}
