"""Make the base image of a Debian release, or find the one made before."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.image.server import install_server
from tests.lab.outer import cache, command

RECIPE = Path(__file__).parent
SUITES = ("bookworm", "trixie")

PACKAGES = (RECIPE / "packages.txt").read_text().split()

DISABLED = (RECIPE / "disabled.txt").read_text().split()
"""Units that Debian starts because their package is there; a scenario starts what it is about."""


def key() -> str:
    """The identity of the recipe: every file in this directory."""
    digest = hashlib.sha256()
    for path in sorted(RECIPE.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock of this name, so that two runs do not build the same thing twice."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def base_image(suite: str = "bookworm") -> Path:
    """The tree of the base image of a Debian release, made now if this recipe's is not there.

    Raises:
        LabError: A step failed; what was half made is removed.
    """
    final = cache() / "images" / f"{suite}-{key()}"
    if final.is_dir():
        return final
    with locked(f"image-{suite}"):
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        tree = final.with_name(f".{final.name}.{os.getpid()}")
        try:
            _build(tree, suite)
            tree.rename(final)
        finally:
            if tree.exists():
                shutil.rmtree(tree)
    return final


def _build(tree: Path, suite: str) -> None:
    started = time.monotonic()

    def say(step: str) -> None:
        sys.stderr.write(f"lab: {time.monotonic() - started:5.0f} s  {suite}: {step}\n")

    say("packages")
    _bootstrap(tree, suite)
    say("users and services")
    _settle(tree)
    say("Ollama")
    install_server(tree)
    say("done")


def _bootstrap(tree: Path, suite: str) -> None:
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command(
        [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            "--dpkgopt=force-unsafe-io",
            *left_out,
            suite,
            str(tree),
        ],
        timeout=900,
    )


def _settle(tree: Path) -> None:
    """Turn off what a scenario has not asked for, and add an ordinary user."""
    for unit in DISABLED:
        command(["systemctl", f"--root={tree}", "disable", "--quiet", unit])
    command(["systemctl", f"--root={tree}", "set-default", "--quiet", "multi-user.target"])
    command(["systemctl", f"--root={tree}", "mask", "--quiet", "console-getty"])
    (tree / "etc/hostname").write_text("lab\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 lab\n")
    command(["chroot", str(tree), "useradd", "-m", "-s", "/bin/bash", "ada"])
    # What `loginctl enable-linger` writes: rootless containers and user units start at boot.
    linger = tree / "var/lib/systemd/linger"
    linger.mkdir(parents=True, exist_ok=True)
    (linger / "ada").touch()
