"""What a running program says of itself over HTTP, at its own sockets on loopback.

GET requests that change nothing, bounded in time and size.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from ollama_audit.collect.http import get
from ollama_audit.collect.namespaces import inside
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import Family, Listener
from ollama_audit.snapshot.process import Process
from ollama_audit.words import authority

_LIMIT_S = 1.0
_MOST_SOCKETS = 4


def documents(
    process: Process, listeners: Iterable[Listener], paths: Iterable[str]
) -> Observed[dict[str, Any]]:
    """The JSON documents at these paths, by path, from the first socket that has any of them."""
    places = [
        ("::1" if each.family is Family.IPV6 and not each.wildcard else "127.0.0.1", each.port)
        for each in listeners
        if each.on_loopback or each.wildcard
    ]
    if not places:
        return Unknown("it has no socket on loopback at which it says what it does", "sock_diag")
    wanted = tuple(paths)
    return inside(
        f"/proc/{process.pid}/ns/net", lambda: _first(dict.fromkeys(places[:_MOST_SOCKETS]), wanted)
    )


def _first(places: Iterable[tuple[str, int]], paths: tuple[str, ...]) -> Observed[dict[str, Any]]:
    deadline = time.monotonic() + _LIMIT_S
    for address, port in places:
        found = {}
        for path in paths:
            try:
                answer = get(address, port, path, deadline)
                if answer.status == 200:
                    found[path] = json.loads(answer.body)
            except (OSError, ValueError, RecursionError):
                continue
        if found:
            return Known(found, f"GET http://{authority(address, port)}{next(iter(found))}")
    return Unknown("it did not say what it does", f"GET {paths[0]}")
