"""HAProxy: frontends, their rules in order, and the servers behind (Configuration Manual 2.6)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    EVERYONE,
    NEVER,
    NOBODY,
    Clients,
    Fork,
    Gate,
    among,
    doubt,
    doubted,
    login,
    only,
    proven,
    truth,
)
from ollama_audit.exposure.forwarders.names import Takes, taken
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    in_force,
    requests,
    resolve,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.exposure.zones import own_addresses
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_SECTIONS = frozenset(
    {"global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers"}
    | {"mailers", "cache", "program", "ring", "http-errors", "fcgi-app", "crt-list", "log-forward"}
)
_SECRET = re.compile(r"(?i)auth|key|token|secret|cookie")
_LOOPBACK = Clients.within("127.0.0.0/8") | Clients.within("::1")


@dataclass(frozen=True, slots=True)
class _Line:
    words: tuple[str, ...]
    at: str


@dataclass(slots=True)
class _Section:
    kind: str
    name: str
    lines: list[_Line] = field(default_factory=list)
    tcp: bool = True
    """`mode tcp`, HAProxy's default."""
    acls: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _State:
    method: str
    asked: str
    path: str
    tls: bool
    gate: Gate
    done: bool = False


def haproxy(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of HAProxy."""
    found = in_force(terrain, listener, process, "sudo systemctl reload haproxy")
    if isinstance(found, Onward):
        return (found,)
    try:
        sections = _sections(found)
    except ValueError as error:
        return (unclear(process, str(error), kind="reverse-proxy"),)
    own = Clients(own_addresses(namespace, Family.IPV4), own_addresses(namespace, Family.IPV6))
    backends = {each.name: each for each in sections if each.kind in {"backend", "listen"}}
    result: list[Onward] = []
    for section in sections:
        for words in _binds(section, listener):
            tls = "ssl" in words
            near = words[0].startswith(("127.", "localhost", "::1", "[::1"))
            gate = only(own if near and not listener.on_loopback else EVERYONE)
            if tls and "verify" in words and words[words.index("verify") + 1] == "required":
                gate &= login("client certificate (verify required)")
            resolved = partial(_resolved, terrain, namespace, found.names)
            walk = _Walk(section, backends, resolved, listener.port)
            passages: list[Passage] = []
            for method, path in requests(walk.prefixes()):
                passages += walk.follow(_State(method, path, path, tls, gate))
            encryption = Encryption.TLS if tls else Encryption.PLAIN
            result += steps(terrain, namespace, process, "haproxy", passages, encryption)
    return tuple(result)


def _sections(found: Configuration) -> list[_Section]:
    """The sections in order, each with the defaults before it.

    Raises:
        ValueError: A file could not be read, or is not what HAProxy would read.
    """
    sections: list[_Section] = []
    defaults = _Section("defaults", "")
    for file in found.files:
        if isinstance(file.text, Unknown):
            raise ValueError(f"{file.path}: {file.text.reason}")  # noqa: TRY004 - no wrong type
        for number, text in enumerate(file.text.value.splitlines(), start=1):
            try:
                words = _words(text)
            except ValueError as error:
                raise ValueError(f"{file.path}:{number}: {error}") from None
            if not words:
                continue
            if words[0] in _SECTIONS:
                name = words[1] if len(words) > 1 else ""
                current = _Section(words[0], name, tcp=defaults.tcp)
                if words[0] == "defaults":
                    current.tcp = True
                    defaults = current
                else:
                    kept = {"default_backend", "server", "http-request", "tcp-request"}
                    current.lines += [line for line in defaults.lines if line.words[0] in kept]
                sections.append(current)
            elif sections:
                _add(sections[-1], _Line(words, f"{file.path}:{number}"))
    return sections


def _words(text: str) -> tuple[str, ...]:
    """The words of a line; a backslash escapes a space and little else (chapter 2.2).

    Raises:
        ValueError: A quote without its end.
    """
    reader = shlex.shlex(text.replace("\\ ", "\0"), posix=True, punctuation_chars="")
    reader.whitespace_split, reader.commenters, reader.escape = True, "#", ""
    return tuple(word.replace("\0", " ") for word in reader)


def _add(section: _Section, line: _Line) -> None:
    words = line.words
    if words[0] == "mode" and len(words) > 1:
        section.tcp = words[1] != "http"
    elif words[0] == "acl" and len(words) > 2:
        section.acls.setdefault(words[1], []).append(words[2:])
    else:
        section.lines.append(line)


def _binds(section: _Section, listener: Listener) -> Iterator[tuple[str, ...]]:
    """The words of each `bind` that is this listener, its address first."""
    if section.kind not in {"frontend", "listen"}:
        return
    for line in section.lines:
        if line.words[0] != "bind" or len(line.words) < 2:
            continue
        for text in line.words[1].split(","):
            plain = re.sub(r"^(ipv4@|ipv6@|tcp@|tcp4@|tcp6@)", "", text)
            if plain.startswith(("/", "unix@", "abns@", "fd@", "sockpair@", "quic")):
                continue
            host, _, ports = plain.rpartition(":")
            first, _, last = ports.partition("-")
            if not (first.isdecimal() and int(first) <= listener.port <= int(last or first)):
                continue
            if _same(host.strip("[]"), listener):
                yield (plain, *line.words[2:])


def _same(host: str, listener: Listener) -> bool:
    if host in {"", "*"}:
        return listener.wildcard
    try:
        bound = ip_address(host)
    except ValueError:
        return True  # a name; HAProxy resolves it at start
    return bound in {listener.ip, ip_address(listener.address)}


@dataclass(slots=True)
class _Walk:
    """Requests on their way through one frontend."""

    front: _Section
    backends: dict[str, _Section]
    resolved: Callable[[str, int], tuple[Upstream, ...]]
    port: int

    def prefixes(self) -> list[str]:
        """The literal beginnings of paths that rules speak of."""
        lines = [line.words for line in self.front.lines]
        lines += [
            words
            for section in (self.front, *self.backends.values())
            for acl in section.acls.values()
            for words in acl
        ]
        lines += [line.words for each in self.backends.values() for line in each.lines]
        found = [
            re.split(r"/(?:api|v1)(?:/|$)", word.lstrip("^").partition("(")[0])[0].rstrip("/")
            for words in lines
            for word in words
            if word.lstrip("^").startswith("/")
        ]
        return [each for each in dict.fromkeys(found) if re.fullmatch(r"(/[\w.-]+)+", each)]

    def follow(self, state: _State) -> Iterator[Passage]:
        """Where a request goes."""
        for each in self._ruled(self.front, [state]):
            rest = each.gate
            for backend, fork, line in self._choices(each):
                taken = replace(each, gate=rest & fork.yes)
                rest &= fork.no
                if not taken.gate.passing:
                    continue
                if backend is None:
                    reason = f"{' '.join(line.words)} depends on the request"
                    yield Passage(
                        each.asked, each.path, Upstream(reason=reason), taken.gate, line.at
                    )
                    continue
                inside = [taken] if backend is self.front else self._ruled(backend, [taken])
                for last in inside:
                    yield from self._served(backend, last)

    def _choices(self, state: _State) -> Iterator[tuple[_Section | None, Fork, _Line]]:
        """The backends in the order in which they are tried."""
        fallback: list[tuple[_Section | None, Fork, _Line]] = []
        for line in self.front.lines:
            if line.words[0] == "use_backend" and len(line.words) > 1:
                backend = self.backends.get(line.words[1])
                if backend is not None or "%" in line.words[1]:
                    yield backend, self._condition(self.front, line.words[2:], state), line
            elif line.words[0] == "default_backend" and line.words[-1] in self.backends:
                fallback = [(self.backends[line.words[-1]], ALWAYS, line)]
        if not fallback and self.front.kind == "listen":
            fallback = [(self.front, ALWAYS, _Line((), ""))]
        yield from fallback

    def _ruled(self, section: _Section, states: list[_State]) -> list[_State]:
        """The requests that get through the rules of a section."""
        http = not section.tcp
        states = [replace(state, done=False) for state in states]
        for line in section.lines:
            words = line.words
            if words[:2] == ("tcp-request", "connection") or words[:2] == (
                "tcp-request",
                "content",
            ):
                action, rest = words[2:3], words[3:]
            elif words[0] == "http-request" and http:
                action, rest = words[1:2], words[2:]
            else:
                continue
            if action:
                states = [
                    after
                    for state in states
                    for after in (
                        [state] if state.done else self._rule(section, action[0], rest, state, line)
                    )
                ][:64]
        return [state for state in states if state.gate.passing]

    def _rule(  # noqa: PLR0911 - a table of actions
        self, section: _Section, action: str, rest: tuple[str, ...], state: _State, line: _Line
    ) -> list[_State]:
        start = next((i for i, word in enumerate(rest) if word in {"if", "unless"}), len(rest))
        fork = self._condition(section, rest[start:], state)
        outside = replace(state, gate=state.gate & fork.no)
        inside = replace(state, gate=state.gate & fork.yes)
        name = action.partition("(")[0]
        if name in {"deny", "reject", "tarpit", "auth", "redirect", "return", "silent-drop"}:
            return [outside]
        if name in {"allow", "accept"}:
            return [replace(inside, done=True), outside]
        if name in {"set-path", "set-uri"} and start == 1 and "%" not in rest[0]:
            return [replace(inside, path=rest[0].partition("?")[0]), outside]
        if name in {
            "set-path",
            "set-uri",
            "set-pathq",
            "replace-uri",
            "replace-pathq",
            "replace-path",
        }:
            return [self._rewritten(name, rest[:start], inside), outside]
        if name in {"lua.", "use-service", "wait-for-body", "set-src"} or name.startswith("lua."):
            if name == "wait-for-body":
                return [state]
            return [replace(inside, gate=inside.gate & doubt(f"{action} ({line.at})")), outside]
        return [state]

    def _rewritten(self, name: str, args: tuple[str, ...], state: _State) -> _State:
        """`replace-path` and its kin, and `set-path %[path,regsub(A,B)]`."""
        pattern, new = "", ""
        if name.startswith("replace") and len(args) == 2:
            pattern, new = args
        elif found := re.fullmatch(
            r"%\[(?:path|url|pathq),regsub\(\^?([^,()]*),([^,()]*)(?:,\w*)?\)\]",
            args[0] if args else "",
        ):
            pattern, new = f"^{found[1]}", found[2]
        try:
            path = re.sub(pattern, new, state.path, count=1)
        except (re.error, IndexError):
            pattern = ""
            path = state.path
        if not pattern:
            return replace(state, gate=state.gate & doubt("haproxy: a rewrite is not followed"))
        return replace(state, path=path)

    # Conditions

    def _condition(self, section: _Section, words: tuple[str, ...], state: _State) -> Fork:
        """`if A !B || C` and `unless ...`; no condition holds always."""
        if not words:
            return ALWAYS
        if words[0] not in {"if", "unless"}:
            return ALWAYS
        total, every, index = NEVER, ALWAYS, 1
        while index < len(words):
            word = words[index]
            index += 1
            if word in {"||", "or"}:
                total, every = total | every, ALWAYS
                continue
            negated = word.startswith("!") and len(word) > 0
            word = word.lstrip("!")
            if not word:
                word, index = words[index] if index < len(words) else "", index + 1
            if word == "{":
                end = words.index("}", index) if "}" in words[index:] else len(words)
                fork = self._test(words[index:end], state)
                index = end + 1
            else:
                fork = self._named(section, word, state)
            every &= ~fork if negated else fork
        total |= every
        return ~total if words[0] == "unless" else total

    def _named(self, section: _Section, name: str, state: _State) -> Fork:
        known = {
            "TRUE": ALWAYS,
            "FALSE": NEVER,
            "HTTP": ALWAYS,
            "LOCALHOST": among(_LOOPBACK),
            "METH_GET": truth(value=state.method == "GET"),
            "METH_POST": truth(value=state.method == "POST"),
            "METH_DELETE": truth(value=state.method == "DELETE"),
            "METH_OPTIONS": NEVER,
        }
        if name in section.acls:
            total = NEVER
            for words in section.acls[name]:
                total |= self._test(words, state)
            return total
        return known.get(name, doubted(f"haproxy: the ACL {name}"))

    def _test(  # noqa: C901, PLR0911, PLR0912 - a table of what can be fetched
        self, words: tuple[str, ...], state: _State
    ) -> Fork:
        """One test: what is fetched, flags, values."""
        if not words:
            return doubted("haproxy: an empty test")
        fetched, *rest = words
        values, match, lower = [], "", False
        while rest:
            word = rest.pop(0)
            if word == "-f":
                return doubted(f"haproxy: {fetched} against a file")
            if word == "-m" and rest:
                match = rest.pop(0)
            elif word == "-i":
                lower = True
            elif word not in {"-n", "-u", "--"}:
                values.append(word)
        name = fetched.partition("(")[0].partition(",")[0]
        if name in {"http_auth", "http_auth_group"}:
            return proven(f"haproxy: {fetched}")
        if name == "src":
            return _addressed(values)
        if name == "ssl_fc":
            return truth(value=state.tls)
        if name == "method":
            return truth(value=state.method in values)
        if name.startswith(("path", "url")) and "," not in fetched:
            return _pathed(name, match, values, state.path, lower=lower)
        if name in {"ssl_c_used", "ssl_c_verify"}:
            return doubted(f"haproxy: {fetched}")
        if re.match(r"(req\.)?(fhdr|hdr|cook|urlp|url_param)", name):
            secret = _SECRET.search(fetched) and values and match not in {"found", "len"}
            loose = any(
                len(re.sub(r"(?i)bearer|basic|\W", "", v.replace("***", "x" * 8))) < 8
                for v in values
            )
            return proven(f"haproxy: {fetched}") if secret and not loose else CHOICE
        if name == "always_true":
            return ALWAYS
        if name == "always_false":
            return NEVER
        return doubted(f"haproxy: {fetched}")

    # Servers

    def _served(self, backend: _Section, state: _State) -> Iterator[Passage]:
        for line in backend.lines:
            words = line.words
            if words[0] == "server-template":
                upstream = Upstream(reason=f"{' '.join(words[:4])} is looked up while it runs")
                yield Passage(state.asked, state.path, upstream, state.gate, line.at)
            if words[0] != "server" or len(words) < 3 or "disabled" in words:
                continue
            for upstream in self.resolved(words[2], self.port):
                yield Passage(state.asked, state.path, upstream, state.gate, line.at)


def _resolved(
    terrain: Terrain,
    namespace: NetworkNamespace,
    names: dict[str, tuple[str, ...]],
    text: str,
    usual_port: int,
) -> tuple[Upstream, ...]:
    """The address of a server; of a name's the first, or that of a family (`init-addr libc`)."""
    family = re.match(r"(ipv[46])@|tcp([46])@", text)
    plain = re.sub(r"^(ipv4@|ipv6@|tcp@|tcp4@|tcp6@)", "", text)
    if plain.startswith(("/", "unix@", "abns@", "fd@", "sockpair@")):
        return (Upstream(reason=f"what listens at {plain} is not followed"),)
    host, _, port = plain.rpartition(":")
    if not host:
        host, port = plain, ""
    number = int(port) if port.isdecimal() else usual_port
    found = resolve(host, number, names)
    takes = Takes(family[1] or f"ipv{family[2]}") if family else Takes.FIRST
    addresses = [upstream.address for upstream in found if upstream.address]
    chosen = taken(terrain, namespace, addresses, number, takes) if addresses else ""
    return tuple(each for each in found if each.address == chosen)


def _addressed(values: list[str]) -> Fork:
    clients = NOBODY
    for value in values:
        try:
            clients |= Clients.within(value)
        except ValueError:
            return doubted(f"haproxy: src {value}")
    return among(clients)


def _pathed(name: str, match: str, values: list[str], path: str, *, lower: bool) -> Fork:
    kind = match or name.partition("_")[2] or "str"
    if lower:
        path, values = path.lower(), [value.lower() for value in values]
    tests: dict[str, Callable[[str], bool]] = {
        "str": lambda value: path == value,
        "beg": path.startswith,
        "end": path.endswith,
        "sub": lambda value: value in path,
        "dir": lambda value: f"/{value.strip('/')}/" in f"{path}/",
        "reg": lambda value: bool(re.search(value, path)),
    }
    if kind not in tests:
        return doubted(f"haproxy: {name}")
    try:
        return truth(value=any(tests[kind](value) for value in values))
    except re.error:
        return doubted(f"haproxy: {name}")
