"""Cloudflare Tunnel's client.

Commands and variables as in cloudflared cmd/cloudflared/tunnel/cmd.go, ingress rules as in
config/configuration.go and ingress/ingress.go (2025): the first rule whose hostname and path fit
a request decides, and a last one without either takes the rest. What a running client goes by is
at `/config` of its metrics server (metrics/metrics.go), also where Cloudflare keeps the
configuration; a quick tunnel's name is at `/quicktunnel`.

Which hostnames lead to a tunnel (DNS) and who is asked for a login (Access) is kept at
Cloudflare, except that a rule may refuse what did not come through Access
(`originRequest.access.required`). Quick tunnels have neither: whoever has the name gets in.
Cloudflare's edge chooses the tunnel by the Host header, so a client cannot send another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ollama_audit.exposure.command_line import CommandLine
from ollama_audit.exposure.forwarders.document import document, entries, mapping, word
from ollama_audit.exposure.forwarders.web import REQUESTS
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, target, text_of
from ollama_audit.observed import Known

_SWITCHES = """
    no-autoupdate is-autoupdated hello-world bastion proxy-no-happy-eyeballs no-tls-verify
    no-chunked-encoding http2-origin post-quantum pq help h version v force f overwrite-dns
    management-diagnostics stdin-control use-reconnect-tokens
""".split()  # noqa: SIM905 - a block of names reads better
_OTHER_COMMANDS = frozenset(
    """access cleanup create db-connect delete forward help info list login proxy-dns ready route
    service tail token update version vnet""".split()  # noqa: SIM905 - as above
)
_NO_PLACE = ("http_status:", "hello_world", "hello-world", "helloworld", "unix:", "unix+tls:")
"""Services that are not at a port: a fixed answer, a test page, a socket file."""
_CHOSEN = {"bastion", "socks-proxy"}
"""Services that connect to wherever their user asks for."""
_LITERAL = re.compile(r"\^?((?:[\w/-]|\\?\.)*)(?:\.\*)?\$?")
"""A path pattern that says how a path begins, or is one; others are not judged."""
_ACCESS = "whether Cloudflare Access asks for a login is decided at Cloudflare"
_CURE = "look at the tunnel's public hostnames and Access policies in Cloudflare's dashboard"


def cloudflared(client: Client) -> Iterator[Tunnel]:
    """A quick tunnel, one with rules, or one of which only Cloudflare knows where it leads."""
    line = client.line(_SWITCHES)
    command, *names = [each for each in line.words if each != "tunnel"] or [""]
    if command in _OTHER_COMMANDS:
        return
    said = client.found.running
    told = mapping(json.loads(said.value)) if isinstance(said, Known) else {}
    written = _written(client)
    url = line.value("url") or client.variable("TUNNEL_URL") or word(written.get("url"))
    host = (
        line.value("http-host-header")
        or client.variable("TUNNEL_HTTP_HOST_HEADER")
        or word(written.get("http-host-header"))
    )
    if url and command != "run" and not line.value("name", "n"):
        yield _quick(client, url, host, word(mapping(told.get("quicktunnel")).get("hostname")))
        return
    if not told.get("config") and _kept_elsewhere(client, line):
        yield _unknown(client, "")
        return
    identity = line.value("name", "n") or "".join(names[:1]) or word(written.get("tunnel"))
    rules = mapping(told.get("config")) or written
    if not entries(rules.get("ingress")) and url:
        rules = {"ingress": [{"service": url, "originRequest": {"httpHostHeader": host}}]}
    yield from _ingress(client, identity, rules)


def _written(client: Client) -> dict[str, Any]:
    """Its configuration file; empty without one."""
    file = client.found.file(client.found.main) if client.found.main else None
    return mapping(document(file.path, text_of(file))) if file else {}


def _kept_elsewhere(client: Client, line: CommandLine) -> bool:
    """Whether Cloudflare keeps the configuration: it was started with nothing but a token."""
    named = ("TUNNEL_TOKEN", "TUNNEL_TOKEN_FILE")
    return line.has("token", "token-file") or any(map(client.has_variable, named))


def _quick(client: Client, url: str, host: str, hostname: str) -> Tunnel:
    place, port = target(url, 80)
    sent = host or hostname or "quick.trycloudflare.com"
    return Tunnel(
        label=f"cloudflared quick tunnel to {place}:{port}",
        name=f"https://{hostname}" if hostname else "",
        steps=client.to(place, port, hosts=(sent,), tls=Encryption.TLS),
        sure=True,
        because=("a quick tunnel lets in whoever has its name",),
    )


def _unknown(client: Client, identity: str) -> Tunnel:
    reason = "where this tunnel leads is configured at Cloudflare, not on this host"
    return Tunnel(
        label=f"cloudflared tunnel {identity}".rstrip(),
        steps=(client.unclear(reason, _CURE),),
        because=(reason,),
        cure=_CURE,
    )


def _ingress(client: Client, identity: str, rules: dict[str, Any]) -> Iterator[Tunnel]:
    common = mapping(rules.get("originRequest"))
    for rule in map(mapping, entries(rules.get("ingress"))):
        origin = common | mapping(rule.get("originRequest"))
        service, hostname = word(rule.get("service")), word(rule.get("hostname"))
        if service.startswith(_NO_PLACE) or _misses(word(rule.get("path"))):
            continue
        required = mapping(origin.get("access")).get("required") is True
        how = {
            "login": Login.REQUIRED if required else Login.UNKNOWN,
            "login_because": ("cloudflared refuses what did not come through Access",)
            if required
            else (_ACCESS,),
            "tls": Encryption.TLS,
            "detail": client.found.main,
        }
        if service in _CHOSEN or origin.get("bastionMode") is True:
            steps = client.anywhere(**how)
        else:
            place, port = target(service)
            raw = not service.startswith(("http:", "https:"))  # tcp:, ssh:, rdp:, smb:
            # What has no rule of its own has some public name, which is foreign to Ollama.
            sent = word(origin.get("httpHostHeader")) or hostname.replace("*", "any")
            sent = sent or "any.cfargotunnel.com"
            steps = client.to(place, port, hosts=None if raw else (sent,), **how)
        called = hostname or f"tunnel {identity}".rstrip()
        yield Tunnel(
            label=f"cloudflared {called}",
            name=f"https://{hostname}" if hostname and "*" not in hostname else "",
            steps=steps,
            because=(f"who gets into {called} is configured at Cloudflare (DNS, Access)",),
            cure=_CURE,
        )


def _misses(path: str) -> bool:
    """Whether a rule's path surely fits no request that Ollama answers."""
    found = _LITERAL.fullmatch(path)
    if found is None:
        return False
    text = found[1].replace("\\", "")
    return not any(
        asked.startswith(text) if path.startswith("^") else text in asked for _, asked in REQUESTS
    )
