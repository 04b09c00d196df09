"""Models on disk: what servers before Ollama 0.30.0 do not say about them in `/api/tags`.

The layout is that of Ollama's types/model/name.go (Filepath) and manifest/: manifests are small
JSON files that name layers by media type and digest.
"""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath
from typing import Any

from ollama_audit.collect.read import read_text
from ollama_audit.observed import Known, Observed, Unknown

_LAYER = "application/vnd.ollama.image."
_MANIFEST_LIMIT = 1 << 20
_TEMPLATE_LIMIT = 1 << 20


def capabilities_of(name: str, store: Observed[str]) -> Observed[frozenset[str]]:
    """What a model can do, as Ollama 0.9's server/images.go Capabilities() derives it.

    From the template's variables (`.Tools`, `.Suffix`) and the kinds of its layers. Without a
    template the chat template inside the model file decides, which is not read.
    """
    if isinstance(store, Unknown):
        return store
    path = _manifest(name, store.value)
    if path is None:
        return Unknown(f"the name {name!r} has no place in a model store", store.value)
    manifest = _document(path)
    if isinstance(manifest, Unknown):
        return manifest
    layers = _layers(manifest.value)
    found = {"completion"}
    if "projector" in layers:
        found.add("vision")
    digest = layers.get("template")
    if digest is None:
        reason = "the template is inside the model file, which is not read"
        return Unknown(reason, path, f"ollama show {shlex.quote(name)}")
    template = read_text(f"{store.value}/blobs/{digest}", limit=_TEMPLATE_LIMIT)
    if isinstance(template, Unknown):
        return template
    found |= {
        can for word, can in ((".Tools", "tools"), (".Suffix", "insert")) if word in template.value
    }
    return Known(frozenset(found), path)


def _manifest(name: str, store: str) -> str | None:
    """Where the manifest of `[host/][namespace/]model:tag` is; None for a name with tricks."""
    path, _, tag = name.rpartition(":")
    parts = path.split("/")
    defaults = ["registry.ollama.ai", "library"]
    if not path or len(parts) > 3:
        return None
    whole = [*defaults[: 3 - len(parts)], *parts, tag]
    if any(part in {"", ".", ".."} or "\0" in part for part in whole):
        return None
    return str(PurePosixPath(store, "manifests", *whole))


def _document(path: str) -> Observed[Any]:
    text = read_text(path, limit=_MANIFEST_LIMIT)
    if isinstance(text, Unknown):
        return text
    try:
        return Known(json.loads(text.value), path)
    except (ValueError, RecursionError):
        return Unknown("the manifest is not JSON", path)


def _layers(manifest: object) -> dict[str, str]:
    """The blob of each kind of layer: `template` to `sha256-...`."""
    found: dict[str, str] = {}
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        match layer:
            case {"mediaType": str(kind), "digest": str(digest)} if kind.startswith(_LAYER):
                blob = digest.replace(":", "-")
                if blob.replace("-", "").isalnum():
                    found.setdefault(kind.removeprefix(_LAYER), blob)
    return found
