"""Rules of the listing in the words of nft(8), on one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ollama_audit.firewall.answer import Rule
from ollama_audit.firewall.nft_json.document import Document, Json

LONGEST_SET = 8
"""Elements of a set in a rule that are shown; of a longer one, how many more there are."""


def listed_rule(document: Document, rule: Rule) -> str:
    """The rule at a place of the listing; empty when there is none."""
    rules = document.rules.get((rule.family, rule.table, rule.chain), ())
    if not 1 <= rule.position <= len(rules):
        return ""
    found = rules[rule.position - 1]
    return in_words(found.statements, found.comment)


def in_words(statements: Sequence[Json], comment: str = "") -> str:
    """Statements as nft prints them, as far as the JSON tells; what it does not, as it stands."""
    parts = [_safely(_statement, statement) for statement in statements]
    if comment:
        parts.append(f'comment "{comment}"')
    return " ".join(part for part in parts if part)


def _safely(show: Callable[[Json], str], value: Json) -> str:
    try:
        return show(value)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        return f"{value!r:.60}"


def _statement(statement: Json) -> str:
    if isinstance(statement, str):
        return " ".join(statement.split())
    ((kind, value),) = statement.items()
    if value is None:
        return str(kind)
    show = STATEMENTS.get(kind)
    return f"{kind} {_expression(value)}" if show is None else show(value)


def _match(value: Json) -> str:
    operator = "" if value["op"] in ("==", "in") else f"{value['op']} "
    right = value["right"]
    if isinstance(right, bool):
        shown = "exists" if right else "missing"
    elif isinstance(right, list):
        shown = ",".join(map(_expression, right))
    else:
        shown = _expression(right, quoted=_is_name(value["left"]))
    return f"{_expression(value['left'])} {operator}{shown}"


def _is_name(left: Json) -> bool:
    return isinstance(left, dict) and str(left.get("meta", {}).get("key", ""))[1:] in NAMES


NAMES: Final = ("if", "ifname", "ifkind")
"""After `i` or `o`: keys of `meta` whose values nft prints in quotes."""


def _jump(kind: str) -> Callable[[Json], str]:
    return lambda value: f"{kind} {value['target']}"


def _reject(value: Json) -> str:
    code = f" {value['expr']}" if "expr" in value else ""
    return f"reject with {value['type']}{code}"


def _vmap(value: Json) -> str:
    return f"{_expression(value['key'])} vmap {_expression(value['data'])}"


def _mangle(value: Json) -> str:
    return f"{_expression(value['key'])} set {_expression(value['value'])}"


def _translate(kind: str) -> Callable[[Json], str]:
    def show(value: Json) -> str:
        address = _expression(value["addr"]) if "addr" in value else ""
        port = f":{_expression(value['port'])}" if "port" in value else ""
        if ":" in address and port:
            address = f"[{address}]"
        family = f" {value['family']}" if "family" in value else ""
        return f"{kind}{family}" + (f" to {address}{port}" if address or port else "")

    return show


def _limit(value: Json) -> str:
    if not isinstance(value, dict) or "rate" not in value:
        return f"limit {_expression(value)}"
    over = "over " if value.get("inv") else ""
    return f"limit rate {over}{value['rate']}/{value.get('per', 'second')}"


def _update(value: Json) -> str:
    return f"{value['op']} {value['set']} {{ {_expression(value['elem'])} }}"


def _log(value: Json) -> str:
    return f'log prefix "{value["prefix"]}"' if value.get("prefix") else "log"


def _extension(value: Json) -> str:
    return f"xt {value['type']} {value['name']}"


STATEMENTS: Final[dict[str, Callable[[Json], str]]] = {
    "match": _match,
    "counter": lambda _: "counter",
    "jump": _jump("jump"),
    "goto": _jump("goto"),
    "reject": _reject,
    "vmap": _vmap,
    "mangle": _mangle,
    "limit": _limit,
    "set": _update,
    "log": _log,
    "xt": _extension,
    **{kind: _translate(kind) for kind in ("dnat", "snat", "redirect", "masquerade")},
}


def _expression(value: Json, *, quoted: bool = False) -> str:
    if isinstance(value, str):
        return f'"{value}"' if quoted else value
    if isinstance(value, list):
        return _alternatives(value)
    if isinstance(value, dict) and "set" in value:
        return _alternatives(value["set"], quoted=quoted)
    if isinstance(value, dict) and len(value) == 1:
        return _of_one_key(*next(iter(value.items())))
    return f"{value!r:.60}"


def _of_one_key(kind: str, inner: Json) -> str:
    if kind in EXPRESSIONS:
        return EXPRESSIONS[kind](inner)
    if kind in ("&", "|", "^"):
        return f" {kind} ".join(map(_expression, inner))
    if inner is None:
        return kind
    if isinstance(inner, dict) and "target" in inner:
        return f"{kind} {inner['target']}"
    return f"{kind} {inner!r:.60}"


def _alternatives(elements: Sequence[Json], *, quoted: bool = False) -> str:
    shown = [
        " : ".join(_expression(part, quoted=quoted and not index) for index, part in enumerate(one))
        if isinstance(one, list)
        else _expression(one, quoted=quoted)
        for one in elements[:LONGEST_SET]
    ]
    more = len(elements) - LONGEST_SET
    shown += [f"... {more} more"] if more > 0 else []
    return "{ " + ", ".join(shown) + " }"


def _payload(value: Json) -> str:
    if "base" in value:
        return f"@{value['base']},{value['offset']},{value['len']}"
    return f"{value['protocol']} {value['field']}"


def _meta(value: Json) -> str:
    key = str(value["key"])
    return key if key in ("iif", "oif", "iifname", "oifname") else f"meta {key}"


def _route(value: Json) -> str:
    flags = value.get("flags", [])
    return f"fib {' . '.join([flags] if isinstance(flags, str) else flags)} {value['result']}"


EXPRESSIONS: Final[dict[str, Callable[[Json], str]]] = {
    "payload": _payload,
    "meta": _meta,
    "fib": _route,
    "ct": lambda value: " ".join(["ct", *([value["dir"]] if "dir" in value else []), value["key"]]),
    "prefix": lambda value: f"{_expression(value['addr'])}/{value['len']}",
    "range": lambda value: "-".join(map(_expression, value)),
    "concat": lambda value: " . ".join(map(_expression, value)),
    "elem": lambda value: _expression(value["val"]),
    "map": lambda value: f"{_expression(value['key'])} map {_expression(value['data'])}",
}
