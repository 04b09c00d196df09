"""Rules put into conditions, and runs that are remembered: the same answers, with less work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import product

import pytest

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall import remembered
from ollama_audit.firewall.answer import Query, Reach, Rule
from ollama_audit.firewall.bits import EQUAL, NOT_EQUAL
from ollama_audit.firewall.chains import Chain, ChainKey, Runner
from ollama_audit.firewall.context import Context, Journal
from ollama_audit.firewall.effects import SetMark, Verdict
from ollama_audit.firewall.host import Host
from ollama_audit.firewall.instructions import Compare, Load, Mask
from ollama_audit.firewall.loads import load_connection, load_header
from ollama_audit.firewall.machine import ACCEPT, DROP, Instruction
from ollama_audit.firewall.program import Program, program
from ollama_audit.firewall.reach import forget, reach
from ollama_audit.firewall.ruleset import compile_namespace
from ollama_audit.firewall.state import Flows, Phase, Tracking, opening
from ollama_audit.snapshot.network import Family
from tests.firewall.rulesets import captured

HOSTS = ("mixed", "assorted", "docker", "firewalld", "firewalld-zones", "ufw")
HOST = Host(captured("mixed"))
RULE = Rule(backend="nftables", family="inet", table="t", chain="c", handle=1, position=1)
KEY = ChainKey("nftables", "inet", "t", "c")


def context(version: int, phase: Phase, hook: str) -> Context:
    return Context(
        host=HOST,
        version=version,
        hook=hook,
        ingress=HOST.interfaces["eth0"] if hook == "input" else None,
        egress=HOST.interfaces["eth0"] if hook == "output" else None,
        phase=phase,
        journal=Journal(version),
    )


def outcome(rule: Program, place: Context, flows: Flows) -> tuple[object, ...]:
    """All that becomes of packets at one rule."""
    chain = Chain(KEY, 1, None, lambda: [rule])
    accepted, ended = Runner(place, {KEY: chain}).run(chain, flows)
    journal = place.journal
    grown = (journal.dropped.whole, journal.doubtful.whole, journal.chosen.whole)
    return accepted, ended, *grown


@pytest.mark.parametrize("name", HOSTS)
def test_conditions_are_what_their_instructions_are(name: str) -> None:
    """Every rule of real hosts, of every table: as it is run, and with all of it by the machine."""
    forget()
    rules = [
        each
        for chain in compile_namespace(captured(name)).hooks.chains.values()
        for each in chain.programs
        if each.instructions  # without any, what it asks for is not asked
    ]
    assert any(each.conditions for each in rules)
    state = opening(0xC000020A, 11434)._replace(tracking=Tracking.NEW)
    states = (
        state,
        state._replace(port=22, ordinary=False),
        state._replace(tracking=Tracking.NONE),
    )
    places = ((4, Phase.OPEN, "input"), (6, Phase.OPEN, "input"), (4, Phase.ANSWER, "output"))
    for rule, place in product(rules, places):
        if place[0] == {"ip": 6, "ip6": 4}.get(rule.rule.family):
            continue  # packets of the other family never get there
        flows = {each: AddressSet.everything(place[0]) for each in states}
        spelled_out = Program(rule.rule, (), tuple(rule.spelled_out))

        assert outcome(rule, context(*place), flows) == outcome(
            spelled_out, context(*place), flows
        ), rule


def saddr(register: int = 1) -> Load:
    return load_header("ip", register, 1, 12, 4)


def compared(register: int, number: int, operator: int = EQUAL) -> Compare:
    return Compare(register, operator, number.to_bytes(4, "big"))


HERE = 0x0A000001
DROPPED = AddressSet.single(HERE, 4)
NOBODY = AddressSet.nothing(4)


@pytest.mark.parametrize(
    ("instructions", "dropped"),
    [
        ([saddr(), compared(1, HERE), Verdict(DROP)], DROPPED),
        # the same register is asked twice, the second time without a load of its own
        (
            [saddr(), compared(1, HERE), compared(1, HERE, NOT_EQUAL), Verdict(DROP)],
            NOBODY,
        ),
        ([saddr(), compared(1, HERE), compared(1, HERE), Verdict(DROP)], DROPPED),
        # what another load left behind is not what is asked
        ([saddr(1), load_header("ip", 2, 1, 16, 4), compared(1, HERE), Verdict(DROP)], DROPPED),
        # a load that nothing asks still ends the rule where there is no such field
        ([load_connection(1, 12, 0), Verdict(DROP)], NOBODY),
        # through a mask into another register
        (
            [
                saddr(1),
                Mask(1, 2, 4, b"\xff\0\0\0", bytes(4)),
                compared(2, 10 << 24),
                Verdict(DROP),
            ],
            AddressSet.from_networks(["10.0.0.0/8"], 4),
        ),
    ],
)
def test_what_registers_hold(instructions: Sequence[Instruction], dropped: AddressSet) -> None:
    """Conditions stand for what is in a register when it is asked, and for nothing else."""
    place = context(4, Phase.OPEN, "input")
    flows = {opening(0xC000020A, 11434): AddressSet.everything(4)}
    outcome(program(RULE, instructions), place, flows)

    assert place.journal.dropped.whole == dropped


def test_a_register_that_is_used_keeps_its_load() -> None:
    """The address that becomes a mark is loaded, though it was asked before."""
    daddr = load_header("ip", 1, 1, 16, 4)
    rule = program(
        RULE, [daddr, compared(1, 0xC000020A), SetMark(1, connection=False), Verdict(ACCEPT)]
    )
    place = context(4, Phase.OPEN, "input")
    everyone = AddressSet.everything(4)
    accepted, *_ = outcome(rule, place, {opening(0xC000020A, 11434): everyone})

    assert isinstance(accepted, dict)
    assert {state.mark for state in accepted} == {
        int.from_bytes(bytes([192, 0, 2, 10]), sys.byteorder)
    }


def queries(name: str) -> list[Query]:
    """Many questions about one host: each interface, address and some ports, twice."""
    host = Host(captured(name))
    found = []
    for link in host.interfaces.values():
        for version, family in ((4, Family.IPV4), (6, Family.IPV6)):
            for value in host.addresses(link, version)[:2]:
                size = 4 if version == 4 else 16
                address = str(ip_address(value.to_bytes(size, "big")))
                found += [
                    Query(family=family, interface=other, address=address, port=port)
                    for port in (11434, 22, 8080)
                    for other in host.interfaces
                ]
    return found * 2


@pytest.mark.parametrize("name", HOSTS)
def test_what_is_remembered_is_what_would_be_worked_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions one after the other have the answers that each has alone."""

    def answers() -> list[Reach]:
        forget()
        namespace = captured(name)
        return [reach(namespace, query) for query in queries(name)]

    kept = answers()
    monkeypatch.setattr(remembered, "MOST_KEPT", 0)

    assert kept == answers()
    forget()
