"""What `offers-tool-calling-models` says of which host."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import Extent, Host, Known, Login, Model, Severity, Status
from tests.cases import Case
from tests.hosts import (
    GAP,
    HIDDEN,
    LOOPBACK,
    endpoint,
    exposure,
    host,
    model,
    process,
    server,
    servers,
)

OPEN = exposure(endpoint(lan=Extent.ALL))
TOOLS = model("qwen3:8b", "tools")
OPAQUE = replace(model("odd:1"), capabilities=HIDDEN)


def offering(*models: Model, exposed: bool = True) -> Host:
    """A server with these models."""
    found = servers(server(models=Known(models, "GET /api/tags")))
    return host(servers=found, exposure=OPEN if exposed else None)


CASES = [
    Case("no such model", offering(model()), Status.PASS),
    Case("one, on loopback", offering(TOOLS, exposed=False), Status.PASS),
    Case("one, open to the LAN", offering(TOOLS), Status.FAIL, "qwen3:8b", Severity.HIGH),
    Case("one known, another not", offering(OPAQUE, TOOLS), Status.FAIL, "qwen3:8b"),
    Case("one of which it is not known", offering(OPAQUE), Status.UNKNOWN, "only root"),
    Case("the same on loopback", offering(OPAQUE, exposed=False), Status.PASS),
    Case(
        "the same, open to the LAN behind a login",
        host(
            servers=servers(server(models=Known((OPAQUE,), "GET /api/tags"))),
            exposure=exposure(endpoint(lan=Extent.ALL, login=Login.REQUIRED)),
        ),
        Status.PASS,
    ),
    Case(
        "one of which it is not known, on loopback, beside an open server without any",
        host(
            servers=servers(
                server(models=Known((OPAQUE,), "GET /api/tags")),
                server(process(913), models=Known((), "GET /api/tags")),
            ),
            exposure=exposure(LOOPBACK, endpoint("0.0.0.0:12345", server=913, lan=Extent.ALL)),
        ),
        Status.PASS,
    ),
    Case(
        "the same, and it is not known whether a login is asked",
        host(
            servers=servers(server(models=Known((OPAQUE,), "GET /api/tags"))),
            exposure=exposure(endpoint(lan=Extent.ALL, login=Login.UNKNOWN)),
        ),
        Status.UNKNOWN,
    ),
    Case(
        "one, and a way in that could not be looked at",
        host(
            servers=servers(server(models=Known((TOOLS,), "GET /api/tags"))),
            exposure=exposure(endpoint(), gaps=(GAP,)),
        ),
        Status.UNKNOWN,
        GAP.reason,
    ),
    Case(
        "models unread",
        host(servers=servers(server(models=HIDDEN)), exposure=OPEN),
        Status.UNKNOWN,
    ),
    Case(
        "one, and not known who gets through",
        host(
            servers=servers(server(models=Known((TOOLS,), "GET /api/tags"))),
            exposure=exposure(endpoint(lan=Extent.UNKNOWN)),
        ),
        Status.UNKNOWN,
    ),
    Case(
        "no server runs",
        host(servers=servers(), exposure=exposure(endpoint(lan=Extent.ALL))),
        Status.NOT_APPLICABLE,
    ),
]
