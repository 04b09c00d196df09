"""OLLAMA_ORIGINS: which web pages a browser lets call the API.

A port of `AllowedOrigins` in Ollama's `envconfig/config.go` and of the matching in
`gin-contrib/cors` v1.7.2 (`config.go` newCors and validateOrigin, `cors.go` parseWildcardRules
and Validate), with `AllowWildcard` and `AllowBrowserExtensions` as `server/routes.go` sets them.
The check concerns browsers only; it is not authentication.
"""

from __future__ import annotations

import msgspec

from ollama_audit.envconfig import var

_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - an origin, not a bind address
BUILT_IN = (
    *(
        f"{scheme}://{host}{port}"
        for host in _HOSTS
        for port in ("", ":*")
        for scheme in ("http", "https")
    ),
    "app://*",
    "file://*",
    "tauri://*",
    "vscode-webview://*",
    "vscode-file://*",
)
"""What Ollama adds to every list, in its order (the last two since early 2025)."""

_SCHEMES = (
    "http://",
    "https://",
    "chrome-extension://",
    "safari-extension://",
    "moz-extension://",
    "ms-browser-extension://",
)


class Origins(msgspec.Struct, frozen=True, kw_only=True):
    """The origins that a server admits."""

    added: tuple[str, ...]
    """Entries of OLLAMA_ORIGINS, verbatim."""

    @property
    def entries(self) -> tuple[str, ...]:
        """All entries in the order in which Ollama lists them."""
        return (*self.added, *BUILT_IN)

    @property
    def problem(self) -> str:
        """Why the server ends at start with this list (cors.New panics); empty when it does not."""
        for entry in self.added:
            if "*" not in entry and not entry.startswith(_SCHEMES):
                return f"bad origin {entry!r}: no '*' and none of {', '.join(_SCHEMES)}"
        for entry in self.added:
            if entry.count("*") > 1:
                return f"bad origin {entry!r}: only one '*' is allowed"
        return ""

    @property
    def everything(self) -> bool:
        """Whether any origin is admitted: an entry is exactly `*`, without spaces."""
        return "*" in self.added

    def allows(self, origin: str) -> bool:
        """Whether a request with this Origin header is answered."""
        if self.everything:
            return True
        exact = {entry.strip().lower() for entry in self.entries}
        return origin in exact or any(_matches(entry, origin) for entry in self.entries)

    @property
    def open_entries(self) -> tuple[str, ...]:
        """Entries added by the user that a web page on a stranger's own domain satisfies.

        `*`, `http://*` and `https://example.com*` (example.com.other.net) are; also `*.com` and
        `*example.com`. `http://192.168.1.10:*` and `https://*.example.com` are not.
        """
        return tuple(entry for entry in self.added if _open_to_strangers(entry))


def origins(value: str | None) -> Origins:
    """The origins of a server with this OLLAMA_ORIGINS, None when it is not set."""
    text = var(value)
    return Origins(added=tuple(text.split(",")) if text else ())


def _matches(entry: str, origin: str) -> bool:
    """Whether an entry with one `*` covers an origin (validateWildcardOrigin)."""
    if entry.count("*") != 1:
        return False
    before, _, after = entry.partition("*")
    return origin.startswith(before) and origin.endswith(after)


def _open_to_strangers(entry: str) -> bool:
    """Whether some origin `http(s)://` + a freely chosen registrable domain matches."""
    if entry.count("*") != 1:
        return False
    before, _, after = entry.partition("*")
    if not _stranger_may_start(before):
        return False
    host, _, port = after.rpartition(":") if ":" in after else (after, "", "")
    if port and not port.isdigit():
        return False
    # `.example.com` admits subdomains only; `.com` and `example.com` admit other people's domains.
    return not (host.startswith(".") and host.count(".") > 1)


def _stranger_may_start(before: str) -> bool:
    """Whether a web origin on another domain can begin with this text."""
    for scheme in ("http://", "https://"):
        if scheme.startswith(before):
            return True
        if before.startswith(scheme):
            # Past the port's colon, or past the slash, the host is settled.
            return not set(before[len(scheme) :]) & set(":/")
    return False
