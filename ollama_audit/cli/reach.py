"""`ollama-audit reach`: who gets through, by network or for one path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from ollama_audit.cli import output, screen, source
from ollama_audit.cli.exits import ExitCode, UsageProblem
from ollama_audit.cli.names import choose
from ollama_audit.collect.edge import Beyond
from ollama_audit.engine import found_ollama
from ollama_audit.exposure.answer import scope
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import known_or
from ollama_audit.render import json
from ollama_audit.render import reach as table
from ollama_audit.render.text import Style

FORMATS = ("table", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    in_interface: str | None = None
    format: str = "table"
    output: str | None = None
    snapshot: str | None = None
    rulesets: tuple[str, ...] = ()
    probe: bool = True
    beyond: frozenset[Beyond] = frozenset()
    color: str = "auto"
    width: str | None = None


def reach(request: Request) -> int:
    """Answer and print; 0 whatever the answer is, 5 when there is no Ollama to reach."""
    choose("format", request.format, FORMATS)
    sources = tuple(address(text, "--from") for text in request.sources)
    targets = tuple(target(text) for text in request.targets)
    if not sources and (targets or request.in_interface):
        raise UsageProblem("--to and --in-interface say where; --from ADDR says who")
    if not sources and request.format == "json":
        raise UsageProblem(
            "--format json answers for an address: give --from ADDR; "
            "`ollama-audit -f json` has the endpoints by network"
        )
    in_file = request.output not in (None, output.STDOUT)
    style = screen.style(request.color, request.width)
    style = Style(width=style.width) if in_file else style
    if [request.snapshot, *request.rulesets].count(source.STDIN) > 1:
        raise UsageProblem("standard input can be read once; give the rest by name")
    rulesets = source.rulesets(request.rulesets)
    host = source.obtain(request.snapshot, probe=request.probe, beyond=request.beyond)
    for name in (request.in_interface, *(scope(each) for each in sources)):
        _check_interface(host, name or None)
    host = source.judged_by(host, rulesets)
    _deliver(_text(host, request, sources, targets, style), request.output)
    return ExitCode.OK if found_ollama(host.snapshot) else ExitCode.NO_OLLAMA


def _check_interface(host: Terrain, name: str | None) -> None:
    """See that there is such an interface.

    Raises:
        UsageProblem: There is not; a misspelt one must not pass for an answer.
    """
    network = host.host
    known = [each.name for each in known_or(network.interfaces, ())] if network else []
    if name is not None and known:
        choose("interface", name, known)


def address(text: str, option: str) -> IPv4Address | IPv6Address:
    """The address that an option gives.

    Raises:
        UsageProblem: It is none; names are not looked up, since that would ask the network.
    """
    try:
        return ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise UsageProblem(f"{option} {text!r} is no IPv4 or IPv6 address") from None


def target(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    """Address and port of `ADDR:PORT`, an IPv6 address in brackets (RFC 3986, 3.2.2).

    Raises:
        UsageProblem: It is not of that form.
    """
    found = re.fullmatch(r"(\[[^\[\]]+\]|[^\[\]:]+):([0-9]{1,5})", text, re.ASCII)
    if not found or not 0 < int(found[2]) <= 65535:
        raise UsageProblem(
            f"--to {text!r} is not ADDR:PORT, such as 192.0.2.10:11434 or [2001:db8::10]:11434"
        )
    return address(found[1].partition("%")[0], "--to"), int(found[2])


def _text(
    host: Terrain,
    request: Request,
    sources: Sequence[IPv4Address | IPv6Address],
    targets: Sequence[tuple[IPv4Address | IPv6Address, int]],
    style: Style,
) -> str:
    if not sources:
        from ollama_audit.exposure.assess import assess  # noqa: PLC0415

        return table.zones(assess(host), style)
    from ollama_audit.exposure.path import answer  # noqa: PLC0415

    answers = answer(host, tuple(sources), tuple(targets), request.in_interface or "")
    return json.render(answers) if request.format == "json" else table.answers(answers, style)


def _deliver(text: str, path: str | None) -> None:
    if path is None or path == output.STDOUT:
        output.write_stdout(text)
    else:
        output.write_files([(Path(path), text, output.REPORT_MODE)])
