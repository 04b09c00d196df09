"""What `reachable-from-internet` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import Extent, Severity, Status, Zone
from tests.cases import Case
from tests.hosts import endpoint, exposure, host
from tests.reach_cases import reach_cases

ROUTER = "Your router (192.168.1.1) decides"

CASES = [
    Case(
        "open by IPv6 alone, the family said",
        host(exposure=exposure(endpoint(internet=(Extent.NONE, Extent.ALL)))),
        Status.FAIL,
        "Anyone on the IPv6 internet can",
    ),
    *reach_cases(Zone.INTERNET, Severity.CRITICAL),
    Case(
        "open to the LAN, behind a router",
        host(
            exposure=replace(
                exposure(endpoint(lan=Extent.ALL, internet=Extent.ABSENT)), beyond_host=(ROUTER,)
            )
        ),
        Status.PASS,
        ROUTER,
    ),
]
