"""Applications of which the host shows little: whether they ask for a login, if anything.

Whoever may use Jupyter, code-server, Langflow or Flowise can make it send requests wherever its
host can, so Ollama's usual address is within reach of its users. The others keep in a database
where their models are.
"""

from __future__ import annotations

import re

from ollama_audit.exposure.forwarders.applications.settings import (
    USUAL,
    Access,
    Application,
    free,
    locked,
    unknown,
)
from ollama_audit.exposure.forwarders.document import document, mapping, word
from ollama_audit.exposure.forwarders.step import Onward


def jupyter(at: Application) -> tuple[Onward, ...]:
    """Jupyter, with jupyter-server-proxy or a mere terminal (jupyter-server, "Security").

    Without a token of one's own it makes up a random one; an empty one lets everybody in.
    """
    names = [
        f"{group}.{setting}"
        for group in ("ServerApp", "NotebookApp", "IdentityProvider", "PasswordIdentityProvider")
        for setting in ("token", "password", "hashed_password")
    ]
    values = [at.given(f"--{name}") for name in names]
    empty = any(value in {"", "''", '""'} for value in values)
    keyed = any(value not in {None, "", "''", '""'} for value in values)
    for _, text in at.texts():
        settings = rf"(?:{'|'.join(map(re.escape, names))})"
        empty |= bool(re.search(rf"(?m)^\s*(?:c\.)?{settings}\s*=\s*u?(['\"])\1\s*$", text))
        keyed |= bool(re.search(rf"(?m)^\s*(?:c\.)?{settings}\s*=\s*(?!u?(['\"])\1\s*$)\S", text))
        keyed |= bool(re.search(r'"(?:hashed_)?(?:password|token)"\s*:\s*(?!"")\S', text))
    if at.unread_file:
        access = unknown(at.unread_file, "sudo ollama-audit")
    elif keyed or at.variable("JUPYTER_TOKEN") or not empty:
        access = locked("Jupyter's token or password")
    else:
        access = free()
    return at.toward([USUAL], access)


def code_server(at: Application) -> tuple[Onward, ...]:
    """code-server, which passes on `/proxy/11434/` (coder.com/docs/code-server, "FAQ")."""
    config: dict[str, object] = {}
    for path, text in at.texts():
        try:
            config = mapping(document(path, text))
        except ValueError:
            return (at.nowhere(f"{path} is not understood", unknown(path)),)
    auth = at.given("--auth") or word(config.get("auth")) or "password"
    if at.unread_file:
        return at.toward([USUAL], unknown(at.unread_file, "sudo ollama-audit"))
    return at.toward([USUAL], free() if auth == "none" else locked("code-server's password"))


def langflow(at: Application) -> tuple[Onward, ...]:
    """Langflow: `/api/v1/auto_login` makes whoever asks its superuser, unless that is turned off.

    docs.langflow.org, "API keys and authentication": LANGFLOW_AUTO_LOGIN is on by default.
    """
    automatic = (at.variable("LANGFLOW_AUTO_LOGIN") or "true").lower() in {"true", "1", "yes", "on"}
    access = free() if automatic else locked("Langflow's accounts (LANGFLOW_AUTO_LOGIN is off)")
    return at.toward([USUAL], access)


def flowise(at: Application) -> tuple[Onward, ...]:
    """Flowise: a name and a password before version 3, accounts since (docs.flowiseai.com)."""
    if at.variable("FLOWISE_USERNAME") and at.variable("FLOWISE_PASSWORD"):
        return at.toward([USUAL], locked("Flowise's password (FLOWISE_PASSWORD)"))
    why = "Flowise before version 3 asks for no login without FLOWISE_USERNAME and FLOWISE_PASSWORD"
    return at.toward([USUAL], unknown(why, "open it in a private window, and see what it asks"))


def n8n(at: Application) -> tuple[Onward, ...]:
    """n8n: its editor has accounts; which workflows answer without one is in its database."""
    why = "which workflows of n8n answer without a login (webhooks, chats) is in its database"
    return _hidden(at, unknown(why, "look for active Webhook and Chat triggers in n8n"))


def anythingllm(at: Application) -> tuple[Onward, ...]:
    """AnythingLLM: a password for all, several users, or nobody asks (its docs, "Security")."""
    if at.variable("AUTH_TOKEN"):
        access = locked("AnythingLLM's password (AUTH_TOKEN)")
    else:
        why = "whether AnythingLLM has several users with passwords is in its database"
        access = unknown(why, "look at AnythingLLM's Settings > Security")
    return _hidden(at, access)


def librechat(at: Application) -> tuple[Onward, ...]:
    """LibreChat: always with accounts (api/server/middleware/requireJwtAuth.js)."""
    return _hidden(at, locked("LibreChat's accounts"))


def openclaw(at: Application) -> tuple[Onward, ...]:
    """OpenClaw's gateway, which refuses to listen beyond loopback without a token or a password.

    Its src/gateway/server-runtime-config.ts; a trusted proxy may take the place of the secret.
    """
    if at.variable("OPENCLAW_GATEWAY_TOKEN") or at.variable("OPENCLAW_GATEWAY_PASSWORD"):
        return _hidden(at, locked("OpenClaw's gateway token or password"))
    if at.given("--token") or at.given("--password") or not at.listener.on_loopback:
        return _hidden(at, locked("OpenClaw's gateway token or password"))
    why = "whether OpenClaw's gateway asks for its token on loopback is in its configuration"
    return _hidden(at, unknown(why, "openclaw config get gateway.auth"))


def _hidden(at: Application, access: Access) -> tuple[Onward, ...]:
    """The steps of a program that keeps to itself which Ollama it uses."""
    told = at.variable("OLLAMA_BASE_PATH") or at.variable("OLLAMA_BASE_URL")
    told = told or at.variable("OLLAMA_HOST")
    steps = at.toward([told], access) if told else ()
    if at.leads_here(steps):
        return steps
    why = f"which servers {at.name} uses is in its own database"
    return (*steps, at.nowhere(why, access, f"look at the model providers of {at.name}"))
