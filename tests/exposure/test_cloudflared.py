"""What a cloudflared makes of what it was told, on configurations as its documentation has them."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.model import Encryption
from ollama_audit.observed import Unknown
from tests.exposure.tunnelled import ANYWHERE, LOOPBACK, told, tunnels, with_tunnel, words

MAIN = "/etc/cloudflared/config.yml"
RUN = "/usr/bin/cloudflared --no-autoupdate --config /etc/cloudflared/config.yml tunnel run"
DOCUMENTED = """
tunnel: 6ff42ae2-765d-4adf-8112-31c55c1551ef
credentials-file: /root/.cloudflared/6ff42ae2-765d-4adf-8112-31c55c1551ef.json

ingress:
  - hostname: gitlab.widgetcorp.tech
    service: http://localhost:80
  - hostname: gitlab-ssh.widgetcorp.tech
    service: ssh://localhost:22
  - hostname: ai.widgetcorp.tech
    service: http://localhost:11434
    originRequest:
      httpHostHeader: localhost:11434
  - service: http_status:404
"""
AI = "https://ai.widgetcorp.tech"
GUARDED = DOCUMENTED.replace(
    "httpHostHeader: localhost:11434",
    "{httpHostHeader: localhost, access: {required: true, teamName: w, audTag: [a]}}",
).replace("originRequest:\n      {", "originRequest: {")


def quick(*options: str) -> str:
    return " ".join(["cloudflared tunnel --url http://localhost:11434", *options])


REWRITTEN = "--http-host-header localhost:11434"
QUICK = "cloudflared quick tunnel to localhost:11434"
OPEN = {QUICK: "internet all none"}


@pytest.mark.parametrize(
    ("line", "at", "version", "expected"),
    [
        (quick(REWRITTEN), LOOPBACK, "0.30.0", OPEN),
        (quick("--http-host-header=localhost"), LOOPBACK, "0.30.0", OPEN),
        # Ollama answers a foreign Host with 403 on loopback since 0.1.29, and nowhere else.
        (quick(), LOOPBACK, "0.30.0", {}),
        (quick(), LOOPBACK, "0.1.28", OPEN),
        (quick(), ANYWHERE, "0.30.0", OPEN),
        (quick("--http-host-header ai.example.com"), LOOPBACK, "0.30.0", {}),
        ("cloudflared tunnel --url http://localhost:8080", ANYWHERE, "0.30.0", {}),
        ("cloudflared tunnel --url localhost:11434", ANYWHERE, "0.30.0", OPEN),
        ("cloudflared --url http://localhost:11434", ANYWHERE, "0.30.0", OPEN),
        ("cloudflared access tcp --hostname a.b --url localhost:11434", ANYWHERE, "0.30.0", {}),
        ("cloudflared tunnel run widgets", ANYWHERE, "0.30.0", {}),
        (
            "cloudflared tunnel run --url http://127.0.0.1:11434 widgets",
            ANYWHERE,
            "0.30.0",
            {"cloudflared tunnel widgets": "internet unknown unknown"},
        ),
        (
            "cloudflared --no-autoupdate tunnel run --token ***",
            LOOPBACK,
            "0.30.0",
            {"cloudflared tunnel": "internet unknown unknown"},
        ),
    ],
)  # fmt: skip
def test_command_lines(line: str, at: str, version: str, expected: dict[str, str]) -> None:
    assert words(told("cloudflared", line), at, version) == expected


def test_the_name_of_a_quick_tunnel_is_asked_of_its_metrics_server() -> None:
    running = {"quicktunnel": {"hostname": "sunny-day.trycloudflare.com"}, "config": {}}
    client = told("cloudflared", quick(REWRITTEN), running=running)
    (found,) = tunnels(with_tunnel(client))
    assert (found.id, found.name) == ("https://sunny-day.trycloudflare.com",) * 2
    assert found.tls is Encryption.TLS
    assert [hop.name for hop in found.hops] == [
        "cloudflared to localhost:11434",
        "ollama (812) at 127.0.0.1:11434",
    ]


def test_rules_of_a_file() -> None:
    assert words(told("cloudflared", RUN, {MAIN: DOCUMENTED})) == {AI: "internet unknown unknown"}


def test_what_was_not_rewritten_does_not_get_in() -> None:
    plain = DOCUMENTED.replace("httpHostHeader: localhost:11434", "noTLSVerify: true")
    assert words(told("cloudflared", RUN, {MAIN: plain})) == {}
    assert words(told("cloudflared", RUN, {MAIN: plain}), ANYWHERE) == {
        AI: "internet unknown unknown"
    }


def test_a_rewriting_for_all_rules_is_one_for_each() -> None:
    text = DOCUMENTED.replace("    originRequest:\n      httpHostHeader: localhost:11434\n", "")
    text += "originRequest:\n  httpHostHeader: localhost\n"
    assert words(told("cloudflared", RUN, {MAIN: text})) == {AI: "internet unknown unknown"}


def test_a_rule_that_refuses_what_did_not_log_in() -> None:
    assert words(told("cloudflared", RUN, {MAIN: GUARDED})) == {AI: "internet unknown required"}


def test_a_rule_for_every_name() -> None:
    text = "tunnel: widgets\ningress:\n  - service: http://127.0.0.1:11434\n"
    assert words(told("cloudflared", RUN, {MAIN: text}), ANYWHERE) == {
        "cloudflared tunnel widgets": "internet unknown unknown"
    }


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/*.(jpg|png|css|js)", True),  # not judged
        ("^/api", True),
        ("^/api/generate$", True),
        ("^/static/", False),
        ("/admin", False),
        ("", True),
    ],
)
def test_rules_for_some_paths(path: str, leads: bool) -> None:  # noqa: FBT001 - from the table
    text = f"""
tunnel: w
ingress:
  - {{hostname: a.example.com, path: '{path}', service: 'http://127.0.0.1:11434'}}
  - service: http_status:404
"""
    found = words(told("cloudflared", RUN, {MAIN: text}), ANYWHERE)
    assert bool(found) is leads


def test_raw_connections_carry_whatever_host_their_client_writes() -> None:
    text = "tunnel: w\ningress:\n  - {hostname: a.example.com, service: 'tcp://127.0.0.1:11434'}\n"
    assert words(told("cloudflared", RUN, {MAIN: text})) == {
        "https://a.example.com": "internet unknown unknown"
    }


def test_a_jump_host_leads_wherever_its_user_likes() -> None:
    text = "tunnel: w\ningress:\n  - {hostname: a.example.com, service: bastion}\n"
    assert words(told("cloudflared", RUN, {MAIN: text})) == {
        "https://a.example.com": "internet unknown unknown"
    }


def test_what_cloudflare_configured_is_what_the_running_client_says() -> None:
    config = {
        "ingress": [
            {
                "hostname": "ai.example.com",
                "service": "http://localhost:11434",
                "originRequest": {"httpHostHeader": "localhost:11434"},
            },
            {"service": "http_status:404"},
        ],
        "warp-routing": {"enabled": True},
    }
    line = "cloudflared tunnel run"
    secret = {"TUNNEL_TOKEN": None}
    asked = told("cloudflared", line, running={"config": config}, variables=secret)
    assert words(asked) == {"https://ai.example.com": "internet unknown unknown"}
    elsewhere = {"ingress": [{"service": "http://localhost:3000"}]}
    asked = told("cloudflared", line, running={"config": elsewhere}, variables=secret)
    assert words(asked) == {}
    assert words(told("cloudflared", line, variables=secret)) == {
        "cloudflared tunnel": "internet unknown unknown"
    }


@pytest.mark.parametrize(
    "text",
    [
        "ingress: [",
        "ingress: &a [*a]",
        "- 1\n- 2",
        "ingress:\n  - service: [1]\n",
        "ingress:\n  - {hostname: a.example.com, service: 'http://127.0.0.1:port'}\n",
        "[" * 5000,
        "!!python/object/apply:os.system ['true']",
        "tunnel: 1\n" * 200_000,
    ],
)
def test_what_it_would_refuse_itself_is_unclear_or_nothing(text: str) -> None:
    found = words(told("cloudflared", RUN, {MAIN: text}))
    assert set(found.values()) <= {"internet unknown unknown"}


def test_an_unreadable_file_is_unclear_and_says_so() -> None:
    hidden = Unknown("only root may read it", MAIN, "sudo ollama-audit")
    (found,) = tunnels(with_tunnel(told("cloudflared", RUN, {MAIN: hidden})))
    assert not found.certain
    assert "only root may read it" in found.reach[0].because[0]
