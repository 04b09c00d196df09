"""The output of `nft -j list ruleset` as tables, chains, sets and rules; expressions untouched.

The format is libnftables-json(5): an object whose only key, `nftables`, holds a list of objects
of one key each, which says what they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain as chained
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
    """A named set or map, or one that stands in a rule."""

    name: str
    elements: Iterable[Json]
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of a set, decoded one at a time each time: there can be very many."""

    parts: Sequence[msgspec.Raw]

    def __iter__(self) -> Iterator[Json]:
        """The elements.

        Raises:
            ValueError: It is no JSON.
        """
        for part in self.parts:
            text = bytes(part).decode()
            place = BETWEEN.match(text, 1).end()  # type: ignore[union-attr]  # matches anything
            while text[place] != "]":
                element, place = DECODER.raw_decode(text, place)
                yield element
                place = BETWEEN.match(text, place).end()  # type: ignore[union-attr]


BETWEEN: Final = re.compile(r"[\s,]*")
DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class ListedRule:
    """A rule: its handle, comment, and its statements as they were listed."""

    handle: int
    comment: str
    listed: msgspec.Raw

    @property
    def statements(self) -> Sequence[Json]:
        """Its statements; of what cannot be read, one that is none."""
        try:
            found = msgspec.json.decode(self.listed)
        except (msgspec.DecodeError, RecursionError):
            return (None,)
        return found if isinstance(found, list) else (None,)


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


NO_LIST: Final = msgspec.Raw(b"[]")


class _Rule(msgspec.Struct):
    family: str
    table: str
    chain: str
    handle: int = 0
    comment: str = ""
    expr: msgspec.Raw = NO_LIST


class _Set(msgspec.Struct):
    family: str
    table: str
    name: str
    flags: list[str] | str = msgspec.field(default_factory=list)
    """A single word may stand by itself (nftables 1.1.1 and later)."""
    elem: msgspec.Raw = NO_LIST


class _Item(msgspec.Struct):
    """One object of the list: it has one of these keys, or one that is of no interest."""

    metainfo: dict[str, Json] | None = None
    table: dict[str, Json] | None = None
    chain: dict[str, Json] | None = None
    rule: _Rule | None = None
    set: _Set | None = None
    map: _Set | None = None
    element: _Set | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


@lru_cache(maxsize=4)
def read_document(text: str) -> Document:
    """The ruleset in a JSON text.

    Raises:
        DocumentError: It is cut off, is no JSON, or is JSON of something else.
    """
    try:
        items = msgspec.json.decode(text, type=_Listing).nftables
    except msgspec.ValidationError as error:
        if "$.nftables[" in str(error):
            raise DocumentError(f"it is damaged: {error}") from error
        raise DocumentError("it is JSON of something else: it has no list `nftables`") from error
    except msgspec.DecodeError as error:
        raise DocumentError(f"it is cut off or damaged, or no JSON at all ({error})") from error
    except RecursionError as error:
        raise DocumentError("it is nested too deeply") from error
    try:
        return _sorted_out(items)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DocumentError(f"it is damaged: {error!r} where a ruleset has one") from error


def _sorted_out(items: list[_Item]) -> Document:
    for about in (item.metainfo for item in items if item.metainfo is not None):
        if about.get("json_schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise DocumentError("it has a json_schema_version that this program does not know")
    chains = {chain_name(item.chain): _chain(item.chain) for item in items if item.chain}
    rules = _rules(items, chains)
    tables = [item.table for item in items if item.table is not None]
    return Document(
        dormant=frozenset(
            (text_of(t["family"]), text_of(t["name"])) for t in tables if "dormant" in names(t)
        ),
        bridges=tuple(dict.fromkeys(_deciding_bridges(chains, rules))),
        chains=chains,
        sets=_sets(items),
        rules=rules,
        changed=frozenset(_changed(rules)),
    )


def _rules(
    items: list[_Item], chains: Mapping[ChainName, ListedChain]
) -> dict[ChainName, list[ListedRule]]:
    rules: dict[ChainName, list[ListedRule]] = {}
    for rule in (item.rule for item in items if item.rule is not None):
        name = (rule.family, rule.table, rule.chain)
        if name not in chains:
            raise DocumentError(f"it has a rule of the chain {' '.join(name)}, and not the chain")
        found = ListedRule(rule.handle, rule.comment, _list(rule.expr))
        rules.setdefault(name, []).append(found)
    return rules


def _list(raw: msgspec.Raw) -> msgspec.Raw:
    """What is a list, not yet decoded.

    Raises:
        TypeError: It is none.
    """
    if not bytes(raw).startswith(b"["):
        raise TypeError("something else than a list")
    return raw


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


def _sets(items: list[_Item]) -> dict[ChainName, ListedSet]:
    parts: dict[ChainName, list[msgspec.Raw]] = {}
    flags: dict[ChainName, frozenset[str]] = {}
    for found in chained.from_iterable((item.set, item.map) for item in items):
        if found is not None:
            name = (found.family, found.table, found.name)
            parts[name] = [_list(found.elem)]
            listed = found.flags
            flags[name] = frozenset([listed] if isinstance(listed, str) else listed)
    for more in (item.element for item in items if item.element is not None):
        parts[more.family, more.table, more.name].append(_list(more.elem))
    return {name: ListedSet(name[2], Elements(found), flags[name]) for name, found in parts.items()}


NAMED = re.compile(r"@([^\s,;{}]+)")


def _changed(rules: Mapping[ChainName, Sequence[ListedRule]]) -> Iterator[ChainName]:
    """The sets that statements add to; of anonymous chains nft 1.0.6 lists the text alone."""
    for (family, table, _), listed in rules.items():
        for rule in listed:
            for statement in rule.statements if b"@" in bytes(rule.listed) else ():
                if isinstance(statement, str):
                    for name in NAMED.findall(statement):
                        yield family, table, name
                elif isinstance(statement, dict):
                    for kind in ("set", "map"):
                        target = statement.get(kind)
                        if isinstance(target, dict):
                            yield family, table, str(target.get(kind, "")).removeprefix("@")
