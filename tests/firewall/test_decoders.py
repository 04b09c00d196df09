"""Whatever a capture holds: no crash, no hang, and damage only ever makes the answer less sure."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.firewall.reach import forget, reach
from ollama_audit.observed import Known, Unknown, need
from ollama_audit.snapshot.firewall import NftablesDump
from ollama_audit.snapshot.network import Family, NetworkNamespace

CAPTURE = Path(__file__).parent / "captures" / "mixed.json"
PARTS = ("tables", "chains", "rules", "sets", "elements")
QUERIES = [
    Query(family=Family.IPV4, interface="eth0", address="192.0.2.10", port=11434),
    Query(family=Family.IPV4, interface="eth0", address="192.0.2.10", port=11435),
    Query(family=Family.IPV6, interface="eth0", address="2001:db8::10", port=11434),
    Query(family=Family.IPV4, interface="lo", address="127.0.0.1", port=11434),
]


def captured() -> NetworkNamespace:
    return msgspec.json.decode(CAPTURE.read_bytes(), type=NetworkNamespace)


NAMESPACE = captured()
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


def test_memory_stays_in_proportion() -> None:
    """Decoding takes at most ten times the size of a large input."""
    forget()
    elements = DUMP.elements * 300
    namespace = with_dump(elements=elements)
    tracemalloc.start()
    try:
        reach(namespace, QUERIES[0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        forget()

    assert peak < 10 * len(elements)


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


def messages_of(dump: NftablesDump) -> list[bytes]:
    found = []
    data = dump.rules
    while data:
        length = (int.from_bytes(data[:4], "little") + 3) & ~3
        found.append(data[:length])
        data = data[length:]
    return found


@pytest.mark.parametrize("position", range(len(messages_of(DUMP))))
def test_an_unknown_rule_only_adds_doubt(position: int) -> None:
    """Where a rule is replaced by one that nobody models, sources move into unknown only."""
    rules = messages_of(DUMP)
    for name in (b"cmp\0", b"lookup\0", b"immediate\0", b"payload\0", b"meta\0", b"match\0"):
        rules[position] = rules[position].replace(name, name[:-2] + b"?\0")

    for before, after in zip(ask(NAMESPACE), ask(with_dump(rules=b"".join(rules))), strict=True):
        assert after.surely <= before.surely
        assert after.blocked <= before.blocked


def test_the_order_of_elements_does_not_matter() -> None:
    """Reversing the messages of elements and of sets changes nothing."""

    def backwards(data: bytes) -> bytes:
        found = []
        while data:
            length = (int.from_bytes(data[:4], "little") + 3) & ~3
            found.append(data[:length])
            data = data[length:]
        return b"".join(reversed(found))

    turned = with_dump(elements=backwards(DUMP.elements), sets=backwards(DUMP.sets))
    for before, after in zip(ask(NAMESPACE), ask(turned), strict=True):
        assert (before.surely, before.blocked) == (after.surely, after.blocked)
