"""Who may: `Require` and its containers, and the older Order, Allow, Deny and Satisfy."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ollama_audit.exposure.forwarders.apache.syntax import Node
from ollama_audit.exposure.forwarders.clients import (
    EVERYONE,
    NOBODY,
    OPEN,
    SHUT,
    Clients,
    Gate,
    doubt,
    login,
    only,
)
from ollama_audit.snapshot.redact import MASK

_LOOPBACK = Clients.within("127.0.0.0/8") | Clients.within("::1")
_SECRET = re.compile(r"(?i)auth|key|token|secret|cookie")
_USERS = ("valid-user", "user", "group", "ldap-", "dbm-group", "dbd-", "file-", "claim", "shib")
_CONTAINERS = {"require", "requireany", "requireall", "requirenone"}


def gate(sections: list[tuple[Node, ...]], everything: tuple[Node, ...], method: str) -> Gate:
    """The gate of the sections that apply, the last of them deciding (AuthMerging Off)."""
    sections = [_for_method(block, method) for block in sections]
    demands = _last(sections, _CONTAINERS)
    result = OPEN
    if demands:
        result = _any(demands, everything, method)
    merging = _last(sections, {"authmerging"})
    if merging and merging[-1].args[:1] not in {("Off",), ("off",)}:
        result = doubt(f"AuthMerging ({merging[-1].at})")
    hosts = _last(sections, {"order", "allow", "deny"})
    if not hosts:
        return result
    listed = only(_ordered(hosts))
    satisfy = _last(sections, {"satisfy"})
    if satisfy and satisfy[-1].args[0].lower() == "any" and demands:
        return result | listed
    return result & listed


def _for_method(block: tuple[Node, ...], method: str) -> tuple[Node, ...]:
    """A section with its <Limit> and <LimitExcept> settled."""
    result: list[Node] = []
    for node in block:
        if node.name in {"limit", "limitexcept"} and node.block is not None:
            if (method in node.args) == (node.name == "limit"):
                result += node.block
        else:
            result.append(node)
    return tuple(result)


def _last(sections: list[tuple[Node, ...]], names: set[str]) -> list[Node]:
    for block in reversed(sections):
        if found := [node for node in block if node.name in names]:
            return found
    return []


def _any(nodes: Iterable[Node], everything: tuple[Node, ...], method: str) -> Gate:
    result = SHUT
    for node in nodes:
        result |= _one(node, everything, method)
    return result


def _one(node: Node, everything: tuple[Node, ...], method: str) -> Gate:
    inside = [each for each in node.block or () if each.name in _CONTAINERS]
    if node.name == "requireall":
        result = OPEN
        for each in inside:
            result &= _one(each, everything, method)
        return result
    if node.name == "requirenone":
        passed = _any(inside, everything, method)
        return _not(passed, node)
    if node.name == "requireany":
        return _any(inside, everything, method)
    args = node.args
    if args[:1] == ("not",):
        return _not(_demand(args[1:], node, everything, method), node)
    return _demand(args, node, everything, method)


def _not(passed: Gate, node: Node) -> Gate:
    if passed.locked or passed.doubtful:
        return doubt(f"{node.name} ({node.at})")
    return only(~passed.free)


def _demand(  # noqa: PLR0911 - a table
    args: tuple[str, ...], node: Node, everything: tuple[Node, ...], method: str
) -> Gate:
    what, rest = (args[0].lower() if args else ""), args[1:]
    if what == "all":
        return OPEN if rest[:1] == ("granted",) else SHUT
    if what == "ip":
        return only(_union(rest))
    if what == "local":
        return only(_LOOPBACK)
    if what == "method":
        return OPEN if method in rest else SHUT
    if what.startswith(_USERS):
        return login(f"Require {' '.join(args)} ({node.at})")
    if what == "env" and rest:
        return _by_environment(rest[0], everything)
    text = " ".join(rest)
    if what == "expr" and _SECRET.search(text) and re.search(r"==|-eq", text) and "!" not in text:
        return login(f"Require {' '.join(args)} ({node.at})")
    return doubt(f"Require {' '.join(args)} ({node.at})")


def _by_environment(name: str, everything: tuple[Node, ...]) -> Gate:
    """What sets the variable (mod_setenvif)."""
    for node in everything:
        if node.name in {"setenvif", "setenvifnocase"} and len(node.args) >= 3:
            names = [word.lstrip("!").partition("=")[0] for word in node.args[2:]]
            if name not in names:
                continue
            header, pattern = node.args[0], node.args[1]
            strong = MASK in pattern or len(re.sub(r"(?i)bearer|basic|\W", "", pattern)) >= 8
            if _SECRET.search(header) and strong:
                return login(f"SetEnvIf {header} ({node.at})")
            if header.lower() in {"remote_addr", "server_addr", "remote_host"}:
                return doubt(f"SetEnvIf {header} ({node.at})")
            return OPEN
    return doubt(f"Require env {name}: nothing that was read sets it")


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


def _ordered(nodes: list[Node]) -> Clients:
    """Order, Allow from and Deny from (mod_access_compat); the last of the order decides."""
    orders = [node.args[0].lower() for node in nodes if node.name == "order" and node.args]
    order = orders[-1].replace(" ", "") if orders else "deny,allow"
    sets = {"allow": NOBODY, "deny": NOBODY}
    for node in nodes:
        if node.name in sets and len(node.args) > 1:
            for text in node.args[1:]:
                sets[node.name] |= EVERYONE if text.lower() == "all" else network(text)
    if order.startswith("allow"):
        return sets["allow"] - sets["deny"]
    return sets["allow"] | ~sets["deny"]
