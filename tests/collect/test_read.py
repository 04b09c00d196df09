"""Files that are not there, not readable, or no files."""

import os
import socket
from pathlib import Path

import pytest

from ollama_audit.collect.read import read_bytes, read_text
from ollama_audit.observed import Known, Unknown


def test_a_file_is_known_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"caf\xe9\n")
    assert read_bytes(str(path)) == Known(b"caf\xe9\n", str(path))
    assert read_text(str(path)) == Known("caf\N{REPLACEMENT CHARACTER}\n", str(path))


def test_a_procfs_file_is_read_though_its_size_is_zero() -> None:
    seen = read_text("/proc/self/comm")
    assert isinstance(seen, Known)
    assert seen.value == Path("/proc/self/comm").read_text()


def test_an_absent_file_is_unknown_unless_absence_means_something(tmp_path: Path) -> None:
    path = str(tmp_path / "absent")
    assert read_bytes(path) == Unknown("there is no such file", path)
    assert read_bytes(path, absent=b"") == Known(b"", path)
    below_a_file = "/proc/self/comm/below"
    assert read_text(below_a_file, absent="none") == Known("none", below_a_file)


def test_a_file_larger_than_the_limit_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_001))
    assert read_bytes(str(path), limit=100_000) == Unknown(
        "it is larger than 100000 bytes", str(path)
    )
    assert isinstance(read_bytes(str(path), limit=100_001), Known)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert read_bytes(str(path)) == Unknown("it is not a regular file", str(path))


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/dev/zero", "it is not a regular file"), ("/proc", "it is a directory")],
)
def test_devices_and_directories_are_not_opened(path: str, reason: str) -> None:
    assert read_bytes(path) == Unknown(reason, path)


def test_a_socket_is_not_opened(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert read_bytes(path) == Unknown("it is not a regular file", path)


def test_a_link_is_followed_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to("file")
    assert read_bytes(str(link)) == Known(b"x", str(link))
    assert read_bytes(str(link), follow=False) == Unknown("it is a symbolic link", str(link))


def test_a_loop_of_links_is_unknown(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("link")
    assert read_bytes(str(link)) == Unknown("Too many levels of symbolic links", str(link))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_file_of_another_user_is_unknown_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(0o600)
    for directory in [tmp_path, *tmp_path.parents]:
        if directory.stat().st_uid == 0 and directory.name.startswith("pytest"):
            directory.chmod(0o755)
    os.seteuid(65534)
    try:
        seen = read_bytes(str(path))
    finally:
        os.seteuid(0)
    assert seen == Unknown("Permission denied", str(path), "sudo ollama-audit")
