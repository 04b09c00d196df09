"""What `login-without-encryption` says of which host."""

from __future__ import annotations

import msgspec

from ollama_audit.rule import (
    Encryption,
    Endpoint,
    Extent,
    Family,
    Hop,
    Login,
    Severity,
    Status,
    Zone,
)
from tests.cases import Case
from tests.hosts import GAP, LOOPBACK, Reach, endpoint, exposure, host, part


def proxy(
    tls: Encryption = Encryption.PLAIN,
    *,
    login: Login = Login.REQUIRED,
    paths: tuple[str, ...] = (),
    lan: Reach = Extent.ALL,
    vpn: Reach = Extent.ABSENT,
) -> Endpoint:
    """A proxy with basic authentication."""
    found = endpoint("0.0.0.0:80", login=login, lan=lan, vpn=vpn)
    because = ("auth_basic (/etc/nginx/ai.conf:7)",)
    return msgspec.structs.replace(found, tls=tls, open_paths=paths, login_because=because)


AT_HAND = (
    msgspec.structs.replace(
        part(Zone.LAN, Family.IPV4, Extent.ALL), destinations=("192.168.1.10",)
    ),
)

CASES = [
    Case("no proxy", host(), Status.NOT_APPLICABLE),
    Case(
        "a login in plain text",
        host(exposure=exposure(LOOPBACK, proxy())),
        Status.FAIL,
        "auth_basic (/etc/nginx/ai.conf:7), without TLS",
        Severity.MEDIUM,
    ),
    Case(
        "a login in plain text, behind a translation",
        host(
            exposure=exposure(
                msgspec.structs.replace(
                    proxy(), hops=(Hop(kind="dnat", name="DNAT", detail="nft ip nat handle 3"),)
                )
            )
        ),
        Status.FAIL,
        "0.0.0.0:80: auth_basic (/etc/nginx/ai.conf:7), without TLS",
    ),
    Case(
        "a login in plain text for part of the API",
        host(exposure=exposure(proxy(login=Login.NONE, paths=("/api/tags",)))),
        Status.FAIL,
    ),
    Case("a login over TLS", host(exposure=exposure(proxy(Encryption.TLS))), Status.PASS),
    Case("no login", host(exposure=exposure(proxy(login=Login.NONE))), Status.NOT_APPLICABLE),
    Case(
        "a login in plain text that nobody reaches",
        host(exposure=exposure(proxy(lan=Extent.NONE))),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "a login in plain text inside a VPN only",
        host(exposure=exposure(proxy(lan=Extent.NONE, vpn=Extent.ALL))),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "a login in plain text, filter unclear",
        host(exposure=exposure(proxy(lan=Extent.UNKNOWN))),
        Status.UNKNOWN,
        "whether others get to",
    ),
    Case(
        "encryption not known",
        host(exposure=exposure(proxy(Encryption.UNKNOWN, lan=AT_HAND))),
        Status.UNKNOWN,
        "is encrypted",
        cure="openssl s_client -connect 192.168.1.10:80",
    ),
    Case("a way that was not seen", host(exposure=exposure(gaps=(GAP,))), Status.UNKNOWN),
    Case("processes that hide", host(unseen=2), Status.UNKNOWN, "2 processes"),
]
