"""Where ngrok's configuration is: in its files, and said by its agent API."""

from __future__ import annotations

import json
from typing import Any

from ollama_audit.collect.configurations.local_api import documents
from ollama_audit.collect.configurations.start import Program, Start, options, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process

_USUAL = (
    ".config/ngrok/ngrok.yml",
    "snap/ngrok/current/.config/ngrok/ngrok.yml",
    ".ngrok2/ngrok.yml",
)
_KEPT = ("name", "public_url", "proto", "config", "url", "upstream", "bindings")


def _start(process: Process, rooted: Rooted) -> Start:
    """`--config` files, else the user's (ngrok.com/docs/agent/config), and policy files."""
    named = [path for each in options(process, "--config", "-config") for path in each.split(",")]
    environment = variables(process)
    named = named or [path for path in environment.get("NGROK_CONFIG", "").split(",") if path]
    if not named:
        usual = (f"{environment.get('HOME', '')}/{name}" for name in _USUAL)
        named = [next(filter(rooted.exists, usual), "")]
    policies = options(process, "--traffic-policy-file", "--policy-file")
    return Start(named[0], "", (*named[1:], *policies))


def _ask(process: Process, _: Rooted, listeners: tuple[Listener, ...]) -> Observed[str]:
    """`/api/tunnels` and `/api/endpoints` of the agent API (ngrok.com/docs/agent/api)."""
    found = documents(process, listeners, ("/api/tunnels", "/api/endpoints"))
    if isinstance(found, Unknown):
        return found
    told = {
        kind: [_kept(each) for each in _listed(found.value.get(f"/api/{kind}"), kind)]
        for kind in ("tunnels", "endpoints")
    }
    return Known(masking.json_configuration(json.dumps(told)), found.source)


def _listed(answer: Any, kind: str) -> list[Any]:
    listed = answer.get(kind) if isinstance(answer, dict) else None
    return listed if isinstance(listed, list) else []


def _kept(described: Any) -> dict[str, Any]:
    """What says where it leads; requests and their headers are none of our business."""
    known = described if isinstance(described, dict) else {}
    return {name: known[name] for name in _KEPT if name in known}


NGROK = Program(kind="ngrok", start=_start, workers=False, environment=True, ask=_ask)
