"""What a server says of itself, from one that answers as Ollama's api/types.go prescribes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ollama_audit.collect.ollama import ask
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.process import ApiAnswers
from tests.hosts import listener

NO_STORE = Unknown("no store in this test", "test")

DOCUMENTS: dict[str, object] = {
    "/api/version": {"version": "0.35.1"},
    "/api/tags": {
        "models": [
            {
                "name": "qwen3:8b",
                "size": 5_200_000_000,
                "details": {"family": "qwen3", "parameter_size": "8.2B"},
                "capabilities": ["completion", "tools", "thinking"],
            },
            {"name": "gpt-oss:120b-cloud", "remote_host": "https://ollama.com:443"},
        ]
    },
    "/api/ps": {"models": [{"name": "qwen3:8b", "expires_at": "2026-11-24T10:00:00Z"}]},
    "/api/status": {"cloud": {"disabled": True, "source": "env"}},
}


@contextmanager
def serving(documents: dict[str, object]) -> Iterator[tuple[int, list[str]]]:
    """A server on loopback: its port, and the requests it has seen."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.command} {self.path}")
            body = documents.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], seen
        finally:
            server.shutdown()
            thread.join()


def answers(documents: dict[str, object]) -> ApiAnswers:
    with serving(documents) as (port, _):
        return ask(os.getpid(), [listener(f"127.0.0.1:{port}")], NO_STORE)


def test_everything_a_current_server_says_is_read() -> None:
    said = answers(DOCUMENTS)
    assert isinstance(said.version, Known)
    assert said.version.value == "0.35.1"
    assert isinstance(said.models, Known)
    remote, local = said.models.value  # by name, not in the server's order
    assert (local.name, local.family, local.parameters) == ("qwen3:8b", "qwen3", "8.2B")
    assert isinstance(local.capabilities, Known)
    assert "tools" in local.capabilities.value
    assert remote.remote_host == "https://ollama.com:443"
    assert remote.capabilities == NO_STORE
    assert isinstance(said.running, Known)
    assert [model.name for model in said.running.value] == ["qwen3:8b"]
    assert said.cloud_disabled == Known(value=True, source="GET /api/status")


def test_only_the_four_harmless_questions_are_asked() -> None:
    with serving(DOCUMENTS) as (port, seen):
        ask(os.getpid(), [listener(f"0.0.0.0:{port}")], NO_STORE)
    assert seen == ["GET /api/version", "GET /api/tags", "GET /api/ps", "GET /api/status"]


def test_an_old_server_knows_no_status() -> None:
    said = answers({path: body for path, body in DOCUMENTS.items() if path != "/api/status"})
    assert isinstance(said.cloud_disabled, Unknown)
    assert "404" in said.cloud_disabled.reason


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, {"models": 7}, {"version": 1}, [], b"\xff\xfe"]
)
def test_garbage_is_unknown(body: object) -> None:
    said = answers(dict.fromkeys(DOCUMENTS, body))
    for fact in (said.version, said.models, said.running, said.cloud_disabled):
        assert isinstance(fact, Unknown)


def test_a_server_that_is_gone_is_unknown() -> None:
    with serving({}) as (port, _):
        pass
    said = ask(os.getpid(), [listener(f"127.0.0.1:{port}")], NO_STORE)
    assert isinstance(said.version, Unknown)


def test_a_server_without_a_socket_is_not_asked() -> None:
    said = ask(os.getpid(), [], NO_STORE)
    assert said.asked == ""
    assert isinstance(said.version, Unknown)
