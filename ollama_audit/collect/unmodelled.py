"""What may drop or divert packets in the calling thread's namespace and can only be detected.

Where one of these is found, no evaluation of the packet filter can be sure of its answer. What
concerns one interface is noted with that interface as well.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence

import msgspec

from ollama_audit.collect.kernel_modules import may_be_present
from ollama_audit.collect.netlink import (
    MALFORMED,
    ROUTE,
    XFRM,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    messages,
    text,
)
from ollama_audit.collect.nftables import bridge_tables, flowtables
from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.firewall import NftablesDump
from ollama_audit.snapshot.network import Interface

_SOURCE = "rtnetlink, xfrm netlink, bpf(2), /proc/net/ip_vs"

_GETQDISC, _GETTFILTER = 38, 46
_TC = struct.Struct("=BxxxiIII")
_TCA_KIND = 1
_INGRESS, _CLSACT_INGRESS, _CLSACT_EGRESS = 0xFFFF0000, 0xFFFFFFF2, 0xFFFFFFF3
_CLASSLESS = {
    *("noqueue", "pfifo_fast", "pfifo", "bfifo", "mq", "noop", "tbf", "netem"),
    *("fq", "fq_codel", "fq_pie", "codel", "pie", "sfq", "cake"),
}
_HOOKS = ("clsact", "ingress")
_DECIDING_ACTIONS = (b"gact\0", b"police\0", b"mirred\0", b"bpf\0")

_BRIDGED = ("iptables", "ip6tables")
_BRIDGE_NETFILTER = "bridge netfilter shows bridged frames to iptables"

_XFRM_GETPOLICY = 0x15
_XFRM_POLICY_SIZE = 168
_XFRM_DIRECTION, _XFRM_ACTION, _XFRM_SOCKET_POLICIES, _XFRMA_TMPL = 160, 161, 3, 5


def mark_interfaces(
    interfaces: tuple[Interface, ...], sysctls: Observed[dict[str, str]]
) -> tuple[Interface, ...]:
    """The interfaces with what was found on each."""
    filters, failure = _traffic_control()
    programs = _attached_programs(interfaces)
    settings = sysctls.value if isinstance(sysctls, Known) else {}
    bridging = any(settings.get(f"bridge.bridge-nf-call-{name}") == "1" for name in _BRIDGED)
    marked: list[Interface] = []
    for interface in interfaces:
        found = list(filters.get(interface.index, ()))
        if failure and not interface.loopback:
            found.append(f"tc filters could not be looked for: {failure}")
        if interface.xdp:
            found.append("an XDP program is attached")
        if interface.index in programs:
            found.append("an eBPF program is attached (tcx or netkit)")
        if bridging and interface.master_kind == "bridge":
            found.append(_BRIDGE_NETFILTER)
        marked.append(msgspec.structs.replace(interface, unmodelled=tuple(found)))
    return tuple(marked)


def find_unmodelled(
    interfaces: Observed[tuple[Interface, ...]],
    nftables: Observed[NftablesDump],
    pids: Sequence[int] = (),
) -> Observed[tuple[str, ...]]:
    """All of it, a sentence each, those of one interface with its name.

    What a ruleset that could not be read holds is left out: that is unknown by itself.

    Bridge netfilter is not repeated here: it decides between ports of one bridge, and what it
    does to packets for this host is what the packet filter does to them in any case.
    """
    if isinstance(interfaces, Unknown):
        return interfaces
    found = [
        f"{interface.name}: {sentence}"
        for interface in interfaces.value
        for sentence in interface.unmodelled
        if sentence != _BRIDGE_NETFILTER
    ]
    if isinstance(nftables, Known):
        dump = nftables.value
        found += [f"the nf_tables bridge table {n} filters frames" for n in bridge_tables(dump)]
        found += [f"the flowtable {n} passes packets by the rules" for n in flowtables(dump)]
    found += [
        f"the module {module} is loaded: ebtables may filter frames"
        for module in ("ebtable_filter", "ebtable_nat", "ebtable_broute")
        if _is_loaded(module)
    ]
    for part in (_virtual_servers(), _ipsec_policies()):
        if isinstance(part, Unknown):
            return part
        found += part.value
    programs, note = _programs(pids)
    return Known((*found, *programs), _SOURCE + note)


def _traffic_control() -> tuple[dict[int, list[str]], str]:
    """The tc(8) filters by interface index; and why they could not be read, if so."""
    found: dict[int, list[str]] = {}
    try:
        with Netlink(ROUTE) as netlink:
            for _, body in messages(netlink.dump(_GETQDISC, _TC.pack(0, 0, 0, 0, 0))):
                _, index, handle, _, _ = _TC.unpack_from(body)
                kind = text(attributes(body, _TC.size)[_TCA_KIND])
                for parent, where in _filter_places(kind, handle):
                    answer = _filters(netlink, index, parent)
                    if answer and (kind in _HOOKS or _decides(answer)):
                        found.setdefault(index, []).append(f"tc filters are attached ({where})")
    except NetlinkError as error:
        return found, "" if error.code == errno.EOPNOTSUPP else error.reason
    except MALFORMED as error:
        return found, f"the kernel's answer was not understood: {error!r}"
    return found, ""


def _filter_places(kind: str, handle: int) -> list[tuple[int, str]]:
    """Where filters can hang on a queueing discipline: the parent to ask for, and its name."""
    if kind == "clsact":
        return [(_CLSACT_INGRESS, "ingress"), (_CLSACT_EGRESS, "egress")]
    if kind == "ingress":
        return [(_INGRESS, "ingress")]
    return [] if kind in _CLASSLESS else [(handle, kind)]


def _filters(netlink: Netlink, index: int, parent: int) -> bytes:
    try:
        return netlink.dump(_GETTFILTER, _TC.pack(0, index, 0, parent, 0))
    except NetlinkError as error:
        if error.code in (errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP):  # it holds no filters
            return b""
        raise


def _decides(filters: bytes) -> bool:
    """Whether filters of a queueing discipline do more than choose a class."""
    return any(attribute(_TCA_KIND, action) in filters for action in _DECIDING_ACTIONS)


def _virtual_servers() -> Observed[list[str]]:
    table = read_text("/proc/thread-self/net/ip_vs", absent="")
    if isinstance(table, Unknown):
        return Unknown(table.reason, "/proc/net/ip_vs", table.cure)
    services = sum(
        line.startswith(("TCP ", "UDP ", "SCTP ", "FWM ")) for line in table.value.splitlines()
    )
    return Known([f"IPVS has {services} virtual services"] if services else [], table.source)


def _ipsec_policies() -> Observed[list[str]]:
    source = "xfrm netlink XFRM_MSG_GETPOLICY"
    if not may_be_present("xfrm_user"):
        return Known([], source)
    try:
        with Netlink(XFRM) as netlink:
            policies = sum(
                _transforms(body) for _, body in messages(netlink.dump(_XFRM_GETPOLICY, bytes(64)))
            )
    except NetlinkError as error:
        if error.code in (errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP):
            return Known([], source)
        return error.unknown(source)
    except MALFORMED as error:
        return Unknown(f"the kernel's answer was not understood: {error!r}", source)
    return Known([f"IPsec has {policies} policies"] if policies else [], source)


def _transforms(policy: memoryview) -> bool:
    """Whether a policy drops what does not match it: it blocks, or wants packets protected.

    Those of single sockets let key exchange daemons by and are not counted.
    """
    if policy[_XFRM_DIRECTION] >= _XFRM_SOCKET_POLICIES:
        return False
    return policy[_XFRM_ACTION] != 0 or _XFRMA_TMPL in attributes(policy, _XFRM_POLICY_SIZE)


def _is_loaded(module: str) -> bool:
    listing = read_text(f"/sys/module/{module}/refcnt", absent="")
    return isinstance(listing, Known) and bool(listing.value)


def _attached_programs(interfaces: tuple[Interface, ...]) -> set[int]:
    """The indices of interfaces with tcx or netkit programs, as far as they may be listed."""
    if os.geteuid():
        return set()
    from ollama_audit.collect import bpf  # noqa: PLC0415  # ctypes is slow to load

    try:
        return {item.index for item in interfaces if bpf.interface_programs(item.index, item.kind)}
    except bpf.BpfUnavailableError:
        return set()


def _programs(pids: Sequence[int]) -> tuple[list[str], str]:
    """Programs beyond single interfaces, and a note when they could not be listed."""
    from ollama_audit.collect import bpf  # noqa: PLC0415  # ctypes is slow to load

    try:
        return [*bpf.namespace_programs(), *bpf.cgroup_programs(pids)], ""
    except bpf.BpfUnavailableError as error:
        return [], f"; eBPF programs could not be listed: {error}"
