"""frp's client.

Files as in frp pkg/config/v1 (TOML, YAML or JSON, 0.61) and pkg/config/legacy (INI); commands as
in cmd/frpc/sub. A proxy of type `tcp` is a port of the server, of type `http` a name of it, which
the server tells by the Host header; those of `https` and `tcpmux` it tells by other means, so that
the Host header is the client's. `stcp` and `xtcp` are reached by who has their key. Who gets to the
server at all is decided there (its firewall, `proxyBindAddr`).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ollama_audit.exposure.command_line import CommandLine
from ollama_audit.exposure.forwarders.document import document, entries, mapping, word
from ollama_audit.exposure.forwarders.web import REQUESTS
from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.tunnels.tunnel import (
    Client,
    Tunnel,
    elsewhere,
    host_port,
    text_of,
)

_SWITCHES = "h help v version ue uc strict_config strict-config tls_enable tls-enable".split()  # noqa: SIM905
_TYPES = {"tcp", "http", "https", "tcpmux", "stcp", "xtcp"}
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
"""frp fills these from its variables (`{{ .Envs.NAME }}`) before it reads the file."""


@dataclass(slots=True)
class _Told:
    """Everything that the files say."""

    server: str = ""
    start: list[str] = field(default_factory=list)
    """The proxies that are started by name; all, when empty."""
    proxies: list[dict[str, Any]] = field(default_factory=list)


def frp(client: Client) -> Iterator[Tunnel]:
    """The proxies of its files, or the one of its command line."""
    line = client.line(_SWITCHES)
    command = "".join(line.words[:1])
    told = _from_line(command, line) if command in _TYPES else _from_files(client)
    for proxy in told.proxies:
        if proxy.get("type") in _TYPES and proxy.get("enabled") is not False:
            if told.start and proxy.get("name") not in told.start:
                continue
            yield from _proxy(client, told.server, proxy)


def _from_line(command: str, line: CommandLine) -> _Told:
    def value(*names: str) -> str:
        return line.value(*names, *(name.replace("_", "-") for name in names))

    proxy = {
        "name": value("n", "proxy_name"),
        "type": command,
        "localIP": value("i", "local_ip"),
        "localPort": value("l", "local_port"),
        "remotePort": value("r", "remote_port"),
        "customDomains": list(line.values("d", "custom_domain", "custom-domain")),
        "subdomain": value("sd"),
        "httpUser": value("http_user"),
        "httpPassword": value("http_pwd"),
        "hostHeaderRewrite": value("host_header_rewrite"),
        "locations": list(line.values("locations")),
        "secretKey": value("sk"),
    }
    server = value("s", "server_addr")
    return _Told(host_port(server, 7000)[0] if server else "", [], [proxy])


def _from_files(client: Client) -> _Told:
    told = _Told()
    for file in client.found.files:
        text = _TEMPLATE.sub("0", text_of(file))
        if file.path.endswith(".ini") or re.search(r"(?m)^\s*\[common\]", text):
            _legacy(text, told)
            continue
        whole = mapping(document(file.path, text))
        told.server = told.server or word(whole.get("serverAddr"))
        told.start = told.start or [word(each) for each in entries(whole.get("start"))]
        told.proxies += map(mapping, entries(whole.get("proxies")))
    return told


def _legacy(text: str, told: _Told) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(f"not INI: {type(error).__name__}") from error
    for name in parser.sections():
        part = dict(parser[name])
        if name == "common":
            told.server = told.server or part.get("server_addr", "")
            told.start = told.start or _listed(part.get("start", ""))
        elif part.get("role") != "visitor":
            told.proxies += _of_section(name, part)


def _of_section(name: str, part: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One proxy, or of `[range:NAME]` one for each of its ports, in the newer words."""
    proxy: dict[str, Any] = {
        "name": name.removeprefix("range:"),
        "type": part.get("type", "tcp"),
        "localIP": part.get("local_ip", ""),
        "customDomains": _listed(part.get("custom_domains", "")),
        "subdomain": part.get("subdomain", ""),
        "httpUser": part.get("http_user", ""),
        "httpPassword": part.get("http_pwd", ""),
        "hostHeaderRewrite": part.get("host_header_rewrite", ""),
        "locations": _listed(part.get("locations", "")),
        "secretKey": part.get("sk", ""),
    }
    if plugin := part.get("plugin"):
        proxy["plugin"] = {
            "type": plugin,
            "localAddr": part.get("plugin_local_addr", ""),
            "hostHeaderRewrite": part.get("plugin_host_header_rewrite", ""),
            "httpUser": part.get("plugin_http_user", ""),
            "username": part.get("plugin_user", ""),
        }
    local, remote = part.get("local_port", ""), part.get("remote_port", "")
    if name.startswith("range:"):
        for here, there in zip(_ports(local), _ports(remote), strict=False):
            yield proxy | {"localPort": here, "remotePort": there}
    else:
        yield proxy | {"localPort": local, "remotePort": remote}


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _ports(text: str) -> Iterator[int]:
    for part in _listed(text):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            yield from range(int(first), min(int(last or first), int(first) + 1000) + 1)


def _proxy(client: Client, server: str, proxy: dict[str, Any]) -> Iterator[Tunnel]:
    kind, plugin = word(proxy.get("type")), mapping(proxy.get("plugin"))
    login, because = _login(kind, proxy)
    how: dict[str, Any] = {
        "login": login,
        "login_because": because,
        "tls": Encryption.TLS if kind == "https" else Encryption.PLAIN,
        "detail": client.found.main,
    }
    domains = _domains(proxy)
    sent = word(proxy.get("hostHeaderRewrite")) or (domains[0].replace("*", "any"))
    how["hosts"] = (sent,) if kind == "http" else None
    enciphered = kind == "https"
    if plugin:
        steps = _plugged(client, plugin, how)
        enciphered = False
    elif _misses(entries(proxy.get("locations"))):
        steps = ()
    else:
        port = word(proxy.get("localPort"))
        steps = client.to(*host_port(f"{_bracketed(word(proxy.get('localIP')))}:{port}"), **how)
    name = _name(kind, server, proxy, domains)
    decided = f"who gets to {name or server} is decided at frps {server}"
    yield Tunnel(
        label=f"frp proxy {word(proxy.get('name')) or kind}",
        name=name,
        steps=steps,
        zone=elsewhere(server),
        because=(decided,),
        cure=f"look at the firewall and at proxyBindAddr of frps on {server}",
        enciphered=enciphered,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host or "127.0.0.1"


def _domains(proxy: dict[str, Any]) -> list[str]:
    found = [word(each) for each in entries(proxy.get("customDomains"))]
    sub = word(proxy.get("subdomain"))
    # The server completes it by its own domain, which is not said here.
    return [each for each in found if each] or [f"{sub}.frps.example.com" if sub else "any.example"]


def _name(kind: str, server: str, proxy: dict[str, Any], domains: list[str]) -> str:
    if kind == "tcp":
        port = word(proxy.get("remotePort"))
        return f"{_bracketed(server)}:{port}" if port not in {"", "0"} else ""
    named = kind in {"http", "https"} and entries(proxy.get("customDomains"))
    return f"{kind}://{domains[0]}" if named and "*" not in domains[0] else ""


def _login(kind: str, proxy: dict[str, Any]) -> tuple[Login, tuple[str, ...]]:
    if kind in {"stcp", "xtcp"}:
        return Login.REQUIRED, ("only a visitor with its secretKey gets to it",)
    # frps asks when either is set (pkg/util/vhost/http.go, CheckAuth).
    if kind in {"http", "tcpmux"} and (proxy.get("httpUser") or proxy.get("httpPassword")):
        return Login.REQUIRED, ("frps asks for httpUser and httpPassword",)
    return Login.NONE, ()


def _misses(locations: list[Any]) -> bool:
    """Whether no request that Ollama answers begins with one of these paths."""
    starts = tuple(word(each) for each in locations)
    return bool(starts) and not any(asked.startswith(starts) for _, asked in REQUESTS)


def _plugged(client: Client, plugin: dict[str, Any], how: dict[str, Any]) -> tuple[Any, ...]:
    """Where a plugin of the client leads (pkg/plugin/client)."""
    kind = word(plugin.get("type"))
    if kind in {"http_proxy", "socks5"}:
        if plugin.get("httpUser") or plugin.get("username"):
            how |= {"login": Login.REQUIRED, "login_because": ("the proxy asks for a password",)}
        return client.anywhere(**how | {"hosts": None})
    if kind not in {"https2http", "https2https", "http2https", "http2http", "tls2raw"}:
        return ()  # files, a Unix socket, another network
    rewritten = word(plugin.get("hostHeaderRewrite"))
    if rewritten and kind != "tls2raw":
        how["hosts"] = (rewritten,)
    return client.to(*host_port(word(plugin.get("localAddr"))), **how)
