"""Applications that use Ollama for whoever may use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ollama_audit.exposure.forwarders.applications import others
from ollama_audit.exposure.forwarders.applications.litellm import litellm
from ollama_audit.exposure.forwarders.applications.open_webui import open_webui
from ollama_audit.exposure.forwarders.applications.settings import Application
from ollama_audit.exposure.forwarders.step import Onward, unclear
from ollama_audit.exposure.forwarders.web import configuration, owners, stale
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.snapshot.network import Listener, NetworkNamespace
from ollama_audit.snapshot.process import Process

_KINDS: Mapping[str, tuple[str, Callable[[Application], tuple[Onward, ...]]]] = MappingProxyType(
    {
        "anythingllm": ("AnythingLLM", others.anythingllm),
        "code-server": ("code-server", others.code_server),
        "flowise": ("Flowise", others.flowise),
        "jupyter": ("Jupyter", others.jupyter),
        "langflow": ("Langflow", others.langflow),
        "librechat": ("LibreChat", others.librechat),
        "litellm": ("LiteLLM", litellm),
        "n8n": ("n8n", others.n8n),
        "open-webui": ("Open WebUI", open_webui),
        "openclaw": ("OpenClaw", others.openclaw),
    }
)
"""By `Configuration.program`: what to call it, and what it does with a request."""


def application(
    terrain: Terrain, namespace: NetworkNamespace, listener: Listener, process: Process
) -> tuple[Onward, ...]:
    """The steps of a listener of one of these programs."""
    found = configuration(terrain, owners(listener, process))
    if found is None or found.program not in _KINDS:
        return (unclear(process, "its settings were not read"),)
    name, follow = _KINDS[found.program]
    at = Application(terrain, namespace, listener, process, found, name)
    if at.unread:
        step = unclear(process, f"the settings of {name} were not read: {at.unread}")
        return (step,)
    if late := stale(found):
        return (unclear(process, late, cure=f"restart {name}"),)
    return follow(at)
