"""What `answers-to-any-host-name` says of which host."""

from __future__ import annotations

import msgspec

from ollama_audit.rule import (
    BrowserCheck,
    Encryption,
    Endpoint,
    Extent,
    Family,
    Hop,
    Host,
    Login,
    Severity,
    Status,
    Unknown,
    Zone,
)
from tests.cases import Case
from tests.hosts import GAP, LOOPBACK, endpoint, exposure, host, part, server, servers

WILDCARD = endpoint("[::]:11434", lan=Extent.NONE)
PUBLISHED = (
    Hop(kind="docker-proxy", name="docker-proxy to 172.17.0.2:11434", pid=90),
    Hop(kind="socket", name="ollama", pid=2001),
)


def proxy(check: BrowserCheck, *, certain: bool = True, login: Login = Login.NONE) -> Endpoint:
    """nginx on the local network."""
    return endpoint("0.0.0.0:80", lan=Extent.ALL, login=login, certain=certain, host_check=check)


def at(*endpoints: Endpoint) -> Host:
    return host(exposure=exposure(*endpoints))


def unprobed() -> Host:
    """A proxy on a host of which nothing was asked."""
    found = at(proxy(BrowserCheck.UNKNOWN))
    off = Unknown("asking was turned off", "GET /api/version", "leave out --no-probe")
    return msgspec.structs.replace(
        found, snapshot=msgspec.structs.replace(found.snapshot, probes=off)
    )


def allow_list() -> Endpoint:
    """A proxy that serves the LAN's addresses, which loopback's is not, and was asked in vain."""
    lan = part(Zone.LAN, Family.IPV4, Extent.SOME, networks=("192.168.1.0/24",))
    own = part(Zone.HOST, Family.IPV4, Extent.SOME, networks=("192.168.1.10/32",))
    at = msgspec.structs.replace(lan, destinations=("192.168.1.10",))
    return msgspec.structs.replace(proxy(BrowserCheck.UNKNOWN), reach=(own, at))


CASES = [
    Case(
        "a proxy that keeps this machine out as well",
        at(allow_list()),
        Status.UNKNOWN,
        cure="http://192.168.1.10:80/api/version on a machine of 192.168.1.0/24",
    ),
    Case("as installed", host(), Status.PASS, "127.0.0.1:11434"),
    Case(
        "every address, and a firewall that lets nobody in",
        at(WILDCARD),
        Status.FAIL,
        "in a browser on this machine",
        Severity.LOW,
    ),
    Case(
        "every address, open to the local network",
        at(endpoint("[::]:11434", lan=Extent.ALL)),
        Status.FAIL,
        "on this machine or its network",
        Severity.MEDIUM,
    ),
    Case(
        "a container, published on loopback",
        at(endpoint("127.0.0.1:11434", hops=PUBLISHED, host_check=BrowserCheck.NONE)),
        Status.FAIL,
        "docker-proxy to 172.17.0.2:11434 > ollama",
        Severity.LOW,
    ),
    Case("a proxy that answers to any name", at(proxy(BrowserCheck.NONE)), Status.FAIL),
    Case("a proxy with names of its own", at(LOOPBACK, proxy(BrowserCheck.ENFORCED)), Status.PASS),
    Case(
        "a proxy that was not asked", at(proxy(BrowserCheck.UNKNOWN)), Status.UNKNOWN, "0.0.0.0:80"
    ),
    Case("nothing was asked", unprobed(), Status.UNKNOWN),
    Case(
        "a login, which no page can answer",
        at(proxy(BrowserCheck.NONE, login=Login.REQUIRED)),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "perhaps a login",
        at(proxy(BrowserCheck.NONE, login=Login.UNKNOWN)),
        Status.UNKNOWN,
        "asks for a login",
    ),
    Case(
        "perhaps no way to Ollama",
        at(proxy(BrowserCheck.NONE, certain=False)),
        Status.UNKNOWN,
        "leads to Ollama",
    ),
    Case(
        "TLS, whose certificate is for another name",
        at(msgspec.structs.replace(proxy(BrowserCheck.NONE), tls=Encryption.TLS)),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "a server too old to check, which another rule reports",
        host(
            servers=servers(server(version="0.1.28")),
            exposure=exposure(endpoint("127.0.0.1:11434", host_check=BrowserCheck.NONE)),
        ),
        Status.NOT_APPLICABLE,
    ),
    Case("a gap", host(exposure=exposure(LOOPBACK, gaps=(GAP,))), Status.UNKNOWN),
    Case("processes that hide", host(unseen=3), Status.UNKNOWN),
]
