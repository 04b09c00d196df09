"""What of a container's labels and variables enters a snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_audit.snapshot import masking, redact
from ollama_audit.snapshot.process import Setting

_KEPT = (
    "traefik.",
    "caddy",  # caddy-docker-proxy
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.swarm.service.",
    "PODMAN_SYSTEMD_UNIT",
)


def labels(found: Iterable[tuple[str, object]]) -> dict[str, str]:
    """The labels that a reader of the snapshot may need, with secrets masked."""
    return {
        name: _masked(name, value)
        for name, value in sorted(found)
        if isinstance(value, str) and name.startswith(_KEPT)
    }


def _masked(name: str, value: str) -> str:
    if name.rpartition(".")[2] in {"users", "password", "secret", "token"}:
        users = [user.partition(":")[0] for user in value.split(",")]
        return ",".join(f"{user}:{redact.MASK}" for user in users if user)
    return redact.text(masking.configuration("traefik", value))


def settings(variables: Iterable[object]) -> tuple[Setting, ...]:
    """Ollama's own variables out of `NAME=VALUE` texts."""
    pairs = (text.partition("=") for text in variables if isinstance(text, str))
    return redact.environment(
        (name, value) for name, _, value in pairs if name.startswith("OLLAMA_")
    )
