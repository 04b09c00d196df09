"""What listeners answered to requests of this host's own, made to confirm what configuration says.

GET requests over loopback, without credentials: what came back holds for a client on this host,
and for others only as far as nothing on the way tells clients apart.
"""

from __future__ import annotations

import msgspec

from ollama_audit.observed import Observed

FOREIGN_NAME = "ollama-audit.invalid"
"""A name that is nobody's (RFC 2606, 2): as Host header, and in an Origin header."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A listener that may be asked."""

    namespace: int
    """Inode of its network namespace."""
    pid: int
    """A process in that namespace, through which it is entered."""
    address: str
    """The listener's bind address."""
    port: int
    at: str
    """The address to connect to."""
    server: bool = False
    """It is an Ollama server's own socket, which is asked for its models elsewhere."""
    forwards: bool = False
    """Its program is known to pass requests on."""
    unasked: str = ""
    """Why it is left alone; empty when it is to be asked."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    """The HTTP status code; 0 when the connection ended without an answer."""
    server: str = ""
    """The Server header."""
    login: str = ""
    """The schemes of WWW-Authenticate, such as `Basic`."""
    allow_origin: str = ""
    """Access-Control-Allow-Origin."""
    version: str = ""
    """From a document that is `{"version": "..."}` and holds nothing else, as Ollama's does."""
    models: tuple[str, ...] | None = None
    """The names in a document that is a list of models as Ollama's is, sorted; else None."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one listener."""

    namespace: int
    """Inode of its network namespace."""
    address: str
    """The listener's bind address."""
    port: int
    at: str
    """The address that was connected to."""
    unasked: str = ""
    """Why nothing was asked; empty when something was."""
    tls: bool = False
    """The answers came over TLS."""
    version: Observed[Reply] | None = None
    """`GET /api/version` with `Host: localhost`."""
    tags: Observed[Reply] | None = None
    """`GET /api/tags`, likewise; None when the first answer left nothing to ask."""
    foreign_host: Observed[Reply] | None = None
    """`GET /api/version` with a Host header that is nobody's name."""
    foreign_origin: Observed[Reply] | None = None
    """`GET /api/version` as a page from a stranger's site would make a browser send it."""

    @property
    def client(self) -> str:
        """The address that it saw as the client's."""
        return "127.0.0.1" if self.at.startswith("127.") else self.at
