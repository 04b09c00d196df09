"""Whether strangers can make themselves an account of an application.

Open WebUI says it to everybody while it runs (`enable_signup` and `onboarding` of `/api/config`,
backend/open_webui/main.py, 0.6); whether a new account may do anything before an administrator
has said so is DEFAULT_USER_ROLE, `pending` unless changed. LibreChat has ALLOW_REGISTRATION
(its .env), and Langflow always takes sign-ups, which count once LANGFLOW_NEW_USER_IS_ACTIVE says.
"""

from __future__ import annotations

import json

import msgspec

from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.configuration import Configuration

_ON = frozenset({"1", "on", "true", "yes"})


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    """How a stranger becomes a user of an application."""

    application: str
    allowed: bool
    first: bool = False
    """There is no account yet: whoever comes first becomes its administrator."""
    at_once: bool = False
    """A new account may use models before an administrator has said so."""
    evidence: str = ""
    """What says so."""


def sign_up(found: Configuration) -> SignUp | Unknown | None:
    """What is known of it; None for a program in which nobody can make an account."""
    if found.program == "open-webui":
        return _open_webui(found)
    if found.program == "librechat":
        given = _variable(found, "ALLOW_REGISTRATION")
        if given is None:
            why = "whether LibreChat lets strangers register may be in its .env file"
            return Unknown(why, "ALLOW_REGISTRATION", "grep ALLOW_REGISTRATION .env")
        on = given.lower() in _ON
        said = f"ALLOW_REGISTRATION={given}"
        return SignUp(application="LibreChat", allowed=on, at_once=on, evidence=said)
    if found.program == "langflow":
        given = _variable(found, "LANGFLOW_NEW_USER_IS_ACTIVE") or "false"
        on = given.lower() in _ON
        said = f"LANGFLOW_NEW_USER_IS_ACTIVE={given}"
        return SignUp(application="Langflow", allowed=on, at_once=on, evidence=said)
    return None


def _open_webui(found: Configuration) -> SignUp | Unknown | None:
    if not isinstance(found.running, Known):
        why = "whether Open WebUI lets strangers sign up is in its database (webui.db)"
        return Unknown(why, "GET /api/config", "run ollama-audit without --no-probe")
    told = json.loads(found.running.value or "{}")
    if not isinstance(told, dict) or told.get("auth") is False:
        return None
    first, allowed = told.get("onboarding") is True, told.get("enable_signup") is True
    role = _variable(found, "DEFAULT_USER_ROLE") or "pending"
    return SignUp(
        application="Open WebUI",
        allowed=allowed or first,
        first=first,
        at_once=allowed and role in {"admin", "user"},
        evidence=f"{found.running.source}: enable_signup {str(allowed).lower()}"
        + (", no account yet" if first else f"; DEFAULT_USER_ROLE {role}"),
    )


def _variable(found: Configuration, name: str) -> str | None:
    settings = found.environment.value if isinstance(found.environment, Known) else ()
    return next((each.value for each in settings if each.name == name and each.value), None)
