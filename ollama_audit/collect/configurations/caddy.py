"""Where Caddy's configuration is: in its admin API, else in the Caddyfile."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations import caddy_admin
from ollama_audit.collect.configurations.start import Program, Start, option, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.process import Process


def _start(process: Process, _: Rooted) -> Start:
    """The running configuration by the admin API, else the Caddyfile."""
    main = option(process, "--config", "-c", "-config") or "/etc/caddy/Caddyfile"
    running = caddy_admin.running(process.pid, variables(process).get("CADDY_ADMIN", ""))
    if isinstance(running, Known):
        text = masking.json_configuration(running.value)
        return Start(base="/", running=Known(text, running.source))
    return Start(main, posixpath.dirname(main), running=running)


CADDY = Program(
    kind="caddy",
    start=_start,
    include=re.compile(r"(?m)^\s*import\s+([\"']?)([^\s\"']+)\1"),
    include_beside=True,
)
