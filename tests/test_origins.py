"""OLLAMA_ORIGINS: the tables of Ollama's config_test.go, and gin-contrib/cors v1.7.2's matching."""

from __future__ import annotations

import pytest

from ollama_audit.origins import BUILT_IN, origins

DEFAULTS = (
    # envconfig/config_test.go TestOrigins, the case "", and the two that came later
    "http://localhost",
    "https://localhost",
    "http://localhost:*",
    "https://localhost:*",
    "http://127.0.0.1",
    "https://127.0.0.1",
    "http://127.0.0.1:*",
    "https://127.0.0.1:*",
    "http://0.0.0.0",
    "https://0.0.0.0",
    "http://0.0.0.0:*",
    "https://0.0.0.0:*",
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
)


@pytest.mark.parametrize(
    ("value", "added"),
    [
        (None, ()),
        ("", ()),
        ("http://10.0.0.1", ("http://10.0.0.1",)),
        ("http://172.16.0.1,https://192.168.0.1", ("http://172.16.0.1", "https://192.168.0.1")),
        (
            "http://totally.safe,http://definitely.legit",
            ("http://totally.safe", "http://definitely.legit"),
        ),
    ],
)
def test_the_list(value: str | None, added: tuple[str, ...]) -> None:
    assert BUILT_IN == DEFAULTS
    assert origins(value).entries == (*added, *DEFAULTS)
    assert origins(value).problem == ""


@pytest.mark.parametrize(
    ("value", "origin", "admitted"),
    [
        (None, "http://localhost:3000", True),
        (None, "https://evil.example", False),
        (None, "http://localhost.evil.example", False),
        (None, "vscode-webview://abc", True),
        ("*", "https://evil.example", True),
        ("http://a.example, *", "https://evil.example", False),  # " *" is not "*"
        ("'*'", "https://evil.example", True),
        ("http://*", "http://evil.example", True),
        ("http://*", "https://evil.example", False),
        ("http://192.168.1.10:*", "http://192.168.1.10:8080", True),
        ("http://192.168.1.10:*", "http://evil.example", False),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://evil-example.com", False),
        ("*.example.com", "https://a.example.com", True),
        ("https://A.example", "https://a.example", True),  # entries are lowered, origins are not
    ],
)
def test_allows(value: str | None, origin: str, admitted: bool) -> None:  # noqa: FBT001
    assert origins(value).allows(origin) is admitted


@pytest.mark.parametrize(
    ("value", "open_entries"),
    [
        (None, ()),
        ("*", ("*",)),
        ("http://a.example,*", ("*",)),
        ("http://a.example, *", ()),
        ("http://*,https://*", ("http://*", "https://*")),
        ("h*", ("h*",)),
        ("https://example.com*", ("https://example.com*",)),
        ("https://example.com:*", ()),
        ("https://example.com/*", ()),
        ("http://192.168.1.10:*", ()),
        ("https://*.example.com", ()),
        ("*.com", ("*.com",)),
        ("*example.com", ("*example.com",)),
        ("https://*:8443", ("https://*:8443",)),
        ("chrome-extension://*", ()),
        ("app://obsidian.md*", ()),
    ],
)
def test_open_entries(value: str | None, open_entries: tuple[str, ...]) -> None:
    assert origins(value).open_entries == open_entries


@pytest.mark.parametrize(
    "value", ["10.0.0.1", "tauri://localhost", "http://*.a.*", "http://a.example, http://b.example"]
)
def test_lists_that_stop_the_server(value: str) -> None:
    # `panic: bad origin: origins must contain '*' or include http://,https://,...`
    assert origins(value).problem
