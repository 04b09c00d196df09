"""Where applications that use Ollama for others have their settings: variables, and few files.

What they keep in databases of their own is not read. Open WebUI tells everybody, before any
login, whether it asks for one (`GET /api/config`; its backend/open_webui/main.py, 0.6).
"""

from __future__ import annotations

import json
import posixpath

from ollama_audit.collect.configurations.local_api import documents
from ollama_audit.collect.configurations.start import Program, Start, folder, option, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process

_ABOUT = "/api/config"
_TOLD = ("auth", "auth_trusted_header", "enable_signup")


def _open_webui(process: Process, _: Rooted, listeners: tuple[Listener, ...]) -> Observed[str]:
    """What it says of its login; of the rest of the answer nothing is kept."""
    found = documents(process, listeners, (_ABOUT,))
    if isinstance(found, Unknown):
        return found
    answer = found.value[_ABOUT]
    features = answer.get("features") if isinstance(answer, dict) else None
    if not isinstance(features, dict):
        return Unknown("it did not say whether it asks for a login", found.source)
    told = {name: features[name] for name in _TOLD if isinstance(features.get(name), bool)}
    told["onboarding"] = answer.get("onboarding") is True
    return Known(json.dumps(told), found.source)


def _litellm(process: Process, _: Rooted) -> Start:
    """`--config FILE` or CONFIG_FILE_PATH (docs.litellm.ai, "CLI Arguments")."""
    path = option(process, "--config", "-c") or variables(process).get("CONFIG_FILE_PATH", "")
    return Start(posixpath.join(folder(process), path) if path else "")


def _jupyter(process: Process, rooted: Rooted) -> Start:
    """Its configuration files (`jupyter --paths`)."""
    home = variables(process).get("HOME", "")
    folders = (f"{home}/.jupyter", "/usr/local/etc/jupyter", "/etc/jupyter")
    names = ("jupyter_server_config", "jupyter_lab_config", "jupyter_notebook_config")
    found = [
        f"{folder}/{name}.{ending}"
        for folder in folders
        for name in names
        for ending in ("py", "json")
    ]
    here = [path for path in found if rooted.exists(path)]
    return Start(here[0] if here else "", "", tuple(here[1:]))


def _code_server(process: Process, rooted: Rooted) -> Start:
    """`--config FILE`, CODE_SERVER_CONFIG, or below the user's home (code-server's docs/FAQ)."""
    environment = variables(process)
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    usual = f"{home}/code-server/config.yaml"
    named = option(process, "--config") or environment.get("CODE_SERVER_CONFIG", "")
    return Start(named or (usual if rooted.exists(usual) else ""))


OPEN_WEBUI = Program(kind="open-webui", environment=True, ask=_open_webui)
LITELLM = Program(kind="litellm", start=_litellm, environment=True)
JUPYTER = Program(kind="jupyter", start=_jupyter, environment=True)
CODE_SERVER = Program(kind="code-server", start=_code_server, environment=True)
LANGFLOW = Program(kind="langflow", environment=True)
FLOWISE = Program(kind="flowise", environment=True)
N8N = Program(kind="n8n", environment=True)
ANYTHINGLLM = Program(kind="anythingllm", environment=True)
LIBRECHAT = Program(kind="librechat", environment=True)
OPENCLAW = Program(kind="openclaw", environment=True)

APPLICATIONS = {
    "api/server/index": LIBRECHAT,
    "anything-llm/server/index": ANYTHINGLLM,
    "app/server/index": ANYTHINGLLM,
    "code-server": CODE_SERVER,
    "flowise": FLOWISE,
    "jupyter-lab": JUPYTER,
    "jupyter-labhub": JUPYTER,
    "jupyter-notebook": JUPYTER,
    "jupyter-server": JUPYTER,
    "jupyterlab": JUPYTER,
    "langflow": LANGFLOW,
    "litellm": LITELLM,
    "n8n": N8N,
    "open-webui": OPEN_WEBUI,
    "open_webui": OPEN_WEBUI,
    "openclaw": OPENCLAW,
    "openclaw-gateway": OPENCLAW,
}
"""By a name that the process goes by (`Process.called`)."""
