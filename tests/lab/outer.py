"""The machine the lab runs on: what it must have, where the cache is, what must not change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "ipset": "ipset",  # the comparison of the packet-filter engine with the kernel
    "gcc": "gcc",
    "unshare": "util-linux",
}
"""Command that the lab needs outside its hosts, and the Debian package that has it."""

PREFIX = "oa-lab-"
"""Everything the lab makes in the kernel has a name that starts so."""


class LabError(Exception):
    """The lab itself does not work; nothing was learnt about the product."""


class LabUnavailableError(LabError):
    """This machine cannot run the lab; the message says in one line why."""


def cache() -> Path:
    """Where images and layers are kept: outside the checkout, so that `git clean` is cheap."""
    return Path(os.environ.get("OLLAMA_AUDIT_LAB_CACHE", "/var/cache/ollama-audit-lab"))


def checkout() -> Path:
    """The root of the checkout that this file is part of."""
    return Path(__file__).resolve().parents[2]


def command(argv: Sequence[str], *, timeout: float = 600, given: str | None = None) -> str:
    """Run a command of the outer machine and return its standard output.

    Raises:
        LabError: It is missing, took too long or failed; with the end of what it said.
    """
    try:
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=timeout, input=given
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{argv[0]}: {error}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}:\n{said}")
    return done.stdout


def unavailable() -> str:
    """Why the lab cannot run here, in one line; empty when it can."""
    if os.geteuid() != 0:
        return "the lab needs root: it boots hosts in namespaces of their own"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private", "true"],
        check=False,
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        return f"the lab needs namespaces: {tried.stderr.strip()}"
    return ""


def require() -> None:
    """Make this machine ready: root, namespaces and the commands of `PACKAGES`.

    Raises:
        LabUnavailableError: It cannot be made ready.
    """
    if reason := unavailable():
        raise LabUnavailableError(reason)
    missing = sorted({package for name, package in PACKAGES.items() if not shutil.which(name)})
    if missing:
        try:
            command(["apt-get", "update", "-q"])
            command(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing])
        except LabError as error:
            raise LabUnavailableError(f"the lab needs {', '.join(missing)}: {error}") from error


def firewall_fingerprint() -> str:
    """A digest of the packet filters of the network namespace we are in.

    Legacy tables are only asked for when the kernel says that they exist, because
    `iptables-legacy-save` would make them.
    """
    asked = [["nft", "list", "ruleset"]]
    for names, tool in (
        ("/proc/net/ip_tables_names", "iptables-legacy-save"),
        ("/proc/net/ip6_tables_names", "ip6tables-legacy-save"),
    ):
        if Path(names).exists() and Path(names).read_text():
            asked.append([tool])
    digest = hashlib.sha256()
    for argv in asked:
        listing = command(argv) if shutil.which(argv[0]) else ""
        # The comment lines of iptables-save hold the time.
        kept = [line for line in listing.splitlines() if not line.startswith("#")]
        digest.update("\n".join(kept).encode())
    return digest.hexdigest()
