#!/usr/bin/python3
"""Answers as Open WebUI 0.6 does, as far as it passes requests on to Ollama.

backend/open_webui/main.py, routers/ollama.py and routers/auths.py: /ollama/api/version is for
everybody, all else below /ollama/ for who has a token; with WEBUI_AUTH off, an empty sign-in
brings an administrator's. /api/version is its own, and /api/config says whether it asks.
"""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AUTH = os.environ.get("WEBUI_AUTH", "True").lower() == "true"
OLLAMA = os.environ.get("OLLAMA_BASE_URL", "http://localhost:11434")
TOKEN = "a-token-of-this-run"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.path == "/api/config":
            features = {"auth": AUTH, "auth_trusted_header": False, "enable_signup": False}
            self._say(200, json.dumps({"status": True, "features": features}).encode())
        elif self.path == "/api/version":
            self._say(200, b'{"version": "0.6.15"}')
        elif self.path == "/api/v1/auths/signin":
            told = {"token": TOKEN} if not AUTH else {"detail": "The email or password is wrong."}
            self._say(400 if AUTH else 200, json.dumps(told).encode())
        elif not self.path.startswith("/ollama/"):
            self._say(200, b"<!doctype html>")
        elif known or self.path == "/ollama/api/version":
            self._pass_on(given)
        else:
            self._say(401, b'{"detail": "Not authenticated"}')

    def _pass_on(self, given: bytes) -> None:
        url = OLLAMA + self.path.removeprefix("/ollama")
        asked = urllib.request.Request(url, given or None, method=self.command)
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                self._say(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._say(error.code, error.read())
        except OSError as error:
            self._say(500, str(error).encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as http.server looks for them


class Server(ThreadingHTTPServer):
    """On every address of both families."""

    address_family = socket.AF_INET6  # type: ignore[mutable-override]


Server(("::", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
