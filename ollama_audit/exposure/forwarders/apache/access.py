"""Who may: `Require` and its containers, and the older Order, Allow, Deny and Satisfy."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ollama_audit.exposure.forwarders.apache.expressions import Asked, judged
from ollama_audit.exposure.forwarders.apache.syntax import Node
from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    LOOPBACK,
    NEVER,
    NOBODY,
    OPEN,
    SHUT,
    Clients,
    Fork,
    Gate,
    among,
    doubt,
    doubted,
    login,
    matching,
    only,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.keys import is_key

Block = tuple[Node, ...]

_USERS = ("valid-user", "user", "group", "ldap-", "dbm-group", "dbd-", "file-", "claim", "shib")
_CONTAINERS = {"require", "requireany", "requireall", "requirenone"}
_OLDER = {"order", "allow", "deny"}
DECIDING = frozenset({*_CONTAINERS, *_OLDER, "satisfy", "limit", "limitexcept"})
"""What a section must have to say something of who may."""


def gate(sections: list[Block], everything: Block, asked: Asked) -> Gate:
    """The gate of the sections that apply, in their order.

    The demands of a later section take the place of those before, unless AuthMerging adds them.
    """
    result: Gate | None = None
    for block in sections:
        own = _demanded(block, everything, asked)
        merging = [node.args[0].lower() for node in block if node.name == "authmerging"]
        adds = merging[-1] if merging else "off"
        if own is None:
            continue
        if result is None or adds == "off":
            result = own
        elif own == OPEN and _limited(block):
            result = doubt(f"AuthMerging {adds} with <Limit> ({block[0].at})")
        else:
            result = result & own if adds == "and" else result | own
    result = result or OPEN
    sections = [_for_method(block, asked.method) for block in sections]
    hosts = _last(sections, _OLDER)
    if not hosts:
        return result
    listed = _ordered(hosts, everything, asked)
    satisfy = _last(sections, {"satisfy"})
    if satisfy and satisfy[-1].args[0].lower() == "any" and _last(sections, _CONTAINERS):
        return result | listed
    return result & listed


def _demanded(block: Block, everything: Block, asked: Asked) -> Gate | None:
    """What a section demands; nothing of methods that its demands leave out, None without any."""
    demands = [node for node in _for_method(block, asked.method) if node.name in _CONTAINERS]
    if demands:
        return _any(demands, everything, asked)
    return OPEN if _limited(block) else None


def _limited(block: Block) -> bool:
    """Whether a section has demands for some methods only."""
    return any(
        inner.name in _CONTAINERS
        for node in block
        if node.name in {"limit", "limitexcept"}
        for inner in node.block or ()
    )


def _for_method(block: Block, method: str) -> Block:
    """A section with its <Limit> and <LimitExcept> settled."""
    result: list[Node] = []
    for node in block:
        if node.name in {"limit", "limitexcept"} and node.block is not None:
            if (method in node.args) == (node.name == "limit"):
                result += node.block
        else:
            result.append(node)
    return tuple(result)


def _last(sections: list[Block], names: set[str]) -> list[Node]:
    for block in reversed(sections):
        if found := [node for node in block if node.name in names]:
            return found
    return []


def _any(nodes: Iterable[Node], everything: Block, asked: Asked) -> Gate:
    result = SHUT
    for node in nodes:
        result |= _one(node, everything, asked)
    return result


def _one(node: Node, everything: Block, asked: Asked) -> Gate:
    inside = [each for each in node.block or () if each.name in _CONTAINERS]
    if node.name == "requireall":
        result = OPEN
        for each in inside:
            result &= _one(each, everything, asked)
        return result
    if node.name == "requirenone":
        passed = _any(inside, everything, asked)
        return _not(passed, node)
    if node.name == "requireany":
        return _any(inside, everything, asked)
    args = node.args
    if args[:1] == ("not",):
        return _not(_demand(args[1:], node, everything, asked), node)
    return _demand(args, node, everything, asked)


def _not(passed: Gate, node: Node) -> Gate:
    if passed.locked or passed.doubtful:
        return doubt(f"{node.name} ({node.at})")
    return only(~passed.free)


def _demand(  # noqa: PLR0911 - a table
    args: tuple[str, ...], node: Node, everything: Block, asked: Asked
) -> Gate:
    what, rest = (args[0].lower() if args else ""), args[1:]
    if what == "all":
        return OPEN if rest[:1] == ("granted",) else SHUT
    if what == "ip":
        return only(_union(rest))
    if what == "local":
        return only(LOOPBACK)
    if what == "method":
        return OPEN if asked.method in rest else SHUT
    if what.startswith(_USERS):
        return login(f"Require {' '.join(args)} ({node.at})")
    if what == "env" and rest:
        return _by_environment(rest[0], everything, asked).yes
    where = f"Require {' '.join(args)} ({node.at})"
    if what == "expr":
        return judged(" ".join(rest), asked, where).yes
    return doubt(where)


def _by_environment(name: str, everything: Block, asked: Asked) -> Fork:
    """Whether something sets a variable (mod_setenvif); one after another, as they stand."""
    result: Fork | None = None
    for node in everything:
        if node.name not in {"setenvif", "setenvifnocase"} or len(node.args) < 3:
            continue
        names = {word.partition("=")[0] for word in node.args[2:]}
        if f"!{name}" in names:
            result = (result or NEVER) & ~_sets(node, asked)
        elif name in names:
            result = (result or NEVER) | _sets(node, asked)
    return result or doubted(f"env {name}: nothing that was read sets it")


def _sets(node: Node, asked: Asked) -> Fork:
    """Whether SetEnvIf finds its pattern in a header, or in what is known of the request."""
    subject, pattern = node.args[0], node.args[1]
    where = f"{node.name} {subject} ({node.at})"
    name = subject.lower()
    known = {"request_uri": asked.path, "request_method": asked.method}
    if name == "remote_addr":
        clients = matching(pattern)
        return among(clients) if clients is not None else doubted(where)
    if name in known:
        try:
            ignore = re.IGNORECASE if node.name == "setenvifnocase" else 0
            return truth(value=bool(re.search(pattern, known[name], ignore)))
        except re.error:
            return doubted(where)
    if name in {"server_addr", "remote_host", "request_protocol"}:
        return doubted(where)
    return proven(where) if is_key(subject, pattern) else CHOICE


def _union(texts: Iterable[str]) -> Clients:
    total = NOBODY
    for text in texts:
        total |= network(text)
    return total


def network(text: str) -> Clients:
    """`10.1.2.3`, `10.1`, `10.1.0.0/16`, `10.1.0.0/255.255.0.0` or IPv6 (mod_authz_host)."""
    if re.fullmatch(r"\d+(\.\d+){0,2}\.?", text):
        parts = text.strip(".").split(".")
        text = ".".join([*parts, *["0"] * (4 - len(parts))]) + f"/{8 * len(parts)}"
    try:
        return Clients.within(text)
    except ValueError:
        return NOBODY


def _ordered(nodes: list[Node], everything: Block, asked: Asked) -> Gate:
    """Order, Allow from and Deny from (mod_access_compat); the last of the order decides."""
    orders = [node.args[0].lower() for node in nodes if node.name == "order" and node.args]
    order = orders[-1].replace(" ", "") if orders else "deny,allow"
    sets = {"allow": NEVER, "deny": NEVER}
    for node in nodes:
        if node.name in sets and len(node.args) > 1:
            for text in node.args[1:]:
                sets[node.name] |= _listed(text, node, everything, asked)
    if order.startswith("allow"):
        return (sets["allow"] & ~sets["deny"]).yes
    return (sets["allow"] | ~sets["deny"]).yes


def _listed(text: str, node: Node, everything: Block, asked: Asked) -> Fork:
    if text.lower() == "all":
        return ALWAYS
    if text.lower().startswith("env="):
        name = text[4:]
        fork = _by_environment(name.lstrip("!"), everything, asked)
        return ~fork if name.startswith("!") else fork
    clients = network(text)
    return among(clients) if clients else doubted(f"{node.name} from {text} ({node.at})")
