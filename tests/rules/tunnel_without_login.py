"""What `tunnel-without-login` says of which host."""

from __future__ import annotations

import msgspec

from ollama_audit.rule import Endpoint, Extent, Hop, Login, Severity, Status
from tests.cases import Case
from tests.hosts import LOOPBACK, Reach, endpoint, exposure, host

FRPC = (
    Hop(kind="tunnel", name="frp to 127.0.0.1:11434", pid=77, detail="/etc/frp/frpc.toml"),
    Hop(kind="socket", name="ollama", pid=812),
)


def tunnel(
    *,
    login: Login = Login.NONE,
    certain: bool = True,
    internet: Reach = Extent.ALL,
    vpn: Reach = Extent.ABSENT,
    because: tuple[str, ...] = (),
) -> Endpoint:
    """A tunnel to the internet, or to a VPN."""
    found = endpoint(login=login, certain=certain, hops=FRPC, internet=internet, vpn=vpn)
    return msgspec.structs.replace(
        found,
        id="203.0.113.7:6001",
        name="203.0.113.7:6001",
        address="",
        port=0,
        login_because=because,
        reach=tuple(part for part in found.reach if part.extent in (Extent.ALL, Extent.UNKNOWN))[
            2:
        ],
    )


CASES = [
    Case("no tunnel", host(), Status.NOT_APPLICABLE, "no tunnel"),
    Case(
        "open to the internet",
        host(exposure=exposure(LOOPBACK, tunnel())),
        Status.FAIL,
        "frp to 127.0.0.1:11434 (/etc/frp/frpc.toml)",
        Severity.HIGH,
    ),
    Case(
        "open to whom its server lets in",
        host(exposure=exposure(LOOPBACK, tunnel(internet=Extent.UNKNOWN))),
        Status.FAIL,
        "203.0.113.7:6001 leads to Ollama",
        Severity.HIGH,
    ),
    Case(
        "behind a login",
        host(exposure=exposure(LOOPBACK, tunnel(login=Login.REQUIRED))),
        Status.PASS,
        "must log in",
    ),
    Case(
        "a login that only the provider knows",
        host(
            exposure=exposure(
                LOOPBACK, tunnel(login=Login.UNKNOWN, because=("Access is kept elsewhere",))
            )
        ),
        Status.UNKNOWN,
        "Access is kept elsewhere",
    ),
    Case(
        "a tunnel that only its provider knows",
        host(exposure=exposure(LOOPBACK, tunnel(certain=False, login=Login.UNKNOWN))),
        Status.UNKNOWN,
        "whether 203.0.113.7:6001 leads to Ollama",
    ),
    Case(
        "one of the tailnet alone",
        host(exposure=exposure(tunnel(internet=Extent.ABSENT, vpn=Extent.ALL))),
        Status.NOT_APPLICABLE,
    ),
    Case("processes that hide", host(unseen=2), Status.UNKNOWN, "2 processes"),
]
