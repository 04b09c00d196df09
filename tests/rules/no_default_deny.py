"""What `no-default-deny` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Extent, Family, Severity, Status
from tests.cases import Case
from tests.hosts import HIDDEN, endpoint, exposure, filters, host, packet_filter

OPEN = endpoint(lan=Extent.ALL)
V4, V6 = Family.IPV4, Family.IPV6

CASES = [
    Case("ufw that denies", host(exposure=exposure(endpoint())), Status.PASS),
    Case(
        "policy accept in both families",
        host(exposure=exposure(OPEN, filtering=filters(default_deny=False))),
        Status.FAIL,
        "IPv4 and IPv6",
        Severity.MEDIUM,
    ),
    Case(
        "a table ip, and IPv6 open",
        host(
            exposure=exposure(
                OPEN, filtering=(packet_filter(V4), packet_filter(V6, default_deny=False))
            )
        ),
        Status.FAIL,
        "In IPv6",
    ),
    Case(
        "one family lenient, the other unread",
        host(
            exposure=exposure(
                OPEN,
                filtering=(
                    packet_filter(V4, default_deny=HIDDEN),
                    packet_filter(V6, default_deny=False),
                ),
            )
        ),
        Status.FAIL,
    ),
    Case(
        "lenient, and Ollama on loopback",
        host(exposure=exposure(endpoint("127.0.0.1:11434"), filtering=filters(default_deny=False))),
        Status.FAIL,
        severity=Severity.LOW,
    ),
    Case(
        "one family shut, the other unread",
        host(
            exposure=exposure(filtering=(packet_filter(V4), packet_filter(V6, default_deny=HIDDEN)))
        ),
        Status.UNKNOWN,
        "only root",
    ),
    Case("nobody evaluated it", host(exposure=exposure(filtering=())), Status.UNKNOWN),
]
