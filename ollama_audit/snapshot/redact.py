"""What is taken out before anything enters a snapshot: secrets, never facts that decide a rule.

Environment values pass an allow-list; everything else becomes "set". Command lines have no such
list, so their secrets are masked by the shapes that secrets have there: the value of an option or
variable named after a secret, credentials in a URL, an authorisation header, and tokens that look
like tokens. When in doubt, mask: a masked word costs a line of evidence, a leaked one a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ollama_audit.snapshot.process import Setting

MASK = "***"

ALLOWED_VARIABLES = frozenset(
    # Ollama envconfig/config.go AsMap(), and what its client and agent read.
    """
    OLLAMA_AGENT_DISABLE_SHELL OLLAMA_AGENT_DISABLE_WEBSEARCH OLLAMA_AUTH OLLAMA_CLOUD_BASE_URL
    OLLAMA_CONTEXT_LENGTH OLLAMA_CREATE_REMOTE OLLAMA_DEBUG OLLAMA_DEBUG_LOG_REQUESTS
    OLLAMA_EXPERIMENT OLLAMA_FLASH_ATTENTION OLLAMA_GO_TEMPLATE OLLAMA_GPU_OVERHEAD OLLAMA_HOME
    OLLAMA_HOST OLLAMA_IGPU_ENABLE OLLAMA_INTEL_GPU OLLAMA_KEEP_ALIVE OLLAMA_KV_CACHE_TYPE
    OLLAMA_LLM_LIBRARY OLLAMA_LOAD_TIMEOUT OLLAMA_MAX_LOADED_MODELS OLLAMA_MAX_QUEUE
    OLLAMA_MAX_TRANSFER_STREAMS OLLAMA_MAX_VRAM OLLAMA_MODELS OLLAMA_MULTIUSER_CACHE
    OLLAMA_NEW_ENGINE OLLAMA_NOHISTORY OLLAMA_NOPRUNE OLLAMA_NO_CLOUD OLLAMA_NUM_GPU
    OLLAMA_NUM_PARALLEL OLLAMA_ORIGINS OLLAMA_REMOTES OLLAMA_RUNNERS_DIR OLLAMA_SCHED_SPREAD
    OLLAMA_SKILLS OLLAMA_TMPDIR OLLAMA_VULKAN
    CUDA_VISIBLE_DEVICES GGML_VK_VISIBLE_DEVICES GPU_DEVICE_ORDINAL HIP_VISIBLE_DEVICES
    HSA_OVERRIDE_GFX_VERSION LLAMA_ARG_FIT LLAMA_ARG_FIT_TARGET ROCR_VISIBLE_DEVICES
    NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES
    GIN_MODE GODEBUG
    HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy
    HOME LANG LD_LIBRARY_PATH LD_PRELOAD LOGNAME PATH PWD SHELL TMPDIR USER
    CACHE_DIRECTORY CONFIGURATION_DIRECTORY INVOCATION_ID LOGS_DIRECTORY RUNTIME_DIRECTORY
    STATE_DIRECTORY SYSTEMD_EXEC_PID XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR
    SNAP SNAP_COMMON SNAP_DATA SNAP_INSTANCE_NAME SNAP_NAME SNAP_REVISION SNAP_USER_COMMON
    container
    OLLAMA_BASE_URL OLLAMA_API_BASE OLLAMA_API_BASE_URL OLLAMA_BASE_URLS ENABLE_OLLAMA_API
    WEBUI_AUTH ENABLE_SIGNUP ENABLE_LOGIN_FORM DEFAULT_USER_ROLE ENABLE_PERSISTENT_CONFIG
    WEBUI_AUTH_TRUSTED_EMAIL_HEADER USE_OLLAMA_DOCKER K8S_FLAG
    ALLOW_REGISTRATION LANGFLOW_AUTO_LOGIN LANGFLOW_NEW_USER_IS_ACTIVE LLM_PROVIDER
    OLLAMA_BASE_PATH STORE_MODEL_IN_DB
    TUNNEL_URL TUNNEL_HTTP_HOST_HEADER TUNNEL_METRICS
    BORE_SERVER BORE_LOCAL_PORT BORE_LOCAL_HOST
    """.split()  # noqa: SIM905 - a block of names reads better than 90 quoted lines
)
"""Variables whose values enter a snapshot, with credentials in URLs masked; names always do."""

NO_SECRETS = frozenset({"", "false", "none", "null", "true"})
"""What may stand where a secret would, and decides by being none."""

_LONGEST = 8192
"""Longer texts are cut: other people's command lines may be made to be slow to search."""
_SECRET = (
    r"(?:tokens?|secrets?|passw(?:or)?d|passwd|passphrase|passcode|pwd|pass|"
    r"requirepass|masterauth|api[-_.]?keys?|auth[-_.]?keys?|access[-_.]?keys?|"
    r"private[-_.]?keys?|secret[-_.]?keys?|encryption[-_.]?keys?|signing[-_.]?keys?|"
    r"credentials?|creds?|bearer|psk|auth-?token|basic[-_.]?auth|auth|cookie|session[-_.]?id|"
    r"sas|dsn|jwt|otp|salt|webhook(?:[-_.]?url)?)"
)
_NAME = rf"(?:[A-Za-z0-9]{{1,40}}[-_.]){{0,8}}{_SECRET}(?:[-_.](?:value|string|data|base64|id))?"
_VALUE = r"""("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'&;,]+)"""
# `--token X`, `--token=X`, `-token X`: the whole word names a secret; `--token-file` does not.
_OPTION = re.compile(rf"(?i)--?{_NAME}")
_OPTION_IN_TEXT = re.compile(rf"(?i)(?<![\w-])(--?{_NAME})(\s{{0,4}}=\s{{0,4}}|\s{{1,4}}){_VALUE}")
_ASSIGNMENT = re.compile(
    rf"(?i)(?<![\w./-])(-{{0,2}}{_NAME})(['\"]?\s{{0,4}}(?:=>(?!\s*\()|[=:](?!>))\s{{0,4}})(?!\{{\w+:){_VALUE}"
)
_CAMEL = re.compile(
    rf"\b([a-z][A-Za-z0-9]{{0,60}}(?:Token|Secret|Password|Key|Credential)s?)([=:]\s{{0,4}}){_VALUE}"
)
# Sub-commands whose next word is the secret: `ngrok authtoken X`, `cloudflared service install X`.
_BARE = re.compile(r"(?i)(?:add-)?auth-?token|enable|install")
_TUNNELS = frozenset({"cloudflared", "ngrok", "zrok", "loclx", "pinggy", "tunnelto"})
# Short options with a secret: bore src/main.rs, frp cmd/frpc/sub/root.go, chisel main.go.
_SHORT = {
    "bore": ("-s",),
    "chisel": ("--key", "-key"),
    "frpc": ("-t", "--sk", "--http_pwd", "--http-pwd"),
    "frps": ("-t", "--dashboard_pwd", "--dashboard-pwd"),
}
# What pinggy.io takes by ssh: a token for a user, and logins in the remote command.
_PINGGY = re.compile(r"(?i)^(?P<user>[^@\s]+)(?=@[\w.-]*pinggy\.(?:io|online|link)$)")
_PINGGY_WORDS = {"a", "auth", "force", "http", "qr", "tcp", "tls", "tlstcp", "udp", "x"}
_PINGGY_LOGIN = re.compile(r"(?<!\S)(b:|k:)\S+")
_USERINFO = re.compile(r"(?<=://)[^/\s?#'\"]*@")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|cookie|x-[\w-]{0,40}(?:key|token|auth|secret)[\w-]{0,40})"
    r"(\s{0,4}[:=]\s{0,4})[^'\"\r\n]+"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s{1,4})[A-Za-z0-9+/=._~-]{6,}")
_KNOWN_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[\w-]{8,}|gh[opusr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|"
    r"hf_\w{16,}|xox[a-z]-[\w-]{8,}|AKIA[A-Z0-9]{12,}|tskey-[\w-]{8,}|AIza[\w-]{20,}|"
    r"npm_\w{20,}|pypi-[\w-]{16,}|eyJ[\w-]{8,}(?:\.[\w-]*)*|\d{6,12}:AA[\w-]{30,})"
)
_OPAQUE = re.compile(r"(?<![\w/.+=-])[A-Za-z0-9_+=-]{32,}(?![\w/.])")
_USER_PASSWORD = re.compile(r"(?i)--?(?:u|user|basic-auth|auth|proxy-user|credentials?)")


def environment(pairs: Iterable[tuple[str, str]], *, path: str = "") -> tuple[Setting, ...]:
    """Process variables as settings, in their order."""
    return tuple(setting(name, value, path=path) for name, value in pairs)


def setting(name: str, value: str, *, path: str = "", line: int = 0) -> Setting:
    """One variable: its value if it is on the allow-list or empty, else only that it is set."""
    shown = text(value) if name in ALLOWED_VARIABLES or not value else None
    return Setting(name=name, value=shown, path=path, line=line)


def arguments(argv: Iterable[str]) -> tuple[str, ...]:
    """A command line with its secrets masked; as many words as before."""
    shown: list[str] = []
    hide_next, before, tunnel = False, "", False
    short: tuple[str, ...] = ()
    by_ssh = False
    for word in argv:
        called = word.rpartition("/")[2]
        tunnel, short = tunnel or called in _TUNNELS, short or _SHORT.get(called, ())
        if hide_next and not word.startswith("--") and word not in NO_SECRETS:
            shown.append(MASK)
        elif attached := _attached(word, short):
            shown.append(attached + MASK)
        elif _USER_PASSWORD.fullmatch(before) and ":" in word:
            shown.append(f"{MASK}:{MASK}")
        else:
            shown.append(text(word))
        before = word[:100]
        if called in {"ssh", "autossh"}:
            by_ssh = True
        elif by_ssh:
            shown[-1] = _for_pinggy(shown[-1])
        hide_next = bool(
            _OPTION.fullmatch(before) or (tunnel and _BARE.fullmatch(before)) or before in short
        )
    return tuple(shown)


def _for_pinggy(word: str) -> str:
    """A word of an ssh command line without what only pinggy would take for a secret."""
    if found := _PINGGY.match(word):
        kept = [part if part.lower() in _PINGGY_WORDS else MASK for part in found[1].split("+")]
        return "+".join(kept) + word[found.end() :]
    return _PINGGY_LOGIN.sub(rf"\1{MASK}", word)


def _attached(word: str, short: Iterable[str]) -> str:
    """The option of `--sk=X` or `-sX`, with its sign; empty for another word."""
    for option in short:
        if word.startswith(f"{option}="):
            return f"{option}="
        if len(option) == 2 and word.startswith(option) and word != option:
            return option
    return ""


def text(value: str) -> str:
    """Any text with its secrets masked: a command line, an ExecStart=, a URL."""
    if len(value) > _LONGEST:
        value = f"{value[:_LONGEST]}..."
    # The number of colons stays, so that OLLAMA_HOST with credentials still means what it meant.
    value = _USERINFO.sub(lambda m: f"{MASK}:{MASK}@" if ":" in m[0] else f"{MASK}@", value)
    value = _HEADER.sub(rf"\1\2{MASK}", value)
    value = _SCHEME.sub(rf"\1\2{MASK}", value)
    value = _OPTION_IN_TEXT.sub(_masked, value)
    value = _ASSIGNMENT.sub(_masked, value)
    value = _CAMEL.sub(_masked, value)
    value = _KNOWN_TOKENS.sub(MASK, value)
    return _OPAQUE.sub(lambda m: MASK if _random(m[0]) else m[0], value)


def _masked(found: re.Match[str]) -> str:
    name, separator, value = found[1], found[2], found[3]
    another_option = separator.isspace() and value.startswith("--")
    if another_option or name in ALLOWED_VARIABLES or value.strip("'\"") in NO_SECRETS:
        return found[0]
    return f"{name}{separator}{MASK}"


def _random(word: str) -> bool:
    """Whether a long word mixes cases and digits as keys do; hexadecimal digests do not."""
    return (
        any(map(str.isdigit, word)) and any(map(str.islower, word)) and any(map(str.isupper, word))
    )
