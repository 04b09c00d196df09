"""Open WebUI: its own accounts, or nobody's, in front of all of Ollama's API at /ollama/.

backend/open_webui/env.py, config.py, routers/ollama.py and routers/auths.py of 0.6. With
WEBUI_AUTH off, whoever asks `/api/v1/auths/signin` gets an administrator's token without a word.
`/ollama/api/version` tells everybody the version, whatever the login; that is not use.
"""

from __future__ import annotations

from ollama_audit.exposure.forwarders.applications.settings import (
    USUAL,
    Access,
    Application,
    free,
    locked,
    unknown,
)
from ollama_audit.exposure.forwarders.step import Onward

_ELSEWHERE = (
    "the connections of Open WebUI may have been changed in its settings, which are in its "
    "database (webui.db)"
)
_CURE = "look at Open WebUI's Admin Settings > Connections"


def open_webui(at: Application) -> tuple[Onward, ...]:
    """The steps of a listener of Open WebUI."""
    access = _access(at)
    fixed = _off(at, "ENABLE_PERSISTENT_CONFIG")
    if _off(at, "ENABLE_OLLAMA_API"):
        return () if fixed else (at.nowhere(_ELSEWHERE, access, _CURE),)
    steps = at.toward(_backends(at), access)
    if fixed or at.leads_here(steps):
        return steps
    return (*steps, at.nowhere(_ELSEWHERE, access, _CURE))


def _off(at: Application, name: str) -> bool:
    """Open WebUI takes anything but `true` for off (env.py); these are on when not set."""
    return (at.variable(name) or "true").lower() != "true"


def _access(at: Application) -> Access:
    asks = at.told.get("auth")
    if not isinstance(asks, bool):
        asks = not _off(at, "WEBUI_AUTH")
    if at.told.get("auth_trusted_header") or at.variable("WEBUI_AUTH_TRUSTED_EMAIL_HEADER"):
        return unknown(
            "Open WebUI believes a header that says who somebody is "
            "(WEBUI_AUTH_TRUSTED_EMAIL_HEADER); whoever gets to it past its proxy can write that",
            "bind Open WebUI to loopback (HOST=127.0.0.1), behind the proxy that sets the header",
        )
    return locked("Open WebUI's accounts (WEBUI_AUTH)") if asks else free()


def _backends(at: Application) -> list[str]:
    """Every OLLAMA_BASE_URL, as config.py makes them from several variables."""
    several = at.variable("OLLAMA_BASE_URLS")
    if several:
        return [url.strip() for url in several.split(";") if url.strip()]
    url = at.variable("OLLAMA_BASE_URL") or ""
    if url in {"/ollama", "/ollama/"}:
        # The image's own default.
        inside = (at.variable("USE_OLLAMA_DOCKER") or "").lower() == "true"
        url = USUAL if inside else "http://host.docker.internal:11434"
    old = at.variable("OLLAMA_API_BASE_URL") or ""
    return [url or old.removesuffix("/").removesuffix("/api") or USUAL]
