"""Caddy's configuration as `caddy adapt` 2.6.2 of Debian 12 prints it, secrets masked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ollama_audit.exposure.model import Encryption, Login
from ollama_audit.observed import Unknown
from ollama_audit.snapshot.masking import json_configuration
from tests.exposure.proxied import configured, steps, verdict

CAPTURES = Path(__file__).parent.parent / "captures" / "caddy"
LAN = "192.168.1.7"


def capture(name: str) -> str:
    return (CAPTURES / f"{name}.json").read_text()


TABLE = {
    "open": ("0.0.0.0:80", "open"),
    "login": ("0.0.0.0:443", "login"),
    "login-on-part": ("0.0.0.0:80", "open"),
    "forward-auth": ("0.0.0.0:80", "login"),
    "handle-path": ("0.0.0.0:80", "open"),
    "key": ("0.0.0.0:80", "login"),
    "allow-list": ("0.0.0.0:80", "shut"),
    # Its own name goes along, which Ollama refuses.
    "certificate": ("0.0.0.0:443", "shut"),
    "key-scheme-only": ("0.0.0.0:80", "open"),
    "key-and-an-error-page": ("0.0.0.0:80", "open"),
    "key-by-pattern": ("0.0.0.0:80", "login"),
    "scheme-by-pattern": ("0.0.0.0:80", "open"),
    "key-not-set": ("0.0.0.0:80", "shut"),
    "key-in-a-variable": ("0.0.0.0:80", "login"),
    "key-in-a-header-of-its-own": ("0.0.0.0:80", "login"),
    "name-passed-on": ("0.0.0.0:80", "shut"),
    "name-replaced": ("0.0.0.0:80", "open"),
    "rewrite-by-capture": ("0.0.0.0:80", "doubt"),
    "prefix-by-pattern": ("0.0.0.0:80", "open"),
}


@pytest.mark.parametrize("name", TABLE)
def test_one_site(name: str) -> None:
    at, expected = TABLE[name]
    found = steps(configured("caddy", {}, running=capture(name)), "caddy", at)
    assert verdict(found) == expected
    assert all((step.tls is Encryption.TLS) == at.endswith(":443") for step in found)


def test_a_certificate_is_a_login() -> None:
    (step,) = steps(configured("caddy", {}, running=capture("certificate")), "caddy", "0.0.0.0:443")
    assert step.login is Login.REQUIRED


def test_every_capture_is_in_the_table() -> None:
    assert {path.stem for path in CAPTURES.glob("*.json")} == set(TABLE)


def test_another_port_leads_nowhere() -> None:
    assert steps(configured("caddy", {}, running=capture("open")), "caddy", "0.0.0.0:81") == ()


def test_sources() -> None:
    found = steps(configured("caddy", {}, running=capture("allow-list")), "caddy")
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


def test_prefix_and_open_paths() -> None:
    (free, *_) = steps(configured("caddy", {}, running=capture("login-on-part")), "caddy")
    assert "/api/tags" in free.open_paths
    assert "/v1/models" not in free.open_paths


def altered(**route: Any) -> str:
    """The open site with a route before its own."""
    found = json.loads(capture("open"))
    found["apps"]["http"]["servers"]["srv0"]["routes"].insert(0, route)
    return json.dumps(found)


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ({"handle": [{"handler": "static_response", "status_code": 403}]}, "shut"),
        ({"handle": [{"handler": "somebody_elses_module"}]}, "doubt"),
        ({"match": [{"expression": "x"}], "handle": [{"handler": "static_response"}]}, "doubt"),
        ({"match": [{"host": ["a"]}], "handle": [{"handler": "static_response"}]}, "open"),
        ({"match": [{"path": ["/api/*"]}], "handle": [{"handler": "static_response"}]}, "open"),
        ({"match": [{"path": [""]}], "handle": [{"handler": "static_response"}]}, "open"),
        ({"match": [{"path": ["*"]}], "handle": [{"handler": "static_response"}]}, "shut"),
        ({"match": [{"method": ["GET"]}], "handle": [{"handler": "static_response"}]}, "open"),
    ],
)
def test_a_route_before(route: dict[str, Any], expected: str) -> None:
    found = steps(configured("caddy", {}, running=altered(**route)), "caddy")
    assert verdict(found) == expected


@pytest.mark.parametrize("text", ["[]", '{"apps": 1}', "{", '{"apps": {"http": {"servers": []}}}'])
def test_not_a_configuration(text: str) -> None:
    (step,) = steps(configured("caddy", {}, running=text), "caddy")
    assert step.namespace is None


def test_an_admin_api_that_is_off() -> None:
    why = Unknown("its admin API does not answer", "GET http://localhost:2019/config/")
    found = msgspec.structs.replace(configured("caddy", {}), running=why)
    (step,) = steps(found, "caddy")
    assert "admin API" in step.reason
    assert step.cure


def test_secrets_are_masked_and_the_rest_is_not() -> None:
    given = {
        "handler": "authentication",
        "accounts": [{"username": "ada", "password": "JDJhJDE0JFp"}],
        "match": [{"header": {"Authorization": ["Bearer 0123456789"], "X-Other": ["y"]}}],
        "dial": "127.0.0.1:11434",
    }
    masked = json.loads(json_configuration(json.dumps(given)))
    assert masked["accounts"] == [{"username": "ada", "password": "***"}]
    assert masked["match"] == [{"header": {"Authorization": ["***"], "X-Other": ["y"]}}]
    assert masked["dial"] == "127.0.0.1:11434"
