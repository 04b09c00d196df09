"""`nft -j list ruleset` says what the kernel's dump says, and where it is ambiguous, nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.given import doubts, in_place_of, recognise
from ollama_audit.firewall.nft_json.wording import in_words
from ollama_audit.firewall.reach import forget, reach
from ollama_audit.firewall.translations import Translations, translations
from ollama_audit.snapshot.network import Family, NetworkNamespace

CAPTURES = Path(__file__).parent / "captures"
"""Each NAME.json is a namespace with the kernel's dump, and NAME-listed.json the same ruleset as
nft 1.0.6 listed it in that moment."""
PAIRS = ("firewalld", "docker", "assorted")


def captured(name: str) -> NetworkNamespace:
    return msgspec.json.decode((CAPTURES / f"{name}.json").read_bytes(), type=NetworkNamespace)


NAMESPACE = captured("assorted")


def by(text: str | bytes, namespace: NetworkNamespace = NAMESPACE) -> NetworkNamespace:
    """The namespace with a ruleset from a file in place of its own."""
    data = text.encode() if isinstance(text, str) else text
    firewall = in_place_of(namespace.firewall, [recognise("r.json", data)])
    return msgspec.structs.replace(namespace, firewall=firewall)


def listing(*statements: Any, family: str = "inet", policy: str = "accept", **more: Any) -> str:
    """A listing of one table whose input chain has one rule, with sets in `more`."""
    place = {"family": family, "table": "t"}
    chain = {"name": "i", "handle": 1, "type": "filter", "hook": "input", "prio": 0}
    rule = {"chain": "i", "handle": 2, "expr": list(statements)}
    sets = [{kind: place | value} for kind, value in more.items()]
    return json.dumps(
        {
            "nftables": [
                {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
                {"table": {"family": family, "name": "t", "handle": 1}},
                {"chain": place | chain | {"policy": policy}},
                {"chain": place | {"name": "c", "handle": 9}},
                *sets,
                {"rule": place | rule},
            ]
        }
    )


def ask(namespace: NetworkNamespace, version: int = 4, port: int = 11434) -> Reach:
    family, address = (Family.IPV4, "192.0.2.10") if version == 4 else (Family.IPV6, "2001:db8::10")
    return reach(namespace, Query(family=family, interface="eth0", address=address, port=port))


def match(left: Any, right: Any, operator: str = "==") -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}


def field(protocol: str, name: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": name}}


SADDR, SADDR6, DPORT = field("ip", "saddr"), field("ip6", "saddr"), field("tcp", "dport")
DROP: dict[str, Any] = {"drop": None}
CLIENT, OTHER = "198.51.100.7", "203.0.113.7"
CLIENT6 = "2001:db8::77"


def said(answer: Reach, address: str) -> str:
    """What an answer says of one source."""
    one = AddressSet.from_networks([address], 6 if ":" in address else 4)
    for name in ("surely", "blocked", "unknown"):
        if one <= getattr(answer, name):
            return {"surely": "in", "blocked": "out", "unknown": "?"}[name]
    raise AssertionError(address)


CASES: list[tuple[str, list[Any], str, str, str]] = [
    # statements before `drop`, then what becomes of CLIENT, OTHER and CLIENT6
    ("an address is of its family alone", [match(SADDR, CLIENT)], "out", "in", "in"),
    ("even under !=", [match(SADDR, CLIENT, "!=")], "in", "out", "in"),
    ("a prefix", [match(SADDR, {"prefix": {"addr": "198.51.0.0", "len": 16}})], "out", "in", "in"),
    ("a range", [match(SADDR, {"range": ["198.0.0.0", "199.0.0.0"]})], "out", "in", "in"),
    ("an order", [match(SADDR, "199.0.0.0", "<")], "out", "in", "in"),
    ("a mask", [match({"&": [SADDR, "255.255.0.255"]}, "198.51.0.7")], "out", "in", "in"),
    ("a set in the rule", [match(SADDR, {"set": [CLIENT, "9.9.9.9"]})], "out", "in", "in"),
    ("no range of addresses", [match(SADDR, {"range": [CLIENT, CLIENT]}, "!=")], "in", "?", "in"),
    (
        "below one and above another, as nft 1.0.6 lists it",
        [match(SADDR, {"range": ["204.0.0.0", "200.0.0.0"]}, "!=")],
        "in",
        "out",
        "in",
    ),
    (
        "a range that nothing is in",
        [match(SADDR, {"range": ["204.0.0.0", "200.0.0.0"]})],
        *("in", "in", "in"),
    ),
    ("a port", [match(DPORT, 11434)], "out", "out", "out"),
    ("another port", [match(DPORT, 22)], "in", "in", "in"),
    ("ports", [match(DPORT, {"set": [22, {"range": [11000, 12000]}]})], "out", "out", "out"),
    ("a port by its name", [match(DPORT, "ssh")], "?", "?", "?"),
    ("another protocol's port", [match(field("udp", "dport"), 53, "!=")], "in", "in", "in"),
    ("the port of any protocol", [match(field("th", "dport"), 11434)], "out", "out", "out"),
    (
        "a concatenation",
        [match({"concat": [SADDR, DPORT]}, {"set": [{"concat": [CLIENT, 11434]}]})],
        *("out", "in", "in"),
    ),
    ("an interface", [match({"meta": {"key": "iifname"}}, "eth0")], "out", "out", "out"),
    ("by its number", [match({"meta": {"key": "iif"}}, "eth0")], "out", "out", "out"),
    ("by its beginning", [match({"meta": {"key": "iifname"}}, "et*")], "out", "out", "out"),
    (
        "a set with a star",
        [match({"meta": {"key": "iifname"}}, {"set": ["wg0", "et*"]})],
        *("out", "out", "out"),
    ),
    (
        "stars of which nft 1.0.6 lost the ends",
        [match({"meta": {"key": "iifname"}}, {"set": ["a", {"range": ["", ""]}]})],
        *("?", "?", "?"),
    ),
    ("a family", [match({"meta": {"key": "nfproto"}}, "ipv6")], "in", "in", "out"),
    ("a state", [match({"ct": {"key": "state"}}, ["new", "related"], "in")], "out", "out", "out"),
    ("not a state", [match({"ct": {"key": "state"}}, "untracked", "!")], "out", "out", "out"),
    ("any of no states", [match({"ct": {"key": "state"}}, 0, "in")], "?", "?", "?"),
    (
        "the flags of an opening packet",
        [match({"&": [field("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}, "syn")],
        *("out", "out", "out"),
    ),
    (
        "a source tracked in a table of both families, of which nft drops the family",
        [match({"ct": {"key": "saddr", "dir": "original"}}, CLIENT)],
        *("?", "?", "?"),
    ),
    (
        "the same with its family",
        [match({"ct": {"key": "ip saddr", "dir": "original"}}, CLIENT)],
        *("out", "in", "in"),
    ),
    ("an own address", [match({"fib": {"result": "type", "flags": ["daddr"]}}, "local")],
     "out", "out", "out"),
    ("a rate", [{"limit": {"rate": 5, "burst": 5, "per": "second"}}], "?", "?", "?"),
    ("chance", [match({"numgen": {"mode": "random", "mod": 2, "offset": 0}}, 0)], "?", "?", "?"),
    ("a match of iptables", [{"xt": {"type": "match", "name": "multiport"}}], "?", "?", "?"),
    ("a match that nobody knows", [match({"newer": {"key": "x"}}, 1)], "?", "?", "?"),
    ("a statement that nobody knows", [{"newer": {}}], "?", "?", "?"),
    ("a chain without a name", ["jump {\n accept\n }"], "?", "?", "?"),
    ("a mark", [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 3}},
                match({"&": [{"meta": {"key": "mark"}}, 1]}, 1)], "out", "out", "out"),
    ("no mark", [match({"meta": {"key": "mark"}}, 0, "!=")], "in", "in", "in"),
    ("a header that is written", [{"mangle": {"key": field("ip", "dscp"), "value": "cs1"}}],
     "out", "out", "in"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "client", "other", "client6"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_rule_drops_whom_it_says(
    statements: list[Any], client: str, other: str, client6: str
) -> None:
    namespace = by(listing(*statements, DROP))
    four, six = ask(namespace), ask(namespace, 6)
    assert (said(four, CLIENT), said(four, OTHER), said(six, CLIENT6)) == (client, other, client6)


@pytest.mark.parametrize(
    ("kind", "before", "four", "six"),
    [
        ("icmp", [], "out", "in"),
        ("icmpv6", [], "in", "out"),
        ("icmpx", [], "out", "out"),
        ("tcp reset", [], "?", "?"),
        ("tcp reset", [match({"meta": {"key": "nfproto"}}, "ipv4")], "out", "in"),
    ],
)
def test_a_refusal_is_of_the_family_of_its_message(
    kind: str, before: list[Any], four: str, six: str
) -> None:
    """Before `tcp reset` nft 1.0.6 drops `meta nfproto`: it may be of either family."""
    namespace = by(listing(*before, {"reject": {"type": kind}}))
    assert (said(ask(namespace), CLIENT), said(ask(namespace, 6), CLIENT6)) == (four, six)


@pytest.mark.parametrize(
    ("elements", "flags", "statements", "client", "other"),
    [
        ([CLIENT], [], [], "out", "in"),
        ([{"prefix": {"addr": "198.51.100.0", "len": 24}}], "interval", [], "out", "in"),
        ([{"elem": {"val": CLIENT, "timeout": 3600, "expires": 9}}], [], [], "?", "in"),
        ([{"elem": {"val": CLIENT, "counter": {"packets": 0}}}], [], [], "out", "in"),
        ([CLIENT], ["dynamic"], [], "?", "?"),
        ([CLIENT], [], [{"set": {"op": "add", "elem": SADDR6, "set": "@s"}}], "?", "?"),
        (["host.example"], [], [], "?", "?"),
        ([], [], [], "in", "in"),
    ],
)
def test_a_named_set(
    elements: list[Any],
    flags: Any,
    statements: list[Any],
    client: str,
    other: str,
) -> None:
    """Elements that expire are not sure, and of sets that rules add to nothing is."""
    value = {"name": "s", "handle": 5, "type": "ipv4_addr", "flags": flags, "elem": elements}
    answer = ask(by(listing(match(SADDR, "@s"), DROP, *statements, set=value)))
    assert (said(answer, CLIENT), said(answer, OTHER)) == (client, other)


def test_a_verdict_map_with_everything() -> None:
    """Keys, ranges, the catch-all, and a key that leads on."""
    elements = [
        ["198.51.100.7", {"drop": None}],
        [{"range": ["203.0.113.0", "203.0.113.99"]}, {"accept": None}],
        ["*", {"jump": {"target": "c"}}],
    ]
    answer = ask(by(listing({"vmap": {"key": SADDR, "data": {"set": elements}}}, policy="drop")))
    assert said(answer, CLIENT) == "out"
    assert said(answer, OTHER) == "in"
    assert said(answer, "192.0.2.77") == "out"  # c is empty, and the policy drops


def test_translation_by_a_map() -> None:
    """Address and port by the port that was asked for."""
    place = {"family": "ip", "table": "n"}
    data = {"set": [[11434, {"concat": ["172.17.0.2", 8080]}]]}
    chain = {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100}
    rule = {
        "chain": "p",
        "handle": 2,
        "expr": [{"dnat": {"addr": {"map": {"key": DPORT, "data": data}}}}],
    }
    answer = ask(by(json.dumps({"nftables": [{"chain": place | chain}, {"rule": place | rule}]})))
    assert {(end.address, end.port) for end in answer.ends} == {("172.17.0.2", 8080)}


@pytest.mark.parametrize(
    ("device", "client", "other"),
    [({"dev": "eth0"}, "out", "in"), ({"dev": ["wg0", "eth1"]}, "in", "in"), ({}, "?", "in")],
)
def test_a_chain_at_a_device(device: dict[str, Any], client: str, other: str) -> None:
    """Of which device, nft 1.0.6 does not list."""
    place = {"family": "netdev", "table": "early"}
    chain = {"name": "in", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0}
    rule = {"chain": "in", "handle": 2, "expr": [match(SADDR, CLIENT), DROP]}
    answer = ask(
        by(json.dumps({"nftables": [{"chain": place | chain | device}, {"rule": place | rule}]}))
    )
    assert (said(answer, CLIENT), said(answer, OTHER)) == (client, other)


QUERIES = [
    Query(family=family, interface=interface, address=address, port=port)
    for family, address in ((Family.IPV4, "192.0.2.10"), (Family.IPV6, "2001:db8::10"))
    for interface in ("eth0", "lo")
    for port in (22, 8080, 9999, 11434, 11435)
]


@pytest.mark.parametrize("name", PAIRS)
def test_listing_and_dump_never_contradict_each_other(name: str) -> None:
    namespace = captured(name)
    listed = by((CAPTURES / f"{name}-listed.json").read_bytes(), namespace)
    for query in QUERIES:
        dumped, told = reach(namespace, query), reach(listed, query)
        assert not dumped.surely & told.blocked, query
        assert not dumped.blocked & told.surely, query


@pytest.mark.parametrize("name", ["firewalld", "docker"])
def test_of_stock_rulesets_the_listing_leaves_nothing_open(name: str) -> None:
    """firewalld's, and one as Docker makes it in nf_tables: the same answers, none unknown."""
    namespace = captured(name)
    listed = by((CAPTURES / f"{name}-listed.json").read_bytes(), namespace)
    for query in QUERIES:
        dumped, told = reach(namespace, query), reach(listed, query)
        assert (told.surely, told.blocked) == (dumped.surely, dumped.blocked), query
        assert not told.unknown


def found_in(namespace: NetworkNamespace) -> Translations:
    found = translations(namespace)
    assert isinstance(found, Translations)
    return found


def test_translations_of_the_listing_are_found_as_those_of_the_dump() -> None:
    """With their ports and targets; of DNAT by iptables the listing has the name alone."""
    dumped, listed = (
        {
            (each.rule.chain, each.rule.position, each.version): each[1:4]
            for each in found_in(namespace).translations
            if each.rule.table == "mine"
        }
        for namespace in (NAMESPACE, by(LISTED))
    )
    assert len(dumped) == 3
    assert listed == dumped


LISTED = (CAPTURES / "assorted-listed.json").read_bytes()


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON document, as its container and key."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += nodes(inner)
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["set", "range", "prefix", "concat", "elem", "val", "map", "key", "&"]),
        inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 16), JSON), min_size=1, max_size=4))
def test_any_json_in_any_place_never_raises(changes: list[tuple[int, Any]]) -> None:
    """A listing that was changed is refused, or gives an answer, which is always a partition."""
    document = json.loads(LISTED)
    for index, value in changes:
        places = nodes(document)
        container, key = places[index % len(places)]
        container[key] = value
    try:
        namespace = by(json.dumps(document))
    except ValueError:
        return
    forget()
    for query in QUERIES[::4]:
        reach(namespace, query)
    forget()


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([match(DPORT, 22), {"accept": None}], "tcp dport 22 accept"),
        ([match(SADDR, {"prefix": {"addr": "10.0.0.0", "len": 8}}, "!="), DROP],
         "ip saddr != 10.0.0.0/8 drop"),
        ([match({"meta": {"key": "iifname"}}, {"set": ["eth0", "wg*"]}), DROP],
         'iifname { "eth0", "wg*" } drop'),
        ([match({"ct": {"key": "state"}}, ["established", "related"], "in"), {"accept": None}],
         "ct state established,related accept"),
        ([{"vmap": {"key": DPORT, "data": {"set": [[22, {"jump": {"target": "c"}}]]}}}],
         "tcp dport vmap { 22 : jump c }"),
        ([match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, right=False), DROP],
         "fib saddr . iif oif missing drop"),
        ([{"dnat": {"family": "ip", "addr": "192.0.2.1", "port": 80}}],
         "dnat ip to 192.0.2.1:80"),
        ([{"redirect": {"port": 8080}}], "redirect to :8080"),
        ([{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}],
         "reject with icmpx admin-prohibited"),
        ([{"counter": {"packets": 1, "bytes": 2}}, {"log": {"prefix": "x"}}, DROP],
         'counter log prefix "x" drop'),
        ([match(SADDR, {"set": [str(number) for number in range(99)]}), DROP],
         "ip saddr { 0, 1, 2, 3, 4, 5, 6, 7, ... 91 more } drop"),
    ],
)  # fmt: skip
def test_rules_are_shown_in_the_words_of_nft(statements: list[Any], words: str) -> None:
    assert in_words(statements) == words


@pytest.mark.parametrize(
    ("statements", "policy", "decides"),
    [
        ([{"counter": {"packets": 1, "bytes": 2}}, {"jump": {"target": "c"}}], "accept", False),
        ([{"drop": None}], "accept", True),
        ([{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}], "accept", True),
        ([{"accept": None}], "drop", True),
    ],
)
def test_a_bridge_table_counts_where_it_may_decide(
    statements: list[Any], policy: str, *, decides: bool
) -> None:
    text = listing(*statements, family="bridge", policy=policy)
    found = doubts(by(text).firewall)
    assert found == (("the nf_tables bridge table t filters frames",) if decides else ())
