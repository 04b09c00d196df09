"""LiteLLM's proxy: an OpenAI-compatible API whose models may be Ollama's.

docs.litellm.ai, "Proxy Config.yaml" and "Virtual Keys"; litellm/proxy/auth/user_api_key_auth.py:
without a master key everybody is its administrator. It passes on what runs models, nothing that
changes them.
"""

from __future__ import annotations

import re
from typing import Any

from ollama_audit.exposure.forwarders.applications.settings import (
    USUAL,
    Access,
    Application,
    free,
    locked,
    unknown,
)
from ollama_audit.exposure.forwarders.document import document, entries, mapping, word
from ollama_audit.exposure.forwarders.step import Onward

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_OLLAMA = re.compile(r"ollama(?:_chat)?/")
_ANY = frozenset({"*", "ollama/*", "ollama_chat/*"})
_REFERENCE = "os.environ/"
_CURE = "look at its Models page, or at LITELLM_MASTER_KEY and the model_list of its config"


def litellm(at: Application) -> tuple[Onward, ...]:
    """The steps of a listener of LiteLLM."""
    try:
        config = mapping(document(at.found.main, dict(at.texts()).get(at.found.main, "")))
    except ValueError as error:
        return (at.nowhere(f"its configuration: {error}", unknown(str(error), _CURE)),)
    if at.unread_file:
        return (at.nowhere(at.unread_file, unknown(at.unread_file, _CURE)),)
    access = _access(at, config)
    urls, doubts = _backends(at, config)
    steps = at.toward(urls, access, PATHS)
    if doubts and not at.leads_here(steps):
        steps = (*steps, at.nowhere(doubts[0], access, _CURE))
    return steps


def _access(at: Application, config: dict[str, Any]) -> Access:
    general = mapping(config.get("general_settings"))
    if "custom_auth" in general or general.get("enable_jwt_auth") is True:
        return locked("LiteLLM: general_settings has custom_auth or enable_jwt_auth")
    if "include" in config and "master_key" not in general:
        return unknown("LiteLLM's configuration includes further files", _CURE)
    key = _resolved(at, general.get("master_key")) or at.variable("LITELLM_MASTER_KEY")
    return locked("LiteLLM's keys (master_key)") if key else free()


def _resolved(at: Application, value: Any) -> str:
    """A setting, looked up where it names a variable; empty for none."""
    text = word(value)
    return at.variable(text.removeprefix(_REFERENCE)) or "" if _REFERENCE in text else text


def _backends(at: Application, config: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The Ollama servers that its models are at, and why there may be more."""
    usual = at.variable("OLLAMA_API_BASE") or USUAL
    parameters = [
        mapping(mapping(each).get("litellm_params")) for each in entries(config.get("model_list"))
    ]
    if named := at.given("--model", "-m"):
        parameters.append({"model": named, "api_base": at.given("--api_base")})
    urls, doubts = [], []
    for each in parameters:
        model, base = word(each.get("model")), word(each.get("api_base"))
        if base.startswith(_REFERENCE):
            name = base.removeprefix(_REFERENCE)
            base = at.variable(name) or ""
            if not base or base == "***":
                doubts.append(f"where the model {model} is: the value of {name} is not known")
                continue
        if _OLLAMA.match(model) or model in _ANY:
            urls.append(base or usual)
        elif base:
            urls.append(base)  # OpenAI's protocol is spoken by Ollama, too
    if not parameters:
        urls.append(usual)  # the client names model and provider
    if "include" in config:
        doubts.append("LiteLLM's configuration includes further files")
    if at.variable("DATABASE_URL") or at.variable("STORE_MODEL_IN_DB"):
        doubts.append("LiteLLM may have further models in its database")
    return urls, doubts
