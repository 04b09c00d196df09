"""Hosts with a listener that answered the host's own requests, for tests of what that proves."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.exposure.assess import assess
from ollama_audit.rule import Endpoint, HostSnapshot, Known, Listener, Unknown
from ollama_audit.snapshot.configuration import Configuration
from ollama_audit.snapshot.probe import Probe, Reply
from tests.exposure.networked import default, link, space
from tests.exposure.proxied import PROXY, configured
from tests.hosts import HOST_NAMESPACE, host, listener, namespaces, process

MODELS = ("llama3.2:3b",)
VERSION = Reply(status=200, version="0.35.1")
TAGS = Reply(status=200, models=MODELS)
LOCKED = Reply(status=401, login="Basic")


def probed(version: Reply | Unknown, tags: Reply | None = None, at: str = "0.0.0.0:80") -> Probe:
    """What the listener at this address answered."""
    address, _, port = at.rpartition(":")
    return Probe(
        namespace=HOST_NAMESPACE,
        address=address,
        port=int(port),
        at="127.0.0.1" if address == "0.0.0.0" else address,
        version=version if isinstance(version, Unknown) else Known(version, "GET /api/version"),
        tags=Known(tags, "GET /api/tags") if tags else None,
    )


def snapshot(
    own: Listener,
    probe: Probe | None,
    *,
    name: str = "python3",
    configuration: Configuration | None = None,
    beside: tuple[Listener, ...] = (),
) -> HostSnapshot:
    """Ollama on loopback, this listener, and a way to the LAN and the internet."""
    around = space(link("192.168.1.2/24", "8.8.8.8/24"), routes=(default("8.8.8.1"),))
    listeners = (listener("127.0.0.1:11434"), own, *beside)
    found = host(
        namespaces=namespaces(replace(around, listeners=Known(listeners, "sock_diag"))),
        processes=(process(PROXY, name=name, executable=f"/usr/sbin/{name}"),),
    ).snapshot
    return replace(
        found,
        configurations=(configuration,) if configuration else (),
        probes=Known((probe,) if probe else (), "GET /api/version"),
    )


def nginx(text: str, probe: Probe | None) -> HostSnapshot:
    """An nginx at port 80 with this server block."""
    found = configured("nginx", {"/etc/nginx/nginx.conf": f"http {{ server {{ {text} }} }}"})
    own = listener("0.0.0.0:80", owners=PROXY)
    return snapshot(own, probe, name="nginx", configuration=found)


def unknown_program(probe: Probe | None, at: str = "0.0.0.0:80") -> HostSnapshot:
    return snapshot(listener(at, owners=PROXY), probe)


def endpoints(found: HostSnapshot, port: int = 80) -> list[Endpoint]:
    return [each for each in assess(found).endpoints if each.port == port]


PASS = "proxy_pass http://127.0.0.1:11434;"
BASIC = "auth_basic Ollama; auth_basic_user_file /etc/nginx/users;"
OPEN = f"location / {{ {PASS} }}"
LOGIN = f"{BASIC} {OPEN}"
NEAR = f"satisfy any; allow 127.0.0.1; deny all; {LOGIN}"
SERVICE = f"auth_request /ask; {OPEN} location /ask {{ proxy_pass http://127.0.0.1:9091; }}"
NO_WAY = "location / { return 200; }"
