"""What an ngrok agent makes of what it was told, on files as its documentation has them."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.model import Encryption
from tests.exposure.tunnelled import ANYWHERE, LOOPBACK, told, tunnels, with_tunnel, words

MAIN = "/root/.config/ngrok/ngrok.yml"
OPEN = "internet all none"
LOCKED = "internet all required"
DOUBT = "internet unknown unknown"
HTTP = "ngrok http to localhost:11434"
FAQ = "ngrok http 11434 --host-header=localhost:11434"
"""As Ollama's own FAQ has it (docs/faq.mdx)."""


@pytest.mark.parametrize(
    ("line", "at", "expected"),
    [
        (FAQ, LOOPBACK, {HTTP: OPEN}),
        ("ngrok http 11434 --host-header rewrite", LOOPBACK, {HTTP: OPEN}),
        ("ngrok http 11434", LOOPBACK, {}),
        ("ngrok http 11434", ANYWHERE, {HTTP: OPEN}),
        ("ngrok http 11434 --host-header=preserve", LOOPBACK, {}),
        ("ngrok http 127.0.0.1:11434", ANYWHERE, {"ngrok http to 127.0.0.1:11434": OPEN}),
        ("ngrok http https://localhost:11434", ANYWHERE, {HTTP: OPEN}),
        ("ngrok http 3000", ANYWHERE, {}),
        ("ngrok http file:///srv", ANYWHERE, {}),
        ("ngrok tcp 11434", LOOPBACK, {"ngrok tcp to localhost:11434": OPEN}),
        (
            "ngrok tcp 11434 --remote-addr 5.tcp.eu.ngrok.io:27001",
            LOOPBACK,
            {"tcp://5.tcp.eu.ngrok.io:27001": OPEN},
        ),
        ("ngrok tls 11434", LOOPBACK, {}),  # Ollama speaks no TLS
        (f"{FAQ} --basic-auth ***:***", LOOPBACK, {HTTP: LOCKED}),
        (f"{FAQ} --oauth google --oauth-allow-domain a.com", LOOPBACK, {HTTP: LOCKED}),
        (f"{FAQ} --oidc https://idp.example.com", LOOPBACK, {HTTP: LOCKED}),
        (f"{FAQ} --mutual-tls-cas /etc/ca.pem", LOOPBACK, {HTTP: LOCKED}),
        (f"{FAQ} --cidr-allow 192.0.2.0/24", LOOPBACK, {HTTP: DOUBT}),
        (f"{FAQ} --url https://ai.example.com", LOOPBACK, {"https://ai.example.com": OPEN}),
        (f"{FAQ} --domain ai.ngrok.app", LOOPBACK, {"https://ai.ngrok.app": OPEN}),
        (f"{FAQ} --url https://ai.internal", LOOPBACK, {"https://ai.internal": DOUBT}),
        (f"{FAQ} --binding kubernetes --url http://a.b", LOOPBACK, {"http://a.b": DOUBT}),
        (
            "ngrok tunnel --label edge=edghts_2 http://localhost:11434",
            LOOPBACK,
            {"ngrok edge to localhost:11434": DOUBT},
        ),
        ("ngrok config check", ANYWHERE, {}),
        (f"{FAQ} --traffic-policy-file /root/policy.yml", LOOPBACK, {HTTP: DOUBT}),
    ],
)
def test_command_lines(line: str, at: str, expected: dict[str, str]) -> None:
    assert words(told("ngrok", line), at) == expected


V2 = """
version: 2
authtoken: "***"
tunnels:
  ollama:
    proto: http
    addr: 11434
    host_header: rewrite
    domain: ai.example.com
  locked:
    proto: http
    addr: 127.0.0.1:11434
    host_header: localhost
    hostname: locked.example.com
    basic_auth: "***"
  other:
    proto: http
    addr: 3000
  edge:
    labels: [edge=edghts_2]
    addr: http://localhost:11434
"""
V3 = """
version: 3
agent:
  authtoken: "***"
endpoints:
  - name: ollama
    url: https://ai.example.com
    upstream:
      url: 11434
  - name: locked
    url: https://locked.example.com
    upstream: {url: http://127.0.0.1:11434}
    traffic_policy:
      on_http_request:
        - actions:
            - type: basic-auth
              config: {realm: ai, credentials: "***"}
  - name: partly
    url: https://partly.example.com
    upstream: {url: http://127.0.0.1:11434}
    traffic_policy:
      on_http_request:
        - expressions: ["req.url.path.startsWith('/admin')"]
          actions: [{type: oauth, config: {provider: google}}]
  - name: raw
    url: tcp://1.tcp.ngrok.io:20000
    upstream: {url: tcp://localhost:11434}
"""


@pytest.mark.parametrize(
    ("line", "text", "at", "expected"),
    [
        ("ngrok start ollama", V2, LOOPBACK, {"https://ai.example.com": OPEN}),
        ("ngrok start locked", V2, LOOPBACK, {"https://locked.example.com": LOCKED}),
        ("ngrok start other", V2, LOOPBACK, {}),
        (
            "ngrok start --all",
            V2,
            LOOPBACK,
            {
                "https://ai.example.com": OPEN,
                "https://locked.example.com": LOCKED,
                "ngrok edge to localhost:11434": DOUBT,
            },
        ),
        ("ngrok start --none", V2, LOOPBACK, {}),
        ("ngrok start ollama raw", V3, LOOPBACK, {"tcp://1.tcp.ngrok.io:20000": OPEN}),
        ("ngrok start ollama", V3, ANYWHERE, {"https://ai.example.com": OPEN}),
        ("ngrok start locked", V3, ANYWHERE, {"https://locked.example.com": LOCKED}),
        ("ngrok start partly", V3, ANYWHERE, {"https://partly.example.com": DOUBT}),
    ],
)
def test_files(line: str, text: str, at: str, expected: dict[str, str]) -> None:
    assert words(told("ngrok", line, {MAIN: text}), at) == expected


def test_the_agent_says_which_address_it_was_given() -> None:
    running = {
        "tunnels": [
            {
                "name": "command_line",
                "public_url": "https://1a2b.ngrok-free.app",
                "proto": "https",
                "config": {"addr": "http://localhost:11434", "inspect": True},
            }
        ],
        "endpoints": [],
    }
    (found,) = tunnels(with_tunnel(told("ngrok", FAQ, running=running)))
    assert (found.id, found.tls) == ("https://1a2b.ngrok-free.app", Encryption.TLS)


def test_a_tunnel_made_by_its_api_has_options_that_nobody_sees() -> None:
    running = {
        "tunnels": [
            {
                "name": "http-11434-5f",
                "public_url": "https://9z.ngrok-free.app",
                "proto": "https",
                "config": {"addr": "http://localhost:11434"},
            }
        ]
    }
    client = told("ngrok", "ngrok start --none --log stdout", running=running)
    assert words(client) == {"https://9z.ngrok-free.app": DOUBT}


def test_a_policy_file() -> None:
    policy = "on_http_request:\n  - actions:\n      - type: oauth\n"
    line = f"{FAQ} --traffic-policy-file /root/policy.yml"
    client = told("ngrok", line, {MAIN: V3, "/root/policy.yml": policy})
    assert words(client) == {HTTP: LOCKED}


@pytest.mark.parametrize("text", ["tunnels: [", "tunnels: 7", "endpoints: {name: ollama}", ""])
def test_what_it_would_refuse_itself_is_unclear_or_nothing(text: str) -> None:
    found = words(told("ngrok", "ngrok start --all", {MAIN: text}), ANYWHERE)
    assert set(found.values()) <= {DOUBT}
