"""Who of each zone gets to one endpoint, asked over every interface and destination address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ollama_audit.addresses import AddressSet
from ollama_audit.exposure.approach import Approach, Arrival, approach
from ollama_audit.exposure.model import Extent, Login, Zone, ZoneReach
from ollama_audit.exposure.refusals import refusal
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import Sources, version
from ollama_audit.firewall.answer import Decision, Effect, Query
from ollama_audit.firewall.wording import describe, rule_text
from ollama_audit.snapshot.edge import Forwarding
from ollama_audit.snapshot.firewall import FirewallCapture
from ollama_audit.snapshot.network import Family, NetworkNamespace
from ollama_audit.words import authority

_FILTERING = ("input", "forward")
"""The hooks whose policies people set to keep others out."""

_MOST_NETWORKS = 32
"""More are not listed: nobody reads them, and the first say enough."""

_KNOWN = re.compile(
    r"(?<!! )--(?:ct)?state (?!\S*NEW)\S*ESTABLISHED"
    r"|\bct state (?!!=)(?![^;]*\bnew\b)[^;]*\bestablished\b"
)
"""The states of connections that exist, as iptables-save and nft print them."""

_MOST_SORTED = 512
"""Of more networks the lowest are listed, not the nearest."""


@dataclass(slots=True)
class _Tally:
    """What was found for one zone and family, over all interfaces and destinations."""

    core: AddressSet
    surely: AddressSet
    possibly: AddressSet
    own: AddressSet
    interfaces: dict[str, None] = field(default_factory=dict)
    destinations: dict[str, None] = field(default_factory=dict)
    external: dict[str, None] = field(default_factory=dict)
    because: dict[str, None] = field(default_factory=dict)
    doubts: dict[str, None] = field(default_factory=dict)
    cure: str = ""
    doubted_at: str = ""
    """Address and port of the first attempt of which it is not known where it ends."""


class Survey:
    """One endpoint under examination; ask, then read `reach` and `arrivals`."""

    def __init__(
        self, terrain: Terrain, login: Login | None = None, *, translated: bool = False
    ) -> None:
        """With `login`, only of those who are asked for a login in this way.

        `translated`: only of those whom a translation takes there.
        """
        self.terrain = terrain
        self.login = login
        self.translated = translated
        self.arrivals: list[Arrival] = []
        self._tallies: dict[tuple[Zone, Family], _Tally] = {}
        self._unread: list[ZoneReach] = []

    def ask(self, namespace: NetworkNamespace, query: Query, sources: Iterable[Sources]) -> None:
        """Count who of these sources gets from this interface and destination to Ollama."""
        wanted = tuple(sources)
        if not wanted:
            return
        everything = approach(self.terrain, namespace, query)
        found = replace(everything, arrivals=tuple(filter(self._wanted, everything.arrivals)))
        self.arrivals += [arrival for arrival in found.arrivals if arrival.possibly]
        for group in wanted:
            self._count(namespace, group, found)
            self._explain(namespace, group, found, everything)

    def _wanted(self, arrival: Arrival) -> bool:
        if arrival.guess:
            return False  # a matter for a question about its port
        if self.translated and not (arrival.hops and arrival.hops[0].kind == "dnat"):
            return False
        return self.login is None or arrival.login is self.login

    def shut(self, family: Family, sources: Iterable[Sources]) -> None:
        """Note that none of these sources gets there, whatever the packet filter does."""
        for group in sources:
            tally = self._tally(group.zone, family)
            tally.core = tally.core | group.core
            tally.because["the kernel drops what comes from outside for a loopback address"] = None

    def _tally(self, zone: Zone, family: Family, *asked: NetworkNamespace) -> _Tally:
        """The tally of a zone, which leaves out the addresses of what it was first asked about."""
        if (zone, family) not in self._tallies:
            nothing = own = AddressSet.nothing(version(family))
            for namespace in asked:
                own = own | self.terrain.no_clients(namespace, family)
            self._tallies[zone, family] = _Tally(nothing, nothing, nothing, own=own)
        return self._tallies[zone, family]

    def unread(self, families: Iterable[Family], reason: str, cure: str) -> None:
        """Note that nothing can be said of anybody beyond the host."""
        self._unread += [
            ZoneReach(zone=zone, family=family, extent=Extent.UNKNOWN, because=(reason,), cure=cure)
            for zone in Zone
            for family in families
            if zone is not Zone.HOST
        ]

    @property
    def reach(self) -> tuple[ZoneReach, ...]:
        """The result by zone and family, in the order of their enums."""
        counted = tuple(
            _zone_reach(zone, family, self._tallies[zone, family])
            for zone in Zone
            for family in Family
            if (zone, family) in self._tallies
        )
        done = {(part.zone, part.family) for part in counted}
        return counted + tuple(p for p in self._unread if (p.zone, p.family) not in done)

    def _count(self, namespace: NetworkNamespace, group: Sources, found: Approach) -> None:
        query = found.filter.query
        host = [self.terrain.host] if self.terrain.host else []
        tally = self._tally(group.zone, query.family, namespace, *host)
        surely, possibly = found.surely & group.wider, found.possibly & group.wider
        tally.core = tally.core | group.core
        tally.surely, tally.possibly = tally.surely | surely, tally.possibly | possibly
        if possibly:
            tally.interfaces[query.interface] = None
            tally.destinations[query.address] = None
            if group.zone is Zone.INTERNET:
                brought = self.terrain.brought_to(query.address, query.port)
                tally.external.update(dict.fromkeys(outside(each, query.port) for each in brought))
        for arrival in found.arrivals:
            if (arrival.possibly - arrival.surely) & group.wider:
                tally.doubts.update(dict.fromkeys(arrival.because))
                tally.cure = tally.cure or arrival.cure
                tally.doubted_at = tally.doubted_at or authority(query.address, query.port)

    def _explain(
        self, namespace: NetworkNamespace, group: Sources, found: Approach, everything: Approach
    ) -> None:
        """Note what decided: of those who get there, or if there are none of the others.

        Where something other than the packet filter keeps some out, that is told as well.
        """
        tally = self._tallies[group.zone, found.filter.query.family]
        turned_away = ((group.core or group.wider) & found.filter.surely) - found.possibly
        surely = found.surely & group.wider
        witness = int((surely or group.core or group.wider).witness())
        if surely or witness in found.possibly or witness not in found.filter.surely:
            tally.because.update(dict.fromkeys(deciding(namespace, found, witness)))
        if turned_away:
            source = int(turned_away.witness())
            why = refusal(self.terrain, namespace, everything, source, self.login)
            nobody = (
                "" if surely else f"nobody answers for Ollama at port {found.filter.query.port}"
            )
            tally.because.update(dict.fromkeys(filter(None, [why or nobody])))


def deciding(namespace: NetworkNamespace, found: Approach, source: int) -> tuple[str, ...]:
    """What decided about one source: the rule that dropped it, or those that let it through.

    Where rules did, it is not told that its answers are let through as well, nor the policies of
    chains that it passed untouched; what is not understood always is.
    """
    decisions = found.filter.because(source)
    final = [decision for decision in decisions if decision.effect is Effect.DROP]
    told = final or _telling(decisions, namespace.firewall)
    return tuple(dict.fromkeys(describe(decision, namespace.firewall) for decision in told))


def _telling(decisions: tuple[Decision, ...], capture: FirewallCapture) -> list[Decision]:
    """Of what let a packet through, that which somebody wrote down for it."""
    written = [each for each in decisions if not (each.rule and each.rule.policy)]
    asking = [each for each in written if not each.reply or each.effect is not Effect.ACCEPT]
    opening = [each for each in asking if not _of_known_connections(each, capture)]
    policies = [
        each
        for each in decisions
        if each.rule and each.rule.policy and each.hook in _FILTERING and not each.reply
    ]
    return opening or policies or asking or written


def _of_known_connections(decision: Decision, capture: FirewallCapture) -> bool:
    """Whether a rule accepts the later packets of connections that others let begin."""
    rule = decision.rule
    if rule is None or decision.effect is not Effect.ACCEPT:
        return False
    return _KNOWN.search(rule_text(rule, capture)) is not None


def _zone_reach(zone: Zone, family: Family, tally: _Tally) -> ZoneReach:
    uncertain = tally.possibly - tally.surely
    if tally.core and tally.core <= tally.surely:
        extent = Extent.ALL
    elif tally.surely:
        extent = Extent.SOME
    elif uncertain:
        extent = Extent.UNKNOWN
    else:
        extent = Extent.NONE
    networks, more = _shown(tally, tally.surely, zone, family)
    doubted, _ = _shown(tally, uncertain, zone, family)
    return ZoneReach(
        zone=zone,
        family=family,
        extent=extent,
        networks=networks,
        more_networks=more,
        uncertain=doubted,
        interfaces=tuple(tally.interfaces),
        destinations=tuple(tally.destinations),
        external=tuple(tally.external),
        because=tuple(dict.fromkeys((*(tally.doubts if uncertain else ()), *tally.because))),
        cure=(tally.cure or _try(tally, zone)) if uncertain else "",
    )


_THERE = {
    Zone.HOST: "here",
    Zone.CONTAINER: "in a container",
    Zone.LAN: "on another machine of your network",
    Zone.VPN: "on another machine of your VPN",
    Zone.INTERNET: "on a machine on the internet",
}


def _try(tally: _Tally, zone: Zone) -> str:
    """What settles what no reading does: a client of theirs that tries."""
    at = tally.doubted_at
    return f"curl -m 3 http://{at}/api/version {_THERE[zone]}" if at else ""


def outside(forwarding: Forwarding, port: int) -> str:
    """Where clients beyond a translation ask for a port of the host."""
    return f"{forwarding.external}:{forwarding.external_port or port}"


def _shown(
    tally: _Tally, sources: AddressSet, zone: Zone, family: Family
) -> tuple[tuple[str, ...], int]:
    """The networks, and how many are left out; of a whole zone its own, of the internet all.

    Those of the zone itself come before what is farther away. What no other machine sends from
    leaves no holes in them where they touch.
    """
    if not sources:
        return (), 0
    if tally.core and tally.core <= sources:
        if zone is Zone.INTERNET:
            return (family.everything,), 0
        sources = tally.core
    whole = sources if zone is Zone.HOST else _filled(sources, tally.own)
    count = whole.network_count
    found = whole.networks(_MOST_NETWORKS if count > _MOST_SORTED else None)
    nearest = sorted(found, key=lambda each: not _touches(str(each), tally.core))
    shown = tuple(map(str, nearest[:_MOST_NETWORKS]))
    return shown, count - len(shown)


def _touches(network: str, core: AddressSet) -> bool:
    return bool(AddressSet.from_networks((network,), core.version) & core)


def _filled(sources: AddressSet, own: AddressSet) -> AddressSet:
    """The sources with the own addresses that lie in networks of theirs, not beside them."""
    version = sources.version
    runs = AddressSet.from_ranges((sources | own).runs_around(own), version)
    blocks = (AddressSet.from_networks([each], version) for each in runs.networks())
    kept = [block for block in blocks if block & sources]
    return (sources - runs) | AddressSet.union(kept, version)
