"""What `allows-every-origin` says of which host."""

from __future__ import annotations

from ollama_audit.rule import BrowserCheck, Hop, Host, Login, Status
from tests.cases import Case
from tests.hosts import (
    HIDDEN,
    LOOPBACK,
    drop_in,
    endpoint,
    environment,
    exposure,
    host,
    server,
    servers,
    unit,
    units,
)

PROXY = (
    Hop(kind="reverse-proxy", name="nginx", pid=5),
    Hop(kind="socket", name="ollama", pid=812),
)


def admitting(value: str | None) -> Host:
    """A server with this OLLAMA_ORIGINS."""
    return host(servers=servers(server(env=environment({"OLLAMA_ORIGINS": value}))))


CASES = [
    Case("as installed", host(), Status.PASS),
    Case("a star", admitting("*"), Status.FAIL, "holds *"),
    Case("a star among others", admitting("https://chat.example.org,*"), Status.FAIL),
    Case("every page by HTTP", admitting("http://*"), Status.FAIL, "http://*"),
    Case("one site", admitting("https://chat.example.org"), Status.PASS),
    Case("any port of one address", admitting("http://192.168.1.10:*"), Status.PASS),
    Case(
        "the environment unread, and a star in a drop-in",
        host(
            servers=servers(server(env=HIDDEN)),
            units=units(unit(files=(drop_in({"OLLAMA_ORIGINS": "*"}),))),
        ),
        Status.FAIL,
        "override.conf:1",
    ),
    Case("the environment unread", host(servers=servers(server(env=HIDDEN))), Status.UNKNOWN),
    Case("processes that hide", host(unseen=3), Status.UNKNOWN, "3 processes"),
    Case(
        "a proxy that takes the Origin away",
        host(
            exposure=exposure(
                LOOPBACK, endpoint("127.0.0.1:8080", hops=PROXY, origin_check=BrowserCheck.NONE)
            )
        ),
        Status.FAIL,
        "127.0.0.1:8080: answered a request with the Origin",
    ),
    Case(
        "the same behind a login",
        host(
            exposure=exposure(
                endpoint(
                    "127.0.0.1:8080",
                    hops=PROXY,
                    login=Login.REQUIRED,
                    origin_check=BrowserCheck.NONE,
                )
            )
        ),
        Status.PASS,
    ),
    Case(
        "the environment unread, and an answer to any page",
        host(
            servers=servers(server(env=HIDDEN)),
            exposure=exposure(endpoint("127.0.0.1:11434", origin_check=BrowserCheck.NONE)),
        ),
        Status.FAIL,
        "answered",
    ),
    Case("no server runs", host(servers=servers()), Status.NOT_APPLICABLE),
]
