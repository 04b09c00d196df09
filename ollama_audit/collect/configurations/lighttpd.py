"""Where lighttpd starts to read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ollama_audit.collect.configurations.start import Program, Start, option
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process

_SUM = r"(?:\"[^\"\n]*\"|[A-Za-z_][\w.-]*)(?:[ \t]*\+[ \t]*(?:\"[^\"\n]*\"|[A-Za-z_][\w.-]*))*"
_LINE = re.compile(rf"(?m)(?:^|[{{}}])[ \t]*(?:(include)|(?:var\.)?(\w+)[ \t]*=)[ \t]*({_SUM})")
_PART = re.compile(r"\"([^\"]*)\"|(?:var\.)?([\w.-]+)")


def _start(process: Process, _: Rooted) -> Start:
    """`-f FILE` (lighttpd(8))."""
    main = option(process, "-f") or "/etc/lighttpd/lighttpd.conf"
    return Start(main, posixpath.dirname(main))


def _included(text: str, variables: dict[str, str]) -> Iterator[str]:
    """Names like `conf_dir + "/conf.d/*.conf"`, with the variables set before."""
    for keyword, name, value in _LINE.findall(text):
        parts = [quoted or variables.get(word, "") for quoted, word in _PART.findall(value)]
        if keyword:
            yield "".join(parts)
        else:
            variables[name] = "".join(parts)


LIGHTTPD = Program(kind="lighttpd", start=_start, included=_included)
