"""Configuration texts with their secrets masked, so that what decides can still be read.

To `ollama_audit.snapshot.redact`, which knows the shapes of secrets anywhere, this adds where the
languages of proxies keep theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ollama_audit.snapshot import redact
from ollama_audit.snapshot.redact import MASK

_WORTH_A_LOOK = re.compile(
    r"(?i)auth|key|token|secret|pass|cookie|bearer|basic|://|cred|jwt|sk-|hf_|[\w+=-]{32}"
)
_SECRET_NAME = r"\w*(?:auth|key|token|secret|passw|cookie|session|jwt|bearer|credential)\w*"
_WORD = r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s;{})]+)"

_NGINX_COMPARED = re.compile(
    rf"(?i)(\$(?:http|arg|cookie)_{_SECRET_NAME}\"?\s*(?:!?=|!?~\*?)\s*){_WORD}"
)
_NGINX_MAP = re.compile(rf"(?i)(\bmap\s+\S*\$\S*{_SECRET_NAME}\S*\s+\$\w+\s*\{{)([^}}]*)(\}})")
_NGINX_ENTRY = re.compile(rf"(?m)((?:^|;)\s*){_WORD}(\s+[^;]+)(?=;)")
_NGINX_HEADER = re.compile(
    rf"(?i)(\b(?:proxy_set_header|add_header|grpc_set_header)\s+[\w-]*(?:auth|key|token|secret|cookie)[\w-]*\s+){_WORD}"
)
_NGINX_SET = re.compile(rf"(?i)(\bset\s+\$\w*(?:key|token|secret|passw)\w*\s+){_WORD}")
_FORM = re.compile(r"(?i)bearer|basic|token|\(\?P?<\w+>|\\[a-z]|\[[^\]]*\]|\{[^}]*\}|\W")
_METHOD = re.compile(r"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS")

_HAPROXY_TEST = re.compile(
    r"(?mi)((?:\{\s*|^\s*acl\s+\S+\s+)(?:[\w.]*(?:cook|hdr|urlp|url_param|var)\w*\("
    rf"{_SECRET_NAME}(?:-[\w-]*)?[^)\s]*\)|[\w.]*(?:cook\w*\([^)]*\)|http_auth_bearer)|[\w.]*hdr\w*\([\w-]*"
    r"(?:auth|key|token|secret|cookie)[\w-]*[^)\s]*\))(?:,\w+(?:\((?:'[^']*'|\"[^\"]*\"|[^)])*\))?)*)"
    r"((?:[ \t]+(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s{}\"'#][^\s]*))+)"
)
_HAPROXY_WORD = re.compile(
    r"([ \t]+)(-[fm][ \t]+\S+|-\w|--|if\b.*|unless\b.*|\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S+)"
)

_OTHERS = (
    # HAProxy: userlists, statistics, and what headers are compared with
    re.compile(r"(?mi)^(\s*user\s+\S+\s+(?:insecure-)?password\s+)(\S+)"),
    re.compile(r"(?mi)^(\s*stats\s+auth\s+)(\S+)"),
    re.compile(
        r"(?mi)^(\s*http-request\s+(?:set|add)-header\s+[\w-]*(?:auth|key|token|secret)[\w-]*\s+)([^\n]+)"
    ),
    # Apache
    re.compile(
        r"(?mi)^(\s*RequestHeader\s+\w+\s+\"?[\w-]*(?:auth|key|token|secret)[\w-]*\"?\s+)([^\n]+)"
    ),
    re.compile(r"(?mi)^(\s*\w*(?:BindPassword|PassPhrase|Password|Secret)\w*\s+)([^\n]+)"),
    re.compile(
        r"(?i)(%\{(?:HTTP|req|http):[\w-]*(?:auth|key|token|secret)[\w-]*\}\S*\s*(?:!?=~|!?==?|!?-eq)\s*)(\"[^\"]*\"|'[^']*'|/(?:[^/\n\\]|\\.)*/|[^\s>]+)"
    ),
    # lighttpd, Traefik, Caddyfile
    re.compile(r"(?i)(bind-pw\s*=\s*)(\"[^\"]*\")"),
    re.compile(
        r"(?i)(\$(?:HTTP|REQUEST_HEADER)\[\"[\w-]*(?:auth|key|token|secret|cookie)[\w-]*\"\]\s*[=!][=~^$]\s*)(\"(?:[^\"\\]|\\.)*\")"
    ),
    re.compile(
        r"(?i)(\"[\w-]*(?:authorization|key|token|secret|cookie)[\w-]*\"\s*=>\s*)(\"(?:[^\"\\]|\\.)*\")"
    ),
    re.compile(r"([\w.@-]+:)(\$(?:apr1|2[aby]|5|6)\$[^\s\"',]+)"),
    re.compile(r"()(\$(?:apr1|2[aby]|5|6|argon2\w*)\$[^\s\"',]+)"),
)


_IN_DOCUMENTS = frozenset({"cloudflared", "code-server", "frp", "litellm", "ngrok", "rathole"})
"""Programs whose files are YAML, TOML or INI."""


def configuration(program: str, text: str) -> str:
    """A configuration file of a kind of program, line by line as it was."""
    if program in _IN_DOCUMENTS:
        return document(text)
    if program == "nginx":
        text = _NGINX_COMPARED.sub(lambda m: m[1] + _unless_form(m[2]), text)
        text = _NGINX_MAP.sub(_map, text)
        text = _NGINX_HEADER.sub(lambda m: m[1] + (m[2] if "$" in m[2] else MASK), text)
        text = _NGINX_SET.sub(
            lambda m: m[1] + (m[2] if "$" in m[2] or len(m[2]) < 8 else MASK), text
        )
    else:
        text = _HAPROXY_TEST.sub(_tested, text) if program == "haproxy" else text
        for pattern in _OTHERS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
    lines = text.split("\n")
    return "\n".join(redact.text(line) if _WORTH_A_LOOK.search(line) else line for line in lines)


def _tested(found: re.Match[str]) -> str:
    """A test of HAProxy with what it compares a header or cookie with masked, but for its flags."""

    def masked(word: re.Match[str]) -> str:
        kept = word[2].startswith(("-", "if ", "unless ")) or not _FORM.sub("", word[2])
        return word[0] if kept else f"{word[1]}{MASK}"

    return found[1] + _HAPROXY_WORD.sub(masked, found[2])


def _unless_form(word: str) -> str:
    """A comparand, masked unless it is empty or the mere form of a header."""
    if len(_FORM.sub("", word)) == 0:
        return word
    return f'"{MASK}"' if word[0] in "\"'" else MASK


def _map(found: re.Match[str]) -> str:
    """A map whose keys are secrets, or what another one has made of them."""
    derived = re.search(r"\$\{?(?:http|arg|cookie)_", found[1]) is None
    inside = _NGINX_ENTRY.sub(lambda entry: _entry(entry, derived=derived), found[2])
    return found[1] + inside + found[3]


def _entry(found: re.Match[str], *, derived: bool) -> str:
    key = found[2]
    if derived and len(_FORM.sub("", _METHOD.sub("", key))) < 4:
        return found[0]  # a flag such as 1, beside a method
    if key in {"default", "include", "hostnames", "volatile"}:
        return found[0]
    sign = "~" if key.strip("\"'").startswith("~") else ""
    kept = key if len(_FORM.sub("", key)) == 0 else f'"{sign}{MASK}"'
    return f"{found[1]}{kept}{found[3]}"


_QUOTED = f'"{MASK}"'
_KEYED = r"[\w.-]*(?:token|secret|passw|pwd|auth|cred|key|cookie|\bsk\b)[\w.-]*"
_SETTING = re.compile(
    rf"(?i)^(?P<lead>\s*(?:-\s+)*)(?P<name>([\"']?){_KEYED}\3)(?P<sign>\s*(?:=|:(?=\s|$|[\"'\[{{])))\s*(?P<value>.*)$"
)
_WITHIN = re.compile(
    rf"(?i)([{{,]\s*([\"']?){_KEYED}\2\s*[:=]\s*)(\[[^\]]*\]|\{{[^}}]*\}}|\"[^\"]*\"|'[^']*'|[^,}}\]]+)"
)
_BLOCK = re.compile(r"(?:[|>][-+\d]*|&\w+|!\S+)?\s*(?:#.*)?")
"""What stands after a name whose value is on the lines below it, in YAML."""
_REFERENCE = re.compile(r"([\"']?)(?:os\.environ/\w+|\$\{\w+\})\1\s*")
"""The name of a variable that has the secret (LiteLLM's `os.environ/NAME`, a shell's `${NAME}`)."""
_BELOW = re.compile(r"^(\s*(?:-\s+)*(?:[^\s\"'#][^:#]*:(?=\s|$))?\s*)(\S.*)?$")
_BARE = re.compile(rf"([:=\[,]\s*|-\s+){re.escape(MASK)}(?=\s*(?:[,}}\]#]|$))")
_OPENING, _CLOSING = re.compile(r"[\[{]"), re.compile(r"[\]}]")


def document(text: str) -> str:
    """A YAML, TOML or INI document, line by line, that can still be read as one.

    What is named after a secret becomes a quoted `***`, with all that belongs to it; comments go.
    """
    shown: list[str] = []
    lines = iter(text.split("\n"))
    line = next(lines, None)
    while line is not None:
        if line.lstrip()[:1] in {"#", ";"}:
            shown.append("")
            line = next(lines, None)
            continue
        found = _SETTING.match(line)
        if found is None:
            shown.append(_line(line))
            line = next(lines, None)
            continue
        value = found["value"]
        head = line[: found.start("value")]
        if _REFERENCE.fullmatch(value) or value.strip("'\" ") in redact.NO_SECRETS - {""}:
            shown.append(line)
            line = next(lines, None)
            continue
        if ":" in found["sign"] and _BLOCK.fullmatch(value):
            shown.append(line)
            line = _below(lines, shown, len(found["lead"]))
            continue
        shown.append(f"{head}{'' if head[-1].isspace() else ' '}{_QUOTED}" if value else line)
        line = _rest(value, lines, shown)
    return "\n".join(shown)


def _line(line: str) -> str:
    if not _WORTH_A_LOOK.search(line):
        return line
    masked = redact.text(_WITHIN.sub(rf"\g<1>{_QUOTED}", line))
    return _BARE.sub(rf"\g<1>{_QUOTED}", masked)


def _below(lines: Iterator[str], shown: list[str], depth: int) -> str | None:
    """Mask the lines that belong to a name; the first that does not."""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        listed = indent == depth and line.lstrip().startswith("- ")
        if line.strip() and indent <= depth and not listed:
            return line
        found = _BELOW.match(line)
        shown.append(f"{found[1]}{_QUOTED}" if found and found[2] else line)
    return None


def _rest(value: str, lines: Iterator[str], shown: list[str]) -> str | None:
    """Empty the further lines of a value that goes on; the first line after it."""
    quote = value[:3] if value[:3] in {'"""', "'''"} else ""
    if quote:
        going = value.count(quote) == 1
        while going and (line := next(lines, None)) is not None:
            shown.append("")
            going = quote not in line
        return next(lines, None)
    deep = _depth(value) if value[:1] in {"[", "{"} else 0
    while deep > 0 and (line := next(lines, None)) is not None:
        shown.append("")
        deep += _depth(line)
    return next(lines, None)


def _depth(text: str) -> int:
    return len(_OPENING.findall(text)) - len(_CLOSING.findall(text))


_KEYS = re.compile(r"(?i)(^|_)(password|secret|token|salt|api_?key|client_secret|hash|mac_key)$")
_HEADERS = re.compile(r"(?i)(auth|key|token|secret|cookie)")


def json_configuration(text: str) -> str:
    """A JSON configuration (Caddy's), its structure unchanged; not JSON becomes empty."""
    try:
        return json.dumps(_walked(json.loads(text), header=""))
    except (ValueError, RecursionError):
        return ""


_ORDINARY = re.compile(
    r"(?i)accept.*|connection|content-.+|host|origin|referer|upgrade|user-agent|x-forwarded-.+|x-real-ip"
)
_SET, _MATCHED = frozenset({"set", "add"}), frozenset({"header", "header_regexp", "query"})


def _walked(value: Any, *, header: str) -> Any:
    """A part of a document; `header` is the name above it, if headers or parameters are below."""
    if isinstance(value, dict):
        return {
            name: MASK
            if isinstance(inner, str) and _KEYS.search(name)
            else _masked(inner)
            if header and _HEADERS.search(name)
            else _long_masked(inner)
            if header in _MATCHED and not _ORDINARY.fullmatch(name)
            else _walked(inner, header=name if name in _SET | _MATCHED else header)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_walked(inner, header=header) for inner in value]
    return redact.text(value) if isinstance(value, str) and _WORTH_A_LOOK.search(value) else value


def _long_masked(value: Any) -> Any:
    """A value that a header of somebody's own is compared with, if it may be a key."""
    if isinstance(value, list):
        return [_long_masked(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _long_masked(inner) for name, inner in value.items()}
    return MASK if isinstance(value, str) and len(_FORM.sub("", value)) >= 8 else value


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    return MASK if isinstance(value, str) and _FORM.sub("", value) else value
