"""`ollama-audit doctor`: what could not be read here, and which rules that leaves unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ollama_audit.cli import output, screen, source
from ollama_audit.cli.exits import UNREAD, ExitCode
from ollama_audit.engine import evaluate
from ollama_audit.exposure.assess import assess
from ollama_audit.observed import Unknown
from ollama_audit.registry import load_rules
from ollama_audit.render.text import Paint, Style
from ollama_audit.report import Finding
from ollama_audit.rule import Host
from ollama_audit.words import listed, plural


def doctor(file: str | None, *, probe: bool, color: str, width: str | None) -> int:
    """Read the host and say what stayed unread; 3 when that leaves a rule unknown."""
    style = screen.style(color, width)
    terrain = source.obtain(file, probe=probe)
    snapshot = terrain.snapshot
    host = Host(snapshot=snapshot, exposure=assess(terrain))
    unknown = [finding for finding in evaluate(load_rules(), host) if finding.status in UNREAD]
    who = snapshot.privileges
    held = plural(len(who.capabilities), "capability", "capabilities")
    lines = style.wrap(f"Reads as {who.user or who.uid} with {held}.")
    lines += ["", *_facts(unread(snapshot), style), "", *_rules(unknown, style)]
    output.write_stdout("\n".join(lines) + "\n")
    return ExitCode.INCOMPLETE if unknown else ExitCode.OK


def unread(value: Any, path: str = "$") -> Iterator[tuple[str, Unknown]]:
    """Every `Unknown` in a record with its path, in the order of the fields."""
    if isinstance(value, Unknown):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from unread(getattr(value, field), f"{path}.{field}")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from unread(each, f"{path}.{key}")
    elif isinstance(value, (tuple, list)):
        for index, each in enumerate(value):
            yield from unread(each, f"{path}[{index}]")


def _facts(found: Iterator[tuple[str, Unknown]], style: Style) -> list[str]:
    alike: dict[tuple[str, str], dict[str, str]] = {}
    for path, fact in found:
        alike.setdefault((fact.reason, fact.cure), {}).setdefault(fact.source, path)
    if not alike:
        return ["Everything that was looked for could be read."]
    lines: list[str] = []
    for heading, cured in (("Could not be read", True), ("Is not to be read here", False)):
        group = [(key, places) for key, places in alike.items() if bool(key[1]) is cured]
        lines += ["", style.paint(heading, Paint.BOLD)] if group and lines else []
        lines += [style.paint(heading, Paint.BOLD)] if group and not lines else []
        for (reason, cure), places in group:
            lines += style.wrap(f"{listed(places)}: {reason}", "  ", "    ")
            lines += style.wrap(f"for {listed(places.values())}", "    ")
            lines += style.settling(cure, "    ")
    return lines


def _rules(unknown: list[Finding], style: Style) -> list[str]:
    if not unknown:
        return ["Every rule can be judged."]
    lines = [style.paint("Rules that stay unknown", Paint.BOLD)]
    for finding in unknown:
        lines.append(f"  {finding.rule}")
        lines += style.wrap(finding.summary, "    ")
        lines += style.settling(finding.cure, "    ")
    return lines
