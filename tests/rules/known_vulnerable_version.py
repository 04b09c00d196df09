"""What `known-vulnerable-version` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Extent, Host, Observed, OllamaServer, Severity, Status
from tests.cases import Case
from tests.hosts import (
    HIDDEN,
    endpoint,
    exposure,
    host,
    in_container,
    server,
    servers,
)

OPEN = exposure(endpoint(lan=Extent.ALL))


def running(*versions: Observed[str] | str, exposed: bool = True) -> Host:
    """Servers of these versions."""
    found: list[OllamaServer] = [server(version=versions[0])]
    found += [server(in_container(2000 + n), version=v) for n, v in enumerate(versions[1:])]
    return host(servers=servers(*found), exposure=OPEN if exposed else None)


CASES = [
    Case("the newest", running("0.35.1"), Status.PASS, "2026-11-23"),
    Case(
        "one with Bleeding Llama, open",
        running("0.9.3"),
        Status.FAIL,
        "CVE-2026-7482",
        Severity.CRITICAL,
    ),
    Case(
        "the same on loopback",
        running("0.9.3", exposed=False),
        Status.FAIL,
        "fixed in 0.17.1",
        Severity.MEDIUM,
    ),
    Case(
        "what to update to, beyond the flaws whose range is not confirmed",
        running("0.9.3"),
        Status.FAIL,
        "Ollama 0.9.3 has known vulnerabilities, update to 0.31.2 or later: CVE-",
    ),
    Case("the first without it", running("0.17.1"), Status.PASS),
    Case("its release candidate", running("0.17.1-rc2"), Status.FAIL, "CVE-2026-7482"),
    Case("only the token flaw", running("0.14.2"), Status.FAIL, "CVE-2025-51471"),
    Case("Windows flaws do not count here", running("0.20.0"), Status.PASS),
    Case("one of two", running("0.35.1", "0.1.30"), Status.FAIL, "CVE-2024-37032"),
    Case(
        "two of one version: a vulnerability is told once",
        running("0.9.3", "0.9.3"),
        Status.FAIL,
        "\nprocesses 812 and 2000, 0.9.3: CVE-2026-7482 (9.1)",
    ),
    Case("one of two, the other unread", running(HIDDEN, "0.1.30"), Status.FAIL),
    Case("a development build", running("0.0.0"), Status.UNKNOWN, "development build"),
    Case("no version at all", running("latest"), Status.UNKNOWN, "not a version"),
    Case("an unread version", running(HIDDEN), Status.UNKNOWN, "only root"),
    Case("processes that hide", host(unseen=3), Status.UNKNOWN, "3 processes"),
    Case("no server runs", host(servers=servers()), Status.NOT_APPLICABLE),
]
