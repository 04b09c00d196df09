"""The nf_tables ruleset of the calling thread's network namespace, as the kernel dumps it.

Read-only and without the nft program, whose listing loses meaning. Numbers are those of
linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h (Linux 6.12).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ollama_audit.collect.kernel_modules import may_be_present
from ollama_audit.collect.netlink import (
    MALFORMED,
    NETFILTER,
    ChangedError,
    Netlink,
    NetlinkError,
    attribute,
    attribute_list,
    attributes,
    messages,
    text,
)
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.firewall import NftablesDump

_SUBSYSTEM = 10 << 8
_GETTABLE, _GETCHAIN, _GETRULE, _GETSET, _GETSETELEM = 1, 4, 7, 10, 13
_GETGEN, _GETFLOWTABLE = 16, 23
_GEN_ID = 1
_TABLE_NAME, _SET_TABLE, _SET_NAME, _ELEMENTS_TABLE, _ELEMENTS_SET = 1, 1, 2, 1, 2
_EXPRESSION_NAME = 1
_EXTENSION_NAME = 1  # NFTA_MATCH_NAME and NFTA_TARGET_NAME
_CHAIN_TABLE, _CHAIN_POLICY, _RULE_TABLE, _RULE_EXPRESSIONS = 1, 5, 1, 4
_EXPRESSION_DATA, _IMMEDIATE_DATA, _DATA_VERDICT, _VERDICT_CODE = 2, 2, 2, 1
_NF_ACCEPT = (1).to_bytes(4, "big")
_WRITTEN_TO = 1  # the register that `meta` and `payload` load into; without, they write
_ONLY_LOOKS = {"cmp", "bitwise", "range", "ct", "limit", "counter", "log", "match"}
"""Expressions after which a frame goes on as it was. A lookup may be in a map of verdicts."""
_GENERIC = 4
"""Length of struct nfgenmsg: family, version, resource id."""

_ATTEMPTS = 5
_TIMEOUT_S = 10.0  # the kernel's time to dump an interval set grows with its square
_SOURCE = "nf_tables by netlink"
_NO_SUCH_PART = {errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT}
"""What nfnetlink answers to messages of a subsystem that the kernel lacks."""

FAMILY_IPV4, FAMILY_BRIDGE, FAMILY_IPV6 = 2, 7, 10


def read_nftables() -> Observed[NftablesDump]:
    """The whole ruleset of one generation, empty when the kernel has no nf_tables."""
    if not may_be_present("nf_tables"):
        return Known(NftablesDump(generation=0), "/sys/module, modules.builtin: no nf_tables")
    try:
        with Netlink(NETFILTER, timeout_s=_TIMEOUT_S) as netlink:
            _generation(netlink)
    except NetlinkError as error:
        if error.code in _NO_SUCH_PART:
            return Known(NftablesDump(generation=0), f"{_SOURCE}: the kernel has none")
        return _unread(error)
    except MALFORMED as error:
        return Unknown(f"the kernel's answer was not understood: {error!r}", _SOURCE)
    return _read_ruleset()


def _read_ruleset() -> Observed[NftablesDump]:
    try:
        with Netlink(NETFILTER, timeout_s=_TIMEOUT_S) as netlink:
            for _ in range(_ATTEMPTS):
                before = _generation(netlink)
                dump = _dump(netlink, before)
                if dump is not None and _generation(netlink) == before:
                    return Known(dump, _SOURCE)
        return ChangedError().unknown(_SOURCE)
    except NetlinkError as error:  # whatever it is: nf_tables was there, so nothing is not known
        return _unread(error)
    except MALFORMED as error:
        return Unknown(f"the kernel's answer was not understood: {error!r}", _SOURCE)


def _unread(error: NetlinkError) -> Unknown:
    """Why there is no ruleset, in words that say of what: the reason stands alone in an answer."""
    reason = "only root may read the packet filter" if error.cure else error.reason
    return Unknown(reason, _SOURCE, error.cure)


def same_generation(dump: NftablesDump) -> bool:
    """Whether the ruleset is still the one that was dumped; False when that cannot be told."""
    try:
        with Netlink(NETFILTER) as netlink:
            return _generation(netlink) == dump.generation
    except (NetlinkError, *MALFORMED):
        return False


def bridge_tables(dump: NftablesDump) -> tuple[str, ...]:
    """The names of tables that may keep bridged frames from where they were to go.

    One whose rules only look, count and call each other, as ebtables makes it for firewalld and
    libvirt before anybody filters, does not.
    """
    return tuple(dict.fromkeys(_deciding_bridge_chains(dump)))


def _deciding_bridge_chains(dump: NftablesDump) -> Iterator[str]:
    for _, body in messages(dump.chains):
        if body[0] == FAMILY_BRIDGE:
            chain = attributes(body, _GENERIC)
            if _CHAIN_POLICY in chain and not any(chain[_CHAIN_POLICY]):  # NF_DROP is 0
                yield text(chain[_CHAIN_TABLE])
    for _, body in messages(dump.rules):
        if body[0] == FAMILY_BRIDGE:
            rule = attributes(body, _GENERIC)
            if any(map(_may_decide, attribute_list(rule.get(_RULE_EXPRESSIONS, body[:0])))):
                yield text(rule[_RULE_TABLE])


def _may_decide(item: memoryview) -> bool:
    """Whether an expression may end a frame or change it."""
    expression = attributes(item)
    name = text(expression[_EXPRESSION_NAME])
    data = attributes(expression.get(_EXPRESSION_DATA, item[:0]))
    if name == "immediate":
        verdict = attributes(data[_IMMEDIATE_DATA]).get(_DATA_VERDICT)
        code = bytes(attributes(verdict)[_VERDICT_CODE]) if verdict is not None else _NF_ACCEPT
        return not (code == _NF_ACCEPT or code[0] & 0x80)  # jump, goto, return: below zero
    if name in {"meta", "payload"}:
        return _WRITTEN_TO not in data
    return name not in _ONLY_LOOKS


def flowtables(dump: NftablesDump) -> tuple[str, ...]:
    """The names of flowtables, each as `table name`."""
    found = (attributes(body, _GENERIC) for _, body in messages(dump.flowtables))
    return tuple(f"{text(item[1])} {text(item[2])}" for item in found)


def holds_extensions(dump: NftablesDump, family: int) -> bool:
    """Whether a rule of a family holds an iptables match or target."""
    markers = [attribute(_EXPRESSION_NAME, kind) for kind in (b"match\0", b"target\0")]
    if not any(marker in dump.rules for marker in markers):
        return False
    return any(
        body[0] == family and any(marker in bytes(body) for marker in markers)
        for _, body in messages(dump.rules)
    )


def refers_to_ipset(dump: NftablesDump) -> bool:
    """Whether a rule holds the iptables match `set` or target `SET`."""
    return any(attribute(_EXTENSION_NAME, name) in dump.rules for name in (b"set\0", b"SET\0"))


def _generation(netlink: Netlink) -> int:
    answer = netlink.ask(_SUBSYSTEM | _GETGEN, bytes(_GENERIC))
    _, body = next(messages(answer))
    return int.from_bytes(attributes(body, _GENERIC)[_GEN_ID], "big")


def _dump(netlink: Netlink, generation: int) -> NftablesDump | None:
    """One reading of everything; None when the ruleset changed meanwhile."""

    def dump(kind: int, body: bytes = bytes(_GENERIC)) -> bytes:
        return netlink.dump(_SUBSYSTEM | kind, body, attempts=1)

    try:
        sets = dump(_GETSET)
        return NftablesDump(
            generation=generation,
            tables=dump(_GETTABLE),
            chains=dump(_GETCHAIN),
            rules=dump(_GETRULE),
            sets=sets,
            elements=b"".join(dump(_GETSETELEM, request) for request in _element_requests(sets)),
            flowtables=_flowtables(netlink),
        )
    except ChangedError:
        return None
    except NetlinkError as error:
        if error.code == errno.ENOENT:  # a set went away before its elements were asked for
            return None
        raise


def _flowtables(netlink: Netlink) -> bytes:
    try:
        return netlink.dump(_SUBSYSTEM | _GETFLOWTABLE, bytes(_GENERIC), attempts=1)
    except NetlinkError as error:
        if error.code in _NO_SUCH_PART:  # before Linux 4.16
            return b""
        raise


def _element_requests(sets: bytes) -> Iterator[bytes]:
    for _, body in messages(sets):
        found = attributes(body, _GENERIC)
        yield (
            bytes([body[0], 0, 0, 0])
            + attribute(_ELEMENTS_TABLE, bytes(found[_SET_TABLE]))
            + attribute(_ELEMENTS_SET, bytes(found[_SET_NAME]))
        )
