"""The configuration that Caddy runs by, from its admin API on loopback (GET /config/).

A read-only request; Caddy answers it only on the address its `admin` option names, by default
localhost:2019 (caddyserver.com, "API").
"""

from __future__ import annotations

import json
import time
from ipaddress import ip_address

from ollama_audit.collect.http import get
from ollama_audit.collect.namespaces import inside
from ollama_audit.observed import Known, Observed, Unknown

_LIMIT_S = 2.0
_SOURCE = "GET http://localhost:2019/config/"


def running(pid: int, address: str) -> Observed[str]:
    """What the Caddy of this process says, as JSON text; `address` is its CADDY_ADMIN, or empty."""
    host, _, port = (address or "127.0.0.1:2019").rpartition(":")
    host = "127.0.0.1" if host in {"localhost", ""} else host.strip("[]")
    try:
        usable = ip_address(host).is_loopback and port.isdecimal()
    except ValueError:
        usable = False
    if not usable:
        return Unknown(f"its admin address {address} is not asked", _SOURCE)
    return inside(f"/proc/{pid}/ns/net", lambda: _asked(host, int(port)))


def _asked(host: str, port: int) -> Observed[str]:
    headers = (("Host", f"localhost:{port}"),)
    try:
        status, _, body = get(host, port, "/config/", time.monotonic() + _LIMIT_S, headers)
        json.loads(body)
    except (OSError, ValueError, RecursionError) as error:
        return Unknown(f"its admin API does not answer: {error}", _SOURCE)
    if status != 200:
        return Unknown(f"its admin API answered with status {status}", _SOURCE)
    return Known(body.decode(errors="replace"), _SOURCE)
