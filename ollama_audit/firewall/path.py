"""The three packets of a TCP handshake through one namespace, for every source at once.

A connection gets through when the SYN, the SYN+ACK and the ACK do. What a later packet meets
depends on the earlier ones (connection tracking, translation, connection marks), so the sources
go through all three in turn, by state.
"""

from __future__ import annotations

from typing import NamedTuple

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.context import Context, Journal
from ollama_audit.firewall.hooks import Hooks
from ollama_audit.firewall.host import LINK_LOCAL, LOOPBACK, MAPPED, Host
from ollama_audit.firewall.ip_layer import answerable, refusals
from ollama_audit.firewall.policy_routing import NO_ROUTE, UNSURE, Lookup
from ollama_audit.firewall.state import (
    Flows,
    Phase,
    Seen,
    State,
    Tracking,
    add,
    everyone,
    merge,
    opening,
)

LOCAL, FORWARDED = False, True
SEEN_AFTER = {Tracking.NEW: Seen.OPENING, Tracking.ESTABLISHED: Seen.ANSWER}


class Leg(NamedTuple):
    """A hook that packets pass, with the interfaces it is told."""

    hook: str
    ingress: str = ""
    egress: str = ""


class Arrival(NamedTuple):
    """Connections that got through, and where they end."""

    forwarded: bool
    interface: str
    state: State
    sources: AddressSet


class Walk:
    """One question on its way."""

    def __init__(self, host: Host, hooks: Hooks, version: int, interface: str) -> None:
        self.host = host
        self.hooks = hooks
        self.version = version
        self.interface = interface
        self.journal = Journal(version)
        self.nothing = AddressSet.nothing(version)

    # Steps

    def context(self, leg: Leg, phase: Phase) -> Context:
        """Where packets are at a leg."""
        return Context(
            host=self.host,
            version=self.version,
            hook=leg.hook,
            ingress=self.host.interfaces.get(leg.ingress),
            egress=self.host.interfaces.get(leg.egress),
            phase=phase,
            journal=self.journal,
        )

    def pass_through(
        self, legs: list[Leg], flows: Flows, phase: Phase, *, translate: bool = True
    ) -> Flows:
        """What gets past some hooks in turn."""
        for leg in legs:
            flows = {state: self.known(sources) for state, sources in flows.items()}
            flows = {state: sources for state, sources in flows.items() if sources}
            if not flows:
                break
            flows = self.hooks.run(self.context(leg, phase), flows, translate=translate)
        return flows

    def known(self, sources: AddressSet) -> AddressSet:
        """Those of which something can still be said."""
        return sources - self.journal.doubtful.whole

    def drop(self, sources: AddressSet, why: str, phase: Phase = Phase.OPEN) -> None:
        """The IP layer drops these."""
        if sources:
            self.context(Leg(""), phase).drop(sources, None, why)

    def give_up(self, sources: AddressSet, why: str, phase: Phase = Phase.OPEN) -> None:
        """Nobody can say what becomes of these."""
        if sources:
            self.context(Leg(""), phase).give_up(sources, None, why)

    # From another machine, or a container

    def remote(self, address: int, port: int) -> list[Arrival]:
        """Connections that arrive through the interface."""
        everyone = AddressSet.everything(self.version)
        if not self.host.interfaces[self.interface].up:
            self.drop(everyone, f"nothing comes in by {self.interface}, which is down")
            return []
        if self.version == 6 and address in LOOPBACK[6] and not self._on_loopback():
            # ip6_rcv_core() of net/ipv6/ip6_input.c, before any hook of ip6 or inet could translate
            self.drop(everyone, "loopback destination from outside")
            return []
        flows: Flows = {opening(address, port): everyone}
        inbound = [Leg("ingress", self.interface), Leg("prerouting", self.interface)]
        flows = self.pass_through(inbound, flows, Phase.OPEN)
        flows = self._valid_sources(flows, address)
        local, onward = self._route(flows)
        arrivals = self._deliver(local)
        for egress, leaving in onward.items():
            arrivals += self._forward(egress, leaving)
        return arrivals

    def _on_loopback(self) -> bool:
        link = self.host.interfaces.get(self.interface)
        return link is not None and link.loopback

    def _valid_sources(self, flows: Flows, address: int) -> Flows:
        for refusal in refusals(self.host, self.version, self.interface, address):
            if refusal.sure:
                self.drop(refusal.sources, refusal.why)
                flows = {state: found - refusal.sources for state, found in flows.items()}
            else:
                self.give_up(refusal.sources, refusal.why)
        return {state: found for state, found in flows.items() if found}

    def _route(self, flows: Flows) -> tuple[Flows, dict[str, Flows]]:
        """The routing decision after prerouting: to this host, or on through an interface."""
        own = self.host.local(self.version)
        local: Flows = {}
        onward: dict[str, Flows] = {}
        for state, sources in flows.items():
            if state.address is None:
                self.give_up(sources, "the new destination cannot be said")
            elif state.address in own:
                add(local, state, self._not_martian(state.address, sources))
            else:
                lookup = Lookup(None, self.interface, state.mark)
                egress = self.host.route(self.version, state.address, lookup)
                add(onward.setdefault(egress, {}), state, sources)
        return local, onward

    def _not_martian(self, address: int, sources: AddressSet) -> AddressSet:
        """Loopback destinations are refused from outside, unless route_localnet allows them."""
        link = self.host.interfaces[self.interface]
        if address not in LOOPBACK[self.version] or link.loopback:
            return sources
        allowed = self.version == 4 and self.host.any_setting(4, link.name, "route_localnet")
        if allowed:
            return sources
        if allowed is None or self.version == 6:
            self.give_up(sources, "a loopback destination from outside")
        else:
            self.drop(sources, "loopback destination from outside (route_localnet is off)")
        return self.nothing

    def _deliver(self, flows: Flows) -> list[Arrival]:
        inbound = [Leg("input", self.interface)]
        flows = self.pass_through(inbound, flows, Phase.OPEN)
        if self.version == 6:
            # tcp_v6_conn_request() of net/ipv6/tcp_ipv6.c
            self.drop(everyone(flows, 6) & MAPPED, "no valid source address")
            flows = {state: found - MAPPED for state, found in flows.items()}
        flows = self._answer(self._unicast(flows), "")
        confirm = [
            Leg("ingress", self.interface),
            Leg("prerouting", self.interface),
            Leg("input", self.interface),
        ]
        flows = self._confirm(confirm, flows)
        return [Arrival(LOCAL, self.interface, *item) for item in flows.items()]

    def _unicast(self, flows: Flows) -> Flows:
        """What is not sent to an IPv6 anycast address, which TCP drops.

        tcp_v6_conn_request() of net/ipv6/tcp_ipv6.c; a router has one in each of its networks.
        """
        if self.version == 4:
            return flows
        anycast = self.host.anycast
        for state, sources in flows.items():
            if state.address in anycast:
                self.drop(sources, "TCP does not answer at an anycast address")
        return {state: found for state, found in flows.items() if state.address not in anycast}

    def _forward(self, egress: str, flows: Flows) -> list[Arrival]:
        flows = self._may_forward(egress, flows)
        if self.version == 6:
            # the TCP of the other end refuses them, unless their source is translated on the way
            self.give_up(everyone(flows, 6) & MAPPED, "who takes an IPv4-mapped source")
            flows = {state: found - MAPPED for state, found in flows.items()}
        if not flows:
            return []
        legs = [
            Leg("forward", self.interface, egress),
            Leg("postrouting", "", egress),
            Leg("egress", "", egress),
        ]
        flows = self.pass_through(legs, flows, Phase.OPEN)
        flows = self._answer(flows, egress)
        inbound = [Leg("ingress", self.interface), Leg("prerouting", self.interface)]
        flows = self._confirm(inbound + legs, flows)
        return [Arrival(FORWARDED, egress, *item) for item in flows.items()]

    def _may_forward(self, egress: str, flows: Flows) -> Flows:
        """What the IP layer forwards at all."""
        sources = everyone(flows, self.version)
        forwards = self.host.forwards(self.version, self.interface)
        if forwards is False:
            self.drop(sources, "forwarding is off")
        elif egress == NO_ROUTE:
            self.drop(sources, "no route to the destination")
        elif egress == UNSURE or forwards is None:
            self.give_up(sources, "the route to the destination cannot be said")
        else:
            refused, why = self._unforwardable(egress)
            self.drop(sources & refused, why)
            flows = {state: found - refused for state, found in flows.items()}
            return {state: found for state, found in flows.items() if found}
        return {}

    def _unforwardable(self, egress: str) -> tuple[AddressSet, str]:
        if self.version == 4:
            return self.host.broadcast(), "answers to a broadcast address are not forwarded"
        refused = LINK_LOCAL if egress != self.interface else self.nothing
        return refused, "link-local sources are not forwarded"

    # The answer, and its confirmation

    def _answer(self, flows: Flows, container: str) -> Flows:
        """The SYN+ACK, from a socket of this host or through the `container` interface."""
        answers = _next_packet(flows)
        result: Flows = {}
        for state, sources in answers.items():
            in_interface = container or "lo"
            initial = None if self.host.sysctls.get("ipv4.tcp_fwmark_accept", "0") != "0" else 0
            lookup = Lookup(state.address, in_interface, initial)
            for egress, part in self._ways_back(lookup).items():
                merge(result, self._answer_through(egress, container, {state: sources & part}))
        return result

    def _ways_back(self, lookup: Lookup) -> dict[str, AddressSet]:
        return answerable(self.host, self.version, self.interface, lookup)

    def _answer_through(self, egress: str, container: str, flows: Flows) -> Flows:
        sources = everyone(flows, self.version)
        if not sources:
            return {}
        if egress == NO_ROUTE:
            self.drop(sources, "no route back to the source", Phase.ANSWER)
            return {}
        if egress == "lo" and not self.host.interfaces[self.interface].loopback:
            self.drop(sources, "the answer would go to this host itself", Phase.ANSWER)
            return {}
        if egress == UNSURE:
            self.give_up(sources, "the route back to the source cannot be said", Phase.ANSWER)
            return {}
        return self._finish_answer(self._answer_legs(egress, container, flows))

    def _delivered(self, egress: str, flows: Flows) -> Flows:
        """Answers that leave by another link than the client came in by, as far as one can say.

        Between uplinks that is common, and the internet is behind both. A neighbour on the link
        gets it only if whoever is behind the other one sends it back, and the far end of a tunnel
        takes what its own configuration allows.
        """
        if egress == self.interface:
            return flows
        tunnel = self.host.interfaces[egress].point_to_point
        near = self.host.connected(self.version, self.interface)
        sources = everyone(flows, self.version)
        lost = sources - self.host.routed(self.version, egress) if tunnel else sources & near
        why = f"the answer leaves by {egress}, not by {self.interface}, where the client is"
        self.give_up(lost, why, Phase.ANSWER)
        kept = {state: found - lost for state, found in flows.items()}
        return {state: found for state, found in kept.items() if found}

    def _answer_legs(self, egress: str, container: str, flows: Flows) -> Flows:
        legs = [Leg("output", "", egress)]
        if container:
            legs = [
                Leg("ingress", container),
                Leg("prerouting", container),
                Leg("forward", container, egress),
            ]
        flows = self.pass_through(legs, flows, Phase.ANSWER)
        result: Flows = {}
        for way, part in self._rerouted(egress, flows, local=not container).items():
            outbound = [Leg("postrouting", "", way), Leg("egress", "", way)]
            leaving = self._delivered(way, part)
            merge(result, self.pass_through(outbound, leaving, Phase.ANSWER))
        return result

    def _rerouted(self, egress: str, flows: Flows, *, local: bool) -> dict[str, Flows]:
        """Where the answer leaves; a mark set in output may change that (ip_route_me_harder).

        It does in iptables' mangle table and in chains of type route, and in no other.
        """
        ways = {egress: flows}
        if not local or not self.host.depends_on_mark(self.version):
            return ways
        for state, sources in flows.items():
            lookup = Lookup(state.address, "lo", state.mark)
            for way, part in self._ways_back(lookup).items():
                if way in {NO_ROUTE, UNSURE, "lo"}:
                    self.give_up(sources & part, "a mark changes the answer's route", Phase.ANSWER)
                elif way != egress:
                    add(ways.setdefault(way, {}), state, sources & part)
        return ways

    def _finish_answer(self, flows: Flows) -> Flows:
        """An answer that connection tracking lets be is not translated back."""
        result: Flows = {}
        for state, sources in flows.items():
            changed = state.translated or state.masqueraded
            if not changed or state.tracking is Tracking.ESTABLISHED:
                add(result, state, sources)
            elif state.tracking is Tracking.UNTRACKED:
                self.drop(sources, "the answer is not translated back", Phase.ANSWER)
            else:
                self.give_up(sources, "whether the answer is translated back", Phase.ANSWER)
        return result

    def _confirm(self, legs: list[Leg], flows: Flows, *, translate: bool = True) -> Flows:
        """The ACK, on the way of the SYN."""
        again: Flows = {}
        for state, sources in _next_packet(flows).items():
            new = state._replace(address=state.original_address, port=state.original_port)
            add(again, new, sources)
        flows = self.pass_through(legs, again, Phase.CONFIRM, translate=translate)
        result: Flows = {}
        for state, sources in flows.items():
            if (state.address, state.port) == (state.target_address, state.target_port):
                add(result, state, sources)
            elif state.tracking is Tracking.UNTRACKED:
                self.drop(sources, "the third packet is not translated", Phase.CONFIRM)
            else:
                self.give_up(sources, "whether the third packet is translated", Phase.CONFIRM)
        return result

    # From this host itself

    def local(self, address: int, port: int) -> list[Arrival]:
        """Connections of clients on the host: out, and in again through lo."""
        own = self.host.local(self.version)
        self.drop(~own, "only addresses of this host itself send by this interface")
        leaving_by = "lo" if address in own else self._first_egress(address, own)
        if not leaving_by:
            return []
        first = Leg("output", "", leaving_by)
        flows = self.pass_through([first], {opening(address, port): own}, Phase.OPEN)
        inside: Flows = {}
        outside: dict[str, Flows] = {}
        for state, sources in flows.items():
            if state.address is None:
                self.give_up(sources, "the new destination cannot be said")
            elif state.address in own:
                add(inside, state, sources)
            else:
                lookup = Lookup(None, "lo", state.mark)
                egress = self.host.route(self.version, state.address, lookup)
                add(outside.setdefault(egress, {}), state, sources)
        arrivals = self._loop(inside)
        for egress, leaving in outside.items():
            arrivals += self._to_container(first, egress, leaving)
        return arrivals

    def _first_egress(self, address: int, own: AddressSet) -> str:
        """The interface that the output hook sees, by the route before any translation.

        Empty when there is none, or it cannot be said.
        """
        egress = self.host.route(self.version, address, Lookup(None, "lo", 0))
        if egress == NO_ROUTE:
            self.drop(own, "the host has no route to it")
        elif egress == UNSURE:
            self.give_up(own, "the route to the destination cannot be said")
        return "" if egress in {NO_ROUTE, UNSURE} else egress

    def _loop(self, flows: Flows) -> list[Arrival]:
        out = [Leg("postrouting", "", "lo"), Leg("egress", "", "lo")]
        back = [Leg("ingress", "lo"), Leg("prerouting", "lo"), Leg("input", "lo")]
        flows = self.pass_through(out, flows, Phase.OPEN)
        flows = self.pass_through(back, flows, Phase.OPEN, translate=False)
        flows = self._unicast(flows)
        whole = [Leg("output", "", "lo"), *out, *back]
        flows = self.pass_through(whole, _next_packet(flows), Phase.ANSWER)
        flows = self._confirm(whole, self._finish_answer(flows))
        return [Arrival(LOCAL, "lo", *item) for item in flows.items()]

    def _to_container(self, first: Leg, egress: str, flows: Flows) -> list[Arrival]:
        """A client of the host whose connection is translated to somewhere else."""
        sources = everyone(flows, self.version)
        if egress in (NO_ROUTE, UNSURE):
            self.give_up(sources, "the route to the new destination cannot be said")
            return []
        out = [Leg("postrouting", "", egress), Leg("egress", "", egress)]
        flows = self._without_loopback(egress, self.pass_through(out, flows, Phase.OPEN))
        back = [Leg("ingress", egress), Leg("prerouting", egress), Leg("input", egress)]
        flows = self.pass_through(back, _next_packet(flows), Phase.ANSWER)
        flows = self._confirm([first, *out], self._finish_answer(flows))
        return [Arrival(FORWARDED, egress, *item) for item in flows.items()]

    def _without_loopback(self, egress: str, flows: Flows) -> Flows:
        """No other host answers to a loopback source; one that is masqueraded is another matter.

        route_localnet lets it out, and the answer in (__mkroute_output() and
        ip_route_input_slow() of net/ipv4/route.c), as podman and Docker without its userland
        proxy set it on their bridges.
        """
        loopback = LOOPBACK[self.version]
        allowed = self.version == 4 and self.host.any_setting(4, egress, "route_localnet")
        result: Flows = {}
        for state, sources in flows.items():
            if state.masqueraded and allowed:
                add(result, state, sources)
                continue
            if state.masqueraded:
                self.give_up(sources & loopback, "a loopback source that is masqueraded")
            else:
                self.drop(sources & loopback, "a loopback source gets no answer from elsewhere")
            add(result, state, sources - loopback)
        return result


def _next_packet(flows: Flows) -> Flows:
    """The states in which the next packet of each connection starts: no mark, not yet tracked."""
    result: Flows = {}
    for state, sources in flows.items():
        seen = SEEN_AFTER.get(state.tracking, state.seen)
        new = state._replace(mark=0, tracking=Tracking.NONE, seen=seen)
        add(result, new, sources)
    return result
