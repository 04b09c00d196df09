"""Where Apache's httpd starts to read."""

from __future__ import annotations

import posixpath
import re

from ollama_audit.collect.configurations.start import Program, Start, option, variables
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import known_or
from ollama_audit.snapshot.process import Process


def _start(process: Process, rooted: Rooted) -> Start:
    """`-f FILE` and `-d ROOT`; Debian's names are in the environment (httpd(8))."""
    debian = process.name == "apache2"
    root = option(process, "-d") or ("/etc/apache2" if debian else "/etc/httpd")
    name = "apache2.conf" if debian else "conf/httpd.conf"
    main = posixpath.join(root, option(process, "-f") or name)
    text = known_or(rooted.text(main), "")
    if found := re.search(r"(?mi)^\s*ServerRoot\s+\"?([^\"\n]+)\"?", text):
        root = found[1].strip()
    return Start(main, root, variables=variables(process))


APACHE = Program(
    kind="apache",
    start=_start,
    include=re.compile(r"(?mi)^\s*Include(?:Optional)?\s+([\"']?)([^\"'\n]+?)\1\s*$"),
)
