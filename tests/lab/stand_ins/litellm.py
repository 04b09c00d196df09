#!/usr/bin/python3
"""Answers as LiteLLM's proxy does, as far as it passes requests on to one Ollama.

litellm/proxy/auth/user_api_key_auth.py and proxy_server.py: the OpenAI-compatible paths alone, and
with a master key only for who has one. Its errors have the server's own text in them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIG = Path(sys.argv[sys.argv.index("--config") + 1]).read_text(encoding="utf-8")
(BASE,) = re.findall(r"api_base: (\S+)", CONFIG)
NAMED = "".join(re.findall(r"master_key: (\S+)", CONFIG))
KEY = os.environ.get(NAMED.removeprefix("os.environ/"), "") if "os.environ/" in NAMED else NAMED
KEY = KEY or os.environ.get("LITELLM_MASTER_KEY", "")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if KEY and self.headers.get("Authorization") != f"Bearer {KEY}":
            self._say(401, b'{"error": {"message": "Authentication Error"}}')
        elif self.path in {"/v1/chat/completions", "/chat/completions"} and self.command == "POST":
            self._pass_on(given)
        else:
            self._say(404, b'{"detail": "Not Found"}')

    def _pass_on(self, given: bytes) -> None:
        sent = {**json.loads(given), "stream": False}
        asked = urllib.request.Request(f"{BASE}/api/chat", json.dumps(sent).encode())
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                self._say(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            told = f"litellm.NotFoundError: OllamaException - {error.read().decode()}"
            self._say(error.code, json.dumps({"error": {"message": told}}).encode())
        except OSError as error:
            self._say(500, str(error).encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as http.server looks for them


class Server(ThreadingHTTPServer):
    """On every address of both families."""

    address_family = socket.AF_INET6  # type: ignore[mutable-override]


Server(("::", 4000), Handler).serve_forever()
