"""Clients on the host itself: real connect(2) over lo."""

from __future__ import annotations

import errno
import random
import select
import socket
from ipaddress import ip_address

from ollama_audit.firewall.answer import Query
from ollama_audit.snapshot.network import Family
from tests.differential.compare import Case, Kernel, Tally, record
from tests.differential.modes import Nft, Ruleset
from tests.differential.packets import forget_connections
from tests.differential.reasons import why_unknown

OWN = {
    4: ("127.0.0.1", "127.0.0.9", "10.77.0.2", "198.51.100.2", "10.99.0.2", "172.17.0.1"),
    6: ("::1", "2001:db8:77::2", "2001:db8:99::2", "fd99::2"),
}
WAIT_S = 0.01
LATE_S = 0.5
"""For who is said to get through and did not in time: a loaded machine is no packet filter."""

OUTPUT_RULES = (
    'oifname "lo" accept',
    "ip daddr 127.0.0.1 accept",
    "ip daddr 127.0.0.0/8 meta mark set 0x1",
    "ip saddr 10.77.0.2 drop",
    "tcp dport 8080 drop",
    "ct state new meta mark set 0x2",
    "ip6 daddr ::1 accept",
    'oifname "lo" ip daddr != 127.0.0.1 drop',
    "ct state established accept",
    "tcp flags & (syn|ack) == syn|ack accept",
    "ip6 saddr 2001:db8::/32 accept",
)
TRANSLATIONS = (
    "tcp dport 8080 redirect to :11434",
    "ip daddr 10.77.0.2 tcp dport 11434 dnat ip to 127.0.0.1:22",
    "ip daddr 127.0.0.1 tcp dport 11434 redirect to :80",
    "tcp dport 11434 dnat ip to 198.51.100.2",
    "ip daddr 10.77.0.2 tcp dport 11434 dnat ip to 172.17.0.2:80",
    "ip daddr 127.0.0.1 tcp dport 11434 dnat ip to 172.17.0.2:80",
    "ip daddr 127.0.0.0/8 tcp dport 8080 dnat ip to 172.17.0.2:80",
)
MASQUERADES = (
    'oifname "docker0" masquerade',
    "ip saddr 127.0.0.0/8 masquerade",
    "ip saddr 127.0.0.1 snat ip to 172.17.0.1",
)


class Local(Nft):
    """nf_tables with chains that concern packets which the host sends to itself."""

    def make(self, chance: random.Random, unmodelled: float) -> Ruleset:
        ruleset = super().make(chance, unmodelled)
        (command, given), *_ = ruleset.inputs
        if chance.random() < 0.5:
            given += _output_table(chance, unmodelled)
        return Ruleset(((command, given),), ruleset.edges)


def _output_table(chance: random.Random, unmodelled: float) -> str:
    chosen = chance.sample(OUTPUT_RULES, chance.randint(1, 5))
    if chance.random() < unmodelled:
        chosen.insert(chance.randrange(len(chosen)), "meta skuid 0 accept")
    rules = "\n".join(chosen)
    hook = f"type filter hook output priority {chance.choice([0, -10, -300])}"
    text = f"table inet lo9 {{\nchain o {{ {hook}; policy {chance.choice(['accept', 'drop'])};\n"
    text += rules + "\n}\n"
    if chance.random() < 0.3:
        rule = chance.choice(TRANSLATIONS)
        text += f"chain n {{ type nat hook output priority -100;\n{rule}\n}}\n"
        if chance.random() < 0.6:
            rule = chance.choice(MASQUERADES)
            text += f"chain p {{ type nat hook postrouting priority 100;\n{rule}\n}}\n"
    return text + "}\n"


def judge_local(kernel: Kernel, case: Case, tally: Tally) -> None:
    """Compare the engine with connections that this process makes."""
    # What is left of the connections of another case makes new ones of their ports established.
    forget_connections()
    chance = random.Random(case.seed ^ 0x10CA1)
    for version, family in ((4, Family.IPV4), (6, Family.IPV6)):
        for destination in chance.sample(OWN[version], 3):
            port = chance.choice([11434, 8080])
            query = Query(family=family, interface="lo", address=destination, port=port)
            answer = kernel.ask(case.namespace, query)
            for source in chance.sample(OWN[version], 3):
                if source.startswith("127.") and not destination.startswith("127."):
                    continue
                attempt = (kernel, version, source, destination, port)
                said = kernel.expectation(answer, int(ip_address(source)), ordinary=True)
                through = _connects(*attempt) or (said == "accept" and _connects(*attempt, LATE_S))
                if said == "unknown" and case.printed is not None:
                    reason = why_unknown(answer, int(ip_address(source)), case.printed)
                    tally.reasons[reason] += 1
                record(
                    tally,
                    case.seed,
                    f"{source} -> {destination} port {port}",
                    said,
                    through=through,
                )
    kernel.topology.accepted()
    tally.counts["rulesets"] += 1


def _connects(  # noqa: PLR0913, PLR0917 - an attempt, and how long it may take
    kernel: Kernel, version: int, source: str, destination: str, port: int, wait_s: float = WAIT_S
) -> bool:
    """Whether the whole handshake goes through: a lost ACK shows at the server alone."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(0)
        try:
            client.bind((source, 0))
            if client.connect_ex((destination, port)) not in (errno.EINPROGRESS, 0):
                return False
        except OSError:
            return False
        ready = select.select([], [client], [], wait_s)[1]
        if not ready or client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        own = int(client.getsockname()[1])
        select.select(kernel.topology.listeners["local"], [], [], wait_s)
        return own in {found for _, found in kernel.topology.accepted()}
