"""What `login-covers-part-of-api` says of which host."""

from __future__ import annotations

import msgspec

from ollama_audit.rule import Endpoint, Extent, Hop, Login, Severity, Status
from tests.cases import Case
from tests.hosts import GAP, LOOPBACK, Reach, endpoint, exposure, host

NGINX = (Hop(kind="reverse-proxy", name="nginx", pid=5, detail="/etc/nginx/ai.conf:7"),)


DNAT = Hop(kind="dnat", name="DNAT to 127.0.0.1:8080", detail="nft ip nat pre handle 3")


def proxy(
    *paths: str, login: Login = Login.NONE, lan: Reach = Extent.ALL, before: tuple[Hop, ...] = ()
) -> Endpoint:
    """An nginx at port 80 with these paths open."""
    found = endpoint("0.0.0.0:80", login=login, hops=(*before, *NGINX), lan=lan)
    return msgspec.structs.replace(found, open_paths=paths)


CASES = [
    Case("no proxy", host(), Status.NOT_APPLICABLE, "asks for a login"),
    Case(
        "a login for everything",
        host(exposure=exposure(LOOPBACK, proxy(login=Login.REQUIRED))),
        Status.PASS,
        "0.0.0.0:80",
    ),
    Case(
        "one path exempt",
        host(exposure=exposure(LOOPBACK, proxy("/api/tags"))),
        Status.FAIL,
        "/etc/nginx/ai.conf:7: no login for /api/tags",
        Severity.HIGH,
    ),
    Case(
        "a login that is configured and not enforced",
        host(
            exposure=exposure(
                msgspec.structs.replace(
                    proxy("/api/version", "/api/tags"),
                    login_because=("auth_basic (/etc/nginx/ai.conf:5) wants a login, but no",),
                )
            )
        ),
        Status.FAIL,
        "no login for /api/version, /api/tags; auth_basic (/etc/nginx/ai.conf:5) wants a login",
        Severity.HIGH,
    ),
    Case(
        "one path exempt, behind a translation",
        host(exposure=exposure(LOOPBACK, proxy("/api/tags", before=(DNAT,)))),
        Status.FAIL,
        "/etc/nginx/ai.conf:7: no login for /api/tags",
    ),
    Case(
        "many paths exempt",
        host(exposure=exposure(proxy(*(f"/api/{n}" for n in range(9))))),
        Status.FAIL,
        "and 3 more",
    ),
    Case(
        "one path exempt, and nobody gets there",
        host(exposure=exposure(LOOPBACK, proxy("/api/tags", lan=Extent.NONE))),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "one path exempt, and it is not known who gets there",
        host(exposure=exposure(proxy("/api/tags", lan=Extent.UNKNOWN))),
        Status.UNKNOWN,
        "whether others get to 0.0.0.0:80",
    ),
    Case("no login at all", host(exposure=exposure(proxy())), Status.NOT_APPLICABLE),
    Case(
        "a login that cannot be judged",
        host(exposure=exposure(proxy(login=Login.UNKNOWN))),
        Status.UNKNOWN,
        "asks for a login",
    ),
    Case("a way that was not seen", host(exposure=exposure(gaps=(GAP,))), Status.UNKNOWN),
    Case("processes that hide", host(unseen=2), Status.UNKNOWN, "2 processes"),
]
