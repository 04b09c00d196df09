"""What a client must have been told to send it: keys in headers, as configurations compare them."""

from __future__ import annotations

import re

from ollama_audit.snapshot.redact import MASK

_NAMES = re.compile(r"(?i)auth|key|token|secret|passw|cookie|session|jwt|bearer|credential")
_ORDINARY = re.compile(
    r"(?i)(?:accept.*|cache-control|connection|content-.+|dnt|forwarded|host|if-.+|origin|range"
    r"|referer|sec-.+|te|upgrade.*|user-agent|via|x-forwarded-.+|x-real-ip|x-requested-with)"
)
_FORM = re.compile(r"(?i)bearer|basic|token|\(\?P?<\w+>|\\[a-z]|\[[^\]]*\]|\{[^}]*\}|\W")

_KEPT = re.compile(r"\$\{?[A-Z][A-Z0-9_]+|\{(?:env|file|vars|http\.vars)\.")
"""What is kept elsewhere: in a variable of the environment, or as Caddy's placeholders have it."""


def named_so(name: str) -> bool:
    """Whether a header, cookie or parameter is named after a secret."""
    return _NAMES.search(name) is not None


def ordinary(header: str) -> bool:
    """Whether a header says nothing of who somebody is."""
    return _ORDINARY.fullmatch(header) is not None


def long(text: str) -> bool:
    """Whether a text or pattern has more to it than the form of a header."""
    return MASK in text or _KEPT.search(text) is not None or len(_FORM.sub("", text)) >= 8


def is_key(header: str, text: str) -> bool:
    """Whether only somebody who was told sends this text, or what fits it, in this header."""
    return long(text) and not ordinary(header)
