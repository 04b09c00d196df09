"""Who of a zone uses Ollama without a login: the judgement that the rules of reach share."""

from __future__ import annotations

from collections.abc import Iterator

from ollama_audit.exposure.model import Endpoint, Exposure, Extent, Gap, Login, Zone, ZoneReach
from ollama_audit.networks import only_single, spelled, whole_internet
from ollama_audit.observed import Known, Unknown, need
from ollama_audit.outcome import (
    Evidence,
    Outcome,
    Severity,
    failed,
    not_applicable,
    passed,
    unread,
)
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.words import MOST, joined, listed, plural


def unseen(snapshot: HostSnapshot) -> tuple[Unknown, ...]:
    """Why an Ollama server may have been overlooked; empty when none can have been."""
    if isinstance(snapshot.servers, Unknown):
        return (snapshot.servers,)
    hidden = snapshot.unseen_processes
    if isinstance(hidden, Unknown):
        return (hidden,)
    if not hidden.value:
        return ()
    number = plural(hidden.value, "process", "processes")
    among = "it may be another Ollama" if hidden.value == 1 else "another Ollama may be among them"
    return (
        Unknown(
            f"{number} did not show which program runs; {among}",
            hidden.source,
            "sudo ollama-audit",
        ),
    )


def as_unknown(gap: Gap) -> Unknown:
    """A gap, as a fact that could not be read."""
    return Unknown(gap.reason, gap.subject, gap.cure)


def proven_local(snapshot: HostSnapshot, exposure: Exposure) -> bool:
    """Whether it is proven that nobody outside the host gets to any Ollama on it."""
    return exposure.local_only and not unseen(snapshot)


def open_without_login(exposure: Exposure, *zones: Zone) -> tuple[tuple[Endpoint, ZoneReach], ...]:
    """The endpoints that somebody in these zones surely uses without a login."""
    return tuple(
        (endpoint, part)
        for endpoint, part in exposure.open_to(*zones)
        if endpoint.login is Login.NONE and endpoint.certain
    )


def in_doubt(exposure: Exposure, zone: Zone) -> Iterator[Unknown]:
    """What keeps it open whether somebody of a zone uses Ollama without a login."""
    for endpoint in exposure.endpoints:
        if endpoint.login is Login.REQUIRED:
            continue
        for part in endpoint.toward(zone):
            if part.extent is Extent.UNKNOWN or part.uncertain:
                why = "; ".join(part.because) or "the deciding rule is not understood"
                reason = (
                    f"whether {_uncertain(part)} can reach {endpoint.shown} is not known: {why}"
                )
                yield Unknown(reason, f"endpoint {endpoint.shown}", part.cure)
            if not part.open:
                continue
            if not endpoint.certain:
                reason = f"it is not known whether {endpoint.shown} leads to Ollama"
                yield Unknown(reason, _path(endpoint), part.cure)
            elif endpoint.login is Login.UNKNOWN:
                why = "; ".join(endpoint.login_because) or "its configuration could not be read"
                reason = f"it is not known whether {endpoint.shown} asks for a login: {why}"
                yield Unknown(reason, _path(endpoint), part.cure)
    yield from map(as_unknown, exposure.gaps)


def _uncertain(part: ZoneReach) -> str:
    """Of whom it is not known: a few networks by name, else the zone that they are in."""
    few = 0 < len(part.uncertain) <= MOST and part.family.everything not in part.uncertain
    return spelled(part.uncertain) if few else part.zone.who


def reachable_from(
    snapshot: HostSnapshot, exposure: Exposure, zone: Zone, declared: Severity
) -> Outcome:
    """Judge whether anybody of a zone uses Ollama without a login.

    The declared severity falls by one where only single addresses were let in, and rises by one
    where the models call tools.

    Raises:
        UnobservedError: Whether a server runs is not known.
    """
    doors = open_without_login(exposure, zone)
    if doors:
        return failed(
            _sentence(zone, doors),
            tuple(_evidence(endpoint, part) for endpoint, part in doors),
            severity=effective(snapshot, doors, declared),
            endpoints=(endpoint.id for endpoint, _ in doors),
        )
    doubts = (*in_doubt(exposure, zone), *unseen(snapshot))
    if doubts:
        return unread(*doubts)
    if not need(snapshot.servers) and not exposure.endpoints:
        return not_applicable("no Ollama server is running")
    if any(part.open for endpoint in exposure.endpoints for part in endpoint.toward(zone)):
        return passed(f"{zone.who[0].upper()}{zone.who[1:]} must log in to use Ollama")
    if zone is Zone.INTERNET and exposure.beyond_host:
        decides = tuple(Evidence("beyond this host", said) for said in exposure.beyond_host)
        return passed("Only what is beyond this host keeps the internet from Ollama", decides)
    return passed(f"Nobody gets to Ollama from {zone.who}")


def effective(
    snapshot: HostSnapshot, doors: tuple[tuple[Endpoint, ZoneReach], ...], declared: Severity
) -> Severity:
    """The severity of these open doors, by how many may enter and what the models can do."""
    named = all(only_single(part.networks) for _, part in doors) and all(
        part.networks and part.extent is Extent.SOME for _, part in doors
    )
    tools = any(calls_tools(snapshot, endpoint.server) for endpoint, _ in doors)
    rank = declared.rank - named + tools
    return list(Severity)[max(0, min(rank, Severity.CRITICAL.rank))]


def calls_tools(snapshot: HostSnapshot, pid: int = 0) -> bool:
    """Whether a model of this server (0: of any) is known to call tools."""
    servers = snapshot.servers.value if isinstance(snapshot.servers, Known) else ()
    return any(
        isinstance(model.capabilities, Known) and "tools" in model.capabilities.value
        for server in servers
        if not pid or server.pid == pid
        for model in (server.api.models.value if isinstance(server.api.models, Known) else ())
    )


def _sentence(zone: Zone, doors: tuple[tuple[Endpoint, ZoneReach], ...]) -> str:
    # Where all of the API is open somewhere, that is what matters.
    doors = tuple(door for door in doors if not (door[0].open_paths or door[0].only_paths)) or doors
    at = joined(dict.fromkeys(endpoint.shown for endpoint, _ in doors))
    networks = _networks([part for _, part in doors])
    everybody = any(part.extent is Extent.ALL for _, part in doors)
    who = {
        Zone.HOST: "Every program on this machine",
        Zone.CONTAINER: f"Containers on this machine ({networks})",
        Zone.LAN: f"Anyone on your local network ({networks})",
        Zone.VPN: f"Anyone on your VPN ({networks})",
        Zone.INTERNET: f"Anyone on {whole_internet({part.family for _, part in doors})}",
    }[zone]
    if not everybody:
        who = f"Part of {zone.who}{f' ({networks})' if networks else ''}"
    far = ", as far as this host decides" if zone is Zone.INTERNET else ""
    can = _may(tuple(endpoint for endpoint, _ in doors))
    return f"{who} can {can} at {at} without a login{far}"


def _may(endpoints: tuple[Endpoint, ...]) -> str:
    """What somebody can do who gets to these endpoints without a login."""
    if all(endpoint.only_paths for endpoint in endpoints):
        return "run your models"
    if all(endpoint.open_paths or endpoint.only_paths for endpoint in endpoints):
        paths = [path for each in endpoints for path in each.open_paths or each.only_paths]
        return f"use part of Ollama's API ({listed(paths)})"
    return "use, replace or delete your models"


def _networks(parts: list[ZoneReach]) -> str:
    """The networks of several entries, link-local ones only where there are no others."""
    networks = dict.fromkeys(network for part in parts for network in part.networks)
    farther = [network for network in networks if not network.startswith("fe80:")]
    return spelled(farther or networks, sum(part.more_networks for part in parts))


def _path(endpoint: Endpoint) -> str:
    hops = " > ".join(
        f"{hop.name} ({hop.detail})" if hop.detail else hop.name for hop in endpoint.hops
    )
    return f"{endpoint.shown} > {hops}" if hops else endpoint.shown


def _evidence(endpoint: Endpoint, part: ZoneReach) -> Evidence:
    family = part.family.label
    to = f" to {', '.join(part.destinations)}" if part.destinations else ""
    to += f" (from outside {', '.join(part.external)})" if part.external else ""
    through = f" by {', '.join(part.interfaces)}" if part.interfaces else ""
    networks = spelled(part.networks, part.more_networks) or "everywhere"
    if part.zone is Zone.INTERNET and part.extent is Extent.ALL:
        networks = "everywhere on the internet"  # their list is long and says no more
    because = "; ".join(part.because) or "nothing filters it"
    return Evidence(_path(endpoint), f"{family} from {networks}{to}{through}: {because}")
