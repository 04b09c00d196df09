"""Who gets through, for people: endpoints by zone and family, or single answers."""

from __future__ import annotations

from ollama_audit.exposure.answer import Answer, ReachReport, Verdict
from ollama_audit.exposure.model import (
    Endpoint,
    Exposure,
    Extent,
    JudgedBy,
    Login,
    Zone,
    ZoneReach,
)
from ollama_audit.networks import spelled
from ollama_audit.render.text import Paint, Style
from ollama_audit.snapshot.firewall import RulesetKind
from ollama_audit.words import authority, joined, listed

CELLS = {
    Extent.ALL: "yes",
    Extent.SOME: "part",
    Extent.NONE: "no",
    Extent.UNKNOWN: "?",
    Extent.ABSENT: "-",
}

_LOGINS = {Login.NONE: "none", Login.REQUIRED: "required", Login.UNKNOWN: "?"}
_COLUMNS = {zone: max(len(zone) + 2, 6) for zone in Zone}
"""How wide the column of a zone is."""
_BESIDE = sum(_COLUMNS.values()) + len("  IPv4  ") + len("required*")
"""What a row takes beside the endpoint's name."""
_SHORTEST = len("255.255.255.255:65535")


def zones(exposure: Exposure, style: Style) -> str:
    """The table of endpoints by zones and families, and what decides each of its cells.

    A screen too narrow for the table has what decides, which says the same in sentences.
    """
    lines = _judged_by(exposure.rulesets, style)
    if not exposure.endpoints:
        lines += style.wrap("Nothing on this host leads to an Ollama server.")
    elif style.width >= _SHORTEST + _BESIDE:
        lines += [*_table(exposure.endpoints, style), ""]
    for number, endpoint in enumerate(exposure.endpoints):
        lines += ["", *_reasons(endpoint, style)] if number else _reasons(endpoint, style)
    if exposure.endpoints and (exposure.gaps or exposure.beyond_host):
        lines.append("")
    for gap in exposure.gaps:
        lines += style.wrap(f"Could not be looked at: {gap.subject}: {gap.reason}", "", "  ")
        lines += style.settling(gap.cure, "  ", "    ")
    for thing in exposure.beyond_host:
        lines += style.wrap(f"Not decided by this host: {thing}", "", "  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _table(endpoints: tuple[Endpoint, ...], style: Style) -> list[str]:
    longest = max(len("ENDPOINT"), *(len(endpoint.shown) for endpoint in endpoints))
    logins = max(len("LOGIN"), *(len(_login(endpoint)) for endpoint in endpoints))
    room = min(longest, style.width - _BESIDE + len("required*") - logins)
    head = "".join(f"{zone:<{width}}" for zone, width in _COLUMNS.items())
    lines = [style.paint(f"{'ENDPOINT':<{room}}        {head}LOGIN", Paint.BOLD)]
    for endpoint in endpoints:
        lines += _rows(endpoint, style, room)
    legend = "yes: all of it · part: some of it · ?: not known · -: no way seen from here"
    return [*lines, "", *style.wrap(legend)]


def _judged_by(rulesets: tuple[JudgedBy, ...], style: Style) -> list[str]:
    """On whose word an answer stands, where it is not the host's own packet filter."""
    if not rulesets:
        return []
    files = [f"{each.file} ({each.kind})" for each in rulesets]
    plural = "s" if len(files) > 1 else ""
    lines = style.wrap(
        f"By the ruleset{plural} in {joined(files)}, not by this host's own.", "", "  "
    )
    kinds = {each.kind for each in rulesets}
    for family, kind in _SAVES.items():
        if not kinds & {kind, RulesetKind.NFT_JSON}:
            lines += style.wrap(f"Nothing was given for {family}: taken as unfiltered.", "", "  ")
    return [*lines, ""]


_SAVES = {"IPv4": RulesetKind.IPTABLES_SAVE, "IPv6": RulesetKind.IP6TABLES_SAVE}
"""What has the rules of one family alone."""


def _rows(endpoint: Endpoint, style: Style, room: int) -> list[str]:
    """A row for each family in which there is a way from anywhere."""
    lines: list[str] = []
    shown = endpoint.shown
    if len(shown) > room:
        shown = shown.replace(" in container ", " in ", 1).replace(" in namespace ", " in ", 1)
    label = style.clip(shown, room)
    login = _login(endpoint)
    for family in endpoint.families:
        extents = {part.zone: part.extent for part in endpoint.reach if part.family is family}
        if lines and set(extents.values()) <= {Extent.ABSENT}:
            continue
        cells = "".join(
            _painted(extents.get(zone, Extent.ABSENT), zone, endpoint.login, style) for zone in Zone
        )
        lines.append(f"{label:<{room}}  {family.label}  {cells}{login}")
        label = ""
    return lines


def _login(endpoint: Endpoint) -> str:
    return _LOGINS[endpoint.login] + ("*" if endpoint.open_paths else "")


def _painted(extent: Extent, zone: Zone, login: Login, style: Style) -> str:
    cell = f"{CELLS[extent]:<{_COLUMNS[zone]}}"
    if zone is Zone.HOST or extent is Extent.ABSENT:
        return cell
    if extent is Extent.UNKNOWN:
        return style.paint(cell, Paint.WARN)
    if extent is Extent.NONE:
        return style.paint(cell, Paint.GOOD)
    return style.paint(cell, Paint.WARN if login is Login.REQUIRED else Paint.BAD)


def _reasons(endpoint: Endpoint, style: Style) -> list[str]:
    """An endpoint's path, who gets there by which rules, and what they are asked for."""
    lines = [style.paint(style.clip(endpoint.shown, style.width), Paint.BOLD)]
    hops = [f"{hop.name}{f' ({hop.detail})' if hop.detail else ''}" for hop in endpoint.hops]
    lines += style.wrap(f"path: {' → '.join(hops)}", "  ", "    ")
    said: dict[str, list[str]] = {}
    for part in endpoint.reach:
        if part.extent is not Extent.ABSENT:
            decided = "; ".join(part.because) or ("nothing filters it" if part.open else "")
            said.setdefault(decided, []).append(_who(part))
    for decided, cells in said.items():
        why = f": {decided}" if decided else ""
        lines += style.wrap(f"{', '.join(cells)}{why}", "  ", "    ")
    cures = dict.fromkeys(part.cure for part in endpoint.reach if part.cure)
    for cure in cures:
        lines += style.settling(cure, "  ", "    ")
    for why in endpoint.login_because or (_LOGINS[endpoint.login],):
        lines += style.wrap(f"login: {why}", "  ", "    ")
    if endpoint.open_paths:
        lines += style.wrap(f"* without a login: {', '.join(endpoint.open_paths)}", "  ", "    ")
    return lines


def _who(part: ZoneReach) -> str:
    """A cell of the table in words: `lan IPv4 part (192.168.1.5/32)`."""
    who = f"{part.zone} {part.family.label} {CELLS[part.extent]}"
    if part.extent is Extent.SOME:
        who += f" ({spelled(part.networks, part.more_networks)})"
    if part.external:
        who += f" (from outside {listed(part.external)})"
    if part.uncertain and part.extent is not Extent.UNKNOWN:
        who += f" (not known: {spelled(part.uncertain)})"
    return who


def answers(report: ReachReport, style: Style) -> str:
    """Each answer: yes or no, what the packet passes, and the rules that decide."""
    lines = _judged_by(report.rulesets, style)
    for answer in report.answers:
        lines += _answer(answer, style)
    if not report.answers:
        lines += style.wrap("Nothing on this host leads to an Ollama server.")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _answer(answer: Answer, style: Style) -> list[str]:
    via = f" ({answer.in_interface})" if answer.in_interface else ""
    login = f", login {_LOGINS[answer.login]}" if answer.reach is not Verdict.NO else ""
    paint = {Verdict.YES: Paint.BAD, Verdict.NO: Paint.GOOD}.get(answer.reach, Paint.WARN)
    asked = style.plain(f"{answer.source}{via} → {authority(answer.to, answer.port)}")
    lines = [f"{asked}  {style.paint(answer.reach.upper(), paint)}{login}"]
    if answer.path:
        lines += style.wrap(f"path: {' → '.join(answer.path)}", "  ", "    ")
    for why in answer.because:
        lines += style.wrap(why, "  because ", "    ")
    return lines
