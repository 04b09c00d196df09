"""HAProxy's conditions: ACLs and tests, and who can bring about that they hold.

Configuration Manual 2.6, chapter 7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    LOOPBACK,
    NEVER,
    NOBODY,
    Clients,
    Fork,
    Gate,
    among,
    doubted,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.haproxy.sections import Section
from ollama_audit.exposure.forwarders.keys import is_key

_SENT = re.compile(r"(?:req\.|res\.)?(?:f?hdr|cook|urlp|url_param)(?:_\w+)?\(([^,)]*)")
_HOST = re.compile(r"(?:req\.)?f?hdr(?:_(\w+))?\(host(?:,[^)]*)?\)((?:,lower)?)$", re.IGNORECASE)
_COUNTED = re.compile(r"(?:sc\d?_|src_|table_|fe_|be_)\w*(?:rate|cnt|conn|gpc\d?|kbytes\w*)\b")
_ABOVE, _BELOW = frozenset({"gt", "ge"}), frozenset({"lt", "le"})
_PLAIN = frozenset({"lower", "url_dec"})
_SURE = frozenset({"always_true", "req.proto_http", "req_proto_http", "wait_end"})


@dataclass(frozen=True, slots=True)
class State:
    """A request on its way, and who sends it."""

    method: str
    asked: str
    path: str
    tls: bool
    gate: Gate
    name: str = ""
    """The Host header that the client sends, one that a test names; empty for any other."""
    sent: str | None = None
    """The Host header that the server gets; None for what the client likes."""
    says_who: bool = False
    """Whether a header of the client's own says its address (`set-src`)."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What `set-var` has put where."""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Test:
    """What is fetched, how it is compared, and with what."""

    fetched: str
    values: tuple[str, ...]
    match: str
    lower: bool
    files: tuple[str, ...]

    @classmethod
    def of(cls, words: tuple[str, ...]) -> Test:
        """The parts of a test (chapter 7.1)."""
        fetched, *rest = words
        values, match, lower, files = [], "", False, []
        while rest:
            word = rest.pop(0)
            if word == "-f" and rest:
                files.append(rest.pop(0))
            elif word == "-m" and rest:
                match = rest.pop(0)
            elif word == "-i":
                lower = True
            elif word == "--":
                values += rest
                rest = []
            elif word not in {"-n", "-u"}:
                values.append(word)
        return cls(fetched, tuple(values), match, lower, tuple(files))


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one frontend."""

    port: int
    lists: Mapping[str, str]
    """The texts of files of addresses, by their paths."""

    def holds(self, section: Section, words: tuple[str, ...], state: State) -> Fork:
        """`if A !B || C` and `unless ...`; no condition holds always."""
        if not words or words[0] not in {"if", "unless"}:
            return ALWAYS
        total, every, index = NEVER, ALWAYS, 1
        while index < len(words):
            word = words[index]
            index += 1
            if word in {"||", "or"}:
                total, every = total | every, ALWAYS
                continue
            negated = word.startswith("!")
            word = word.lstrip("!")
            if not word:
                word, index = words[index] if index < len(words) else "", index + 1
            if word == "{":
                end = words.index("}", index) if "}" in words[index:] else len(words)
                fork = self.test(words[index:end], state)
                index = end + 1
            else:
                fork = self._named(section, word, state)
            every &= ~fork if negated else fork
        total |= every
        return ~total if words[0] == "unless" else total

    def _named(self, section: Section, name: str, state: State) -> Fork:
        if name in section.acls:
            total = NEVER
            for words in section.acls[name]:
                total |= self.test(words, state)
            return total
        known = {
            "TRUE": ALWAYS,
            "FALSE": NEVER,
            "HTTP": ALWAYS,
            "WAIT_END": ALWAYS,
            "LOCALHOST": among(LOOPBACK),
            "METH_GET": truth(value=state.method == "GET"),
            "METH_POST": truth(value=state.method == "POST"),
            "METH_DELETE": truth(value=state.method == "DELETE"),
            "METH_OPTIONS": NEVER,
        }
        return known.get(name, doubted(f"haproxy: the ACL {name}"))

    def test(  # noqa: C901, PLR0911 - a table of what can be fetched
        self, words: tuple[str, ...], state: State
    ) -> Fork:
        """One test: what is fetched, flags, values."""
        if not words:
            return doubted("haproxy: an empty test")
        variable = re.match(r"var\(([^,)]+)\)(.*)", words[0])
        if variable and variable[1] in state.variables:
            words = (state.variables[variable[1]] + variable[2], *words[1:])
        test = Test.of(words)
        name, _, rest = test.fetched.partition("(")
        name, _, converters = (
            name.partition(",") if not rest else (name, "", rest.partition("),")[2])
        )
        if name in {"http_auth", "http_auth_group"}:
            return proven(f"haproxy: {test.fetched}")
        if name == "src":
            return CHOICE if state.says_who else self._addressed(test)
        if name in {"ssl_fc", "method", "dst_port"}:
            settled = {"ssl_fc": state.tls, "method": state.method in test.values}
            return truth(value=settled.get(name, str(self.port) in test.values))
        if name in _SURE:
            return ALWAYS
        if name == "always_false":
            return NEVER
        if _COUNTED.match(name):
            return _counted(test)
        if re.fullmatch(r"(?:path|url)(?:_\w+)?", name) and set(converters.split(",")) <= {
            "",
            *_PLAIN,
        }:
            return _pathed(name, test, state.path)
        if host := _HOST.fullmatch(test.fetched):
            return _compared(test, host[1] or "str", state.name, lower=True)
        return _sent(test, name)

    def _addressed(self, test: Test) -> Fork:
        clients = NOBODY
        texts = list(test.values)
        for path in test.files:
            if path not in self.lists:
                return doubted(f"haproxy: {test.fetched} against {path}, which was not read")
            lines = (line.partition("#")[0].strip() for line in self.lists[path].splitlines())
            texts += [line for line in lines if line]
        for text in texts:
            try:
                clients |= Clients.within(text)
            except ValueError:
                return doubted(f"haproxy: src {text}")
        return among(clients)


def names_in(words: tuple[str, ...]) -> list[str]:
    """The names that a test of the Host header speaks of, one that meets each of its values."""
    found = []
    for index, word in enumerate(words):
        host = _HOST.fullmatch(word)
        if host is None:
            continue
        end = words.index("}", index) if "}" in words[index:] else len(words)
        test = Test.of(words[index:end])
        for value in test.values:
            name = re.sub(r"\\(.)", r"\1", value.strip("^$")).lower()
            name = re.sub(r"\.[*+]", "x", name).lstrip(".")
            found.append(f"x.{name}" if value.startswith((".", "*.")) else name)
    return found


def _counted(test: Test) -> Fork:
    """A rate or a number of connections: an ordinary client stays below the limit."""
    operator = test.values[0] if test.values else ""
    if operator in _ABOVE:
        return NEVER
    return ALWAYS if operator in _BELOW else doubted(f"haproxy: {test.fetched}")


def _sent(test: Test, name: str) -> Fork:
    """What a client writes: as it likes, or a key."""
    because = f"haproxy: {test.fetched}"
    found = _SENT.match(test.fetched)
    header = found[1] if found else "authorization" if name == "http_auth_bearer" else ""
    if not header and name not in {"ssl_fc_sni", "req.ssl_sni", "req_ssl_sni"}:
        return doubted(because)
    if ",map" in test.fetched or test.files:
        exact = re.search(r",map(?:_str)?\(", test.fetched) or test.match in {"", "str"}
        return proven(because) if exact else doubted(f"{because} against a file")
    if test.match in {"found", "len"} or not test.values:
        return CHOICE
    keys = [is_key("cookie" if "cook" in name else header, value) for value in test.values]
    return proven(because) if all(keys) else CHOICE


def _pathed(name: str, test: Test, path: str) -> Fork:
    return _compared(test, name.partition("_")[2] or "str", path, lower=False)


def _compared(test: Test, kind: str, value: str, *, lower: bool) -> Fork:
    kind, values = test.match or kind, test.values
    if lower or test.lower or ",lower" in test.fetched:
        value, values = value.lower(), tuple(each.lower() for each in values)
    borders = re.escape("/" if kind == "dir" else "./:?")
    tests: dict[str, Callable[[str], bool]] = {
        "str": lambda wanted: value == wanted,
        "beg": value.startswith,
        "end": value.endswith,
        "sub": lambda wanted: wanted in value,
        "reg": lambda wanted: bool(re.search(wanted, value)),
        "found": lambda _: bool(value),
    }
    # A whole part between the borders (pattern.c, match_word).
    tests["dir"] = tests["dom"] = lambda wanted: bool(
        re.search(
            rf"(?:^|[{borders}]){re.escape(wanted.strip('/' if kind == 'dir' else './:?'))}"
            rf"(?:$|[{borders}])",
            value,
        )
    )
    if kind not in tests:
        return doubted(f"haproxy: {test.fetched} -m {kind}")
    try:
        return truth(value=any(tests[kind](wanted) for wanted in values or ("",)))
    except re.error:
        return doubted(f"haproxy: {test.fetched}")
