"""Where nginx, Angie and OpenResty start to read."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, option
from ollama_audit.collect.rooted import Rooted
from ollama_audit.snapshot.process import Process

_BUILT_IN = (
    ("/etc/nginx/nginx.conf", "/etc/nginx"),
    ("/etc/angie/angie.conf", "/etc/angie"),
    ("/usr/local/openresty/nginx/conf/nginx.conf", "/usr/local/openresty/nginx"),
    ("/usr/local/nginx/conf/nginx.conf", "/usr/local/nginx"),
    ("/usr/local/etc/nginx/nginx.conf", "/usr/local/etc/nginx"),
)


def _start(process: Process, rooted: Rooted) -> Start:
    """`-c FILE` and `-p PREFIX`; else where its packages have it (nginx(8))."""
    prefix = option(process, "-p")
    built_in = next((pair for pair in _BUILT_IN if rooted.exists(pair[0])), _BUILT_IN[0])
    main = option(process, "-c") or built_in[0]
    main = posixpath.join(prefix or built_in[1], main)
    return Start(main, posixpath.dirname(main))


NGINX = Program(
    kind="nginx",
    start=_start,
    include=re.compile(r"(?m)(?:^|[;{}\s])include\s+([\"']?)([^;\"'{}]+)\1\s*;"),
)
