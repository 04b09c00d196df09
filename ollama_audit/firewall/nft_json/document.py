"""The output of `nft -j list ruleset` as tables, chains, sets and rules; expressions untouched.

The format is libnftables-json(5): an object whose only key, `nftables`, holds a list of objects
of one key each, which says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

Json: TypeAlias = Any
"""What msgspec.json gives: of any shape until it was looked at."""

SCHEMA_VERSION = 1
"""`json_schema_version`, the same since nftables 0.9.1."""

PRIORITIES: Final = {
    "raw": -300,
    "mangle": -150,
    "dstnat": -100,
    "filter": 0,
    "security": 50,
    "srcnat": 100,
}
"""nft(8), STANDARD PRIORITY NAMES, of the families ip, ip6 and inet."""


class DocumentError(ValueError):
    """It is not what `nft -j list ruleset` prints; the message says why."""


@dataclass(frozen=True, slots=True)
class ListedChain:
    """A chain; one without a hook is only jumped to."""

    family: str
    table: str
    name: str
    handle: int
    hook: str
    priority: int
    kind: str
    accepts: bool
    """The policy; a base chain without one accepts."""
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedSet:
    """A named set or map."""

    name: str
    elements: Sequence[Json]
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListedRule:
    """A rule: its handle, statements and comment."""

    handle: int
    statements: Sequence[Json]
    comment: str


ChainName: TypeAlias = tuple[str, str, str]
"""Family, table and name: of a chain or of a set."""


@dataclass(frozen=True, slots=True)
class Document:
    """One ruleset."""

    dormant: frozenset[tuple[str, str]]
    """Family and name of tables whose chains are not called."""
    bridges: tuple[str, ...]
    """Tables that may keep bridged frames from where they were to go."""
    chains: Mapping[ChainName, ListedChain]
    sets: Mapping[ChainName, ListedSet]
    rules: Mapping[ChainName, Sequence[ListedRule]]
    """By chain, in order."""
    changed: frozenset[ChainName] = field(default_factory=frozenset)
    """Sets to which a rule adds, so that nobody knows who is a member by the time of a packet."""


@lru_cache(maxsize=4)
def read_document(text: str) -> Document:
    """The ruleset in a JSON text.

    Raises:
        DocumentError: It is cut off, is no JSON, or is JSON of something else.
    """
    try:
        whole = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DocumentError(f"it is cut off or damaged, or no JSON at all ({error})") from error
    except RecursionError as error:
        raise DocumentError("it is nested too deeply") from error
    items = whole.get("nftables") if isinstance(whole, dict) else None
    if not isinstance(items, list):
        raise DocumentError("it is JSON of something else: it has no list `nftables`")
    try:
        return _sorted_out(items)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DocumentError(f"it is damaged: {error!r} where a ruleset has one") from error


def _sorted_out(items: list[Json]) -> Document:
    found: dict[str, list[Json]] = {}
    for item in items:
        for kind, value in item.items():
            found.setdefault(kind, []).append(value)
    for about in found.get("metainfo", []):
        if about.get("json_schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise DocumentError("it has a json_schema_version that this program does not know")
    chains = {chain_name(value): _chain(value) for value in found.get("chain", [])}
    rules: dict[ChainName, list[ListedRule]] = {}
    for value in found.get("rule", []):
        name = (text_of(value["family"]), text_of(value["table"]), text_of(value["chain"]))
        if name not in chains:
            raise DocumentError(f"it has a rule of the chain {' '.join(name)}, and not the chain")
        rules.setdefault(name, []).append(_rule(value))
    tables = found.get("table", [])
    return Document(
        dormant=frozenset(
            (text_of(t["family"]), text_of(t["name"])) for t in tables if "dormant" in names(t)
        ),
        bridges=tuple(dict.fromkeys(_deciding_bridges(chains, rules))),
        chains=chains,
        sets=_sets(found),
        rules=rules,
        changed=frozenset(_changed(rules)),
    )


_ONLY_LOOKS = frozenset(
    {"match", "counter", "log", "limit", "accept", "jump", "goto", "return", "continue"}
)
"""Statements after which a frame goes on as it was."""


def _deciding_bridges(
    chains: Mapping[ChainName, ListedChain], rules: Mapping[ChainName, Sequence[ListedRule]]
) -> Iterator[str]:
    for name, chain in chains.items():
        if name[0] == "bridge" and not chain.accepts:
            yield name[1]
    for name, listed in rules.items():
        statements = (statement for rule in listed for statement in rule.statements)
        if name[0] == "bridge" and not all(map(_ONLY_LOOKS.issuperset, statements)):
            yield name[1]


def names(value: Json, key: str = "flags") -> tuple[str, ...]:
    """A list of words; a single one may stand by itself (nftables 1.1.1 and later)."""
    listed = value.get(key, ())
    return (listed,) if isinstance(listed, str) else tuple(map(text_of, listed))


def text_of(value: Json) -> str:
    """A text where only a text can be.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def number_of(value: Json) -> int:
    """A whole number where only that can be.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is no number")
    return value


def chain_name(value: Json) -> ChainName:
    """The identity of a chain or set."""
    return text_of(value["family"]), text_of(value["table"]), text_of(value["name"])


def _chain(value: Json) -> ListedChain:
    priority = value.get("prio", 0)
    return ListedChain(
        *chain_name(value),
        handle=number_of(value.get("handle", 0)),
        hook=text_of(value.get("hook", "")),
        priority=PRIORITIES[priority] if isinstance(priority, str) else number_of(priority),
        kind=text_of(value.get("type", "filter")),
        accepts=text_of(value.get("policy", "accept")) == "accept",
        devices=names(value, "dev"),
    )


def _rule(value: Json) -> ListedRule:
    statements = value.get("expr", [])
    if not isinstance(statements, list):
        raise TypeError("a rule without a list of statements")
    comment = text_of(value.get("comment", ""))
    return ListedRule(number_of(value.get("handle", 0)), statements, comment)


def _sets(found: dict[str, list[Json]]) -> dict[ChainName, ListedSet]:
    sets = {}
    for value in (*found.get("set", []), *found.get("map", [])):
        elements = value.get("elem", [])
        if not isinstance(elements, list):
            raise TypeError("a set without a list of elements")
        name = chain_name(value)
        sets[name] = ListedSet(name[2], list(elements), frozenset(names(value)))
    for value in found.get("element", []):
        sets[chain_name(value)].elements.extend(value["elem"])  # type: ignore[attr-defined]
    return sets


NAMED = re.compile(r"@([^\s,;{}]+)")


def _changed(rules: Mapping[ChainName, Sequence[ListedRule]]) -> Iterator[ChainName]:
    """The sets that statements add to; of anonymous chains nft 1.0.6 lists the text alone."""
    for (family, table, _), listed in rules.items():
        for rule in listed:
            for statement in rule.statements:
                if isinstance(statement, str):
                    for name in NAMED.findall(statement):
                        yield family, table, name
                elif isinstance(statement, dict):
                    for kind in ("set", "map"):
                        target = statement.get(kind)
                        if isinstance(target, dict):
                            yield family, table, str(target.get(kind, "")).removeprefix("@")
