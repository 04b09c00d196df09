"""Names that people type: rules, areas, formats; a wrong one is answered with the nearest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ollama_audit.cli.exits import UsageProblem


def choose(kind: str, given: str, known: Sequence[str]) -> str:
    """`given`, when it is one of `known`.

    Raises:
        UsageProblem: It is not; the message lists the nearest names, or all of a short list.
    """
    if given in known:
        return given
    raise unknown_name(kind, given, known)


def unknown_name(kind: str, given: str, known: Iterable[str]) -> UsageProblem:
    """The complaint about a name that nobody knows."""
    import difflib  # noqa: PLC0415  # only a mistake costs its import

    known = list(known)
    near = difflib.get_close_matches(given, known, n=3, cutoff=0.5)
    near += [name for name in known if given and given in name and name not in near][:3]
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif len(known) <= 8:
        hint = f"known: {', '.join(known)}"
    else:
        hint = "`ollama-audit rules` lists them all"
    return UsageProblem(f"unknown {kind} {given!r}; {hint}")
