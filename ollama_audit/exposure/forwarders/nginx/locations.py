"""Which location of a server nginx chooses for a path (ngx_http_core_find_location)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ollama_audit.exposure.forwarders.clients import OPEN
from ollama_audit.exposure.forwarders.nginx.symbols import Alternatives, expression
from ollama_audit.exposure.forwarders.nginx.syntax import Directive
from ollama_audit.exposure.forwarders.web import prefixes_in

Block = tuple[Directive, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A location, with those around it."""

    blocks: tuple[Block, ...] = ()
    prefix: str = ""
    """Its literal prefix; empty for a regular expression or a named location."""
    captured: Mapping[str, Alternatives] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Match:
    place: Place
    final: bool
    """An exact match or a regular expression: nothing outside is looked at any more."""


class _UntriableError(Exception):
    """A regular expression that cannot be tried here."""


def find(server: Block, path: str) -> Place | None:
    """The location for a path, the server itself when none fits; None when it cannot be said."""
    try:
        found = _search(server, path)
    except _UntriableError:
        return None
    return found.place if found else Place()


def _kind(location: Directive) -> tuple[str, str]:
    """Modifier and pattern; the modifier may be written without a space."""
    if len(location.args) >= 2:
        return location.args[0], location.args[1]
    pattern = location.args[0] if location.args else ""
    for modifier in ("~*", "^~", "~", "="):
        if pattern.startswith(modifier):
            return modifier, pattern.removeprefix(modifier)
    return "", pattern


def _search(block: Block, path: str) -> _Match | None:  # noqa: C901 - as nginx has it
    best: Directive | None = None
    longest = ""
    regexes: list[tuple[Directive, str, bool]] = []
    for each in block:
        if each.name != "location" or each.block is None:
            continue
        modifier, pattern = _kind(each)
        if modifier == "=" and pattern == path:
            return _Match(Place(blocks=(each.block,), prefix=pattern), final=True)
        if modifier in {"~", "~*"}:
            regexes.append((each, pattern, modifier == "~*"))
        elif (
            modifier in {"", "^~"}
            and not pattern.startswith("@")
            and path.startswith(pattern)
            and (best is None or len(pattern) >= len(longest))
        ):
            best, longest = each, pattern
    inner: _Match | None = None
    if best is not None and best.block is not None:
        nested = _search(best.block, path)
        inner = _around(best.block, longest, nested)
        if inner.final:
            return inner
    if best is None or _kind(best)[0] != "^~":
        for each, pattern, ignore_case in regexes:
            if found := _by_regex(each, pattern, path, ignore_case=ignore_case):
                return found
    return inner


def _around(block: Block, prefix: str, nested: _Match | None) -> _Match:
    if nested is None:
        return _Match(Place(blocks=(block,), prefix=prefix), final=False)
    place = nested.place
    return _Match(Place((block, *place.blocks), place.prefix, place.captured), nested.final)


def _by_regex(each: Directive, pattern: str, path: str, *, ignore_case: bool) -> _Match | None:
    regex = expression(pattern, ignore_case=ignore_case)
    if regex is None:
        raise _UntriableError
    found = regex.search(path)
    if not found:
        return None
    captured: dict[str, Alternatives] = {
        str(number): ((OPEN, text or ""),) for number, text in enumerate(found.groups(), 1)
    }
    captured |= {name: ((OPEN, text or ""),) for name, text in found.groupdict().items()}
    block = each.block or ()
    nested = _search(block, path)
    match = _around(block, "", nested)
    place = match.place
    return _Match(Place(place.blocks, place.prefix, {**captured, **place.captured}), final=True)


def prefixes(server: Block) -> list[str]:
    """Below which paths a server may pass something on: the literal parts of its locations."""
    found: list[str] = []
    for each in server:
        if each.name == "location" and each.block is not None and _leads_on(each.block):
            modifier, pattern = _kind(each)
            if modifier in {"~", "~*"}:
                pattern = _literal(pattern)
            if pattern.startswith("/"):
                found += prefixes_in(pattern)
            found += prefixes(each.block)
        elif each.name == "rewrite" and each.args:
            found += prefixes_in(_literal(each.args[0]))
        elif each.name == "if" and each.block is not None:
            found += prefixes(each.block)
    return [prefix for prefix in dict.fromkeys(found) if prefix.startswith("/")]


_LEADING = ("proxy_pass", "rewrite", "try_files", "error_page", "content_by_lua", "js_content")


def _leads_on(block: Block) -> bool:
    """Whether something in a location may pass a request on."""
    return any(
        each.name.startswith(_LEADING) or (each.block is not None and _leads_on(each.block))
        for each in block
    )


def _literal(pattern: str) -> str:
    """What a regular expression that starts at the start demands first, up to a slash."""
    if not pattern.startswith("^"):
        return ""
    literal = ""
    for char in pattern[1:].replace("\\/", "/").replace("\\.", "."):
        if char in "([{*+?|$\\":
            break
        literal += char
    return literal.rpartition("/")[0] or ""
