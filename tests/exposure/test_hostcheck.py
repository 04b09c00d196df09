"""The Host header that Ollama takes on loopback (Ollama server/routes.go, allowedHost)."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.hostcheck import checks_host, refused
from ollama_audit.rule import Unknown
from tests.hosts import host, listener, server

SNAPSHOT = host().snapshot


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", False),
        ("localhost:11434", False),
        ("neo", False),
        ("ai.local", False),
        ("ai.internal:80", False),
        ("x.localhost", False),
        ("127.0.0.1:11434", False),
        ("[::1]:11434", False),
        ("192.168.1.2", False),
        ("0.0.0.0", False),
        ("ollama", True),
        ("ai.example.com", True),
        ("8.8.8.8", True),
        ("localhost.example.com", True),
    ],
)
def test_names(name: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert refused(SNAPSHOT, name) is expected


def test_only_on_loopback_and_since_0_1_29() -> None:
    loopback, wildcard = listener("127.0.0.1:11434"), listener("0.0.0.0:11434")
    assert checks_host(server(version="0.9.3"), loopback)
    assert not checks_host(server(version="0.9.3"), wildcard)
    assert not checks_host(server(version="0.1.28"), loopback)
    assert not checks_host(server(version=Unknown("no answer", "GET /api/version")), loopback)
