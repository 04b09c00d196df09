"""Who gets through, for people: endpoints by zone and family, or single answers."""

from __future__ import annotations

from ollama_audit.exposure.answer import Answer, ReachReport, Verdict
from ollama_audit.exposure.model import Endpoint, Exposure, Extent, JudgedBy, Login, Zone
from ollama_audit.render.text import Paint, Style
from ollama_audit.snapshot.firewall import RulesetKind
from ollama_audit.snapshot.network import Family
from ollama_audit.verdict import bind

CELLS = {
    Extent.ALL: "yes",
    Extent.SOME: "part",
    Extent.NONE: "no",
    Extent.UNKNOWN: "?",
    Extent.ABSENT: "-",
}

_FAMILIES = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}
_LOGINS = {Login.NONE: "none", Login.REQUIRED: "required", Login.UNKNOWN: "?"}
_WIDTH = 10


def zones(exposure: Exposure, style: Style) -> str:
    """The table of endpoints by zones and families, and what decides each of its cells."""
    lines = _judged_by(exposure.rulesets, style)
    if not exposure.endpoints:
        lines += style.wrap("Nothing on this host leads to an Ollama server.")
    else:
        names = [bind(endpoint) for endpoint in exposure.endpoints]
        room = min(max(len("ENDPOINT"), *map(len, names)), max(20, style.width - 58)) + 2
        head = f"{'ENDPOINT':<{room}}      {''.join(f'{z:<{_WIDTH}}' for z in Zone)}LOGIN"
        lines.append(style.paint(head, Paint.BOLD))
        for name, endpoint in zip(names, exposure.endpoints, strict=True):
            lines += _rows(name, endpoint, style, room)
        legend = "yes: all of it · part: some of it · ?: not known · -: no way seen from here"
        lines += ["", style.plain(legend)]
        for name, endpoint in zip(names, exposure.endpoints, strict=True):
            lines += _reasons(name, endpoint, style)
    for gap in exposure.gaps:
        lines += style.wrap(f"Could not be looked at: {gap.subject}: {gap.reason}", "", "  ")
    for thing in exposure.beyond_host:
        lines += style.wrap(f"Not decided by this host: {thing}", "", "  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _judged_by(rulesets: tuple[JudgedBy, ...], style: Style) -> list[str]:
    """On whose word an answer stands, where it is not the host's own packet filter."""
    if not rulesets:
        return []
    files = [f"{each.file} ({each.kind})" for each in rulesets]
    plural = "s" if len(files) > 1 else ""
    listed = " and ".join([", ".join(files[:-1]), files[-1]] if plural else files)
    lines = style.wrap(f"By the ruleset{plural} in {listed}, not by this host's own.", "", "  ")
    kinds = {each.kind for each in rulesets}
    for family, kind in _SAVES.items():
        if not kinds & {kind, RulesetKind.NFT_JSON}:
            lines += style.wrap(f"Nothing was given for {family}: taken as unfiltered.", "", "  ")
    return [*lines, ""]


_SAVES = {"IPv4": RulesetKind.IPTABLES_SAVE, "IPv6": RulesetKind.IP6TABLES_SAVE}
"""What has the rules of one family alone."""


def _rows(name: str, endpoint: Endpoint, style: Style, room: int) -> list[str]:
    lines = []
    label = style.clip(name, room - 2)
    for family in endpoint.families:
        cells = ""
        for zone in Zone:
            found = [part for part in endpoint.toward(zone) if part.family is family]
            extent = found[0].extent if found else Extent.ABSENT
            cells += _painted(extent, zone, endpoint.login, style)
        login = _LOGINS[endpoint.login] + ("*" if endpoint.open_paths else "")
        lines.append(f"{label:<{room}}{_FAMILIES[family]}  {cells}{login}")
        label = ""
    return lines


def _painted(extent: Extent, zone: Zone, login: Login, style: Style) -> str:
    cell = f"{CELLS[extent]:<{_WIDTH}}"
    if zone is Zone.HOST or extent is Extent.ABSENT:
        return cell
    if extent is Extent.UNKNOWN:
        return style.paint(cell, Paint.WARN)
    if extent is Extent.NONE:
        return style.paint(cell, Paint.GOOD)
    return style.paint(cell, Paint.WARN if login is Login.REQUIRED else Paint.BAD)


def _reasons(name: str, endpoint: Endpoint, style: Style) -> list[str]:
    lines = ["", style.paint(style.plain(name), Paint.BOLD)]
    hops = [f"{hop.name}{f' ({hop.detail})' if hop.detail else ''}" for hop in endpoint.hops]
    lines += style.wrap(f"path: {' → '.join(hops)}", "  ", "    ")
    said: dict[tuple[str, ...], list[str]] = {}
    for part in endpoint.reach:
        if part.extent is not Extent.ABSENT:
            who = f"{part.zone} {_FAMILIES[part.family]} {CELLS[part.extent]}"
            if part.extent is Extent.SOME:
                who += f" ({', '.join(part.networks)})"
            if part.external:
                who += f" (from outside {', '.join(part.external)})"
            if part.uncertain:
                who += f" (not known: {', '.join(part.uncertain)})"
            said.setdefault(part.because, []).append(who)
    for because, cells in said.items():
        decided = f": {'; '.join(because)}" if because else ""
        lines += style.wrap(f"{', '.join(cells)}{decided}", "  ", "    ")
    for why in endpoint.login_because:
        lines += style.wrap(f"login: {why}", "  ", "    ")
    if endpoint.open_paths:
        lines += style.wrap(f"* without a login: {', '.join(endpoint.open_paths)}", "  ", "    ")
    return lines


def answers(report: ReachReport, style: Style) -> str:
    """Each answer: yes or no, what the packet passes, and the rules that decide."""
    lines = _judged_by(report.rulesets, style)
    for answer in report.answers:
        lines += _answer(answer, style)
    if not report.answers:
        lines += style.wrap("Nothing on this host leads to an Ollama server.")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _answer(answer: Answer, style: Style) -> list[str]:
    to = f"[{answer.to}]" if ":" in answer.to else answer.to
    via = f" ({answer.in_interface})" if answer.in_interface else ""
    login = f", login {_LOGINS[answer.login]}" if answer.reach is not Verdict.NO else ""
    paint = {Verdict.YES: Paint.BAD, Verdict.NO: Paint.GOOD}.get(answer.reach, Paint.WARN)
    asked = style.plain(f"{answer.source}{via} → {to}:{answer.port}")
    lines = [f"{asked}  {style.paint(answer.reach.upper(), paint)}{login}"]
    if answer.path:
        lines += style.wrap(f"path: {' → '.join(answer.path)}", "  ", "    ")
    for why in answer.because:
        lines += style.wrap(why, "  because ", "    ")
    return lines
