"""Clients that are told everything on their command lines, or by variables.

bore (src/main.rs, 0.5), chisel (main.go and share/settings/remote.go, 1.10), zrok (cmd/zrok, 1.0),
localtunnel (bin/lt.js and lib/HeaderHostTransformer.js, 2.0), Microsoft's devtunnel ("Dev tunnels
command-line reference", 2025), inlets ("inlets-pro http/tcp client"), gost (gost.run, "Reverse
proxy - tunnel", v3) and playit, whose tunnels are kept at playit.gg.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.exposure.tunnels.tunnel import Client, Tunnel, elsewhere, host_port, target

_BORE_PUBLIC = "bore.pub"


def _server(url: str) -> str:
    """The host of a server's address; empty when there is none."""
    try:
        return target(url, 443)[0] if url else ""
    except ValueError:
        return ""


def bore(client: Client) -> Iterator[Tunnel]:
    """`bore local 11434 --to bore.pub [--port 9000] [--local-host HOST]`; it carries bytes."""
    line = client.line({"h", "help", "V", "version"})
    if line.words[:1] != ("local",):
        return
    server = line.value("to", "t") or client.variable("BORE_SERVER")
    port = "".join(line.words[1:2]) or client.variable("BORE_LOCAL_PORT")
    host = line.value("local-host", "l") or client.variable("BORE_LOCAL_HOST") or "localhost"
    remote = line.value("port", "p")
    public = server == _BORE_PUBLIC
    yield Tunnel(
        label=f"bore port at {server}",
        name=f"{server}:{remote}" if remote not in {"", "0"} else "",
        steps=client.to(*host_port(f"{host}:{port}")),
        zone=elsewhere(server),
        sure=public,
        because=("bore.pub lets in everybody",)
        if public
        else (f"who gets to bore's port at {server} is decided there",),
        cure=f"look at the firewall of {server}",
    )


_CHISEL_SWITCHES = ("v", "pid", "tls-skip-verify", "help", "h", "socks5", "reverse")


def chisel(client: Client) -> Iterator[Tunnel]:
    """`chisel client SERVER R:9000:localhost:11434`; `R:socks` leads wherever its user likes."""
    line = client.line(_CHISEL_SWITCHES)
    command, server, *remotes = [*line.words, "", ""]
    if command != "client":
        return
    host = _server(server)
    for remote in filter(None, remotes):
        found = re.fullmatch(
            r"R:(?:(?P<at>.+?):)?(?:(?P<far>\d+):)?(?P<to>socks|[^:]*:?\d+)", remote
        )
        if found is None or remote.endswith("/udp"):
            continue
        socks = found["to"] == "socks"
        steps = client.anywhere() if socks else client.to(*host_port(found["to"]))
        yield Tunnel(
            label=f"chisel {remote} at {host}",
            steps=steps,
            zone=elsewhere(host),
            because=(f"who gets to {remote} is decided at the chisel server {host}",),
            cure=f"look at the firewall of {host}",
        )


_ZROK_SWITCHES = frozenset(
    {"headless", "subordinate", "force-local", "force-agent", "insecure", "closed", "open"}
    | {"verbose", "v", "panic", "p", "help", "h"}
)


def zrok(client: Client) -> Iterator[Tunnel]:
    """`zrok share public localhost:11434`; private shares are for who has their token.

    zrok's frontend chooses the share by the Host header, and sends it along.
    """
    line = client.line(_ZROK_SWITCHES)
    if line.words[:1] == ("agent",):
        return  # each of its shares is a process of its own
    if line.words[:1] != ("share",):
        return
    mode, place = [*line.words[1:3], "", ""][:2]
    backend = line.value("backend-mode", "b") or "proxy"
    if backend in {"web", "caddy", "drive", "udpTunnel"}:
        return
    told = line.value("override-endpoint") if mode == "reserved" else place
    cure = "zrok overview; zrok status"
    if not told or backend in {"socks", "vpn"}:
        reason = "where this share leads is kept at zrok"
        steps = client.anywhere(login=Login.UNKNOWN) if told else (client.unclear(reason, cure),)
        yield Tunnel(label=f"zrok {mode} share", steps=steps, because=(reason,), cure=cure)
        return
    asked = {
        "basic-auth": "zrok asks for a password",
        "oauth-provider": "zrok asks for an OAuth login",
    }
    because = tuple(why for name, why in asked.items() if line.value(name))
    public = mode == "public"
    login = Login.REQUIRED if because else Login.NONE if public else Login.UNKNOWN
    sure = public and not line.has("closed")
    doubt = "only those get in whom zrok's access grants name, or who have the share's token"
    yield Tunnel(
        label=f"zrok {mode} share of {told}",
        steps=client.to(
            *target(told, 80),
            hosts=("any.share.zrok.io",) if public else None,
            login=login,
            login_because=because or (() if public else (doubt,)),
            tls=Encryption.TLS,
        ),
        sure=sure,
        because=because or (("zrok lets in whoever has the address",) if sure else (doubt,)),
        cure=cure,
    )


def localtunnel(client: Client) -> Iterator[Tunnel]:
    """`lt --port 11434 [--local-host HOST] [--subdomain NAME]`.

    With a local host that host is sent as Host header, else the public name.
    """
    line = client.line({"o", "open", "local-https", "allow-invalid-cert", "print-requests", "help"})
    port = line.value("port", "p")
    if not port:
        return
    server = line.value("host", "h") or "https://localtunnel.me"
    place = line.value("local-host", "l")
    name = line.value("subdomain", "s")
    public = _server(server) in {"localtunnel.me", "loca.lt"}
    yield Tunnel(
        label=f"localtunnel to port {port}",
        name=f"https://{name}.loca.lt" if name and public else "",
        steps=client.to(
            *host_port(f"{place or 'localhost'}:{port}"),
            hosts=(place or "any.loca.lt",),
            tls=Encryption.TLS,
        ),
        sure=public,
        because=("localtunnel lets in whoever has the address",)
        if public
        else (f"who gets in is decided at {server}",),
    )


_MICROSOFT = "dev tunnels ask for a Microsoft login"


def devtunnel(client: Client) -> Iterator[Tunnel]:
    """`devtunnel host -p 11434 [--allow-anonymous]`; who is not anonymous logs in at Microsoft.

    Its edge sends `localhost` as Host header unless it is told otherwise (TunnelOptions of the
    dev tunnels SDK, HostHeader), which is taken for granted.
    """
    line = client.line({"a", "allow-anonymous", "v", "verbose", "n", "nologo", "h", "help", "o"})
    if line.words[:1] != ("host",):
        return
    anonymous = line.has("allow-anonymous", "a")
    ports = line.values("port-numbers", "port-number", "port", "p")
    cure = "devtunnel show; devtunnel access list"
    if not ports:
        reason = "which ports this tunnel has is kept at Microsoft"
        yield Tunnel(
            label="devtunnel", steps=(client.unclear(reason, cure),), because=(reason,), cure=cure
        )
        return
    for port in ports:
        yield Tunnel(
            label=f"devtunnel port {port}",
            steps=client.to(
                "localhost",
                int(port),
                login=Login.NONE if anonymous else Login.REQUIRED,
                login_because=() if anonymous else (_MICROSOFT,),
                tls=Encryption.TLS,
            ),
            sure=True,
            because=("it was told --allow-anonymous",) if anonymous else (_MICROSOFT,),
            cure=cure,
        )


def inlets(client: Client) -> Iterator[Tunnel]:
    """`inlets-pro http client --url=... --upstream=http://127.0.0.1:11434`, and `tcp client`."""
    line = client.line({"auto-tls", "strict-forwarding", "insecure", "h", "help"})
    kind = "".join(line.words[:1])
    if "client" not in line.words:
        return
    server = _server(line.value("url"))
    places = line.values("upstream")
    if kind == "tcp":
        ports = line.values("ports", "port")
        places = tuple(f"{place}:{port}" for place in places for port in ports)
    for place in places:
        # `http client` takes `NAME=URL` for one of several names.
        leads = place.partition("=")[2] or place
        yield Tunnel(
            label=f"inlets {kind} to {leads}",
            steps=client.to(*target(leads, 80)),
            zone=elsewhere(server),
            because=(f"who gets in is decided at the inlets server {server}",),
            cure=f"look at the firewall and the logins of {server}",
        )


def gost(client: Client) -> Iterator[Tunnel]:
    """`gost -L rtcp://:9000/127.0.0.1:11434 -F relay://SERVER`: a port of the server."""
    line = client.line({"D", "V", "DD"})
    server = _server("".join(line.values("F")[-1:]))
    for service in line.values("L"):
        found = re.fullmatch(r"r?tcp(?:\+\w+)?://(?P<at>[^/]*)/(?P<to>[^?]+).*", service)
        if found is None or not service.startswith("rtcp") or not server:
            continue
        yield Tunnel(
            label=f"gost {found['at']} at {server}",
            steps=client.to(*host_port(found["to"])),
            zone=elsewhere(server),
            because=(f"who gets to {found['at']} is decided at {server}",),
            cure=f"look at the firewall of {server}",
        )


def playit(client: Client) -> Iterator[Tunnel]:
    """The agent takes from playit.gg where its tunnels lead."""
    reason = "where its tunnels lead is configured at playit.gg, not on this host"
    cure = "look at the tunnels of this agent at playit.gg"
    yield Tunnel(
        label="playit agent", steps=(client.unclear(reason, cure),), because=(reason,), cure=cure
    )
