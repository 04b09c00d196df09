"""What an Ollama server says of itself, asked on its own socket and without leaving the host.

Only GET requests that change nothing: /api/version, /api/tags, /api/ps and /api/status (Ollama
server/routes.go). Never /api/me, which makes the server contact ollama.com.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from ollama_audit.collect.http import get
from ollama_audit.collect.model_store import capabilities_of
from ollama_audit.collect.namespaces import inside
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import ApiAnswers, Model, RunningModel
from ollama_audit.words import authority

_LIMIT_S = 2.0
"""For all four answers of one server together."""
_MOST_SOCKETS = 4
_PATHS = ("/api/version", "/api/tags", "/api/ps", "/api/status")


def unasked(reason: str, cure: str = "") -> ApiAnswers:
    """The answers of a server that was not asked."""
    why = Unknown(reason, "Ollama API", cure)
    return ApiAnswers(asked="", version=why, models=why, running=why, cloud_disabled=why)


def ask(pid: int, listeners: Iterable[Listener], store: Observed[str]) -> ApiAnswers:
    """Ask the server that owns these sockets, in the network namespace of the process `pid`.

    The first socket that knows its version is asked the rest. `store` is the server's models
    directory below our root, for what older servers do not say.
    """
    # A wildcard socket answers on loopback; any other on its own address, which the kernel
    # routes over the loopback interface as well. Loopback first: it is the least surprising.
    order = sorted(listeners, key=lambda at: (not at.on_loopback, not at.wildcard, at.port))
    if not order:
        return unasked("the server has no listening socket")
    targets = [(each.at_hand, each.port) for each in order[:_MOST_SOCKETS]]
    found = inside(f"/proc/{pid}/ns/net", lambda: _ask_first(targets))
    if isinstance(found, Unknown):
        return unasked(found.reason, found.cure)
    return _answers(*found, store)


def _ask_first(targets: list[tuple[str, int]]) -> tuple[str, dict[str, Observed[Any]]]:
    """The first place that knows its version, and its answers; else the last and its refusals."""
    deadline = time.monotonic() + _LIMIT_S
    asked, found = "", dict[str, Observed[Any]]()
    for address, port in targets:
        asked = authority(address, port)
        version = _get(address, port, _PATHS[0], deadline)
        found = dict.fromkeys(_PATHS, version)
        if isinstance(_version(version), Known):
            found |= {path: _get(address, port, path, deadline) for path in _PATHS[1:]}
            break
    return asked, found


def _get(address: str, port: int, path: str, deadline: float) -> Observed[Any]:
    """The JSON document at a path."""
    source = f"GET {path}"
    try:
        status, _, body = get(address, port, path, deadline)
    except TimeoutError:
        return Unknown("the server did not answer in time", source)
    except OSError as error:
        return Unknown(f"the server did not answer: {error.strerror or error}", source)
    except ValueError as error:
        return Unknown(f"the answer was not understood: {error}", source)
    if status != 200:
        return Unknown(f"the server answered with status {status}", source)
    try:
        return Known(json.loads(body), source)
    except (ValueError, RecursionError):
        return Unknown("the answer is not JSON", source)


def _answers(asked: str, found: dict[str, Observed[Any]], store: Observed[str]) -> ApiAnswers:
    return ApiAnswers(
        asked=asked,
        version=_version(found["/api/version"]),
        models=_models(found["/api/tags"], store),
        running=_running(found["/api/ps"]),
        cloud_disabled=_cloud(found["/api/status"]),
    )


_ODD = "the answer has another shape than Ollama's"


def _version(document: Observed[Any]) -> Observed[str]:
    if isinstance(document, Unknown):
        return document
    match document.value:
        case {"version": str(version)}:
            return Known(version, document.source)
        case _:
            return Unknown(_ODD, document.source)


def _listed(document: Known[Any]) -> list[dict[str, Any]] | None:
    match document.value:
        case {"models": list(models)} if all(isinstance(model, dict) for model in models):
            return models
        case {"models": None}:
            return []
        case _:
            return None


def _models(document: Observed[Any], store: Observed[str]) -> Observed[tuple[Model, ...]]:
    if isinstance(document, Unknown):
        return document
    listed = _listed(document)
    if listed is None:
        return Unknown(_ODD, document.source)
    # By name: the server's own order, by time of change, differs between equal hosts.
    models = sorted((_model(each, store, document.source) for each in listed), key=lambda m: m.name)
    return Known(tuple(models), document.source)


def _model(entry: dict[str, Any], store: Observed[str], source: str) -> Model:
    details = entry.get("details")
    details = details if isinstance(details, dict) else {}
    name = _text(entry.get("name"))
    said = entry.get("capabilities")
    if isinstance(said, list):  # Ollama >= 0.30.0
        can: Observed[frozenset[str]] = Known(frozenset(map(_text, said)), source)
    else:
        can = capabilities_of(name, store)
    size = entry.get("size")
    return Model(
        name=name,
        size=size if isinstance(size, int) and 0 <= size < 1 << 62 else 0,
        family=_text(details.get("family")),
        parameters=_text(details.get("parameter_size")),
        remote_host=_text(entry.get("remote_host")),
        capabilities=can,
    )


def _running(document: Observed[Any]) -> Observed[tuple[RunningModel, ...]]:
    if isinstance(document, Unknown):
        return document
    listed = _listed(document)
    if listed is None:
        return Unknown(_ODD, document.source)
    return Known(
        tuple(
            RunningModel(name=_text(entry.get("name")), expires_at=_text(entry.get("expires_at")))
            for entry in listed
        ),
        document.source,
    )


def _cloud(document: Observed[Any]) -> Observed[bool]:
    """`{"cloud": {"disabled": true, ...}}` (Ollama >= 0.16.2, api/types.go StatusResponse)."""
    if isinstance(document, Unknown):
        return document
    match document.value:
        case {"cloud": {"disabled": bool(disabled)}}:
            return Known(disabled, document.source)
        case _:
            return Unknown(_ODD, document.source)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
