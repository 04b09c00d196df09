"""Applications that use an Ollama on loopback for others, by stand-ins under their real names."""

from __future__ import annotations

from pathlib import Path

from tests.lab.scenario import LOGIN, NOTHING, OPEN, Port, Scenario

STAND_INS = Path(__file__).parent.parent / "stand_ins"


def application(name: str, *arguments: str, port: int, **variables: str) -> str:
    """Set-up: a stand-in as /usr/local/bin/NAME, run by a unit with these variables."""
    text = (STAND_INS / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    settings = " ".join(f"--setenv={key}={value}" for key, value in variables.items())
    return f"""
        cat >/usr/local/bin/{name} <<'END'
{text}
END
        chmod 755 /usr/local/bin/{name}
        systemd-run --quiet --unit={name} {settings} /usr/local/bin/{name} {" ".join(arguments)}
        until_open {port}
    """


WEBUI = Port(
    number=8080,
    prefix="/ollama",
    # It tells everybody the version, whatever its login.
    paths=("GET /api/tags", "POST /api/generate"),
    sign_in="/api/v1/auths/signin",
)
LITELLM = Port(number=4000, paths=("POST /v1/chat/completions",))
OLLAMA = "http://127.0.0.1:11434"


def litellm(*general: str, **variables: str) -> str:
    """Set-up: LiteLLM with one model of Ollama's."""
    settings = "\n".join(("general_settings:", *(f"  {line}" for line in general)))
    return f"""
        mkdir -p /etc/litellm
        cat >/etc/litellm/config.yaml <<'END'
model_list:
  - model_name: no-such-model
    litellm_params:
      model: ollama/no-such-model
      api_base: {OLLAMA}
{settings if general else ""}
END
    """ + application("litellm", "--config", "/etc/litellm/config.yaml", port=4000, **variables)


SCENARIOS = [
    Scenario(
        name="open-webui-without-login",
        about="Open WebUI with WEBUI_AUTH=False in front of Ollama on loopback",
        setup=application(
            "open-webui", "serve", port=8080, WEBUI_AUTH="False", OLLAMA_BASE_URL=OLLAMA
        ),
        ports=(WEBUI, 11434),
        truth={
            "lan? -> lan?:8080": OPEN,
            "internet? -> lan?:8080": OPEN,
            "lan4 -> *:11434": NOTHING,
        },
        findings={"reachable-from-lan": "fail"},
    ),
    Scenario(
        name="open-webui-login",
        about="Open WebUI as installed, which asks for one of its accounts",
        setup=application("open-webui", "serve", port=8080),
        ports=(WEBUI,),
        truth={"lan? -> lan?:8080": LOGIN, "internet? -> lan?:8080": LOGIN},
        findings={
            "reachable-from-lan": "pass",
            "login-covers-part-of-api": "pass",
            "application-allows-sign-up": "pass",
        },
    ),
    Scenario(
        name="open-webui-behind-nginx",
        about="Open WebUI without a login, filtered, behind an nginx that asks for one",
        setup=application("open-webui", "serve", port=8080, WEBUI_AUTH="no", OLLAMA_BASE_URL=OLLAMA)
        + """
        nft -f - <<'END'
table inet f { chain i {
  type filter hook input priority 0; iifname != "lo" tcp dport 8080 drop; }; }
END
        rm /etc/nginx/sites-enabled/default
        printf 'ada:%s\\n' "$(openssl passwd -apr1 secret)" >/etc/nginx/users
        cat >/etc/nginx/sites-enabled/webui <<'END'
server { listen 80; listen [::]:80; auth_basic x; auth_basic_user_file /etc/nginx/users;
  location / { proxy_pass http://127.0.0.1:8080; } }
END
        systemctl start nginx
        until_open 80
        """,
        ports=(WEBUI, Port(number=80, prefix="/ollama", paths=WEBUI.paths)),
        truth={"lan? -> lan?:80": LOGIN, "lan? -> *:8080": NOTHING, "self4 -> lo4:8080": OPEN},
    ),
    Scenario(
        name="litellm-without-key",
        about="LiteLLM without a master key",
        setup=litellm(),
        ports=(LITELLM,),
        truth={"lan? -> lan?:4000": OPEN, "internet? -> lan?:4000": OPEN},
        findings={"reachable-from-lan": "fail", "login-covers-part-of-api": "not_applicable"},
    ),
    Scenario(
        name="litellm-key",
        about="LiteLLM with a master key from its environment",
        setup=litellm("master_key: os.environ/PROXY_KEY", PROXY_KEY="sk-0123456789"),
        ports=(LITELLM,),
        truth={"lan? -> lan?:4000": LOGIN},
        findings={"reachable-from-lan": "pass"},
    ),
    Scenario(
        name="litellm-key-missing",
        about="LiteLLM whose master key is a variable that nobody set",
        setup=litellm("master_key: os.environ/PROXY_KEY"),
        ports=(LITELLM,),
        truth={"lan? -> lan?:4000": OPEN},
    ),
]
