"""ngrok's agent.

Commands and files as in ngrok.com/docs/agent/cli and .../agent/config/v2 and v3 (3.39, June 2026);
the addresses that it was given are said by its agent API (/api/tunnels, /api/endpoints). ngrok's
edge chooses the endpoint by the Host header and sends it along, unless `host_header` says
otherwise; a TCP endpoint carries whatever its client writes. Logins that the agent asks ngrok for
are in its options: basic auth, OAuth, OpenID Connect, client certificates, a traffic policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ollama_audit.exposure.command_line import CommandLine
from ollama_audit.exposure.forwarders.document import document, entries, mapping, word
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, target
from ollama_audit.observed import Known, known_or

_SWITCHES = "all none inspect help h version v compression websocket-tcp-converter".split()  # noqa: SIM905
_SWITCHES += ["pooling-enabled", "bind-tls"]
_LOGINS = {
    "basic-auth": "ngrok asks for a password (basic auth)",
    "oauth": "ngrok asks for an OAuth login",
    "oidc": "ngrok asks for an OpenID Connect login",
    "mutual-tls-cas": "ngrok asks for a client certificate",
}
_ASKING = {"basic-auth", "oauth", "openid-connect", "jwt-validation", "oidc"}
"""Actions of a traffic policy that let nobody past without a login."""
_LIMITED = ("cidr-allow", "cidr-deny", "ip-restriction", "circuit-breaker", "ua-filter-allow")
_CURE = "look at this endpoint and its traffic policy in ngrok's dashboard"


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One endpoint as it was asked for: options by their names on the command line."""

    name: str
    kind: str
    """`http`, `tcp`, `tls`, or empty when only ngrok knows."""
    place: str
    options: dict[str, Any]
    source: str = ""


def ngrok(client: Client) -> Iterator[Tunnel]:
    """What was asked for on the command line or in files, and what else the agent says it runs."""
    line = client.line(_SWITCHES)
    command, *rest = [*line.words, ""]
    policies = {
        path: file
        for path in line.values("traffic-policy-file", "policy-file")
        if (file := client.found.file(path)) is not None
    }
    asked = list(_from_line(command, rest, line, policies)) or list(
        _from_files(client, line, rest if command == "start" else [], set(policies))
    )
    said = known_or(client.found.running, "") if client.found.running else ""
    told = _told(said) if isinstance(client.found.running, Known) else {}
    for endpoint in asked:
        yield _tunnel(client, endpoint, told.pop(endpoint.name, None))
    for name, running in told.items():
        # Made by its API: with which options is not said.
        endpoint = _Endpoint(name, running.kind, running.place, {}, "agent API")
        yield _tunnel(client, endpoint, running, made_elsewhere=True)


@dataclass(frozen=True, slots=True)
class _Running:
    """An endpoint as the agent says that it runs."""

    address: str
    """Its public address."""
    kind: str
    place: str


def _told(said: str) -> dict[str, _Running]:
    """What the agent runs, by name."""
    document_ = mapping(json.loads(said or "{}"))
    found: dict[str, _Running] = {}
    for each in map(mapping, entries(document_.get("tunnels"))):
        # Version 2 of the agent has the plain half of a pair as `NAME (http)`.
        name = word(each.get("name")).removesuffix(" (http)")
        place = word(mapping(each.get("config")).get("addr"))
        found.setdefault(name, _Running(word(each.get("public_url")), _kind(each), place))
    for each in map(mapping, entries(document_.get("endpoints"))):
        place = word(mapping(each.get("upstream")).get("url"))
        name = word(each.get("name"))
        found.setdefault(name, _Running(word(each.get("url")), _kind(each), place))
    return found


def _kind(each: dict[str, Any]) -> str:
    named = word(each.get("proto"))
    scheme = named or (word(each.get("public_url")) or word(each.get("url"))).partition(":")[0]
    return "http" if scheme == "https" else scheme


def _from_line(
    command: str, rest: list[str], line: CommandLine, policies: dict[str, Any]
) -> Iterator[_Endpoint]:
    """`ngrok http 11434`, and `tcp`, `tls` and `tunnel` alike."""
    if command not in {"http", "tcp", "tls", "tunnel"}:
        return
    options: dict[str, Any] = {name: values[-1] for name, values in line.options.items()}
    if policies:
        options["traffic-policy"] = [
            document(path, known_or(file.text, "[")) for path, file in policies.items()
        ]
    elif line.has("traffic-policy-file", "policy-file"):
        options["traffic-policy"] = [None]
    # A labelled tunnel belongs to an edge, which is configured at ngrok.
    kind = "" if command == "tunnel" else command
    yield _Endpoint("command_line", kind, rest[0] or "80", options)


def _from_files(
    client: Client, line: CommandLine, names: list[str], others: set[str]
) -> Iterator[_Endpoint]:
    """`ngrok start NAME` and `ngrok start --all`: `tunnels` and, since version 3, `endpoints`."""
    wanted = set(names) - {""}
    for path, value in client.documents():
        if path in others:
            continue
        whole = mapping(value)
        for name, given in mapping(whole.get("tunnels")).items():
            if line.has("all") or name in wanted:
                yield _of_tunnel(name, mapping(given), path)
        for given in map(mapping, entries(whole.get("endpoints"))):
            if line.has("all") or word(given.get("name")) in wanted:
                yield _of_endpoint(given, path)


def _of_tunnel(name: str, given: dict[str, Any], path: str) -> _Endpoint:
    options = {key.replace("_", "-"): inner for key, inner in given.items()}
    if policy := options.get("traffic-policy", options.get("policy")):
        options["traffic-policy"] = [policy]
    kind = "" if "labels" in given else word(given.get("proto")) or "http"
    return _Endpoint(name, kind, word(given.get("addr")), options, path)


def _of_endpoint(given: dict[str, Any], path: str) -> _Endpoint:
    upstream = given.get("upstream")
    place = word(mapping(upstream).get("url")) or word(upstream)
    url = word(given.get("url"))
    scheme = url.partition("://")[0] if "://" in url else "https"
    options: dict[str, Any] = {"url": url, "bindings": given.get("bindings")}
    if policy := given.get("traffic_policy"):
        options["traffic-policy"] = [policy]
    kind = "http" if scheme == "https" else scheme
    return _Endpoint(word(given.get("name")), kind, place, options, path)


def _tunnel(
    client: Client, asked: _Endpoint, running: _Running | None, *, made_elsewhere: bool = False
) -> Tunnel:
    place, port = target(asked.place, 80)
    address = running.address if running else _address(asked)
    login, because = _login(asked.options)
    doubts = [f"{name} decides who gets in" for name in _LIMITED if asked.options.get(name)]
    if made_elsewhere:
        doubts.append("with which options it was made is not said by the agent")
    if not asked.kind or _internal(asked, address):
        doubts.append("who gets to it is configured at ngrok")
    if doubts and login is Login.NONE:
        login, because = Login.UNKNOWN, tuple(doubts)
    policy = "traffic-policy" in asked.options
    raw = asked.kind in {"tcp", "tls"}
    chosen = raw or policy or made_elsewhere or not asked.kind
    steps = client.to(
        place,
        port,
        hosts=None if chosen else (_host(asked, place, port, address),),
        login=login,
        login_because=because,
        tls=Encryption.PLAIN if asked.kind == "tcp" else Encryption.TLS,
        detail=asked.source,
    )
    return Tunnel(
        label=f"ngrok {asked.kind or 'edge'} to {place}:{port}",
        name=address,
        steps=steps,
        sure=not doubts and login is not Login.UNKNOWN,
        because=tuple(doubts) or because or ("ngrok lets in whoever has its address",),
        cure=_CURE,
        enciphered=asked.kind == "tls",
    )


def _host(asked: _Endpoint, place: str, port: int, address: str) -> str:
    """The Host header that is sent along."""
    given = word(asked.options.get("host-header"))
    if given == "rewrite":
        return f"{place}:{port}"
    if given and given != "preserve":
        return given
    return address.partition("://")[2] or "any.ngrok.app"


def _address(asked: _Endpoint) -> str:
    """The public address that was asked for; empty when ngrok chose it."""
    names = ("url", "domain", "hostname", "remote-addr")
    given = next(filter(None, (word(asked.options.get(name)) for name in names)), "")
    if not given or "://" in given:
        return given
    return f"{'https' if asked.kind == 'http' else asked.kind or 'https'}://{given}"


def _internal(asked: _Endpoint, address: str) -> bool:
    """Whether it is reached through another endpoint only (`.internal`, or a binding)."""
    bindings = set(map(word, entries(asked.options.get("bindings"))))
    bindings |= set(map(word, entries(asked.options.get("binding"))))
    named = address.partition("://")[2].partition(":")[0].partition("/")[0]
    return named.endswith(".internal") or bool(bindings - {"public", ""})


def _login(options: dict[str, Any]) -> tuple[Login, tuple[str, ...]]:
    found = [why for name, why in _LOGINS.items() if options.get(name)]
    if found:
        return Login.REQUIRED, tuple(found)
    if "traffic-policy" not in options:
        return Login.NONE, ()
    for policy in map(mapping, options["traffic-policy"]):
        for rule in map(mapping, entries(policy.get("on_http_request"))):
            actions = {word(mapping(each).get("type")) for each in entries(rule.get("actions"))}
            if actions & _ASKING and not entries(rule.get("expressions")):
                return Login.REQUIRED, ("ngrok's traffic policy asks for a login",)
    return Login.UNKNOWN, ("its traffic policy is not followed",)
