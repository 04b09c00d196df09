"""What one server of nginx does with one request: script, location, login, upstream.

The phases and their order are those of nginx: rewrite of the server, choice of a location,
rewrite of the location, access, `try_files`, content (nginx.org, "Development guide", "Phases").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ollama_audit.exposure.forwarders.clients import OPEN, SHUT, Gate, only
from ollama_audit.exposure.forwarders.nginx import access
from ollama_audit.exposure.forwarders.nginx.locations import Place, find
from ollama_audit.exposure.forwarders.nginx.symbols import Request, Symbol, expression
from ollama_audit.exposure.forwarders.nginx.syntax import Directive
from ollama_audit.exposure.forwarders.nginx.values import Values
from ollama_audit.exposure.forwarders.web import guessed

Block = tuple[Directive, ...]

_MOST_TURNS = 10
"""As nginx: more internal redirects are an error 500."""
_MOST_WAYS = 64

# Handlers that make the answer by a program of their own, which may ask Ollama.
_PROGRAMS = ("content_by_lua", "js_content", "perl")


_SCRIPT = frozenset(
    {"if", "set", "return", "rewrite", "break", "try_files", "error_page", "auth_request"}
)
"""What makes an end depend on more than the location."""


def _scripted(each: Directive) -> bool:
    """Whether a directive may do another thing with another path."""
    return each.name in _SCRIPT or (each.name == "auth_basic" and "$" in "".join(each.args))


_ELSEWHERE = frozenset({"fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"})
_Plain = tuple[Gate, Directive | None, str | None]
"""The gate, what passes requests on (None: nothing does), and the Host header it sends."""


@dataclass(frozen=True, slots=True)
class State:
    """A request on its way through the phases."""

    request: Request
    gate: Gate = OPEN
    """Who brought the request here."""
    layers: tuple[Block, ...] = ()
    """The blocks in force, from `http` inwards."""
    prefix: str = ""
    """The literal prefix of the location, which a URI of proxy_pass takes the place of."""
    rewritten: bool = False
    turns: int = 0
    failed: bool = False
    """An error page is being made: nginx makes no second one."""
    stopped: str = ""
    """`break`, `last`, or the status of a `return`."""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """How a request ends."""

    gate: Gate
    status: int = 0
    """The answer's status when nginx makes it itself; 0 when it is passed on."""
    target: str = ""
    """What proxy_pass names, with its variables put in; empty when nobody can tell."""
    path: str = ""
    """The path that the upstream gets."""
    host: str | None = None
    detail: str = ""
    reason: str = ""


def inherited(layers: tuple[Block, ...], *names: str) -> list[Directive]:
    """The directives of these names at the innermost level that has any."""
    for block in reversed(layers):
        if found := [each for each in block if each.name in names]:
            return found
    return []


@dataclass(slots=True)
class Server:
    """One `server` block of the `http` block, ready to be asked."""

    http: Block
    block: Block
    values: Values
    tls: bool
    ends_made: int = 0
    _scripts: bool | None = None
    _plain: dict[tuple[int, str], _Plain | None] = field(default_factory=dict)

    def ends(self, method: str, path: str) -> list[End]:
        """Everything that a request may come to, each with the clients that get there."""
        plain = self._plainly(method, path)
        if plain is not None:
            return plain
        start = self._started(method, path)
        return [end for state in self._scripted(self.block, start) for end in self._served(state)]

    def _plainly(self, method: str, path: str) -> list[End] | None:
        """The ends of a request in a location without a script; None when it takes more.

        Such a location does the same with every path, so that it is judged once.
        """
        if self._scripts is None:
            self._scripts = any(map(_scripted, (*self.http, *self.block)))
        if self._scripts:
            return None
        place = find(self.block, path)
        if place is None or len(place.blocks) != 1:
            return None
        block = place.blocks[0]
        key = (id(block), method)
        if key not in self._plain:
            self._plain[key] = self._judged(method, path, place)
        known = self._plain[key]
        if known is None:
            return None
        gate, handler, host = known
        if handler is None:
            return []
        scheme, _, rest = handler.args[0].partition("://")
        authority, slash, uri = rest.partition("/")
        sent = f"/{uri}{path.removeprefix(place.prefix)}" if slash else path
        target = f"{scheme}://{authority}"
        return [End(gate, target=target, path=sent, host=host, detail=handler.at)]

    def _judged(self, method: str, path: str, place: Place) -> _Plain | None:
        block = place.blocks[0]
        if any(_scripted(each) or each.name in {"limit_except", "internal"} for each in block):
            return None
        layers = (self.http, self.block, block)
        handler = _handler(layers)
        if handler is None or handler.name in _ELSEWHERE:
            return SHUT, None, None
        if handler.name != "proxy_pass" or not handler.args:
            return None
        if "$" in handler.args[0] or "unix:" in handler.args[0]:
            return None
        state = replace(self._started(method, path), layers=layers)
        gate = state.gate & access.gate(layers, self.values, state.request, OPEN)
        authority = handler.args[0].partition("://")[2].partition("/")[0]
        return gate, handler, self._host(state, authority)

    def _started(self, method: str, path: str) -> State:
        certificates = inherited((self.http, self.block), "ssl_verify_client")
        request = Request(
            method=method,
            asked=path,
            path=path,
            tls=self.tls,
            certificates=certificates[0].args[0] if certificates else "off",
            variables={},
            believed=access.believed((self.http, self.block)),
        )
        self.ends_made = 0
        gate = access.certificate(request)
        return State(request, gate=gate, layers=(self.http, self.block))

    def _served(self, state: State) -> Iterator[End]:
        """From the end of the server's script on."""
        if state.stopped.isdigit():
            yield from self._answered(state)
            return
        yield from self._located(replace(state, stopped=""))

    def _located(self, state: State) -> Iterator[End]:
        self.ends_made += 1
        if state.turns > _MOST_TURNS or self.ends_made > _MOST_WAYS:
            reason = "the configuration is too entangled to follow"
            yield End(state.gate, detail="", reason=reason)
            return
        if not state.gate.passing:
            return
        found = find(self.block, state.request.path)
        if found is None:
            reason = "a location's regular expression cannot be tried"
            yield End(state.gate, reason=reason)
            return
        if found.blocks and not (state.rewritten or state.turns) and _internal(found.blocks[-1]):
            yield from self._error(replace(state, layers=(self.http, self.block)), 404, state.gate)
            return
        yield from self._entered(state, found)

    def _entered(self, state: State, place: Place) -> Iterator[End]:
        """In a location: its script, then access and content, or another location."""
        captured = {**state.request.variables, **place.captured}
        state = replace(
            state,
            layers=(self.http, self.block, *place.blocks),
            prefix=place.prefix,
            request=replace(state.request, variables=captured),
        )
        innermost = place.blocks[-1] if place.blocks else ()
        for limit in innermost:
            if limit.name == "limit_except" and not _excepted(limit, state.request.method):
                # Chosen before the script runs, and has none (ngx_http_update_location_config).
                yield from self._accessed(replace(state, layers=(*state.layers, limit.block or ())))
                return
        for each in self._scripted(innermost, state):
            if each.stopped.isdigit():
                yield from self._answered(each)
            elif each.stopped == "last":
                again = replace(each, stopped="", turns=each.turns + 1, rewritten=True)
                yield from self._located(again)
            else:
                yield from self._accessed(each)

    # The rewrite phase

    def _scripted(self, block: Block, state: State) -> list[State]:
        """The states after the directives of ngx_http_rewrite_module in a block, in order."""
        states, around = [state], state.layers
        for directive in block:
            if directive.name in {"if", "set", "return", "rewrite", "break"}:
                states = [
                    after
                    for before in states
                    for after in (
                        [before] if before.stopped else self._step(directive, before, around)
                    )
                ]
                if len(states) > _MOST_WAYS:
                    why = access.unclear(f"too many conditions before {directive.at}")
                    return [replace(state, gate=state.gate & why)]
        return [each for each in states if each.gate.passing]

    def _step(self, directive: Directive, state: State, around: tuple[Block, ...]) -> list[State]:
        args = directive.args
        match directive.name:
            case "break":
                return [replace(state, stopped="break")]
            case "return" if args:
                status = args[0] if args[0].isdigit() else "302"
                return [replace(state, stopped=status, ended=len(args) > 1)]
            case "set" if len(args) == 2:
                value = self.values.expand(args[1], state.request)
                known = {**state.request.variables, args[0].lstrip("$"): value}
                return [replace(state, request=replace(state.request, variables=known))]
            case "rewrite" if len(args) >= 2:
                return self._rewritten(args, state)
            case "if":
                return self._branched(directive, state, around)
            case _:
                return [state]

    def _branched(
        self, directive: Directive, state: State, around: tuple[Block, ...]
    ) -> list[State]:
        """An `if`: its block takes the place of another one that held before it."""
        words = list(directive.args)
        if words:
            words[0] = words[0].removeprefix("(")
            words[-1] = words[-1].removesuffix(")")
        yes, no = self.values.holds(tuple(word for word in words if word), state.request)
        block = directive.block or ()
        inside = replace(state, gate=state.gate & yes, layers=(*around, block))
        outside = replace(state, gate=state.gate & no)
        taken = self._scripted(block, inside) if inside.gate.passing else []
        return taken + ([outside] if outside.gate.passing else [])

    def _rewritten(self, args: tuple[str, ...], state: State) -> list[State]:
        regex = expression(args[0])
        if regex is None:
            unclear = access.unclear(f"the rewrite {args[0]} cannot be tried")
            request = replace(state.request, path=guessed(state.request.path))
            return [replace(state, gate=state.gate & unclear, request=request)]
        found = regex.search(state.request.path)
        if not found:
            return [state]
        captured = {
            **state.request.variables,
            **{str(number): ((OPEN, text or ""),) for number, text in enumerate(found.groups(), 1)},
        }
        request = replace(state.request, variables=captured)
        flag = args[2] if len(args) > 2 else ""
        if args[1].startswith(("http://", "https://", "$scheme")) or flag in {
            "redirect",
            "permanent",
        }:
            return [replace(state, stopped="302", ended=True)]
        result: list[State] = []
        for gate, value in self.values.expand(args[1].partition("?")[0], request):
            path, known = value, gate
            if isinstance(value, Symbol):
                path = guessed(state.request.path)
                known = gate & access.unclear(f"the rewrite to {args[1]} is by a variable")
            result.append(
                replace(
                    state,
                    gate=state.gate & known,
                    request=replace(request, path=path),
                    rewritten=True,
                    # Without a flag nginx goes on with the script, then looks for a location.
                    stopped=flag if flag in {"break", "last"} else "",
                )
            )
        return result

    # Access and content

    def _answered(self, state: State) -> Iterator[End]:
        """The answer of nginx itself; a status without a text may have an error page."""
        status = int(state.stopped)
        if not state.ended and status >= 300:
            yield from self._error(state, status, state.gate)
        yield End(state.gate, status=status)

    def _error(self, state: State, status: int, gate: Gate) -> Iterator[End]:
        """Where `error_page` sends these clients, if it sends them to a location."""
        if state.failed:
            return
        for page in inherited(state.layers, "error_page"):
            codes = page.args[:-1]
            target = page.args[-1] if page.args else ""
            if str(status) in codes and target.startswith(("/", "@")):
                yield from self._redirected(replace(state, gate=gate, failed=True), target)
                return

    def _redirected(self, state: State, target: str) -> Iterator[End]:
        state = replace(state, stopped="", ended=False, turns=state.turns + 1)
        if not target.startswith("@"):
            path = target.partition("?")[0]
            for gate, value in self.values.expand(path, state.request):
                known = value if not isinstance(value, Symbol) else state.request.path
                request = replace(state.request, path=known)
                yield from self._located(
                    replace(state, gate=state.gate & gate, request=request, rewritten=True)
                )
            return
        for each in self.block:
            if each.name == "location" and each.args == (target,):
                yield from self._entered(state, Place(blocks=(each.block or (),)))

    def _accessed(self, state: State) -> Iterator[End]:
        """The access phase, and the error pages of those who do not get past it."""
        gate = access.gate(state.layers, self.values, state.request, self._authorised(state))
        refused = only(~gate.passing)
        if refused.passing:
            yield from self._error(state, 403, state.gate & refused)
        if gate.locked:
            anonymous = only(gate.locked)
            yield from self._error(state, 401, state.gate & anonymous)
        yield from self._contents(replace(state, gate=state.gate & gate))

    def _authorised(self, state: State) -> Gate:
        """Whom the subrequest of `auth_request` lets through."""
        asked = inherited(state.layers, "auth_request")
        if not asked or not asked[0].args or asked[0].args[0] == "off":
            return OPEN
        path = asked[0].args[0].partition("?")[0]
        request = replace(state.request, path=path, method="GET")
        # A subrequest has no access phase of its own for auth_request, hence no recursion.
        inner = replace(state, request=request, gate=OPEN, turns=state.turns + 1, failed=True)
        if state.turns >= 2:
            return access.unclear(f"auth_request {path} asks itself")
        passed = SHUT
        for end in self._located(inner):
            if end.reason:
                passed |= end.gate & access.unclear(f"auth_request {path}: {end.reason}", path)
            elif not end.status:
                passed |= end.gate & access.by_service(asked[0], end.target)
            elif 200 <= end.status < 300:
                passed |= end.gate
        return passed

    def _contents(self, state: State) -> Iterator[End]:
        if not state.gate.passing:
            return
        innermost = state.layers[-1]
        for each in innermost:
            if each.name == "try_files" and each.args:
                last = each.args[-1]
                if last.startswith("="):
                    yield from self._error(state, _status(last), state.gate)
                else:
                    yield from self._redirected(state, last)
                return
        handler = _handler(state.layers)
        if handler is None:
            for status in (404, 405):
                yield from self._error(state, status, state.gate)
            yield End(state.gate, status=404)
        elif handler.name == "proxy_pass":
            yield from self._passed(state, handler)
        elif handler.name.startswith(_PROGRAMS):
            reason = f"{handler.name} runs a program that may pass requests on"
            yield End(state.gate, detail=handler.at, reason=reason)
        else:
            yield End(state.gate, status=200)

    def _passed(self, state: State, handler: Directive) -> Iterator[End]:
        request = state.request
        for gate, target in self.values.expand(handler.args[0], request):
            if not (state.gate & gate).passing:
                continue
            if isinstance(target, Symbol):
                reason = f"proxy_pass {handler.args[0]} is not decided by the configuration alone"
                yield End(state.gate & gate, detail=handler.at, reason=reason)
                continue
            scheme, _, rest = target.partition("://")
            authority, slash, uri = rest.partition("/")
            if rest.startswith("unix:"):
                authority, uri, slash = rest, "", ""
            path = request.path
            if slash and "$" in handler.args[0]:
                path = f"/{uri}".partition("?")[0]
            elif slash and not state.rewritten:
                path = f"/{uri}{path.removeprefix(state.prefix)}"
            yield End(
                state.gate & gate,
                target=f"{scheme}://{authority}",
                path=path,
                host=self._host(state, authority),
                detail=handler.at,
            )

    def _host(self, state: State, authority: str) -> str | None:
        """The Host header sent along; by default $proxy_host (ngx_http_proxy_module)."""
        for each in inherited(state.layers, "proxy_set_header"):
            if len(each.args) == 2 and each.args[0].lower() == "host":
                value = each.args[1].replace("$proxy_host", authority)
                found = {text for _, text in self.values.expand(value, state.request)}
                texts = [text for text in found if not isinstance(text, Symbol)]
                return texts[0] if len(texts) == len(found) == 1 else None
        return authority


def _internal(location: Block) -> bool:
    """Whether a location answers 404 to what no rule of nginx itself sent there."""
    return any(each.name == "internal" for each in location)


def _excepted(limit: Directive, method: str) -> bool:
    """Whether `limit_except` spares this method; GET stands for HEAD too."""
    return method in limit.args


_HANDLERS = ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass")


def _handler(layers: tuple[Block, ...]) -> Directive | None:
    """What makes the answer: in the location, or in an `if` or `limit_except` within it.

    Only these inherit proxy_pass from the location around them.
    """
    for block in reversed(layers[2:]):
        for each in block:
            if each.name in _HANDLERS or each.name.startswith(_PROGRAMS):
                return each
            if each.name in {"stub_status", "empty_gif", "return"}:
                return each
        if not _transparent(block, layers):
            return None
    return None


def _transparent(block: Block, layers: tuple[Block, ...]) -> bool:
    """Whether a block is of an `if` or `limit_except` in the block around it."""
    position = next(index for index, each in enumerate(layers) if each is block)
    around = layers[position - 1]
    return any(each.name in {"if", "limit_except"} and each.block is block for each in around)


def _status(text: str) -> int:
    """The status of `=404` in try_files; nginx refuses anything else."""
    return int(text[1:]) if text[1:].isdecimal() else 404
