"""The whole host: one snapshot that survives its own encoding, within its budget."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ollama_audit.collect import host
from ollama_audit.collect.later import Later
from ollama_audit.collect.run import children_started
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.codec import decode, encode
from tests.hosts import listener, process


def test_this_host_with_a_stand_in(tmp_path: Path) -> None:
    shutil.copy("/bin/sh", tmp_path / "ollama")
    (tmp_path / "serve").write_text("read line\n")
    before = children_started()
    child = subprocess.Popen(
        ("ollama", "serve"),
        executable=tmp_path / "ollama",
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        env={"HOME": "/home/x", "OLLAMA_MODELS": "'/srv/models'", "HF_TOKEN": "s3cr3t-Value"},
    )
    try:
        snapshot = host.collect()
    finally:
        child.communicate()
    assert children_started() - before <= 8
    data = encode(snapshot)
    assert decode(data) == snapshot
    assert b"s3cr3t-Value" not in data
    assert isinstance(snapshot.servers, Known)
    (server,) = (each for each in snapshot.servers.value if each.pid == child.pid)
    assert server.models_directory == Known("/srv/models", f"/proc/{child.pid}/environ")
    assert server.home == Known("/home/x", f"/proc/{child.pid}/environ")
    assert isinstance(server.api.version, Unknown)
    # Where other sockets hide their holders, one of them may be its own.
    assert server.api.version.reason in {
        "the server has no listening socket",
        "which socket is its own cannot be told",
    }
    assert isinstance(snapshot.namespaces, Known)
    assert snapshot.namespaces.value[0].host


def test_without_asking() -> None:
    answers = host._unprobed()
    assert isinstance(answers.version, Unknown)
    assert "turned off" in answers.version.reason


def test_whose_a_socket_is_where_its_holders_are_hidden() -> None:
    hidden = Unknown("only root sees them", "/proc")
    mine = process(pid=1, uid=Known(7, "t"))
    another = process(pid=2, uid=Known(7, "t"))
    stranger = process(pid=3, uid=Known(8, "t"))
    socket = listener("0.0.0.0:11434", owners=hidden, uid=7)
    assert host._is_of(socket, mine, [mine, stranger])
    assert not host._is_of(socket, stranger, [mine, stranger])
    assert not host._is_of(socket, mine, [mine, another])
    held = listener("0.0.0.0:11434", owners=Known((2,), "t"), uid=7)
    assert host._is_of(held, another, [mine, another])
    assert not host._is_of(held, mine, [mine, another])


def test_later() -> None:
    assert Later(lambda: 3).result() == 3
    with pytest.raises(ZeroDivisionError):
        Later(lambda: 1 // 0).result()
