"""Documents lose their secrets and stay documents."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from ollama_audit.snapshot.masking import configuration, document

SECRET = "s3cr3t-Value"

NGROK = f"""
version: 3
# authtoken: {SECRET}
agent:
  authtoken: {SECRET}   # {SECRET}
  api_key: '{SECRET}'
tunnels:
  a:
    proto: http
    addr: 11434
    basic_auth:
    - "user:{SECRET}"
    - user2:{SECRET}
    host_header: rewrite
  b: {{proto: http, addr: 127.0.0.1:11434, basic_auth: ["{SECRET}"], oauth: {{a: {SECRET}}}}}
  c:
    addr: http://user:{SECRET}@localhost:11434
    oauth:
      provider: google
      client_secret: {SECRET}
      allow_domains:
        - example.com
    domain: c.example.com
endpoints:
- name: d
  upstream: {{url: 11434}}
  traffic_policy:
    on_http_request:
    - actions:
      - type: basic-auth
        config:
          credentials:
          - user:{SECRET}
          - user:{SECRET}
          enforce: true
      - type: add-headers
        config:
          headers:
            authorization: |
              Bearer {SECRET}
              {SECRET}
            x-api-key: {SECRET}
"""

FRPC = f"""
serverAddr = "frp.example.com"
auth.method = "token"
auth.token = "{SECRET}"
webServer.password = '{SECRET}'
metadatas.token = \"\"\"
{SECRET}
\"\"\"
[auth.oidc]
clientSecret = "{SECRET}"
[[proxies]]
name = "ollama"
type = "http"
localPort = 11434
customDomains = ["ai.example.com"]
httpUser = "ada"
httpPassword = "{SECRET}"
[[proxies]]
name = "secret"
type = "stcp"
secretKey = "{SECRET}"
loadBalancer = {{ group = "g", groupKey = "{SECRET}" }}
allowUsers = ["*"]
tokens = [
  "{SECRET}",
  "{SECRET}",
]
localPort = 11434
"""


def loaded(text: str, program: str) -> Any:
    shown = configuration(program, text)
    assert SECRET not in shown
    assert shown.count("\n") == text.count("\n")
    return tomllib.loads(shown) if program in {"frp", "rathole"} else yaml.safe_load(shown)


def test_yaml() -> None:
    found = loaded(NGROK, "ngrok")
    a, b, c = (found["tunnels"][name] for name in "abc")
    assert a["basic_auth"] == ["***", "***"]
    assert (a["addr"], a["host_header"]) == (11434, "rewrite")
    assert b["basic_auth"]
    assert (b["addr"], bool(b["oauth"])) == ("127.0.0.1:11434", True)
    assert c["domain"] == "c.example.com"
    assert c["addr"].endswith("@localhost:11434")
    actions = found["endpoints"][0]["traffic_policy"]["on_http_request"][0]["actions"]
    assert [action["type"] for action in actions] == ["basic-auth", "add-headers"]
    assert actions[0]["config"]["enforce"] is True


def test_toml() -> None:
    found = loaded(FRPC, "frp")
    assert found["serverAddr"] == "frp.example.com"
    assert found["auth"]["token"] == "***"
    ollama, secret = found["proxies"]
    assert (ollama["customDomains"], ollama["httpUser"]) == (["ai.example.com"], "ada")
    assert (secret["secretKey"], secret["localPort"]) == ("***", 11434)
    assert secret["loadBalancer"]["group"] == "g"


def test_toml_of_rathole() -> None:
    text = f"""
[client]
remote_addr = "example.com:2333"
default_token = "{SECRET}"
[client.transport]
type = "noise"
[client.transport.noise]
local_private_key = "{SECRET}"
[client.services.my_token_service]
token = "{SECRET}" # {SECRET}
local_addr = "127.0.0.1:11434"
"""
    found = loaded(text, "rathole")
    service = found["client"]["services"]["my_token_service"]
    assert service["local_addr"] == "127.0.0.1:11434"


def test_ini() -> None:
    text = (
        f"[common]\nserver_addr = a.b\ntoken = {SECRET}\nadmin_pwd={SECRET}\n[x]\nsk = {SECRET}\n"
    )
    shown = document(text)
    assert SECRET not in shown
    assert "server_addr = a.b" in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "token:",
        "token: |",
        "token = [",
        "token: {a: [",
        "- token:",
        'key = """',
        "\t\n-",
        "{" * 99,
    ],
)
def test_whatever_it_is_given_it_keeps_the_lines(text: str) -> None:
    assert document(text).count("\n") == text.count("\n")
