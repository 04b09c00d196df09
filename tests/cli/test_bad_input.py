"""Mistakes of the caller: exit 2, one clear line, the nearest right name, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import hosts
from tests.cli.running import run, saved


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return saved(hosts.host(), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "runs-as-rot"], "did you mean runs-as-root?"),
        (["--only", "listens-beyond-lopback"], "listens-beyond-loopback"),
        (["--skip", "privilage"], "did you mean privilege"),
        (["--only", "no-*-such"], "unknown rule or area"),
        (["-f", "jsn"], "did you mean json?"),
        (["--fail-on", "hgih"], "did you mean high?"),
        (["--color", "sometimes"], "auto, always, never"),
        (["--width", "wide"], "--width"),
        (["--width", "9999999999999999999"], "--width"),
        (["--formt", "json"], "--format"),
        (["rulez"], "'rules'"),
        (["reach", "-f", "jsonn"], "did you mean json?"),
        (["--cloud-metadata"], "--cloud-metadata asks about this host"),
        (["--ask-router"], "--ask-router asks about this host"),
        (["reach", "--cloud-metadata"], "--snapshot is about another"),
        (["reach", "--from", "neo"], "no IPv4 or IPv6 address"),
        (["reach", "--from", "192.0.2.1", "--to", "192.0.2.2"], "ADDR:PORT"),
        (["reach", "--from", "192.0.2.1", "--to", "2001:db8::1:80"], "ADDR:PORT"),
        (["reach", "--from", "192.0.2.1", "--to", "192.0.2.2:65536"], "ADDR:PORT"),
        (["reach", "--to", "192.0.2.2:80"], "--from"),
        (["reach", "-f", "json"], "--from"),
        (["remediate", "--only", "runs-as-rot"], "did you mean runs-as-root"),
        (["explain"], "RULE"),
        (["-o"], "-o"),
        (["-f", "json", "-f", "terminal"], "cannot share standard output"),
        (["-f", "json", "-o", "a", "-o", "b"], "has no -f of its own"),
        (["-f", "json", "-o", "a", "-f", "terminal", "-o", "a"], "cannot share one file"),
        (["--only", "runs-as-root", "--skip", "privilege"], "no rule to judge"),
    ],
)
def test_mistake_is_2_and_says_how_to_mend_it(
    arguments: list[str], words: str, sound: Path, tmp_path: Path
) -> None:
    given = (
        []
        if arguments[0] in {"explain", "rulez"} or arguments == ["-o"]
        else ["--snapshot", str(sound)]
    )
    at = 1 if arguments[0] in {"reach", "remediate"} else 0
    done = run(*arguments[:at], *given, *arguments[at:])
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == [sound]


def hostile(sound: Path) -> dict[str, bytes]:
    whole = sound.read_bytes()
    document = json.loads(whole)
    other = document | {"schema": "ollama-audit/snapshot/99"}
    wrong = document | {"privileges": document["privileges"] | {"uid": "root"}}
    huge = whole.replace(b'"uid": 0', b'"uid": ' + b"9" * 5000, 1)
    return {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "other schema": json.dumps(other).encode(),
        "wrong type": json.dumps(wrong).encode(),
        "deep nesting": b"[" * 1_000_000,
        "huge number": huge,
        "not UTF-8": b"\xff\xfe" + whole,
        "no object": b"7",
        "escape sequence": b'{"schema": "\\u001b[2J"}',
    }


@pytest.mark.parametrize(
    "name",
    ["truncated", "empty", "other schema", "wrong type", "deep nesting", "huge number",
     "not UTF-8", "no object", "escape sequence"],
)  # fmt: skip
def test_hostile_snapshot_is_2_with_path_and_reason(name: str, sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_bytes(hostile(sound)[name])
    done = run("--snapshot", path)
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "$" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_path_of_a_wrong_value_is_named(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_bytes(hostile(sound)["wrong type"])
    assert "$.privileges.uid" in run("--snapshot", path).stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b'{"nftables": [{"metainfo": {"vers', "cut off"),
        (b'{"fine": true}', "JSON of something else"),
        (b"*filter\n:INPUT DROP [0:0]\n-A INPUT -j DR", "has no COMMIT"),
        (b"*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "ip: or ip6:"),
        (b"table inet filter {\n}\n", "nft -j list ruleset"),
        (b"\xff\xfe\x00", "no text"),
        (b"\x1b[2J" * (1 << 21), "holds no ruleset"),
        (b'{"nftables": [' + b" " * (50 << 20), "cut off"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else f"{len(value)} bytes",
)
def test_bad_ruleset_is_2_with_path_and_cure(
    content: bytes, words: str, sound: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ruleset"
    path.write_bytes(content)
    done = run("reach", "--snapshot", sound, "--ruleset", path)
    assert done.returncode == 2
    assert f"{path}: " in done.stderr
    assert words in done.stderr
    assert "`" in done.stderr or "ip:" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_standard_input_is_read_once() -> None:
    done = run("reach", "--snapshot", "-", "--ruleset", "-")
    assert done.returncode == 2
    assert "standard input" in done.stderr


def test_missing_ruleset_is_2(sound: Path, tmp_path: Path) -> None:
    done = run("reach", "--snapshot", sound, "--ruleset", tmp_path / "none")
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_missing_snapshot_is_2(tmp_path: Path) -> None:
    done = run("--snapshot", tmp_path / "none.json")
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_unwritable_output_leaves_nothing_behind(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    done = run(
        "--snapshot", sound, "-f", "json", "-o", folder / "good.json",
        "-f", "terminal", "-o", tmp_path / "missing" / "bad.txt",
    )  # fmt: skip
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert done.stdout == ""
    assert list(folder.iterdir()) == []


def test_output_over_a_folder_is_2(sound: Path, tmp_path: Path) -> None:
    done = run("--snapshot", sound, "-f", "json", "-o", tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == [sound]


def test_failed_write_keeps_the_old_file(sound: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("old")
    done = run(
        "--snapshot", sound, "-f", "json", "-o", old, "-f", "terminal", "-o", tmp_path / "no" / "x"
    )
    assert done.returncode == 2
    assert old.read_text() == "old"


def test_modes_of_what_is_written(sound: Path, tmp_path: Path) -> None:
    fresh, private, link = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"
    private.write_text("old")
    private.chmod(0o600)
    link.symlink_to(private)
    for path in (fresh, link):
        assert run("--snapshot", sound, "-f", "json", "-o", path, "-q").returncode in {0, 1, 3}
    assert fresh.stat().st_mode & 0o7777 == 0o644
    assert private.stat().st_mode & 0o7777 == 0o600, "a private file stays private"
    assert link.is_symlink()
    assert json.loads(private.read_text())["schema"] == "ollama-audit/report/1"
