"""HAProxy configurations and who gets through them (Configuration Manual 2.6)."""

from __future__ import annotations

import pytest

from tests.exposure.proxied import configured, steps, verdict

ROOT = "/etc/haproxy/haproxy.cfg"
BACKEND = "backend ollama\n  server one 127.0.0.1:11434 check\n"
USERS = "userlist people\n  user ada password ***\n"
LAN = "192.168.1.7"


def frontend(rules: str, *, mode: str = "http", bind: str = "*:80", backend: str = BACKEND) -> str:
    return (
        f"global\n  daemon\ndefaults\n  mode {mode}\n{USERS}"
        f"frontend web\n  bind {bind}\n  {rules}\n  default_backend ollama\n{backend}"
    )


AUTH = "http-request auth realm x unless"
TABLE = {
    "open": ("", "open"),
    "login": (f"{AUTH} {{ http_auth(people) }}", "login"),
    "login by a named ACL": (f"acl known http_auth(people)\n  {AUTH} known", "login"),
    "deny without a login": ("http-request deny if !{ http_auth(people) }", "login"),
    "login except for a path": (
        f"acl free path_beg /api/tags\n  {AUTH} free || {{ http_auth(people) }}",
        "open",
    ),
    "login except for a path of something else": (
        f"acl free path_beg /health\n  {AUTH} free || {{ http_auth(people) }}",
        "login",
    ),
    "allowed before the login": (
        f"http-request allow if METH_GET\n  {AUTH} {{ http_auth(people) }}",
        "open",
    ),
    "denied altogether": ("http-request deny", "shut"),
    "key in a header": (
        "http-request deny unless { req.hdr(authorization) -m str 'Bearer 0123456789' }",
        "login",
    ),
    "header only has to be there": (
        "http-request deny unless { req.hdr(authorization) -m found }",
        "open",
    ),
    "host name asked for": ("http-request deny unless { hdr(host) -i ai.example }", "shut"),
    "ACL from a file": ("http-request deny unless { src -f /etc/haproxy/ok }", "doubt"),
    "other backend for the API": (
        "use_backend gone if { path_beg /api }\n  use_backend none if { path_beg /v1 }",
        "open",
    ),
    "prefix stripped": (
        "http-request deny unless { path_beg /ollama/ }\n"
        "  http-request replace-path /ollama(/.*) \\1",
        "open",
    ),
    "login does not count in mode http's absence": ("", "open"),
}


@pytest.mark.parametrize("name", TABLE)
def test_one_frontend(name: str) -> None:
    rules, expected = TABLE[name]
    found = steps(configured("haproxy", {ROOT: frontend(rules)}), "haproxy")
    assert verdict(found) == expected


def test_sources() -> None:
    rules = "acl lan src 192.168.1.0/24\n  http-request deny if !lan"
    found = steps(configured("haproxy", {ROOT: frontend(rules)}), "haproxy")
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")
    rules = "tcp-request connection reject unless { src 192.168.1.0/24 }"
    found = steps(configured("haproxy", {ROOT: frontend(rules, mode="tcp")}), "haproxy")
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


def test_http_rules_do_nothing_in_mode_tcp() -> None:
    rules = f"{AUTH} {{ http_auth(people) }}"
    found = steps(configured("haproxy", {ROOT: frontend(rules, mode="tcp")}), "haproxy")
    assert verdict(found) == "open"


def test_a_login_in_the_backend() -> None:
    backend = f"{BACKEND}  {AUTH} {{ http_auth(people) }}\n"
    found = steps(configured("haproxy", {ROOT: frontend("", backend=backend)}), "haproxy")
    assert verdict(found) == "login"


@pytest.mark.parametrize(
    ("bind", "at", "expected"),
    [
        (":80", "0.0.0.0:80", "open"),
        ("*:81", "0.0.0.0:80", "shut"),
        ("10.0.0.1:80,:8080", "0.0.0.0:8080", "open"),
        (":::80 v6only", "[::]:80", "open"),
        ("/run/x.sock", "0.0.0.0:80", "shut"),
        (":443 ssl crt a.pem ca-file b.pem verify required", "0.0.0.0:443", "login"),
    ],
)
def test_bind(bind: str, at: str, expected: str) -> None:
    text = frontend("", bind=bind)
    assert verdict(steps(configured("haproxy", {ROOT: text}), "haproxy", at)) == expected


def test_listen_section() -> None:
    text = "listen ai\n  mode http\n  bind :80\n  server a 127.0.0.1:11434\n"
    assert verdict(steps(configured("haproxy", {ROOT: text}), "haproxy")) == "open"


def test_a_text_that_is_not_haproxys() -> None:
    (step,) = steps(configured("haproxy", {ROOT: "frontend a\n bind ':80\n"}), "haproxy")
    assert step.namespace is None
    assert f"{ROOT}:2" in step.reason
