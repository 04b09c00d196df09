"""Where a snapshot comes from: this host, or a file; and rulesets from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from ollama_audit.cli.exits import UsageProblem
from ollama_audit.collect.edge import Beyond
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.firewall import GivenRuleset
from ollama_audit.snapshot.probe import Probe

STDIN = "-"

LIMIT = 256 * 1024 * 1024
"""Bytes of a snapshot; one of a host with a 100,000-element set takes some 20 MiB."""


def rulesets(files: Sequence[str]) -> tuple[GivenRuleset, ...]:
    """The rulesets in files; `ip:` or `ip6:` before a name says of which family a save is.

    Raises:
        UsageProblem: A file cannot be read or holds no ruleset.
    """
    from ollama_audit.firewall.given import FAMILIES, RulesetError, recognise  # noqa: PLC0415

    found = []
    for given in files:
        prefix, _, rest = given.partition(":")
        family, file = (prefix, rest) if prefix in FAMILIES else ("", given)
        try:
            found.append(recognise(file, read(file), family))
        except RulesetError as problem:
            raise UsageProblem(f"{file}: {problem}") from problem
    return tuple(found)


def judged_by(host: Terrain, given: Sequence[GivenRuleset]) -> Terrain:
    """The host with these rulesets in place of its own packet filter."""
    snapshot = host.snapshot
    if not given or isinstance(snapshot.namespaces, Unknown):
        return host
    from ollama_audit.firewall.given import in_place_of  # noqa: PLC0415

    namespaces = tuple(
        replace(each, firewall=in_place_of(each.firewall, given)) if each.host else each
        for each in snapshot.namespaces.value
    )
    judged = replace(snapshot, namespaces=Known(namespaces, snapshot.namespaces.source))
    return Terrain(judged)


def obtain(file: str | None, *, probe: bool, beyond: frozenset[Beyond] = frozenset()) -> Terrain:
    """The host of the snapshot in `file` (`-` for standard input), or this one, read now.

    Raises:
        UsageProblem: The file cannot be read or holds no snapshot, or somebody is to be asked
            for it.
    """
    if file is not None and beyond:
        raise UsageProblem(f"{min(beyond)} asks about this host, --snapshot is about another")
    if file is None:
        return _this_host(probe=probe, beyond=beyond)
    from ollama_audit.snapshot.codec import SnapshotError, decode  # noqa: PLC0415

    try:
        return Terrain(decode(read(file)))
    except SnapshotError as problem:
        raise UsageProblem(f"{file}: no snapshot that this program reads: {problem}") from problem


def _this_host(*, probe: bool, beyond: frozenset[Beyond]) -> Terrain:
    """This host as read, and what its listeners answered."""
    # What reads the host is heavy.
    from ollama_audit.collect.host import collect  # noqa: PLC0415
    from ollama_audit.collect.probe import probe as ask  # noqa: PLC0415
    from ollama_audit.exposure.questions import questions  # noqa: PLC0415

    host = Terrain(collect(probe=probe, beyond=beyond))
    if probe:
        answers: Observed[tuple[Probe, ...]] = Known(ask(questions(host)), "GET /api/version")
    else:
        answers = Unknown("asking was turned off", "GET /api/version", "leave out --no-probe")
    return host.answered(answers)


def read(file: str) -> bytes:
    """All bytes of a file that the user named, `-` for standard input.

    Raises:
        UsageProblem: It cannot be read, or is larger than any document of ours.
    """
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(LIMIT + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(LIMIT + 1)
    except OSError as problem:
        raise UsageProblem(f"cannot read {file}: {problem.strerror}") from problem
    if len(data) > LIMIT:
        raise UsageProblem(f"{file}: is larger than {LIMIT // 1024 // 1024} MiB")
    return data
