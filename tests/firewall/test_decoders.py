"""Whatever a capture holds: no crash, no hang, and damage only ever makes the answer less sure."""

from __future__ import annotations

import json
import time
import tracemalloc

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Query, Reach, Rule
from ollama_audit.firewall.bits import CLIENT
from ollama_audit.firewall.context import Context, Journal
from ollama_audit.firewall.expressions import expression_list
from ollama_audit.firewall.given import in_place_of
from ollama_audit.firewall.host import Host
from ollama_audit.firewall.machine import Instruction, Machine
from ollama_audit.firewall.netlink import number, rules, text
from ollama_audit.firewall.nft_json import read_document
from ollama_audit.firewall.nft_json.datatypes import IP
from ollama_audit.firewall.nft_json.elements import compile_set
from ollama_audit.firewall.reach import forget, reach
from ollama_audit.firewall.state import Phase, opening
from ollama_audit.firewall.xt_targets import HARMLESS, decode_target
from ollama_audit.firewall.xtables import MATCHES, decode_match
from ollama_audit.observed import Known, Unknown, need
from ollama_audit.snapshot.firewall import GivenRuleset, NftablesDump, RulesetKind
from ollama_audit.snapshot.network import Family, NetworkNamespace
from tests.firewall import messages
from tests.firewall.rulesets import captured, filter_table, with_legacy

PARTS = ("tables", "chains", "rules", "sets", "elements")
QUERIES = [
    Query(family=Family.IPV4, interface="eth0", address="192.0.2.10", port=11434),
    Query(family=Family.IPV4, interface="eth0", address="192.0.2.10", port=11435),
    Query(family=Family.IPV6, interface="eth0", address="2001:db8::10", port=11434),
    Query(family=Family.IPV4, interface="lo", address="127.0.0.1", port=11434),
]


NAMESPACE = captured("mixed")
HOST = Host(NAMESPACE)
DUMP = need(NAMESPACE.firewall.nftables)


def with_dump(**parts: bytes) -> NetworkNamespace:
    dump = msgspec.structs.replace(DUMP, **parts)
    firewall = msgspec.structs.replace(NAMESPACE.firewall, nftables=Known(dump, "test"))
    return msgspec.structs.replace(NAMESPACE, firewall=firewall)


def ask(namespace: NetworkNamespace) -> list[Reach]:
    forget()
    return [reach(namespace, query) for query in QUERIES]


def test_the_capture_itself_is_understood() -> None:
    """The ruleset that is damaged below says what its text says."""
    four, published, six, local = ask(NAMESPACE)

    assert 0xCB007107 in four.surely  # 203.0.113.7 is in @lan
    assert 0xC6336409 in four.surely  # 198.51.100.9 may use port 11434 by @pairs
    assert 0xC6120001 in four.blocked  # 198.18.0.1 is dropped at ingress
    assert four.unknown  # of the others the rate decides
    assert any(end.forwarded and end.address == "172.17.0.2" for end in published.ends)
    assert (0xFE80 << 112) + 5 in six.surely
    assert 0x7F000001 in local.unknown | local.blocked


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    part=st.sampled_from(PARTS),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 1 << 20),
    truncate=st.booleans(),
)
def test_damaged_dumps_never_raise(
    part: str, changes: list[tuple[int, int]], cut: int, *, truncate: bool
) -> None:
    """Bytes that changed or are missing give an answer, which is always a partition."""
    data = bytearray(getattr(DUMP, part))
    for offset, value in changes:
        data[offset % len(data)] = value
    if truncate:
        del data[cut % len(data) :]
    started = time.process_time()

    ask(with_dump(**{part: bytes(data)}))

    assert time.process_time() - started < 20


@settings(max_examples=40, deadline=None)
@given(part=st.sampled_from(PARTS), noise=st.binary(max_size=400))
def test_noise_never_raises(part: str, noise: bytes) -> None:
    """Bytes that were never a dump do no harm either."""
    ask(with_dump(**{part: noise}))


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=300))
@pytest.mark.parametrize("head", ["", "*filter\n:INPUT DROP [0:0]\n-A INPUT "])
def test_any_text_is_a_legacy_save(head: str, text: str) -> None:
    """Text of any kind in place of iptables-legacy-save is an answer too."""
    firewall = msgspec.structs.replace(
        NAMESPACE.firewall,
        legacy_tables=Known(("filter",), "test"),
        iptables_legacy_save=Known(f"*filter\n{head}{text}\nCOMMIT\n", "test"),
        ipsets=Known(text, "test"),
    )
    ask(msgspec.structs.replace(NAMESPACE, firewall=firewall))


def with_given(text: str) -> NetworkNamespace:
    """The host with a listing in place of its own rules."""
    ruleset = GivenRuleset(file="f", kind=RulesetKind.NFT_JSON, text=text)
    firewall = in_place_of(NAMESPACE.firewall, [ruleset])
    return msgspec.structs.replace(NAMESPACE, firewall=firewall)


SOURCES = [f"{10 + i // 65536}.{i // 256 % 256}.{i % 256}.7" for i in range(0, 400_000, 50)]
LARGE_SAVE = filter_table(
    *(f"-A INPUT -s {source}/32 -p tcp -m tcp --dport 22 -j DROP" for source in SOURCES)
)
LARGE_IPSET = "create s hash:net family inet\n" + "".join(
    f"add s {source}/32\n" for source in SOURCES
)
SERVICES = b"".join(one for one in messages.split(DUMP.rules) if b"services\0" in one[:64])
LARGE_RULES = DUMP.rules + messages.in_a_row(SERVICES, 120)
PLACE = {"family": "inet", "table": "f"}
SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
BASE = {"type": "filter", "hook": "input", "prio": 0, "policy": "accept"}
LISTED_RULES = [
    {"expr": [{"match": {"op": "==", "left": SADDR, "right": source}}, {"drop": None}]}
    for source in SOURCES
]
LARGE_LISTING = json.dumps(
    {
        "nftables": [
            {"chain": {**PLACE, "name": "i", "handle": 1, **BASE}},
            *({"rule": {**PLACE, "chain": "i", "handle": 9, **rule}} for rule in LISTED_RULES),
        ]
    }
)
LARGE = {
    "elements": (with_dump(elements=DUMP.elements * 300), 10 * len(DUMP.elements) * 300),
    "rules": (with_dump(rules=LARGE_RULES), 10 * len(LARGE_RULES)),
    "iptables-save": (with_legacy(LARGE_SAVE), 10 * len(LARGE_SAVE)),
    "ipset": (
        with_legacy(filter_table("-A INPUT -m set --match-set s src -j DROP"), ipsets=LARGE_IPSET),
        10 * len(LARGE_IPSET),
    ),
    "nft -j": (with_given(LARGE_LISTING), 10 * len(LARGE_LISTING)),
}
"""Large captures, and how many bytes each may take: ten times its own."""


@pytest.mark.parametrize("kind", LARGE)
def test_memory_stays_in_proportion(kind: str) -> None:
    """Decoding a large input takes so many times its size and no more."""
    namespace, most = LARGE[kind]
    forget()
    tracemalloc.start()
    try:
        reach(namespace, QUERIES[0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        forget()

    assert most > 1_000_000
    assert peak < most


def test_memory_of_a_listed_set_stays_in_proportion() -> None:
    """A long list of short elements is decoded one at a time."""
    listing = {"set": {"family": "ip", "table": "t", "name": "s", "elem": SOURCES * 5}}
    text = json.dumps({"nftables": [listing]})
    tracemalloc.start()
    try:
        (listed,) = read_document(text).sets.values()
        found = compile_set(listed, (IP,), None, changes=False).membership(CLIENT[4], 4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.may == AddressSet.from_networks(SOURCES, 4)
    assert peak < 10 * len(text)


def matches_and_targets(dump: NftablesDump) -> list[tuple[str, int, bytes, bool]]:
    """Name, revision, structure, and whether it is a match, of what iptables-nft put in."""
    found = []
    for record in rules(dump.rules):
        for name, parts in expression_list(record):
            if name in ("match", "target"):
                revision = number(parts.get(2, b""))
                found.append((text(parts[1]), revision, parts[3], name == "match"))
    return found


STRUCTURES = [
    item
    for name in ("mixed", "ufw")
    for item in matches_and_targets(need(captured(name).firewall.nftables))
]
NAMES = [*MATCHES, *HARMLESS, "DNAT", "REDIRECT", "SNAT", "MARK", "CONNMARK", "CT", "set", "future"]


@settings(max_examples=300, deadline=None)
@given(
    structure=st.sampled_from(STRUCTURES),
    changes=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=6),
    keep=st.integers(0, 400),
    version=st.sampled_from([4, 6]),
)
def test_damaged_structures_of_iptables_never_raise(
    structure: tuple[str, int, bytes, bool],
    changes: list[tuple[int, int]],
    keep: int,
    version: int,
) -> None:
    """A structure of xtables that changed or was cut off is decoded to something that runs."""
    name, revision, info, is_match = structure
    data = bytearray(info)
    for offset, value in changes:
        data[offset % len(data)] = value
    decode = decode_match if is_match else decode_target

    run_for_everybody(decode(name, revision, bytes(data[:keep]), version), version)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    revision=st.integers(0, 4),
    info=st.binary(max_size=300),
    version=st.sampled_from([4, 6]),
)
def test_noise_in_place_of_structures_never_raises(
    name: str, revision: int, info: bytes, version: int
) -> None:
    """Nor do bytes of any kind, for any name."""
    run_for_everybody(decode_match(name, revision, info, version), version)
    run_for_everybody(decode_target(name, revision, info, version), version)


def run_for_everybody(instruction: Instruction | None, version: int) -> None:
    """Run an instruction for every source: all of them leave it, or are given up."""
    if instruction is None:
        return
    context = Context(
        host=HOST,
        version=version,
        hook="prerouting",
        ingress=HOST.interfaces["eth0"],
        egress=None,
        phase=Phase.OPEN,
        journal=Journal(version),
    )
    rule = Rule(backend="nftables", family="ip", table="t", chain="c", handle=1, position=1)
    everyone = AddressSet.everything(version)
    exits = Machine(context, rule, [instruction]).run(opening(1, 11434), everyone)
    journal = context.journal
    left = journal.doubtful.whole | journal.dropped.whole
    for way in exits:
        left = left | way.sources
    assert left.full


@st.composite
def changed_words(draw: st.DrawFn, original: str) -> str:
    """A text with words of it left out, doubled, or in each other's place."""
    lines = [line.split(" ") for line in original.splitlines()]
    for _ in range(draw(st.integers(1, 6))):
        line = lines[draw(st.integers(0, len(lines) - 1))]
        first, second = (draw(st.integers(0, len(line) - 1)) for _ in range(2))
        change = draw(st.sampled_from(["swap", "drop", "double", "odd"]))
        if change == "swap":
            line[first], line[second] = line[second], line[first]
        elif change == "drop" and len(line) > 1:
            del line[first]
        elif change == "double":
            line.insert(second, line[first])
        else:
            odd = ["!", "'", "::/0", "-1", "99999", "1.2.3.4/33", "-j", "\0", "nomatch", "timeout"]
            line[first] = draw(st.sampled_from(odd))
    return "\n".join(" ".join(line) for line in lines) + "\n"


UFW_SAVE = need(captured("ufw").firewall.iptables_save)
SETS = """\
create nets hash:net family inet hashsize 1024 maxelem 65536
add nets 10.0.0.0/8
add nets 10.1.0.0/16 nomatch
add nets 192.0.2.0/24 timeout 300
create ports hash:net,port family inet
add ports 192.0.2.0/24,tcp:11434
add ports 198.51.100.7,udp:53
create lists list:set size 8
add lists nets
"""
BY_SETS = filter_table(
    "-A INPUT -m set --match-set nets src -j DROP",
    "-A INPUT -m set --match-set ports src,dst -j ACCEPT",
    "-A INPUT -m set --match-set lists src -j ACCEPT",
)


@settings(max_examples=80, deadline=None)
@given(saved=changed_words(UFW_SAVE))
def test_changed_saves_never_raise(saved: str) -> None:
    """Real iptables-save with words out of place is an answer, and a partition."""
    ask(with_legacy(saved))


@settings(max_examples=120, deadline=None)
@given(sets=changed_words(SETS))
def test_changed_ipsets_never_raise(sets: str) -> None:
    """So are ipsets."""
    ask(with_legacy(BY_SETS, ipsets=sets))


def test_what_was_not_read_is_unknown_with_its_cure() -> None:
    """Without privilege nothing is said, and the command that would settle it is."""
    unread = Unknown("needs CAP_NET_ADMIN", "nf_tables by netlink", "sudo ollama-audit")
    firewall = msgspec.structs.replace(NAMESPACE.firewall, nftables=unread)
    answer = ask(msgspec.structs.replace(NAMESPACE, firewall=firewall))[0]

    assert answer.unknown.full
    assert answer.reasons == ("needs CAP_NET_ADMIN",)
    assert answer.cure == "sudo ollama-audit"


def test_legacy_tables_that_were_not_saved_are_unknown() -> None:
    """A table that the kernel has and the save lacks may drop anything."""
    firewall = msgspec.structs.replace(
        NAMESPACE.firewall,
        legacy_tables=Known(("filter", "raw"), "/proc/net/ip_tables_names"),
        iptables_legacy_save=Known("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "test"),
    )
    answer = ask(msgspec.structs.replace(NAMESPACE, firewall=firewall))[0]

    assert answer.unknown.full
    assert "raw" in answer.reasons[0]
