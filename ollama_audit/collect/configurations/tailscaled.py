"""What tailscaled serves: said by its LocalAPI, else written in its state.

LocalAPI (tailscale ipn/localapi, 1.90) is HTTP at a Unix socket, where root may read. Of its
answers only what says who gets to what is kept. The state file has private keys beside the serve
configuration (ipn/store, `_serve/PROFILE` and `profile-PROFILE`); little of it leaves this module.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from ollama_audit.collect.configurations.start import Program, Start, option
from ollama_audit.collect.http import get_unix
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot import masking
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process

_LIMIT_S = 1.0
_HOST = (("Host", "local-tailscaled.sock"),)
"""client/tailscale/apitype, LocalAPIHost: other names are refused."""
_SOCKETS = ("/run/tailscale/tailscaled.sock", "/var/run/tailscale/tailscaled.sock")
_STATE = "/var/lib/tailscale/tailscaled.state"
_SELF = ("DNSName", "HostName", "TailscaleIPs")


def _start(process: Process, rooted: Rooted) -> Start:
    """What its state says it serves; not whether it is connected."""
    folder = option(process, "--statedir", "-statedir")
    path = option(process, "--state", "-state") or (
        f"{folder}/tailscaled.state" if folder else _STATE
    )
    return Start(running=_stored(rooted.text(path)))


def _stored(text: Observed[str]) -> Observed[str]:
    if isinstance(text, Unknown):
        return text
    try:
        state = json.loads(text.value)
        profile = _decoded(state.get("_current-profile", "")).removeprefix("profile-")
        served = _decoded(state.get(f"_serve/{profile}", ""))
        prefs = json.loads(_decoded(state.get(f"profile-{profile}", "")) or "{}")
        told = {
            "serve": json.loads(served or "{}"),
            "prefs": {"ShieldsUp": prefs.get("ShieldsUp")},
        }
    except (ValueError, AttributeError, TypeError, RecursionError):
        return Unknown("its state is not understood", text.source)
    return Known(masking.json_configuration(json.dumps(told)), text.source)


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode()


def _ask(process: Process, rooted: Rooted, _: tuple[Listener, ...]) -> Observed[str]:
    """Its serve configuration, its names and its preferences, as they are now."""
    named = option(process, "--socket", "-socket")
    path = named or next(filter(rooted.exists, _SOCKETS), _SOCKETS[0])
    deadline = time.monotonic() + _LIMIT_S
    try:
        serve = _get(rooted, path, "serve-config", deadline)
        status = _get(rooted, path, "status?peers=false", deadline)
        prefs = _get(rooted, path, "prefs", deadline)
    except (OSError, ValueError, RecursionError) as error:
        return Unknown(f"tailscaled did not say what it serves: {error}", path)
    own = status.get("Self")
    told = {
        "serve": serve,
        "status": {
            "BackendState": status.get("BackendState"),
            "TUN": status.get("TUN"),
            "Self": {name: own.get(name) for name in _SELF} if isinstance(own, dict) else {},
        },
        "prefs": {"ShieldsUp": prefs.get("ShieldsUp")},
    }
    return Known(masking.json_configuration(json.dumps(told)), path)


def _get(rooted: Rooted, socket: str, what: str, deadline: float) -> dict[str, Any]:
    answer = get_unix(rooted.real(socket), f"/localapi/v0/{what}", deadline, _HOST)
    if answer.status != 200:
        raise ValueError(f"status {answer.status} for {what}")
    found = json.loads(answer.body)
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no object")  # noqa: TRY004 - an answer, not a mistake of ours
    return found


TAILSCALED = Program(kind="tailscaled", start=_start, workers=False, environment=True, ask=_ask)
