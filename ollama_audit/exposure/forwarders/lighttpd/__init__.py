"""lighttpd: which requests a listener passes on, to where, and for whom.

Settings of all conditions that hold are laid over one another in the order of the file; modules
that are not loaded do nothing. Tried with lighttpd 1.4.69; wiki.lighttpd.net, mod_proxy, mod_auth,
mod_access, mod_rewrite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ollama_audit.exposure.forwarders.clients import (
    ALWAYS,
    CHOICE,
    EVERYONE,
    NEVER,
    NOBODY,
    OPEN,
    Clients,
    Fork,
    Gate,
    doubt,
    doubted,
    login,
)
from ollama_audit.exposure.forwarders.lighttpd.conditions import (
    Request,
    condition,
    enabled,
    hosts,
    settled,
    words,
)
from ollama_audit.exposure.forwarders.lighttpd.syntax import (
    Context,
    Entry,
    SyntaxProblemError,
    Value,
    contexts,
)
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import (
    Passage,
    Upstream,
    guessed,
    in_force,
    requests,
    resolve,
    steps,
)
from ollama_audit.exposure.model import Encryption
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_GATEWAYS = ("fastcgi", "scgi", "uwsgi", "ajp13", "sockproxy", "wstunnel")
_DECIDING = re.compile(
    r"proxy\.|auth\.|url\.(?:access|rewrite|redirect)|magnet\.|cgi\.assign|"
    rf"(?:{'|'.join(_GATEWAYS)})\.server$"
)
_MOST_STATES = 64
_MOST_REWRITES = 10


def lighttpd(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of lighttpd, over all Host headers that a client can choose."""
    found = in_force(terrain, listener, process, "sudo systemctl restart lighttpd")
    if isinstance(found, Onward):
        return (found,)
    try:
        everything = contexts(found)
    except SyntaxProblemError as problem:
        return (unclear(process, str(problem), kind="reverse-proxy", cure=problem.cure),)
    except RecursionError:
        why = "its configuration nests too deeply"
        return (unclear(process, why, kind="reverse-proxy"),)
    server = _Server(everything, listener, found.names)
    if server.inherits_tls:
        why = f"{listener} is encrypted by the global ssl.engine and has no certificate of its own"
        cure = 'write ssl.engine = "enable" and ssl.pemfile into its $SERVER["socket"] block'
        return (unclear(process, why, kind="reverse-proxy", cure=cure),)
    tls = Encryption.TLS if server.tls else Encryption.PLAIN
    return steps(terrain, namespace, process, "lighttpd", server.passages(), tls)


@dataclass(frozen=True, slots=True)
class _State:
    """Clients with one request for whom the same conditions hold."""

    gate: Gate
    settings: dict[str, Value] = field(default_factory=dict)
    held: frozenset[int] = frozenset()
    """The contexts whose condition holds."""


class _Server:
    """lighttpd as it answers at one listener."""

    def __init__(
        self, everything: list[Context], listener: Listener, names: dict[str, tuple[str, ...]]
    ) -> None:
        self.names = names
        self.listener = listener
        top = everything[0].settings
        self.modules = [name.removeprefix("mod_") for name in words(top.get("server.modules"))]
        self.ipv6_default = enabled(top.get("server.use-ipv6"))
        self.trusted = self._trusted(top.get("extforward.forwarder"))
        self.tls, self.inherits_tls, self.certificate = self._encryption(everything)
        deciding = {context.number for context in everything if _decides(context)}
        for context in reversed(everything):
            # A condition counts if one inside it does, or one that is its `else`.
            if context.number in deciding:
                deciding |= {c.number for c in (context.parent, context.previous) if c}
        self.contexts = [context for context in everything if context.number in deciding | {0}]

    def _trusted(self, value: Value | None) -> Clients:
        """Who may say in a header which client it is (wiki.lighttpd.net, mod_extforward)."""
        total = NOBODY
        if "extforward" in self.modules and isinstance(value, tuple):
            for entry in value:
                try:
                    total |= EVERYONE if entry.key == "all" else Clients.within(entry.key)
                except ValueError:
                    total = EVERYONE
        return total

    def _encryption(self, everything: list[Context]) -> tuple[bool, bool, Gate]:
        """Whether the listener is encrypted, whether only by inheritance, and who may connect.

        A socket of its own takes ssl.engine over from the global scope and, in 1.4.69, no
        certificate: it then answers nobody.
        """
        merged, own = dict(everything[0].settings), None
        for context in everything[1:]:
            if context.kind == "SERVER socket" and context.parent is everything[0]:
                fork = condition(context, self._request("GET", "/", ""))
                if fork.yes.free and context.sign == "==":
                    own = context
                    merged |= context.settings
        tls = enabled(merged.get("ssl.engine"))
        alone = own is not None and enabled(own.settings.get("ssl.engine"))
        gate = OPEN
        if tls and enabled(merged.get("ssl.verifyclient.activate")):
            if enabled(merged.get("ssl.verifyclient.enforce", "enable")):
                gate = login("client certificate (ssl.verifyclient.activate)")
            elif any("REMOTE_USER" in str(value) for value in merged.values()):
                gate = doubt("ssl.verifyclient.username")
        return tls, tls and own is not None and not alone, gate

    def _request(self, method: str, path: str, host: str, *, tls: bool = False) -> Request:
        return Request(method, path, host, self.listener, self.ipv6_default, tls, self.trusted)

    def passages(self) -> Iterator[Passage]:
        """Everything that is passed on."""
        if "proxy" not in self.modules and "sockproxy" not in self.modules:
            return
        for host, sent in hosts(self.contexts):
            near = self._possible(host)
            if not any(
                "proxy.server" in c.settings or "sockproxy.server" in c.settings for c in near
            ):
                continue
            for method, path in requests(_prefixes(near)):
                yield from self._follow(near, method, path, path, host, sent)

    def _possible(self, host: str) -> list[Context]:
        """The contexts that can hold for requests to this name here."""
        request = self._request("GET", "/", host, tls=self.tls)
        shut: set[int] = set()
        found = []
        for context in self.contexts:
            outside = context.parent is not None and context.parent.number in shut
            if outside or (settled(context) and condition(context, request) is NEVER):
                shut.add(context.number)
            else:
                found.append(context)
        return found

    def _follow(  # noqa: PLR0913, PLR0917 - a request, and what it was before it was rewritten
        self,
        near: list[Context],
        method: str,
        asked: str,
        path: str,
        host: str,
        sent: str | None,
        depth: int = 0,
        gate: Gate | None = None,
    ) -> Iterator[Passage]:
        request = self._request(method, path, host, tls=self.tls)
        for state in self._states(near, request, gate or self.certificate):
            new = self._rewritten(state.settings, path, again=depth > 0)
            if new is not None and depth < _MOST_REWRITES:
                doubtful = doubt("lighttpd: a rewrite is not followed")
                inner = state.gate if new.startswith("/") else state.gate & doubtful
                new = new if new.startswith("/") else guessed(path)
                yield from self._follow(
                    near,
                    method,
                    asked,
                    new,
                    host,
                    sent,
                    depth + 1 if inner is state.gate else _MOST_REWRITES,
                    inner,
                )
            elif self._answers(state.settings, method, path):
                continue
            else:
                yield from self._served(state, asked, path, host, sent)

    def _states(self, near: list[Context], request: Request, gate: Gate) -> list[_State]:
        """Every way in which the conditions may hold, with the settings that are then in force."""
        states = [_State(gate)]
        known = {context.number for context in near}
        chosen: set[str] = set()
        for context in near:
            after: list[_State] = []
            again = context.kind in chosen and context.previous is None
            for state in states:
                fork = self._held(context, state, request, known)
                if fork is CHOICE:
                    # A client has one such header for both: they are not two choices.
                    fork = doubted(f"lighttpd: {context.kind} ({context.at})") if again else fork
                    chosen.add(context.kind)
                inside = state.gate if fork is ALWAYS else state.gate & fork.yes
                if fork is not NEVER and inside.passing:
                    settings = {**state.settings, **context.settings}
                    after.append(_State(inside, settings, state.held | {context.number}))
                if fork is NEVER:
                    after.append(state)
                elif fork is not ALWAYS and (outside := state.gate & fork.no).passing:
                    after.append(replace(state, gate=outside))
            states = after
            if len(states) > _MOST_STATES:
                why = doubt("lighttpd: too many conditions decide together")
                return [replace(state, gate=state.gate & why) for state in states[:_MOST_STATES]]
        return states

    @staticmethod
    def _held(context: Context, state: _State, request: Request, known: set[int]) -> Fork:
        if context.parent is not None and context.parent.number not in state.held:
            return NEVER
        before = context.previous
        while before is not None:
            if before.number in state.held and before.number in known:
                return NEVER
            before = before.previous
        return condition(context, request)

    def _rewritten(self, settings: dict[str, Value], path: str, *, again: bool) -> str | None:
        """The new path by mod_rewrite, None for none; one that does not start with / is not known.

        `rewrite-once` and its old names count only for what was not rewritten yet.
        """
        if "rewrite" not in self.modules:
            return None
        once = ("url.rewrite-once", "url.rewrite", "url.rewrite-final")
        for name in ("url.rewrite-repeat", *(() if again else once)):
            value = settings.get(name)
            for entry in value if isinstance(value, tuple) else ():
                try:
                    found = re.search(entry.key, path)
                except re.error:
                    return ""
                if found is None:
                    continue
                target = str(entry.value)
                if re.search(r"%\d|%\{|\$\{(?!\d+\}|qsa\})", target):
                    return ""
                groups = [found[0], *(group or "" for group in found.groups())]
                target = re.sub(
                    r"\$\{?(\d+)\}?",
                    lambda m: groups[int(m[1])] if int(m[1]) < len(groups) else "",  # noqa: B023
                    target.replace("${qsa}", ""),
                )
                return target.partition("?")[0]
        return None

    def _answers(self, settings: dict[str, Value], method: str, path: str) -> bool:
        """Whether lighttpd answers by itself: a redirect, a refusal, or a login without users."""
        del method
        redirects = settings.get("url.redirect")
        if "redirect" in self.modules and isinstance(redirects, tuple):
            for entry in redirects:
                if _search(entry.key, path):
                    return True
        if "access" in self.modules:
            if allowed := words(settings.get("url.access-allow")):
                return not path.endswith(allowed)
            if path.endswith(words(settings.get("url.access-deny")) or ("\0",)):
                return True
        wanted = self._login(settings, path)
        return wanted is not None and _method(wanted) != "extern" and "auth.backend" not in settings

    def _login(self, settings: dict[str, Value], path: str) -> Entry | None:
        """What mod_auth asks for: the first entry whose path is the beginning."""
        value = settings.get("auth.require")
        if "auth" not in self.modules or not isinstance(value, tuple):
            return None
        return next((entry for entry in value if path.startswith(entry.key)), None)

    def _served(
        self, state: _State, asked: str, path: str, host: str, sent: str | None
    ) -> Iterator[Passage]:
        settings, gate = state.settings, state.gate
        if wanted := self._login(settings, path):
            gate &= login(f"lighttpd: auth.require for {wanted.key or 'everything'} ({wanted.at})")
        if "magnet" in self.modules and any(n.startswith("magnet.attract") for n in settings):
            gate &= doubt("lighttpd: a script of mod_magnet decides")
        for module in self.modules:
            value = settings.get(f"{module}.server")
            if module not in {*_GATEWAYS, "proxy"} or not isinstance(value, tuple):
                continue
            entry = next((each for each in value if _covers(each.key, path)), None)
            if entry is None:
                continue
            if module != "proxy":
                if "authorizer" not in repr(entry.value):
                    if module == "sockproxy":
                        yield from self._to(entry, asked, path, gate, None)
                    return
                gate &= doubt(f"lighttpd: an authorizer decides ({entry.at})")
                continue
            new, name = _mapped(settings.get("proxy.header"), path, host, sent)
            if "setenv" in self.modules and "setenv.set-request-header" in settings:
                name = None
            yield from self._to(entry, asked, new, gate, name)
            return

    def _to(
        self, entry: Entry, asked: str, path: str, gate: Gate, host: str | None
    ) -> Iterator[Passage]:
        """One passage for each address behind a prefix; balanced between them."""
        backends = entry.value if isinstance(entry.value, tuple) else ()
        for backend in backends:
            options = backend.value if isinstance(backend.value, tuple) else ()
            given = {option.key: str(option.value) for option in options}
            if given.get("socket") or given.get("host", "/").startswith("/"):
                where = given.get("socket") or given.get("host", "")
                target: tuple[Upstream, ...] = (
                    Upstream(reason=f"what listens at {where or 'a socket'} is not followed"),
                )
            else:
                port = given.get("port", "80")
                number = int(port) if port.isdecimal() else 80
                target = resolve(given["host"], number, self.names)
            for upstream in target:
                yield Passage(asked, path, upstream, gate, entry.at, host)


def _decides(context: Context) -> bool:
    return any(_DECIDING.match(name) for name in context.settings)


def _method(entry: Entry) -> str:
    options = entry.value if isinstance(entry.value, tuple) else ()
    return next((str(option.value) for option in options if option.key == "method"), "")


def _search(pattern: str, path: str) -> bool:
    try:
        return bool(re.search(pattern, path))
    except re.error:
        return False


def _covers(key: str, path: str) -> bool:
    """A key that starts with / is the beginning of a path, any other its end (gw_backend.c)."""
    return path.startswith(key) if key.startswith("/") else path.endswith(key)


def _mapped(header: Value | None, path: str, host: str, sent: str | None) -> tuple[str, str | None]:
    """Path and Host header as `proxy.header` writes them (mod_proxy.c, http_header_remap_*)."""
    for option in header if isinstance(header, tuple) else ():
        entries = option.value if isinstance(option.value, tuple) else ()
        if option.key == "map-urlpath":
            for entry in entries:
                if path.startswith(entry.key):
                    path = f"{entry.value}{path.removeprefix(entry.key)}"
                    break
        elif option.key == "map-host-request":
            for entry in entries:
                if entry.key in {"-", host}:
                    sent = sent if entry.value == "-" else str(entry.value)
                    break
    return path, sent


def _prefixes(near: list[Context]) -> list[str]:
    """The literal beginnings of the paths that these contexts speak of."""
    found: list[str] = []
    for context in near:
        texts = [context.text] if context.kind == "HTTP url" else []
        for name in (
            "proxy.server",
            "sockproxy.server",
            "auth.require",
            "url.rewrite-once",
            "url.rewrite",
            "url.rewrite-repeat",
            "url.rewrite-final",
        ):
            value = context.settings.get(name)
            texts += [entry.key for entry in value] if isinstance(value, tuple) else []
        for option in _entries(context.settings.get("proxy.header")):
            if option.key == "map-urlpath":
                texts += [entry.key for entry in _entries(option.value)]
        for text in texts:
            literal = re.match(r"(?:/[\w.-]+)+", text.lstrip("^").replace("\\.", "."))
            if literal:
                found.append(re.split(r"/(?:api|v1)(?:/|$)", literal[0])[0])
    return [each for each in dict.fromkeys(found) if each]


def _entries(value: Value | None) -> tuple[Entry, ...]:
    return value if isinstance(value, tuple) else ()
