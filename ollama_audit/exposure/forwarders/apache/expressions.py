"""Apache's expressions, as in `Require expr` and <If>, and who can bring about that they hold.

httpd.apache.org, "Expressions in Apache HTTP Server" (2.4). What is not known here is doubtful.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    NEVER,
    NOBODY,
    Clients,
    Fork,
    among,
    doubted,
    matching,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.keys import is_key

_TOKEN = re.compile(
    r"""\s* (?: (?P<mark> \|\| | && | [()!](?![=~]) | \{ | \} | , )
      | (?P<operator> !?=~ | !~ | [!=]= | = | <=? | >=? | -\w+ )
      | (?P<regex> /(?:[^/\\]|\\.)*/\w* | m\#[^#]*\#\w* )
      | (?P<text> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
      | (?P<function> \w+ \( [^)]* \) )
      | (?P<word> %\{[^}]*\} | [^\s()!=<>&|,{}]+ ) )""",
    re.VERBOSE,
)
_HEADER = re.compile(
    r"(?i)%\{(?:HTTP:|req:|HTTP_)([^}]*)\}|(?:req|http|req_novary)\(['\"]?([^'\")]*)"
)
_EQUAL, _UNEQUAL = frozenset({"==", "=", "-eq", "-strcmatch", "-fnmatch"}), frozenset({"!=", "-ne"})
_PATTERNS = frozenset({"=~", "!~"})
_LISTS = frozenset({"-ipmatch", "-in"})
_ON_ADDRESS = frozenset({"%{REMOTE_ADDR}", "%{CONN_REMOTE_ADDR}"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that is judged."""

    method: str
    path: str
    tls: bool


def judged(text: str, asked: Asked, where: str) -> Fork:
    """For whom an expression holds."""
    try:
        tokens = _tokens(text)
        fork, rest = _either(tokens, asked, where)
    except (IndexError, RecursionError):
        return doubted(where)
    return doubted(where) if rest else fork


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise IndexError(at)
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return found


_Tokens = list[tuple[str, str]]


def _either(tokens: _Tokens, asked: Asked, where: str) -> tuple[Fork, _Tokens]:
    total, rest = _both(tokens, asked, where)
    while rest and rest[0][1] == "||":
        other, rest = _both(rest[1:], asked, where)
        total |= other
    return total, rest


def _both(tokens: _Tokens, asked: Asked, where: str) -> tuple[Fork, _Tokens]:
    total, rest = _one(tokens, asked, where)
    while rest and rest[0][1] == "&&":
        other, rest = _one(rest[1:], asked, where)
        total &= other
    return total, rest


def _one(tokens: _Tokens, asked: Asked, where: str) -> tuple[Fork, _Tokens]:
    kind, text = tokens[0]
    if text == "!":
        fork, rest = _one(tokens[1:], asked, where)
        return ~fork, rest
    if text == "(":
        fork, rest = _either(tokens[1:], asked, where)
        return fork, rest[1:]
    if kind == "operator":
        return _unary(text, tokens[1][1], asked, where), tokens[2:]
    if text.lower() in {"true", "false"}:
        return truth(value=text.lower() == "true"), tokens[1:]
    if len(tokens) > 2 and tokens[1][0] == "operator":
        operator = tokens[1][1]
        values, rest = _values(tokens[2:])
        return _compared(text, operator, values, asked, where), rest
    return doubted(where), tokens[1:]


def _values(tokens: _Tokens) -> tuple[list[str], _Tokens]:
    """One word, or the words of a list in braces."""
    if tokens[0][1] != "{":
        return [_plain(tokens[0][1])], tokens[1:]
    end = next(index for index, token in enumerate(tokens) if token[1] == "}")
    return [_plain(word) for _, word in tokens[1:end] if word != ","], tokens[end + 1 :]


def _plain(word: str) -> str:
    return word[1:-1] if word[:1] in {"'", '"'} else word


def _unary(operator: str, word: str, asked: Asked, where: str) -> Fork:
    word = _plain(word)
    header = _HEADER.match(word)
    if operator == "-R":
        return _addressed([word], where)
    if operator in {"-n", "-z"} and header:
        return CHOICE
    if operator == "-T" and word == "%{HTTPS}":
        return truth(value=asked.tls)
    return doubted(where)


def _compared(subject: str, operator: str, values: list[str], asked: Asked, where: str) -> Fork:
    subject = _plain(subject)
    known = {
        "%{REQUEST_METHOD}": asked.method,
        "%{REQUEST_URI}": asked.path,
        "%{HTTPS}": "on" if asked.tls else "off",
        "%{REQUEST_SCHEME}": "https" if asked.tls else "http",
    }
    negated = operator in _UNEQUAL or operator == "!~"
    if operator not in _EQUAL | _UNEQUAL | _PATTERNS | _LISTS:
        return doubted(where)
    if subject in known:
        fork = _settled(known[subject], operator, values, where)
    elif subject in _ON_ADDRESS:
        fork = _from(operator, values, where)
    elif header := _HEADER.match(subject):
        name = header[1] or header[2] or ""
        texts = [_pattern(value) if operator in _PATTERNS else value for value in values]
        key = all(is_key(name.replace("_", "-"), text) for text in texts)
        fork = proven(where) if key else CHOICE
    else:
        return doubted(where)
    return ~fork if negated else fork


def _pattern(value: str) -> str:
    found = re.fullmatch(r"(?:/(.*)/|m#(.*)#)\w*", value, re.DOTALL)
    return (found[1] or found[2] or "") if found else value


def _settled(value: str, operator: str, values: list[str], where: str) -> Fork:
    if operator in _PATTERNS:
        ignore = re.IGNORECASE if values[0].endswith("i") else 0
        try:
            return truth(value=bool(re.search(_pattern(values[0]), value, ignore)))
        except re.error:
            return doubted(where)
    if operator == "-ipmatch":
        return NEVER
    return truth(value=value in values)


def _from(operator: str, values: list[str], where: str) -> Fork:
    if operator in _PATTERNS:
        clients = matching(_pattern(values[0]))
        return among(clients) if clients is not None else doubted(where)
    return _addressed(values, where)


def _addressed(values: list[str], where: str) -> Fork:
    clients = NOBODY
    for value in values:
        try:
            clients |= Clients.within(value)
        except ValueError:
            return doubted(where)
    return among(clients) if values else ALWAYS
