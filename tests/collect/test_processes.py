"""Servers are found by what they are; a shell named `ollama` stands in for one."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ollama_audit.collect.buildinfo import go_main_package
from ollama_audit.collect.proc import describe, environment_of
from ollama_audit.collect.processes import classify, runners_of, scan
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.process import Process

Start = Callable[..., int]


@contextmanager
def running(argv: tuple[str, ...], executable: Path, **keywords: object) -> Iterator[int]:
    """A process that waits on its input and ends with the block."""
    child = subprocess.Popen(argv, executable=executable, stdin=subprocess.PIPE, **keywords)  # type: ignore[call-overload]
    try:
        yield child.pid
    finally:
        child.stdin.close()
        child.wait(10)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a copy of the shell under a name; it runs the script `serve`, which waits."""
    (tmp_path / "serve").write_text("read line\n")
    with ExitStack() as stack:

        def begin(*argv: str, name: str = "ollama", **keywords: object) -> int:
            binary = tmp_path / name
            if not binary.exists():
                shutil.copy("/bin/sh", binary)
            keywords.setdefault("env", {"HOME": "/home/x"})
            return stack.enter_context(running(argv, binary, cwd=tmp_path, **keywords))

        yield begin


def servers() -> tuple[int, ...]:
    found = scan().servers
    assert isinstance(found, Known)
    return found.value


def described(pid: int) -> Process:
    found = describe(pid)
    assert found
    return found


def test_a_server_is_found(start: Start, tmp_path: Path) -> None:
    pid = start("/usr/local/bin/ollama", "serve")
    assert pid in servers()
    process = described(pid)
    assert process.executable == Known(f"{tmp_path}/ollama", f"/proc/{pid}/exe")
    assert process.arguments == Known(("/usr/local/bin/ollama", "serve"), f"/proc/{pid}/cmdline")
    assert process.parent == os.getpid()
    assert process.name == "ollama"
    assert isinstance(process.uid, Known)
    assert process.uid.value == os.geteuid()
    assert process.own_mounts == Known(value=False, source=f"/proc/{pid}/root")
    assert isinstance(process.network_namespace, Known)
    assert process.network_namespace.value == Path("/proc/self/ns/net").stat().st_ino
    assert isinstance(process.started_at, Known)
    assert abs(process.started_at.value - datetime.now(UTC)) < timedelta(seconds=30)


def test_the_child_of_rootlesskit_is_noted_by_its_executable(start: Start) -> None:
    """It runs as `/proc/self/exe`, and holds no socket that would tell of it."""
    pid = start("/proc/self/exe", "serve", name="rootlesskit")

    assert pid in scan().forwarders


def test_a_replaced_binary_is_said(start: Start, tmp_path: Path) -> None:
    pid = start("ollama", "serve")
    (tmp_path / "ollama").unlink()
    assert pid in servers()
    process = described(pid)
    assert process.executable_deleted
    assert process.executable == Known(f"{tmp_path}/ollama", f"/proc/{pid}/exe")


def test_an_ended_process_is_nobody() -> None:
    with running(("sh", "-c", "read line"), Path("/bin/sh")) as pid:
        assert describe(pid)
    assert describe(pid) is None


def test_runners_are_the_children_of_their_server(start: Start, tmp_path: Path) -> None:
    shutil.copy("/bin/sh", tmp_path / "llama-server")
    (tmp_path / "serve").write_text("./llama-server -c 'read line'; true\n")
    pid = start("ollama", "serve")
    deadline = time.monotonic() + 10
    found: tuple[Process, ...] = ()
    while not found and time.monotonic() < deadline:
        found = runners_of(pid, scan().runners)
    assert [(runner.name, runner.parent) for runner in found] == [("llama-server", pid)]


def test_the_environment_is_redacted(start: Start) -> None:
    pid = start("ollama", "serve", env={"OLLAMA_HOST": "0.0.0.0", "HF_TOKEN": "x9"})
    deadline = time.monotonic() + 10
    environment = environment_of(pid)
    # The kernel shows none until execve(2) is through.
    while environment == Known((), f"/proc/{pid}/environ") and time.monotonic() < deadline:
        environment = environment_of(pid)
    assert isinstance(environment, Known)
    assert {each.name: each.value for each in environment.value} == {
        "OLLAMA_HOST": "0.0.0.0",
        "HF_TOKEN": None,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start processes of others")
def test_without_root_a_server_of_another_is_found_by_its_command_line(
    start: Start, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    theirs = start("/usr/local/bin/ollama", "serve")
    renamed = start("/opt/model-thing", "serve", name="model-thing")
    with as_nobody() as ask:
        found = ask(scan)
        process = ask(lambda: describe(theirs))
        verdict = ask(lambda: classify(renamed, None, ["/opt/model-thing", "serve"]))
    assert isinstance(found.servers, Known)
    assert theirs in found.servers.value
    assert renamed not in found.servers.value
    assert verdict == "hidden"
    assert isinstance(found.unseen, Known)
    assert found.unseen.value >= 1
    assert process.executable == Unknown(
        "only root may look at it", f"/proc/{theirs}/exe", "sudo ollama-audit"
    )
    assert process.arguments == Known(("/usr/local/bin/ollama", "serve"), f"/proc/{theirs}/cmdline")
    assert process.user == "root"
    assert isinstance(process.network_namespace, Unknown)


@contextmanager
def as_nobody() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Ask functions for their value in children of ours that have no rights."""

    def ask(function: Callable[[], Any]) -> Any:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                os.write(writer, pickle.dumps(function()))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            data = stream.read()
        os.waitpid(child, 0)
        return pickle.loads(data)

    yield ask


@pytest.mark.parametrize(
    ("executable", "argv", "expected"),
    [
        ("/usr/local/bin/ollama", "/usr/local/bin/ollama serve", "server"),
        ("/usr/local/bin/ollama (deleted)", "ollama serve", "server"),
        ("/bin/ollama", "/bin/ollama start", "server"),
        ("/opt/libs/ollama/ollama-lib", "./ollama-lib serve", "server"),
        ("/snap/ollama/105/bin/ollama", "/snap/ollama/105/bin/ollama serve", "server"),
        ("/nix/store/abc-ollama/bin/.ollama-wrapped", "/x/bin/ollama serve", "server"),
        ("/usr/bin/ollama", "ollama --verbose serve", "server"),
        ("/lib/ld-linux-x86-64.so.2", "ld.so --library-path /l /o/ollama serve", "server"),
        ("/lib/ld-musl-x86_64.so.1", "ld.so --preload x --argv0 y /o/ollama serve", "server"),
        ("/usr/bin/qemu-x86_64", "/usr/bin/qemu-x86_64 /bin/ollama serve", "server"),
        (None, "/usr/local/bin/ollama serve", "server"),
        (None, "myapp serve", "hidden"),
        ("/usr/local/bin/ollama", "ollama run llama3 serve me a drink", "other"),
        ("/usr/local/bin/ollama", "ollama", "other"),
        ("/usr/local/bin/ollama", "ollama list", "other"),
        ("/usr/local/bin/ollama", "ollama runner --model /x --port 4", "runner"),
        ("/usr/lib/ollama/llama-server", "/usr/lib/ollama/llama-server --port 4", "runner"),
        ("/bin/sh", "/bin/sh /usr/local/bin/ollama serve", "other"),
        ("/usr/bin/sudo", "sudo ollama serve", "other"),
        ("/usr/bin/caddy", "caddy run", "other"),
        ("/bin/ls", "ollama-exporter serve", "other"),
        ("/usr/bin/python3", "python3 serve.py", "other"),
        (None, "nginx: worker process", "other"),
    ],
)  # fmt: skip
def test_classify(executable: str | None, argv: str, expected: str) -> None:
    # Process 0 does not exist, so nobody's build information is read.
    assert classify(0, executable, argv.split()) == expected


def test_a_renamed_binary_is_known_by_its_build(tmp_path: Path) -> None:
    assert go_main_package(str(go_binary(tmp_path / "thing"))) == "github.com/ollama/ollama"


@pytest.mark.parametrize("cut", [0, 3, 63, 70, 150, 240, 300])
def test_a_cut_binary_has_no_build(tmp_path: Path, cut: int) -> None:
    whole = go_binary(tmp_path / "thing").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:cut])
    assert go_main_package(str(tmp_path / "cut")) == ""
    assert go_main_package("/bin/sh") == ""
    assert go_main_package(str(tmp_path / "absent")) == ""


def go_binary(path: Path) -> Path:
    """The least ELF file with Go's build information, by elf(5) and Go's debug/buildinfo."""
    lines = b"\x30" * 16 + b"path\tgithub.com/ollama/ollama\nmod\tx\t(devel)\n" + b"\x31" * 16
    info = b"\xff Go buildinf:\x08\x02".ljust(32, b"\0")
    info += bytes([8]) + b"go1.24.0" + bytes([len(lines)]) + lines
    names = b"\0.go.buildinfo\0.shstrtab\0"
    sections = [(0, 0, 0), (1, 64, len(info)), (15, 64 + len(info), len(names))]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 1, 0)
        for name, offset, size in sections
    )
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(info) + len(names), 0, 64, 56, 0, 64, 3, 2
    )
    path.write_bytes(header + info + names + table)
    return path


def test_hidden_processes_are_not_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/proc/1" and seen(path))
    unseen = scan().unseen
    assert isinstance(unseen, Unknown)
    assert "hidepid" in unseen.reason
