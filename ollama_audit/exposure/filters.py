"""What the host's packet filter does with new connections in general, one answer a family."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.model import PacketFilter, Zone
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import version
from ollama_audit.firewall.answer import Decision, Effect, Query, Reach
from ollama_audit.firewall.ports import Ports, one_of_each
from ollama_audit.firewall.translations import port_edges
from ollama_audit.firewall.wording import describe
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.network import Family, NetworkNamespace

_UNNAMED_PORT = 47
"""Reserved by IANA and used by nothing: a port that rules do not name."""

_FEW = 4
"""So many ports are asked about one by one; of more, one of each kind that rules tell apart."""

_OWNERS = ("ufw", "firewalld", "docker", "podman", "fail2ban", "libvirt", "tailscale")


def filters(terrain: Terrain, ports: frozenset[int]) -> tuple[PacketFilter, ...]:
    """The packet filter of the host, judged at an unnamed port and at these ports."""
    host = terrain.host
    if host is None:
        return ()
    return tuple(_filter(terrain, host, family, ports) for family in Family)


def _filter(
    terrain: Terrain, host: NetworkNamespace, family: Family, ports: frozenset[int]
) -> PacketFilter:
    unnamed = list(_asked(terrain, host, family, _UNNAMED_PORT))
    kinds = (
        one_of_each(ports, _edges(terrain, host, family)) if len(ports) > _FEW else sorted(ports)
    )
    named = [reach for port in kinds for reach, _ in _asked(terrain, host, family, port)]
    dropping = [
        decision
        for reach in [*(reach for reach, _ in unnamed), *named]
        for decision in reach.decisions
        if decision.effect is Effect.DROP and decision.rule is not None and not decision.reply
    ]
    shown = tuple(dict.fromkeys(describe(d, host.firewall) for d in dropping))
    return PacketFilter(
        namespace=host.inode,
        family=family,
        active=_active(host, dropping, unnamed),
        default_deny=_default_deny(unnamed),
        owners=_owners(host, dropping),
        because=shown[:4],
    )


def _edges(terrain: Terrain, host: NetworkNamespace, family: Family) -> Ports:
    """Ports before which the rules may do something else."""
    work = partial(port_edges, host, version(family))
    return terrain.memo.once("port edges", (host.inode, family), work)


def _asked(
    terrain: Terrain, host: NetworkNamespace, family: Family, port: int
) -> Iterator[tuple[Reach, AddressSet]]:
    """The filter's answer at every interface that others are behind, and who they are."""
    for interface in known_or(host.interfaces, ()):
        if not interface.receives or terrain.zone(host, interface) in (Zone.HOST, Zone.CONTAINER):
            continue
        address = next((a.address for a in interface.addresses if a.family is family), "")
        others = AddressSet.nothing(version(family))
        for sources in terrain.sources_behind(host, interface, family):
            others = others | sources.wider
        if address and others:
            query = Query(family=family, interface=interface.name, address=address, port=port)
            yield terrain.filtered(host, query), others


def _active(
    host: NetworkNamespace, dropping: list[Decision], answers: list[tuple[Reach, AddressSet]]
) -> Observed[bool]:
    if dropping:
        return Known(value=True, source="nf_tables")
    capture = host.firewall
    for fact in (capture.nftables, capture.legacy_tables, capture.legacy6_tables):
        if isinstance(fact, Unknown):
            return fact
    return _unclear(answers) or Known(value=False, source="nf_tables")


def _unclear(answers: list[tuple[Reach, AddressSet]]) -> Unknown | None:
    """Why it cannot be said what becomes of somebody who is behind an interface."""
    for reach, others in answers:
        if reach.unknown & others:
            reason = reach.reasons[0] if reach.reasons else "the packet filter is not clear"
            return Unknown(reason, "nf_tables", reach.cure)
    return None


def _default_deny(answers: list[tuple[Reach, AddressSet]]) -> Observed[bool]:
    if any(reach.surely & others for reach, others in answers):
        return Known(value=False, source="nf_tables")
    return _unclear(answers) or Known(value=True, source="nf_tables")


def _owners(host: NetworkNamespace, dropping: list[Decision]) -> tuple[str, ...]:
    """Who made the rules that drop, as far as the names of their chains and tables tell."""
    words = {describe(decision, host.firewall).lower() for decision in dropping}
    found = tuple(owner for owner in _OWNERS if any(owner in text for text in words))
    return found or (("nftables",) if dropping else ())
