"""Where cloudflared's configuration is: in a file, or said by its metrics server."""

from __future__ import annotations

import json

from ollama_audit.collect.configurations.local_api import documents
from ollama_audit.collect.configurations.start import Program, Start, option, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process

_FOLDERS = ("~/.cloudflared", "~/.cloudflare-warp", "~/cloudflare-warp")
_SYSTEM = ("/etc/cloudflared", "/usr/local/etc/cloudflared")


def _start(process: Process, rooted: Rooted) -> Start:
    """`--config`, TUNNEL_CONFIG, else the first that exists (config/configuration.go)."""
    environment = variables(process)
    named = option(process, "--config", "-config") or environment.get("TUNNEL_CONFIG", "")
    home = environment.get("HOME", "")
    folders = [each.replace("~", home, 1) for each in _FOLDERS if home] + list(_SYSTEM)
    usual = (f"{folder}/config.{ending}" for folder in folders for ending in ("yml", "yaml"))
    return Start(named or next(filter(rooted.exists, usual), ""))


def _ask(process: Process, _: Rooted, listeners: tuple[Listener, ...]) -> Observed[str]:
    """`/config` and `/quicktunnel` of its metrics server (metrics/metrics.go, since 2022.3)."""
    found = documents(process, listeners, ("/config", "/quicktunnel"))
    if isinstance(found, Unknown):
        return found
    config, quick = found.value.get("/config"), found.value.get("/quicktunnel")
    told = {
        "config": config.get("config") if isinstance(config, dict) else None,
        "quicktunnel": quick,
    }
    return Known(masking.json_configuration(json.dumps(told)), found.source)


CLOUDFLARED = Program(kind="cloudflared", start=_start, workers=False, environment=True, ask=_ask)
