"""The one sentence: who can do what with this Ollama, and by which path.

Computed from a report alone, so that a stored report says what the audit said. It is about
reach and login only; what else is wrong with the host is for the findings.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ollama_audit.exposure.model import Endpoint, Extent, Login, Zone, ZoneReach
from ollama_audit.networks import only_single, spelled, whole_internet
from ollama_audit.report import NO_OLLAMA, Report
from ollama_audit.words import MOST, joined, listed


class Stance(StrEnum):
    """The verdict in a word or two."""

    EXPOSED = "EXPOSED"
    """Somebody outside gets to Ollama and is asked for no login."""
    UNCLEAR = "UNCLEAR"
    """Nobody surely does, and it is not proved that nobody does."""
    LOGIN_REQUIRED = "LOGIN REQUIRED"
    """Somebody outside gets to it and must log in, for all of the API."""
    PROTECTED = "PROTECTED"
    """It listens beyond loopback, and what is in front stops everybody outside."""
    LOCAL_ONLY = "LOCAL ONLY"
    NOT_SERVING = "NOT SERVING"
    """Installed, and nothing leads to it."""
    NO_OLLAMA = "NO OLLAMA"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Who can do what, in words."""

    stance: Stance
    sentence: str
    path: tuple[str, ...] = ()
    """Bind address, hops, what filters, login; of the endpoint that decided the stance."""
    cure: str = ""
    """For UNCLEAR: what would settle it."""


_OUTSIDE = (Zone.INTERNET, Zone.LAN, Zone.VPN, Zone.CONTAINER)
"""From the worst to the least, as a sentence lists them."""


def judge(report: Report) -> Verdict:
    """The verdict on a host."""
    if report.score is None and report.unrated == NO_OLLAMA:
        return Verdict(
            stance=Stance.NO_OLLAMA,
            sentence="No Ollama found (process, unit, container, PATH). Nothing was rated.",
        )
    open_parts = [
        (endpoint, part)
        for endpoint in report.endpoints
        for part in outside(endpoint)
        if part.open and endpoint.certain
    ]
    exposed = [(e, part) for e, part in open_parts if e.login is Login.NONE]
    if exposed:
        return _exposed(report, exposed)
    unclear = _unclear(report, open_parts)
    if unclear:
        return unclear
    guarded = [
        (endpoint, part)
        for endpoint in report.endpoints
        for part in outside(endpoint)
        if part.open or part.uncertain_only or part.uncertain
    ]
    if guarded:
        return Verdict(
            stance=Stance.LOGIN_REQUIRED,
            sentence=f"{_anyone(guarded)} can reach Ollama's login, and all of its API is behind "
            f"it{_caveat(report, guarded)}.{_kept_out(report)}",
            path=_path(guarded[0][0]),
        )
    return _shut(report)


def outside(endpoint: Endpoint) -> tuple[ZoneReach, ...]:
    """What is known of the zones beyond the host, the worst zone first; absent ones left out."""
    return tuple(
        part
        for zone in _OUTSIDE
        for part in endpoint.toward(zone)
        if part.extent is not Extent.ABSENT
    )


def _exposed(report: Report, parts: list[tuple[Endpoint, ZoneReach]]) -> Verdict:
    whole = [pair for pair in parts if not (pair[0].open_paths or pair[0].only_paths)]
    if whole:
        can = "can use, replace or delete your models"
    else:
        paths = dict.fromkeys(
            path for endpoint, _ in parts for path in endpoint.open_paths or endpoint.only_paths
        )
        can = f"can use part of Ollama's API ({listed(list(paths))})"
    return Verdict(
        stance=Stance.EXPOSED,
        sentence=f"{_anyone(whole or parts)} {can}{_caveat(report, whole or parts)}. "
        f"No login is asked.{_kept_out(report)}",
        path=_path(min(whole or parts, key=lambda pair: _OUTSIDE.index(pair[1].zone))[0]),
    )


def _unclear(report: Report, open_parts: list[tuple[Endpoint, ZoneReach]]) -> Verdict | None:
    """The first thing that keeps anybody from saying that it is shut; None when nothing does."""
    for endpoint, part in open_parts:
        if endpoint.login is Login.UNKNOWN:
            return Verdict(
                stance=Stance.UNCLEAR,
                sentence=f"{_anyone([(endpoint, part)])} can reach Ollama; whether it asks for a "
                f"login could not be told{_reason(endpoint.login_because)}.",
                path=_path(endpoint),
                cure=part.cure,
            )
    for endpoint in report.endpoints:
        # Behind a login for all of the API it does not matter who gets as far as that.
        unsure = () if endpoint.login is Login.REQUIRED else _unsure(endpoint)
        if unsure:
            leads = "leads" if endpoint.certain and endpoint.server else "may lead"
            return Verdict(
                stance=Stance.UNCLEAR,
                sentence=f"{endpoint.shown} {leads} to Ollama. Whether {_whoever(unsure)} can "
                f"connect could not be told{_reason(unsure[0].because)}.",
                path=_path(endpoint),
                cure=unsure[0].cure,
            )
    for endpoint in report.endpoints:
        # Here too, a login for everything makes it matter less where a connection would end.
        locked = endpoint.login is Login.REQUIRED
        if not (endpoint.certain or locked) and any(part.open for part in outside(endpoint)):
            return Verdict(
                stance=Stance.UNCLEAR,
                sentence=f"{endpoint.shown} may lead to Ollama; this host alone cannot tell.",
                path=_path(endpoint),
            )
    for gap in report.gaps:
        return Verdict(
            stance=Stance.UNCLEAR,
            sentence=f"There may be a way in that could not be looked at: {gap.subject} "
            f"({gap.reason}).",
            path=_path(report.endpoints[0]) if report.endpoints else (),
            cure=gap.cure,
        )
    return None


def _unsure(endpoint: Endpoint) -> tuple[ZoneReach, ...]:
    return tuple(part for part in outside(endpoint) if part.uncertain_only or part.uncertain)


def _whoever(unsure: tuple[ZoneReach, ...]) -> str:
    """`anyone on 192.168.1.0/24`, or for several zones what they have in common."""
    if len({part.zone for part in unsure}) > 1:
        return "anyone beyond this machine"
    networks = [network for part in unsure for network in part.uncertain]
    return f"anyone {_where(unsure[0].zone, networks if len(networks) <= MOST else [])}"


def _shut(report: Report) -> Verdict:
    if not report.endpoints:
        return Verdict(
            stance=Stance.NOT_SERVING,
            sentence="Ollama is installed, and no server of it is listening.",
        )
    beyond = [endpoint for endpoint in report.endpoints if not _on_loopback(endpoint)]
    if beyond:
        return Verdict(
            stance=Stance.PROTECTED,
            sentence=f"{_leading(beyond)}, and nothing outside this machine gets through to it.",
            path=_path(beyond[0]),
        )
    names = " and ".join(report.host.ollama_versions[:1])
    return Verdict(
        stance=Stance.LOCAL_ONLY,
        sentence=f"Only programs on this machine can reach Ollama{names and ' '}{names}.",
        path=_path(report.endpoints[0]),
    )


def _leading(endpoints: list[Endpoint]) -> str:
    """Where Ollama itself listens, or what leads to it."""
    names = listed(endpoint.shown for endpoint in endpoints)
    if all(endpoint.hops[:1] and endpoint.hops[0].kind == "socket" for endpoint in endpoints):
        return f"Ollama listens on {names}"
    return f"{names} {'leads' if len(endpoints) == 1 else 'lead'} to Ollama"


def _on_loopback(endpoint: Endpoint) -> bool:
    return endpoint.address.startswith(("127.", "::ffff:127.")) or endpoint.address == "::1"


def _caveat(report: Report, parts: list[tuple[Endpoint, ZoneReach]]) -> str:
    """What makes a statement about the internet one of this host alone."""
    internet = any(part.zone is Zone.INTERNET for _, part in parts)
    return ", as far as this host decides" if internet and report.beyond_host else ""


def _kept_out(report: Report) -> str:
    """What is to be said where this host is open, and something else keeps the internet out."""
    comes_in = any(
        part.open or part.uncertain
        for endpoint in report.endpoints
        for part in endpoint.toward(Zone.INTERNET)
    )
    if comes_in or not report.beyond_host:
        return ""
    return " Only what is beyond this host keeps the internet out."


def _reason(because: tuple[str, ...]) -> str:
    """The first reason; of a rule that goes by its owner's name, the name and what is doubtful."""
    if not because:
        return ""
    named, rule, rest = because[0].rstrip(".").partition(" - ")
    _, doubt, why = rest.rpartition(": whether ")
    return f": {named}: whether {why}" if rule and doubt else f": {because[0].rstrip('.')}"


def _anyone(parts: list[tuple[Endpoint, ZoneReach]]) -> str:
    """`Anyone on the internet, on 192.168.1.0/24 and in containers on this host`."""
    places = []
    for zone in _OUTSIDE:
        here = [part for _, part in parts if part.zone is zone]
        if not here:
            continue
        networks = list(dict.fromkeys(network for part in here for network in part.networks))
        more = sum(part.more_networks for part in here)
        if zone is Zone.INTERNET and any(part.extent is Extent.ALL for part in here):
            families = {part.family for part in here if part.extent is Extent.ALL}
            rest = [part for part in here if part.family not in families]
            partly = [network for part in rest for network in part.networks]
            places.append(f"on {whole_internet(families)}")
            more = sum(part.more_networks for part in rest)
            places += [_where(zone, partly, more)] if partly else []
        else:
            places.append(_where(zone, networks, more))
    return f"Anyone {joined(places)}"


def _where(zone: Zone, networks: list[str], more: int = 0) -> str:
    named = spelled([net for net in networks if not net.startswith("fe80:")] or networks, more)
    match zone:
        case Zone.INTERNET:
            whole = {"0.0.0.0/0", "::/0"}.issuperset(networks)
            return "on the internet" if whole else f"on parts of the internet ({named})"
        case Zone.LAN:
            at = "at" if only_single(networks) else "on"
            return f"{at} {named}" if named else "on the local network"
        case Zone.VPN:
            return f"on the VPN ({named})" if named else "on the VPN"
        case Zone.CONTAINER:
            return "in containers on this host"
        case Zone.HOST:
            return "on this machine"


def _path(endpoint: Endpoint) -> tuple[str, ...]:
    families = "+".join(family.label for family in endpoint.families)
    at = f"{endpoint.shown} ({families})" if len(endpoint.families) > 1 else endpoint.shown
    hops = tuple(hop.name for hop in endpoint.hops if hop.kind != "socket")
    filtering = _filtering(endpoint) if endpoint.address else "past every firewall of this host"
    return (at, *hops, filtering, _login(endpoint))


def _filtering(endpoint: Endpoint) -> str:
    parts = outside(endpoint)
    if _on_loopback(endpoint) and not any(part.open or part.uncertain_only for part in parts):
        return "not reachable from outside"
    if not parts:
        return "no other network to come from"
    extents = {part.extent for part in parts}
    doubtful = Extent.UNKNOWN in extents or any(part.uncertain for part in parts)
    if doubtful and not any(part.open for part in parts):
        return "not known what filters it"
    if extents == {Extent.ALL}:
        filtered = any(not _unfiltered(part) for part in parts)
        return "no rule keeps anybody out" if filtered else "nothing filters it"
    if extents == {Extent.NONE}:
        return "stopped for everyone outside"
    return "filtered in part"


def _unfiltered(part: ZoneReach) -> bool:
    """Whether no rule had a say, but at most policies that let everything through."""
    return all(why.endswith("policy accept") for why in part.because)


def _login(endpoint: Endpoint) -> str:
    if endpoint.login is Login.NONE:
        return "login on part of the API only" if endpoint.open_paths else "no login"
    return "login required" if endpoint.login is Login.REQUIRED else "login not known"
