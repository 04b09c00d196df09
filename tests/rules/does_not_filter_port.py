"""What `does-not-filter-port` says of which host."""

from __future__ import annotations

import msgspec

from ollama_audit.rule import Extent, Family, Login, Status, Zone
from tests.cases import Case
from tests.hosts import (
    CONTAINER_NAMESPACE,
    GAP,
    HIDDEN,
    endpoint,
    exposure,
    filters,
    host,
    packet_filter,
    part,
)

V4, V6 = Family.IPV4, Family.IPV6
TUNNEL = msgspec.structs.replace(
    endpoint(internet=(Extent.ALL, Extent.UNKNOWN)), id="https://a.b", address="", port=0
)

CASES = [
    Case(
        "every zone shut, and a tunnel nobody can judge",
        host(exposure=exposure(endpoint(), gaps=(GAP,))),
        Status.UNKNOWN,
        GAP.reason,
    ),
    Case(
        "open, and nobody can tell whether a login is asked",
        host(exposure=exposure(endpoint(lan=Extent.ALL, login=Login.UNKNOWN))),
        Status.UNKNOWN,
        "asks for a login",
    ),
    Case("processes that hide", host(unseen=2), Status.UNKNOWN, "2 processes"),
    Case("every zone shut", host(exposure=exposure(endpoint())), Status.PASS),
    Case(
        "a network allowed",
        host(exposure=exposure(endpoint(lan=Extent.SOME))),
        Status.FAIL,
        "0.0.0.0:11434",
    ),
    Case(
        "the internet let in",
        host(exposure=exposure(endpoint(internet=Extent.ALL))),
        Status.FAIL,
        "internet",
    ),
    Case(
        "a login asked",
        host(exposure=exposure(endpoint(lan=Extent.ALL, login=Login.REQUIRED))),
        Status.PASS,
    ),
    Case(
        "open, and no filter at work",
        host(exposure=exposure(endpoint(lan=Extent.ALL), filtering=filters(active=False))),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "open, and nobody could read the filter",
        host(exposure=exposure(endpoint(lan=Extent.ALL), filtering=filters(active=HIDDEN))),
        Status.UNKNOWN,
        "only root",
    ),
    Case(
        "not known who gets through",
        host(exposure=exposure(endpoint(lan=Extent.UNKNOWN))),
        Status.UNKNOWN,
    ),
    Case(
        "a tunnel, before which no filter is",
        host(exposure=exposure(endpoint(), TUNNEL)),
        Status.PASS,
    ),
    Case(
        "a container that is a machine of its own on the local network, past the filter",
        host(
            exposure=exposure(
                endpoint(
                    namespace=CONTAINER_NAMESPACE,
                    lan=(part(Zone.LAN, V4, Extent.ALL, because=()),),
                )
            )
        ),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "a container behind a rule of the host",
        host(
            exposure=exposure(
                endpoint(
                    namespace=CONTAINER_NAMESPACE,
                    lan=(part(Zone.LAN, V4, Extent.ALL, because=("chain DOCKER rule 1",)),),
                )
            )
        ),
        Status.FAIL,
        "chain DOCKER rule 1",
    ),
    Case(
        "only containers on the host",
        host(exposure=exposure(endpoint(container=Extent.ALL))),
        Status.PASS,
    ),
    Case(
        "shut in IPv4, and IPv6 without a filter",
        host(
            exposure=exposure(
                endpoint(), filtering=(packet_filter(V4), packet_filter(V6, active=False))
            )
        ),
        Status.PASS,
    ),
]
