"""Layers over the base image: the product from its built wheel, and the peer tool."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tomllib
from pathlib import Path

from tests.lab.image.build import base_image, locked
from tests.lab.outer import PREFIX, LabError, cache, checkout, command

PEER = "llm-host-guard==0.5.0"
SOURCES = ("ollama_audit", "rules", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
PYTHON = {"bookworm": "3.11", "trixie": "3.13"}
"""What `python3` is in each image."""

INSTALL = """
set -eu
python3 -m venv /opt/{name}
/opt/{name}/bin/pip install --quiet --disable-pip-version-check --no-index \
  --find-links /mnt {requirements}
ln -s /opt/{name}/bin/{name} /usr/local/bin/{name}
"""


def layers(suite: str, *, product: bool, peer: bool) -> list[Path]:
    """The layers wanted, made now if they are not in the cache.

    Raises:
        LabError: The wheel could not be built, or not installed.
    """
    wanted = []
    if product:
        wheel = product_wheel()
        wanted.append(_layer(suite, "ollama-audit", wheel.name, [wheel], _dependencies()))
    if peer:
        wanted.append(_layer(suite, "llm-host-guard", PEER, [], [PEER]))
    return wanted


def product_wheel() -> Path:
    """The checkout's wheel, built once for each state of its sources."""
    digest = hashlib.sha256()
    for name in SOURCES:
        path = checkout() / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(checkout())).encode() + b"\0")
                digest.update(file.read_bytes())
    folder = cache() / "wheels" / f"product-{digest.hexdigest()[:12]}"
    with locked("wheel"):
        if not any(folder.glob("*.whl")):
            argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder)]
            command([*argv, str(checkout())])
    (wheel,) = folder.glob("*.whl")
    return wheel


def _dependencies() -> list[str]:
    project = tomllib.loads((checkout() / "pyproject.toml").read_text())["project"]
    return sorted(project["dependencies"])


def _wheelhouse(suite: str, requirements: list[str]) -> Path:
    """The wheels of these requirements for an image's Python, downloaded once."""
    python = PYTHON[suite]
    key = hashlib.sha256("\n".join([python, *requirements]).encode()).hexdigest()[:12]
    folder = cache() / "wheels" / f"house-{key}"
    if not (folder / "complete").exists():
        argv = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:"]
        command([*argv, f"--python-version={python}", "-d", str(folder), *requirements])
        (folder / "complete").touch()
    return folder


def _layer(
    suite: str, name: str, identity: str, wheels: list[Path], requirements: list[str]
) -> Path:
    """The tree with a tool in /opt/NAME and its command in /usr/local/bin, nothing else."""
    base = base_image(suite)
    parent = wheels[0].parent.name if wheels else ""
    text = "\n".join([base.name, identity, parent, INSTALL, *requirements])
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    final = cache() / "layers" / f"{suite}-{name}-{key}"
    with locked(f"layer-{suite}-{name}"):
        if final.is_dir():
            return final
        house = _wheelhouse(suite, requirements)
        scratch = final.with_name(f".{final.name}.{os.getpid()}")
        for folder in ("upper", "work", "root", "house"):
            (scratch / folder).mkdir(parents=True)
        try:
            for wheel in [*house.glob("*.whl"), *wheels]:
                shutil.copy(wheel, scratch / "house")
            wanted = [f"/mnt/{wheel.name}" for wheel in wheels] or requirements
            _install(base, scratch, INSTALL.format(name=name, requirements=" ".join(wanted)))
            (scratch / "upper").rename(final)
        finally:
            shutil.rmtree(scratch)
    return final


def _install(base: Path, scratch: Path, script: str) -> None:
    """Run a script in an overlay of the base image, in a mount namespace that ends with it."""
    mounted = f"""
        set -eu
        cd {scratch}
        mount -t overlay {PREFIX}layer -o lowerdir={base},upperdir=upper,workdir=work root
        mount --bind house root/mnt
        mount -t proc proc root/proc
        exec chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -s
    """
    argv = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork"]
    try:
        command([*argv, "--kill-child=KILL", "bash", "-c", mounted], given=script, timeout=300)
    except LabError as error:
        raise LabError(f"the tool cannot be installed in the image: {error}") from error
