"""What is said of the packet filter is the same whether or not alike ports are asked together."""

from __future__ import annotations

import random

import msgspec
import pytest

from ollama_audit.exposure import filters as filtering
from ollama_audit.exposure.model import PacketFilter
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.firewall.ports import one_of_each, spans
from ollama_audit.firewall.reach import forget
from ollama_audit.firewall.translations import port_edges
from ollama_audit.snapshot.network import NetworkNamespace
from tests.firewall.rulesets import filter_table, with_legacy
from tests.hosts import host, namespaces

PORTS = (22, 80, 443, 3000, 5000, 8000, 8080, 8081, 9000, 11434, 20000, 30000)
MATCHES = (
    "--dport 22",
    "--dport 8000:8080",
    "! --dport 11434",
    "-m multiport --dports 80,443,9000:9999",
    "-m multiport ! --dports 22,80",
    "--dport 1:1024 -s 198.51.100.0/24",
    "-s 192.0.2.77/32",
    "-m conntrack --ctorigdstport 30000",
)
TRANSLATIONS = (
    "--dport 80 -j REDIRECT --to-ports 11434",
    "--dport 8000:9000 -j DNAT --to-destination 192.0.2.10",
    "--dport 20000 -j DNAT --to-destination 192.0.2.10:8081",
)


def ruleset(seed: int) -> NetworkNamespace:
    """A host with some rules of a filter table and a nat table."""
    chance = random.Random(seed)
    rules = [":own - [0:0]"]
    for _ in range(chance.randrange(1, 7)):
        chain, target = chance.choice(("INPUT", "own")), chance.choice(("ACCEPT", "DROP", "own"))
        if target != chain:
            match = chance.choice(MATCHES)
            rules.append(f"-A {chain} -p tcp -m tcp {match} -j {target}")
    heads = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]"
    nat = [f"-A PREROUTING -p tcp -m tcp {each}" for each in TRANSLATIONS if chance.random() < 0.3]
    policy = chance.choice(("ACCEPT", "DROP"))
    both = filter_table(*rules, policy=policy) + "\n".join([heads, *nat, "COMMIT", ""])
    found = with_legacy(both, filter_table(*rules[:-1], policy="DROP"))
    return msgspec.structs.replace(found, host=True)


def judged(space: NetworkNamespace, ports: frozenset[int]) -> tuple[PacketFilter, ...]:
    forget()
    terrain = Terrain(host(namespaces=namespaces(space)).snapshot)
    return filtering.filters(terrain, ports)


def test_of_ports_that_no_rule_tells_apart_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = different = 0
    for seed in range(150):
        space = ruleset(seed)
        ports = frozenset(random.Random(seed).sample(PORTS, 8))
        together = judged(space, ports)
        assert together
        fewer += len([*one_of_each(ports, port_edges(space, 4))]) < len(ports)
        with monkeypatch.context() as patch:
            patch.setattr(filtering, "_FEW", len(PORTS))
            assert judged(space, ports) == together, seed
            patch.setattr(filtering, "_FEW", 0)
            patch.setattr(filtering, "port_edges", lambda *_: 0)
            different += judged(space, ports) != together
    assert fewer > 100
    assert different > 20, "rulesets that tell no ports apart would prove nothing"


def test_of_each_kind_the_least_port() -> None:
    assert [*one_of_each([9, 3, 7, 1], spans([(4, 4), (8, 8)]))] == [1, 7, 9]
    assert [*one_of_each([4, 5], spans([(5, 5)]))] == [4, 5]
    assert [*one_of_each([4, 5], 0)] == [4]
