"""Packet filters of a namespace: what is kept of them, and what is run for that."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ollama_audit.collect import kernel_modules, run, unmodelled
from ollama_audit.collect.firewall import read_firewall
from ollama_audit.collect.netlink import (
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    messages,
    text,
)
from ollama_audit.collect.network import read_links
from ollama_audit.collect.nftables import read_nftables
from ollama_audit.collect.run import children_started
from ollama_audit.collect.unmodelled import mark_interfaces
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.firewall import FirewallCapture, NftablesDump
from tests.collect.netns import Netns, needs_root, reason_of, value_of

pytestmark = needs_root

RULES = """
table inet own {
  set allowed { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    ip saddr @allowed tcp dport 11434 accept
    ip6 saddr { 2001:db8::1, 2001:db8::2 } tcp dport { 22, 11434 } accept
  }
}
"""
EMPTY = NftablesDump(generation=0)


@pytest.fixture
def namespace() -> Iterator[Netns]:
    with Netns() as made:
        yield made


def capture(namespace: Netns) -> FirewallCapture:
    def read() -> FirewallCapture:
        interfaces, sysctls = read_links()
        marked = mark_interfaces(value_of(interfaces), sysctls)
        return read_firewall(Known(marked, "test"))

    return namespace.call(read)


def found(namespace: Netns) -> tuple[str, ...]:
    return value_of(capture(namespace).unmodelled)


def test_an_empty_namespace_starts_nothing_and_stays_empty(namespace: Netns) -> None:
    before = children_started()
    seen = capture(namespace)
    assert children_started() == before
    assert value_of(seen.nftables).tables == b""
    for field in (seen.nft_listing, seen.iptables_save, seen.ip6tables_save, seen.ipsets):
        assert value_of(field) == ""
    assert value_of(seen.legacy_tables) == value_of(seen.legacy6_tables) == ()
    assert value_of(seen.unmodelled) == ()
    assert namespace("nft list ruleset") == ""
    assert namespace("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names") == ""


def test_the_dump_holds_what_nft_lists(namespace: Netns) -> None:
    namespace("nft -f -", stdin=RULES)
    before = children_started()
    seen = capture(namespace)
    assert children_started() == before + 1
    dump = value_of(seen.nftables)
    shown = namespace.json("nft -j -a list ruleset")["nftables"]
    handles = [item["rule"]["handle"] for item in shown if "rule" in item]
    dumped = [attributes(body, 4)[3] for _, body in messages(dump.rules)]
    assert [int.from_bytes(handle, "big") for handle in dumped] == handles
    assert [text(attributes(body, 4)[1]) for _, body in messages(dump.tables)] == ["own"]
    assert [text(attributes(body, 4)[3]) for _, body in messages(dump.chains)] == ["input"]
    sets = [text(attributes(body, 4)[2]) for _, body in messages(dump.sets)]
    assert sorted(sets) == ["__set0", "__set1", "allowed"]
    for address in ("c0000200", "c0000300", "c6336407", "c6336408"):  # the ends of both intervals
        assert bytes.fromhex(address) in dump.elements
    assert value_of(seen.nft_listing) == namespace("nft -a list ruleset")
    assert value_of(seen.iptables_save) == value_of(seen.ip6tables_save) == ""


def test_xt_rules_are_saved_for_the_families_that_have_them(namespace: Netns) -> None:
    namespace("iptables-nft -A INPUT -p tcp -m multiport --dports 80,11434 -j REJECT")
    before = children_started()
    seen = capture(namespace)
    assert children_started() == before + 2
    assert "-m multiport --dports 80,11434 -j REJECT" in value_of(seen.iptables_save)
    assert value_of(seen.ip6tables_save) == ""
    namespace("ip6tables-nft -A INPUT -m conntrack --ctstate NEW -j DROP")
    seen = capture(namespace)
    assert children_started() == before + 5
    assert "--ctstate NEW -j DROP" in value_of(seen.ip6tables_save)


def test_legacy_tables_are_saved_only_where_the_kernel_has_them(namespace: Netns) -> None:
    namespace("ip6tables-legacy -t raw -A PREROUTING -s 2001:db8::/32 -j DROP")
    seen = capture(namespace)
    assert value_of(seen.legacy_tables) == ()
    assert value_of(seen.iptables_legacy_save) == ""
    assert value_of(seen.legacy6_tables) == ("raw",)
    assert "-A PREROUTING -s 2001:db8::/32 -j DROP" in value_of(seen.ip6tables_legacy_save)
    assert namespace("cat /proc/net/ip_tables_names /proc/net/ip6_tables_names") == "raw\n"


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_ipsets_are_saved_when_a_rule_refers_to_one(namespace: Netns, backend: str) -> None:
    namespace("ipset create friends hash:net", "ipset add friends 192.0.2.0/24")
    assert value_of(capture(namespace).ipsets) == ""
    namespace(f"iptables-{backend} -A INPUT -m set --match-set friends src -j ACCEPT")
    assert "add friends 192.0.2.0/24" in value_of(capture(namespace).ipsets)


def test_a_large_set_is_dumped_whole_and_left_out_of_the_listing(namespace: Netns) -> None:
    elements = ", ".join(f"10.{i >> 8}.{i & 255}.0/25" for i in range(10_000))
    body = f" set s {{ type ipv4_addr; flags interval; elements = {{ {elements} }}; }}"
    namespace("nft -f -", stdin=f"table ip big {{\n{body}\n}}\n")
    seen = capture(namespace)
    assert isinstance(seen.nft_listing, Known)
    assert seen.nft_listing.source == "nft -a -t list ruleset"
    ends = sum(
        bytes(body).count(attribute(1, b"\x0a")[2:4] + b"\x0a")  # NFTA_DATA_VALUE, 10.0.0.0/8
        for _, body in messages(value_of(seen.nftables).elements)
    )
    assert ends >= 20_000


def test_without_the_programs_the_rules_are_known_all_the_same(
    namespace: Netns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    namespace(
        "iptables-nft -A INPUT -p tcp -m multiport --dports 80,11434 -j REJECT",
        "iptables-legacy -A INPUT -j ACCEPT",
    )
    monkeypatch.setattr(run, "SEARCH_PATH", (str(tmp_path),))
    seen = capture(namespace)
    assert isinstance(seen.nftables, Known)
    assert reason_of(seen.nft_listing) == "the command nft was not found"
    assert "was not found" in reason_of(seen.iptables_save)
    assert "was not found" in reason_of(seen.iptables_legacy_save)
    assert "was not found" in reason_of(seen.ipsets)


def test_programs_that_print_garbage_give_unknown(
    namespace: Netns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    namespace("nft -f -", stdin=RULES)
    stub = tmp_path / "nft"
    stub.write_text("#!/bin/sh\necho 'Segmentation fault (not really)'\n")
    stub.chmod(0o755)
    monkeypatch.setattr(run, "SEARCH_PATH", (str(tmp_path), "/usr/bin", "/bin"))
    seen = capture(namespace)
    assert reason_of(seen.nft_listing) == "it printed no ruleset"
    assert isinstance(seen.nftables, Known)


def test_a_listing_of_another_generation_is_not_kept(
    namespace: Netns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    namespace("nft -f -", stdin=RULES)
    stub = tmp_path / "nft"
    stub.write_text("#!/bin/sh\n/usr/sbin/nft add table ip t$$\nexec /usr/sbin/nft list ruleset\n")
    stub.chmod(0o755)
    monkeypatch.setattr(run, "SEARCH_PATH", (str(tmp_path), "/usr/bin", "/bin"))
    seen = capture(namespace)
    assert reason_of(seen.nftables) == "the ruleset kept changing while it was read"
    assert seen.nft_listing == seen.nftables


def test_a_change_during_the_dump_is_read_again(
    namespace: Netns, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace("nft -f -", stdin=RULES)
    original: Callable[..., bytes] = Netlink.dump
    calls = []

    def dump(self: object, *arguments: object, **options: object) -> bytes:
        answer = original(self, *arguments, **options)
        calls.append(1)
        if len(calls) == 1:
            namespace("nft add table ip late")
        return answer

    monkeypatch.setattr(Netlink, "dump", dump)
    seen = value_of(namespace.call(read_nftables))
    assert [text(attributes(body, 4)[1]) for _, body in messages(seen.tables)] == ["own", "late"]


def test_filters_of_tc_are_found_on_their_interface(namespace: Netns) -> None:
    namespace("ip link add eth0 type ifb", "tc qdisc add dev eth0 clsact")
    assert found(namespace) == ()
    namespace("tc filter add dev eth0 ingress protocol ip u32 match u32 0 0 flowid 1:1")
    assert found(namespace) == ("eth0: tc filters are attached (ingress)",)


def test_an_ipsec_policy_is_found(namespace: Netns) -> None:
    namespace(
        "ip xfrm policy add src 192.0.2.0/24 dst 198.51.100.0/24 dir in tmpl proto esp mode tunnel"
    )
    assert found(namespace) == ("IPsec has 1 policies",)


@pytest.mark.parametrize(
    "rule",
    [
        "ether saddr 02:00:00:00:00:01 drop",
        "ip saddr vmap { 192.0.2.1 : drop }",
        "meta mark set 1",
        "ether daddr set 02:00:00:00:00:01",
        "jump { counter drop; }",
    ],
)
def test_a_bridge_table_that_may_decide_is_found(namespace: Netns, rule: str) -> None:
    chain = f"type filter hook input priority 0\n{rule}"
    namespace("nft -f -", stdin=f"table bridge frames {{ chain in {{ {chain}\n }}\n }}")
    assert found(namespace) == ("the nf_tables bridge table frames filters frames",)


def test_a_bridge_chain_that_drops_by_its_policy_is_found(namespace: Netns) -> None:
    chain = "type filter hook input priority 0; policy drop"
    namespace("nft -f -", stdin=f"table bridge frames {{ chain in {{ {chain}\n }}\n }}")
    assert found(namespace) == ("the nf_tables bridge table frames filters frames",)


def test_a_bridge_table_that_only_looks_and_counts_is_none(namespace: Netns) -> None:
    namespace(
        "ebtables-nft -N INPUT_direct",
        "ebtables-nft -P INPUT_direct RETURN",
        "ebtables-nft -A INPUT -p IPv4 --ip-src 192.0.2.1 -j INPUT_direct",
        "ebtables-nft -A INPUT_direct --limit 3/min -j CONTINUE",
        "ebtables-nft -A INPUT_direct -s 02:00:00:00:00:01 -j ACCEPT",
    )
    assert found(namespace) == ()


def test_bridge_netfilter_is_said_of_the_port_only(namespace: Netns) -> None:
    namespace(
        "ip link add br0 type bridge",
        "ip link add port0 type ifb",
        "ip link set port0 master br0",
        "sysctl -qw net.bridge.bridge-nf-call-iptables=1",
    )
    interfaces, sysctls = namespace.call(read_links)
    marked = namespace.call(lambda: mark_interfaces(value_of(interfaces), sysctls))
    assert {i.name: i.unmodelled for i in marked if i.unmodelled} == {
        "port0": ("bridge netfilter shows bridged frames to iptables",)
    }
    assert found(namespace) == ()


def test_virtual_servers_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As Linux net/netfilter/ipvs/ip_vs_ctl.c ip_vs_info_seq_show() prints it.
    table = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        "TCP  C000020A:2CAA rr  \n"
        "  -> C6336401:2CAA      Masq    1      0          0         \n"
    )
    monkeypatch.setattr(unmodelled, "read_text", lambda path, **_: Known(table, path))
    monkeypatch.setattr(unmodelled, "_is_loaded", lambda _: False)
    seen = unmodelled.find_unmodelled(Known((), ""), Known(EMPTY, ""))
    assert "IPVS has 1 virtual services" in value_of(seen)


def test_without_the_interfaces_nothing_is_said_to_be_absent() -> None:
    unread = Unknown("why", "where")
    assert unmodelled.find_unmodelled(unread, Known(EMPTY, "")) == unread


def test_beside_a_ruleset_that_was_not_read_the_rest_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That filter is unknown by itself, and another may be judged in its place."""
    monkeypatch.setattr(unmodelled, "_is_loaded", lambda module: module == "ebtable_nat")
    seen = unmodelled.find_unmodelled(Known((), ""), Unknown("why", "where"))
    assert "the module ebtable_nat is loaded: ebtables may filter frames" in value_of(seen)


def test_a_module_that_the_kernel_lacks_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sys/module/loaded").mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").touch()
    listing = tmp_path / "lib/modules" / os.uname().release / "modules.builtin"
    listing.parent.mkdir(parents=True)
    listing.write_text("kernel/net/built_in.ko\n")
    monkeypatch.setattr(kernel_modules, "ROOT", str(tmp_path))
    assert kernel_modules.may_be_present("loaded")
    assert kernel_modules.may_be_present("built_in")
    assert not kernel_modules.may_be_present("in")
    assert not kernel_modules.may_be_present("nf_tables")
    listing.unlink()
    assert kernel_modules.may_be_present("nf_tables")  # cannot be told


def test_a_kernel_without_nf_tables_has_an_empty_ruleset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ollama_audit.collect.nftables.may_be_present", lambda _: False)
    assert value_of(read_nftables()) == EMPTY


def test_sources_name_what_was_run(namespace: Netns) -> None:
    namespace("nft -f -", stdin=RULES)
    listing = capture(namespace).nft_listing
    assert isinstance(listing, Known)
    assert re.fullmatch(r"nft -a list ruleset", listing.source)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_refused_dump_is_not_taken_for_an_empty_ruleset(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise NetlinkError("refused", code)

    monkeypatch.setattr(Netlink, "dump", refuse)
    assert reason_of(read_nftables()) == "refused"
    monkeypatch.setattr(Netlink, "ask", refuse)
    assert value_of(read_nftables()) == EMPTY
