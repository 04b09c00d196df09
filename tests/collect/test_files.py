"""Owners, modes and links as lstat(2) gives them; nothing is followed unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ollama_audit.collect.files import read_files
from ollama_audit.observed import Known
from ollama_audit.snapshot.files import FileFact, FileKind, FileRole, Stat


def facts(path: Path) -> dict[str, FileFact]:
    return {fact.path: fact for fact in read_files((), (), [str(path)])}


def stat(fact: FileFact) -> Stat:
    assert isinstance(fact.stat, Known)
    return fact.stat.value


def test_a_file_and_every_folder_above_it(tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "ollama"
    binary.parent.mkdir(mode=0o775)
    binary.parent.chmod(0o775)
    binary.write_text("")
    binary.chmod(0o4711)
    found = facts(binary)
    above = {str(folder) for folder in binary.parents}
    assert set(found) == {str(binary), *above}
    assert found[str(binary)].role is FileRole.BINARY
    assert {found[folder].role for folder in above} == {FileRole.ANCESTOR}
    assert (stat(found[str(binary)]).kind, stat(found[str(binary)]).mode) == (FileKind.FILE, 0o4711)
    assert (stat(found[str(binary.parent)]).kind, stat(found[str(binary.parent)]).mode) == (
        FileKind.FOLDER,
        0o775,
    )
    assert stat(found["/"]).uid == Path("/").stat().st_uid
    assert stat(found["/"]).user == Path("/").owner()


def test_a_link_and_what_it_points_to_are_two_facts(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    found = facts(tmp_path / "link")
    link, real = stat(found[f"{tmp_path}/link"]), stat(found[f"{tmp_path}/real"])
    assert (link.kind, link.target) == (FileKind.LINK, "real")
    assert (real.kind, real.mode) == (FileKind.FILE, 0o640)
    assert found[f"{tmp_path}/real"].role is FileRole.BINARY


def test_a_folder_that_is_a_link_leads_to_the_other_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "ollama").write_text("")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    found = facts(tmp_path / "b" / "ollama")
    assert stat(found[f"{tmp_path}/b"]).target == f"{tmp_path}/a"
    assert stat(found[f"{tmp_path}/a/ollama"]).kind is FileKind.FILE
    assert f"{tmp_path}/b/ollama" not in found


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    found = facts(tmp_path / "a")
    assert {stat(found[f"{tmp_path}/{name}"]).kind for name in "ab"} == {FileKind.LINK}


def test_what_is_missing_is_known_to_be(tmp_path: Path) -> None:
    assert stat(facts(tmp_path / "x" / "y")[f"{tmp_path}/x/y"]).kind is FileKind.MISSING


def test_an_access_list_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("")
    assert stat(facts(path)[str(path)]).acl == Known(value=False, source=f"lstat {path}")
    # acl(5) in the kernel's form (linux/posix_acl_xattr.h): user::rw, user:65534:rw, group::r,
    # mask::rw, other::-
    entries = [(1, 6, -1), (2, 6, 65534), (4, 4, -1), (16, 6, -1), (32, 0, -1)]
    blob = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little")
        + permissions.to_bytes(2, "little")
        + identity.to_bytes(4, "little", signed=True)
        for tag, permissions, identity in entries
    )
    try:
        os.setxattr(path, "system.posix_acl_access", blob)
    except OSError as error:
        pytest.skip(f"no access lists here: {error.strerror}")
    assert stat(facts(path)[str(path)]).acl == Known(value=True, source=f"lstat {path}")


SEEN = """
import sys
from ollama_audit.collect.files import read_files
print([(fact.path, fact.stat) for fact in read_files((), (), sys.argv[1:])])
"""


def test_an_owner_whom_the_user_namespace_hides_is_unknown(tmp_path: Path) -> None:
    """In a container without root the files of root seem to be nobody's, whom nobody trusts."""
    binary = tmp_path / "ollama"
    binary.write_text("")
    look = [sys.executable, "-c", SEEN, str(binary)]
    done = subprocess.run(["unshare", "--user", *look], check=False, capture_output=True, text=True)
    if "unshare failed" in done.stderr:
        pytest.skip("user namespaces are off")

    assert f"('{binary}', Unknown(reason=\"whoever owns it is nobody in this" in done.stdout
    assert "'/', Unknown(" in done.stdout

    assert isinstance(facts(binary)[str(binary)].stat, Known)
