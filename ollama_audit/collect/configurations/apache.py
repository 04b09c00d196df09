"""Where Apache's httpd starts to read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

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


_INCLUDE = re.compile(r"(?mi)^\s*(Include(?:Optional)?|DocumentRoot)\s+([\"']?)([^\"'\n]+?)\2\s*$")


def _included(text: str, known: dict[str, str]) -> Iterator[str]:
    """The files that a text includes, and the .htaccess of a document root if there is one."""
    for directive, _, name in _INCLUDE.findall(text):
        path = re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), name)
        yield f"{path.rstrip('/')}/.htacces[s]" if directive[0] in "Dd" else path


APACHE = Program(kind="apache", start=_start, included=_included)
