"""Namespaces with the lab's image in which proxies run, one after another, in front of a stub."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_audit.exposure.forwarders.web import REQUESTS
from tests.lab.image.build import base_image
from tests.lab.outer import LabError, cache

SOURCES = (
    "127.0.0.1",
    "127.0.0.9",
    "10.1.2.3",
    "10.1.9.9",
    "203.0.113.7",
    "::1",
    "2001:db8:5::7",
    "fd00:5::7",
)
"""Clients, all addresses of one loopback device: the proxy sees each as it is."""

_INSIDE = Path(__file__).with_name("inside.py")
_SET_UP = """
    set -eu
    cd "$1"
    mount -t overlay oa-diff-proxies -o "lowerdir=$2,upperdir=upper,workdir=work" root
    mount -t proc proc root/proc
    mount --bind /dev root/dev
    mount -t tmpfs tmpfs root/tmp
    mount -t tmpfs tmpfs root/run
    chmod 1777 root/tmp
    cp "$3" root/run/inside.py
    ip link set lo up
    for address in $4; do ip address add "$address" dev lo $5; done
    exec chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \\
      python3 -I /run/inside.py
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proxy did."""

    refused: str
    """What it said when it would not start; empty when it ran."""
    running: str
    """Its configuration as JSON, where it tells it."""
    reached: frozenset[tuple[int, int, int]]
    """Indices of source, attempt and request that came to Ollama, the first of each source."""
    asks: tuple[bool, ...]
    """Whether each source is asked for a login."""
    heard: tuple[bool, ...] = ()
    """Whether somebody listens for each source."""


class World:
    """The namespaces, ready for jobs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(
        self,
        files: Mapping[str, str],
        attempts: Sequence[Mapping[str, str]],
        requests: Sequence[tuple[str, str]],
        **more: Any,
    ) -> Answer:
        """Run a program with these files and ask it.

        Raises:
            LabError: The namespaces are gone.
        """
        job = {
            "start": [],
            "port": 80,
            "files": dict(files),
            "sources": SOURCES,
            "attempts": [dict(each) for each in attempts],
            "requests": list(requests),
            **more,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise LabError("the proxies' namespaces are gone")
        found = json.loads(line)
        reached = frozenset((s, a, r) for s, a, r in found.get("reached", ()))
        return Answer(
            found.get("refused", ""),
            found.get("running", ""),
            reached,
            tuple(found.get("asks", ())),
            tuple(found.get("heard", ())),
        )


@contextmanager
def world() -> Iterator[World]:
    """The namespaces; gone with everything in them when the block ends."""
    (cache() / "mnt").mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=cache() / "mnt", prefix="proxies-"))
    for folder in ("upper", "work", "root"):
        (scratch / folder).mkdir()
    four = " ".join(f"{each}/32" for each in SOURCES if "." in each and each[:4] != "127.")
    six = " ".join(f"{each}/128" for each in SOURCES if ":" in each and each != "::1")
    isolated = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork"]
    process = subprocess.Popen(
        [
            *(*isolated, "--kill-child=KILL", "bash", "-c", _SET_UP, "-"),
            *(str(scratch), str(base_image()), str(_INSIDE), f"{four} {six}", ""),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(REQUESTS) + "\n")
        process.stdin.flush()
        yield World(process)
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(scratch)
