"""Where a snapshot comes from: this host, or a file; and rulesets from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from ollama_audit.cli.exits import UsageProblem
from ollama_audit.collect.edge import Beyond
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.firewall import GivenRuleset
from ollama_audit.snapshot.host import HostSnapshot
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


def judged_by(snapshot: HostSnapshot, given: Sequence[GivenRuleset]) -> HostSnapshot:
    """The snapshot with these rulesets in place of the host's own packet filter."""
    if not given or isinstance(snapshot.namespaces, Unknown):
        return snapshot
    from ollama_audit.firewall.given import in_place_of  # noqa: PLC0415

    namespaces = tuple(
        replace(each, firewall=in_place_of(each.firewall, given)) if each.host else each
        for each in snapshot.namespaces.value
    )
    return replace(snapshot, namespaces=Known(namespaces, snapshot.namespaces.source))


def obtain(
    file: str | None, *, probe: bool, beyond: frozenset[Beyond] = frozenset()
) -> HostSnapshot:
    """The snapshot in `file` (`-` for standard input), or one of this host, read now.

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
        return decode(read(file))
    except SnapshotError as problem:
        raise UsageProblem(f"{file}: no snapshot that this program reads: {problem}") from problem


def _this_host(*, probe: bool, beyond: frozenset[Beyond]) -> HostSnapshot:
    """This host as read, and what its listeners answered."""
    # What reads the host is heavy.
    from ollama_audit.collect.host import collect  # noqa: PLC0415
    from ollama_audit.collect.probe import probe as ask  # noqa: PLC0415
    from ollama_audit.exposure.questions import questions  # noqa: PLC0415

    snapshot = collect(probe=probe, beyond=beyond)
    if probe:
        answers: Observed[tuple[Probe, ...]] = Known(ask(questions(snapshot)), "GET /api/version")
    else:
        answers = Unknown("asking was turned off", "GET /api/version", "leave out --no-probe")
    return replace(snapshot, probes=answers)


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
