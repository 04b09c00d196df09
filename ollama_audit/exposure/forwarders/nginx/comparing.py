"""How nginx compares a value with a text, a pattern or nothing, and for whom that comes out true.

Each answer is two gates: of those who can make it hold, and of those who can make it not hold.
"""

from __future__ import annotations

from ollama_audit.exposure.forwarders.clients import (
    OPEN,
    SHUT,
    Clients,
    Gate,
    doubt,
    login,
    matching,
    only,
)
from ollama_audit.exposure.forwarders.keys import long
from ollama_audit.exposure.forwarders.nginx.symbols import Symbol, Value, expression
from ollama_audit.snapshot.redact import MASK

_A_KEY = "a key in a header"


def doubts(what: str) -> tuple[Gate, Gate]:
    """A condition that cannot be judged."""
    because = f"{what} turns on what the configuration alone does not tell"
    return doubt(because), doubt(because)


def truth(value: Value, what: str) -> tuple[Gate, Gate]:
    """As in nginx, an empty text and `0` are false (ngx_http_rewrite_module, `if`)."""
    if isinstance(value, Symbol):
        return doubts(what) if value is Symbol.UNKNOWN else (OPEN, OPEN)
    return (OPEN, SHUT) if value not in {"", "0"} else (SHUT, OPEN)


def equals(value: Value, literal: str, what: str) -> tuple[Gate, Gate]:
    """Whether a value is this text."""
    match value:
        case Symbol.CHOICE:
            return OPEN, OPEN
        case Symbol.HEADER | Symbol.SECRET:
            known = literal and (value is Symbol.SECRET or long(literal))
            return (login(_A_KEY) if known else OPEN), OPEN
        case Symbol.ADDRESS:
            return _addressed(literal)
        case Symbol.UNKNOWN:
            return doubts(what)
        case _:
            return (OPEN, SHUT) if value == literal else (SHUT, OPEN)


def _addressed(literal: str) -> tuple[Gate, Gate]:
    try:
        clients = Clients.within(literal)
    except ValueError:
        return SHUT, OPEN
    return only(clients), only(~clients)


def matches(value: Value, pattern: str, what: str) -> tuple[Gate, Gate]:
    """Whether a value matches a key of `map`, or the right side of `~` with its sign."""
    if not pattern.startswith("~"):
        return equals(value, pattern.removeprefix("\\"), what)
    ignore_case = pattern.startswith("~*")
    text = pattern[2:] if ignore_case else pattern[1:]
    match value:
        case Symbol.CHOICE:
            return OPEN, OPEN
        case Symbol.SECRET | Symbol.HEADER:
            # A pattern that asks for a form only is met by whoever knows the form.
            return (login(_A_KEY) if long(text) or MASK in pattern else OPEN), OPEN
        case Symbol.ADDRESS if (clients := matching(text)) is not None:
            return only(clients), only(~clients)
        case str() if not isinstance(value, Symbol):
            regex = expression(text, ignore_case=ignore_case)
            if regex is not None:
                return (OPEN, SHUT) if regex.search(value) else (SHUT, OPEN)
        case _:
            pass
    return doubts(what)
