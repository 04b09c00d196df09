"""Applications in front of Ollama: who may use it through them, by what the host shows."""

from __future__ import annotations

import json

import msgspec
import pytest

from ollama_audit.collect.configurations import PROGRAMS
from ollama_audit.exposure.forwarders import FORWARDERS, Onward, onward
from ollama_audit.exposure.forwarders.applications import _KINDS
from ollama_audit.exposure.terrain import Terrain
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot import masking, redact
from tests.exposure.proxied import PROXY, configured, verdict
from tests.hosts import HIDDEN, host, listener, namespace, namespaces, process


def through(
    line: str | list[str],
    variables: dict[str, str] | None = None,
    *,
    files: dict[str, str] | None = None,
    running: str = "",
    at: str = "0.0.0.0:8080",
) -> tuple[Onward, ...]:
    """The steps of a program with this command line."""
    own = listener(at, owners=PROXY)
    space = namespace("127.0.0.1:11434", own)
    argv = redact.arguments(line.split() if isinstance(line, str) else line)
    program = msgspec.structs.replace(
        process(PROXY, name=argv[0], executable=""), arguments=Known(argv, "cmdline")
    )
    kind = next(PROGRAMS[name].kind for name in program.called if name in PROGRAMS)
    masked = {path: masking.configuration(kind, text) for path, text in (files or {}).items()}
    found = msgspec.structs.replace(
        configured(kind, masked, running=running),
        environment=Known(redact.environment((variables or {}).items()), "environ"),
    )
    given = host(namespaces=namespaces(space), processes=(program,)).snapshot
    snapshot = msgspec.structs.replace(given, configurations=(found,))
    return onward(Terrain(snapshot), space, own, (PROXY,))


WEBUI = "open-webui serve"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "login"),
        ({"WEBUI_AUTH": "True"}, "login"),
        ({"WEBUI_AUTH": "False"}, "open"),
        ({"WEBUI_AUTH": "1"}, "open"),
        ({"WEBUI_AUTH": ""}, "login"),
        ({"WEBUI_AUTH": "False", "OLLAMA_BASE_URL": "http://127.0.0.1:11434"}, "open"),
        ({"WEBUI_AUTH": "False", "OLLAMA_BASE_URLS": "http://10.0.0.9:1;http://ai-box"}, "doubt"),
        ({"WEBUI_AUTH": "False", "OLLAMA_BASE_URLS": "http://10.0.0.9:1;localhost:11434"}, "open"),
        ({"WEBUI_AUTH": "False", "OLLAMA_API_BASE_URL": "http://localhost:11434/api"}, "open"),
        ({"WEBUI_AUTH": "False", "OLLAMA_BASE_URL": "http://203.0.113.7:11434"}, "doubt"),
        (
            {
                "WEBUI_AUTH": "False",
                "OLLAMA_BASE_URL": "http://203.0.113.7:11434",
                "ENABLE_PERSISTENT_CONFIG": "False",
            },
            "shut",
        ),
        ({"WEBUI_AUTH": "False", "ENABLE_OLLAMA_API": "False"}, "doubt"),
        ({"WEBUI_AUTH_TRUSTED_EMAIL_HEADER": "X-User"}, "doubt"),
    ],
)
def test_open_webui(variables: dict[str, str], expected: str) -> None:
    assert verdict(through(WEBUI, variables)) == expected


def test_open_webui_knows_better_while_it_runs() -> None:
    told = json.dumps({"auth": True, "auth_trusted_header": False})
    assert verdict(through(WEBUI, {"WEBUI_AUTH": "False"}, running=told)) == "login"


def test_an_unknown_target_keeps_the_login() -> None:
    steps = through(WEBUI, {"OLLAMA_BASE_URL": "http://203.0.113.7:11434"})
    assert [step.login.value for step in steps] == ["required", "required"]
    assert "Connections" in steps[1].cure


@pytest.mark.parametrize(
    "line",
    [
        "/usr/bin/python3 /usr/local/bin/open-webui serve",
        "python3 -m uvicorn open_webui.main:app --host 0.0.0.0",
    ],
)
def test_open_webui_by_other_names(line: str) -> None:
    assert verdict(through(line, {"WEBUI_AUTH": "False"})) == "open"


CONFIG = "/etc/litellm.yaml"
MODEL = (
    "model_list:\n- model_name: a\n  litellm_params:\n"
    "    model: ollama_chat/llama3\n    api_base: http://127.0.0.1:11434\n"
)
ELSEWHERE = MODEL.replace("ollama_chat/llama3", "openai/gpt").replace("127.0.0.1", "203.0.113.7")


@pytest.mark.parametrize(
    ("config", "variables", "expected"),
    [
        (MODEL, {}, "open"),
        (f"{MODEL}general_settings:\n  master_key: sk-1234567890\n", {}, "login"),
        (f"{MODEL}general_settings:\n  master_key: os.environ/PROXY_KEY\n", {}, "open"),
        (
            f"{MODEL}general_settings:\n  master_key: os.environ/PROXY_KEY\n",
            {"PROXY_KEY": "sk-1"},
            "login",
        ),
        (MODEL, {"LITELLM_MASTER_KEY": "sk-1"}, "login"),
        (MODEL, {"LITELLM_MASTER_KEY": ""}, "open"),
        (f"{MODEL}general_settings:\n  custom_auth: mine.check\n", {}, "login"),
        (f"include: [more.yaml]\n{MODEL}", {}, "doubt"),
        (MODEL.replace("ollama_chat/llama3", "openai/llama3"), {}, "open"),
        (MODEL.replace("ollama_chat/llama3", '"*"'), {}, "open"),
        (ELSEWHERE, {}, "shut"),
        (ELSEWHERE, {"DATABASE_URL": "postgresql://x"}, "doubt"),
        (MODEL.replace("http://127.0.0.1:11434", "os.environ/BASE"), {"BASE": "x"}, "doubt"),
        (MODEL.replace("    api_base: http://127.0.0.1:11434\n", ""), {}, "open"),
        ("model_list: [", {}, "doubt"),
    ],
)
def test_litellm(config: str, variables: dict[str, str], expected: str) -> None:
    found = through(f"litellm --config {CONFIG}", variables, files={CONFIG: config})
    assert verdict(found) == expected


def test_litellm_runs_models_and_changes_none() -> None:
    (step,) = through("litellm --model ollama/llama3 --api_base http://localhost:11434")[:1]
    assert "/v1/chat/completions" in step.only_paths
    assert not any("/api/" in path for path in step.only_paths)


@pytest.mark.parametrize(
    ("line", "variables", "expected"),
    [
        ("python3 /usr/bin/jupyter-lab --ip 0.0.0.0", {}, "login"),
        ("python3 /usr/bin/jupyter-lab --ServerApp.token=", {}, "open"),
        ("python3 /usr/bin/jupyter-lab --ServerApp.token= --ServerApp.password=x", {}, "login"),
        ("python3 /usr/bin/jupyter-lab --ServerApp.token=abc", {}, "login"),
        ("node /usr/lib/code-server --auth none", {}, "open"),
        ("node /usr/lib/code-server --auth password", {"PASSWORD": "x"}, "login"),
        ("node /usr/lib/code-server/out/node/entry", {}, "login"),
        ("python3 /usr/bin/langflow run", {}, "open"),
        ("python3 /usr/bin/langflow run", {"LANGFLOW_AUTO_LOGIN": "False"}, "login"),
        (
            "node /usr/bin/flowise start",
            {"FLOWISE_USERNAME": "a", "FLOWISE_PASSWORD": "b"},
            "login",
        ),
        ("node /usr/bin/flowise start", {}, "doubt"),
        ("node /usr/bin/n8n start", {}, "doubt"),
        ("node /usr/bin/n8n start", {"OLLAMA_HOST": "localhost:11434"}, "doubt"),
        ("node /app/server/index.js", {"AUTH_TOKEN": "x"}, "doubt"),
        (
            "node /app/server/index.js",
            {"AUTH_TOKEN": "x", "OLLAMA_BASE_PATH": "http://127.0.0.1:11434"},
            "login",
        ),
        ("node api/server/index.js", {"OLLAMA_BASE_URL": "http://127.0.0.1:11434"}, "login"),
        ("openclaw-gateway", {"OLLAMA_HOST": "localhost:11434"}, "login"),
    ],
)
def test_others(line: str, variables: dict[str, str], expected: str) -> None:
    assert verdict(through(line, variables)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c.ServerApp.token = ''\nc.ServerApp.password = ''\n", "open"),
        (
            "c.ServerApp.token = ''\nc.PasswordIdentityProvider.hashed_password = 'argon2:x'\n",
            "login",
        ),
        ("# c.ServerApp.token = ''\n", "login"),
    ],
)
def test_jupyters_own_file(text: str, expected: str) -> None:
    files = {"/etc/jupyter/jupyter_server_config.py": text}
    assert verdict(through("python3 /usr/bin/jupyter-lab", files=files)) == expected


def test_an_empty_token_is_no_token() -> None:
    line = ["python3", "/usr/bin/jupyter-lab", "--IdentityProvider.token", ""]
    assert verdict(through(line)) == "open"


def test_code_servers_own_file() -> None:
    files = {"/root/.config/code-server/config.yaml": "bind-addr: 0.0.0.0:8080\nauth: none\n"}
    assert verdict(through("node /usr/lib/code-server", files=files)) == "open"


def test_openclaw_on_loopback_is_not_known() -> None:
    found = through("openclaw-gateway", {"OLLAMA_HOST": "localhost:11434"}, at="127.0.0.1:18789")
    assert verdict(found) == "doubt"


def test_hidden_variables_are_a_reason() -> None:
    own = listener("0.0.0.0:8080", owners=PROXY)
    space = namespace("127.0.0.1:11434", own)
    found = msgspec.structs.replace(configured("open-webui", {}), environment=HIDDEN)
    given = host(
        namespaces=namespaces(space), processes=(process(PROXY, name="open-webui"),)
    ).snapshot
    snapshot = msgspec.structs.replace(given, configurations=(found,))
    (step,) = onward(Terrain(snapshot), space, own, (PROXY,))
    assert isinstance(HIDDEN, Unknown)
    assert HIDDEN.reason in step.reason


def test_whatever_is_read_of_an_application_is_followed() -> None:
    names = {name for name, program in PROGRAMS.items() if program.kind in _KINDS}
    at = listener("0.0.0.0:8080", owners=70)
    terrain = Terrain(host(namespaces=namespaces(namespace(at))).snapshot)

    assert {PROGRAMS[name].kind for name in names} == set(_KINDS)
    for name in names:
        (step,) = FORWARDERS[name](terrain, namespace(at), at, process(70, name=name))
        assert step.reason == "its settings were not read"
