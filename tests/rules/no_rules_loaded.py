"""What `no-rules-loaded` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Extent, Family, Severity, Status
from tests.cases import Case
from tests.hosts import HIDDEN, endpoint, exposure, filters, host, packet_filter

OPEN = endpoint(lan=Extent.ALL)
V4, V6 = Family.IPV4, Family.IPV6


CASES = [
    Case("ufw that denies", host(exposure=exposure(endpoint())), Status.PASS, "ufw"),
    Case(
        "nothing in either family, and open",
        host(exposure=exposure(OPEN, filtering=filters(active=False))),
        Status.FAIL,
        "no rule and no policy",
        Severity.MEDIUM,
    ),
    Case(
        "nothing, and Ollama on loopback",
        host(exposure=exposure(endpoint("127.0.0.1:11434"), filtering=filters(active=False))),
        Status.FAIL,
        severity=Severity.LOW,
    ),
    Case(
        "a filter for IPv4 alone",
        host(
            exposure=exposure(
                filtering=(packet_filter(V4), packet_filter(V6, active=False, owners=()))
            )
        ),
        Status.PASS,
    ),
    Case(
        "the ruleset of root unread",
        host(exposure=exposure(filtering=filters(active=HIDDEN))),
        Status.UNKNOWN,
        "only root",
    ),
    Case(
        "one family unread, the other empty",
        host(
            exposure=exposure(
                filtering=(packet_filter(V4, active=HIDDEN), packet_filter(V6, active=False))
            )
        ),
        Status.UNKNOWN,
    ),
    Case("nobody evaluated it", host(exposure=exposure(filtering=())), Status.UNKNOWN),
]
