"""Units as a stub of systemctl and real files give them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ollama_audit.collect import run as run_module
from ollama_audit.collect import systemd
from ollama_audit.observed import Known, Unknown
from ollama_audit.snapshot.service import SystemdUnit

# `systemctl show ollama.service` of systemd 252, shortened; %DIR% is the test's folder.
SHOWN = """\
MainPID=443
ExecStart={ path=/usr/local/bin/ollama ; argv[]=/usr/local/bin/ollama serve ; ignore_errors=no }
MemoryMax=infinity
IPAddressAllow=127.0.0.0/8 ::1/128
IPAddressDeny=0.0.0.0/0 ::/0
Environment=PATH=/usr/bin:/bin "OLLAMA_HOST=127.0.0.1:11434" "OLLAMA_API_KEY=a b"
EnvironmentFiles=%DIR%/ollama.env (ignore_errors=no)
EnvironmentFiles=%DIR%/absent.env (ignore_errors=yes)
User=ollama
Group=ollama
DynamicUser=no
NoNewPrivileges=no
Id=ollama.service
LoadState=loaded
ActiveState=active
FragmentPath=%DIR%/ollama.service
DropInPaths=%DIR%/ollama.service.d/a.conf
UnitFileState=enabled
NeedDaemonReload=%RELOAD%

Id=absent.service
LoadState=not-found
ActiveState=inactive
MainPID=0
"""
FRAGMENT = """\
[Unit]
Description=Ollama Service
[Service]
ExecStart=/usr/local/bin/ollama serve --token s3cr3t
User=ollama
Environment="OLLAMA_HOST=0.0.0.0" OLLAMA_API_KEY=s3cr3t
"""
DROP_IN = "[Service]\nEnvironment=\nEnvironment=OLLAMA_HOST=127.0.0.1:11434\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of units that systemctl and the collector take for the only one."""
    monkeypatch.setattr(run_module, "SEARCH_PATH", (str(tmp_path / "bin"), "/usr/bin", "/bin"))
    monkeypatch.setattr(systemd, "SYSTEM_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(systemd, "_user_units", lambda _: [])
    (tmp_path / "bin").mkdir()
    (tmp_path / "ollama.service").write_text(FRAGMENT)
    (tmp_path / "ollama.service.d").mkdir()
    (tmp_path / "ollama.service.d" / "a.conf").write_text(DROP_IN)
    (tmp_path / "ollama.env").write_text("# host\nOLLAMA_HOST=':11434'\nHF_TOKEN=s3cr3t\n")
    return tmp_path


def systemctl(folder: Path, script: str) -> None:
    stub = folder / "bin" / "systemctl"
    stub.write_text(f'#!/bin/sh\necho "$@" >>{folder}/asked\n{script}\n')
    stub.chmod(0o755)


def printing(folder: Path, *, reload: str = "no") -> None:
    text = SHOWN.replace("%DIR%", str(folder)).replace("%RELOAD%", reload)
    (folder / "shown").write_text(text)
    systemctl(folder, f"cat {folder}/shown")


def only_unit() -> SystemdUnit:
    units = systemd.read_units(())
    assert isinstance(units, Known)
    (unit,) = units.value
    return unit


def test_a_unit(folder: Path) -> None:
    printing(folder)
    unit = only_unit()
    assert (unit.name, unit.load_state, unit.active_state, unit.unit_file_state) == (
        "ollama.service",
        "loaded",
        "active",
        "enabled",
    )
    assert (unit.main_pid, unit.user, unit.group, unit.dynamic_user) == (
        443,
        "ollama",
        "ollama",
        False,
    )
    assert unit.executable == "/usr/local/bin/ollama"
    assert unit.ip_address_allow == ("127.0.0.0/8", "::1/128")
    assert unit.ip_address_deny == ("0.0.0.0/0", "::/0")
    assert unit.properties["NoNewPrivileges"] == "no"
    assert {each.name: each.value for each in unit.environment} == {
        "PATH": "/usr/bin:/bin",
        "OLLAMA_HOST": "127.0.0.1:11434",
        "OLLAMA_API_KEY": None,
    }
    assert len((folder / "asked").read_text().splitlines()) == 1


def test_its_files_with_lines_and_without_secrets(folder: Path) -> None:
    printing(folder)
    unit = only_unit()
    fragment, drop_in = unit.files
    assert isinstance(fragment.settings, Known)
    assert [(each.name, each.value, each.line) for each in fragment.settings.value] == [
        ("OLLAMA_HOST", "0.0.0.0", 6),
        ("OLLAMA_API_KEY", None, 6),
    ]
    assert isinstance(fragment.directives, Known)
    assert [(each.name, each.value, each.line) for each in fragment.directives.value] == [
        ("ExecStart", "/usr/local/bin/ollama serve --token ***", 4),
        ("User", "ollama", 5),
    ]
    assert drop_in.path == f"{folder}/ollama.service.d/a.conf"
    assert isinstance(drop_in.directives, Known)
    assert [(each.name, each.value, each.line) for each in drop_in.directives.value] == [
        ("Environment", "", 2)
    ]
    present, absent = unit.environment_files
    assert isinstance(present.settings, Known)
    assert [(each.name, each.value, each.line) for each in present.settings.value] == [
        ("OLLAMA_HOST", ":11434", 2),
        ("HF_TOKEN", None, 3),
    ]
    assert absent.optional
    assert absent.settings == Known((), f"{folder}/absent.env")


def test_what_systemd_ignores_of_a_drop_in_that_is_not_utf_8(folder: Path) -> None:
    drop_in = folder / "ollama.service.d" / "a.conf"
    drop_in.write_bytes(b"[Service]\nUser=a\nEnvironment=OLLAMA_HOST=0.0.0.0 X=\xff\nGroup=b\n")
    printing(folder)

    fragment, found = only_unit().files

    assert (fragment.ignored_from, found.ignored_from) == (0, 3)
    assert found.settings == Known((), str(drop_in))
    assert isinstance(found.directives, Known)
    assert [each.name for each in found.directives.value] == ["User"]


def test_an_environment_file_that_is_not_utf_8(folder: Path) -> None:
    (folder / "ollama.env").write_bytes(b"OLLAMA_HOST=0.0.0.0\nOLLAMA_MODELS=/srv/\xff\n")
    (folder / "absent.env").write_bytes(b"OLLAMA_HOST=0.0.0.0\nOLLAMA_MODELS=/srv/\xff\n")
    printing(folder)

    needed, optional = only_unit().environment_files

    assert isinstance(needed.settings, Unknown)
    assert needed.settings.reason.startswith("line 2 is not UTF-8")
    assert optional.settings == Known((), f"{folder}/absent.env")


def test_a_long_list_of_properties_is_left_out_of_what_failed(folder: Path) -> None:
    systemctl(folder, "echo broken >&2; exit 1")
    units = systemd.read_units(())
    assert isinstance(units, Unknown)
    assert "--property=..." in units.source
    assert len(units.source) < 100


@pytest.mark.parametrize("reload", ["no", "yes"])
def test_a_drop_in_that_systemd_has_not_read(folder: Path, reload: str) -> None:
    """systemd says "no" where the folder is new (252, in the lab)."""
    (folder / "ollama.service.d" / "zz.conf").write_text("[Service]\nUser=root\n")
    printing(folder, reload=reload)
    unit = only_unit()
    assert [file.path.rpartition("/")[2] for file in unit.files[1:]] == ["a.conf", "zz.conf"]
    assert unit.need_daemon_reload


def test_an_empty_drop_in_that_systemd_does_not_list(folder: Path) -> None:
    (folder / "ollama.service.d" / "zz.conf").touch()
    printing(folder, reload="no")
    unit = only_unit()
    assert [file.path.rpartition("/")[2] for file in unit.files[1:]] == ["a.conf"]
    assert not unit.need_daemon_reload


def test_a_local_unit_of_another_name_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = folder / "etc"
    local.mkdir()
    (local / "llm.service").write_text("[Service]\nExecStart=/opt/ollama/bin/ollama serve\n")
    (local / "ssh.service").write_text("[Service]\nExecStart=/usr/sbin/sshd -D\n")
    monkeypatch.setattr(systemd, "SYSTEM_FOLDERS", (str(local),))
    monkeypatch.setattr(systemd, "_is_local", lambda _: True)
    printing(folder)
    systemd.read_units(())
    asked = (folder / "asked").read_text().partition(" -- ")[2].split()
    assert asked == ["llm.service", "ollama.service", "system.slice", "-.slice"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'Failed to connect to bus: No such file' >&2; exit 1", "Failed to connect to bus"),
        ("exec sleep 30", "did not finish within"),
        ("kill -9 $$", "killed by signal 9"),
    ],
)
def test_a_manager_that_does_not_answer(folder: Path, script: str, reason: str) -> None:
    systemctl(folder, script)
    units = systemd.read_units(())
    assert isinstance(units, Unknown)
    assert reason in units.reason


@pytest.mark.parametrize(
    "script", ["echo nonsense", "head -c 3000000 /dev/zero | tr '\\0' 'x'", ""]
)
def test_a_manager_that_answers_nonsense(folder: Path, script: str) -> None:
    systemctl(folder, script)
    units = systemd.read_units(())
    assert isinstance(units, Unknown)
    assert units.reason == "systemctl did not say what was asked"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_unknown(folder: Path) -> None:
    (folder / "ollama.env").chmod(0)
    printing(folder)
    assert isinstance(only_unit().environment_files[0].settings, Unknown)


SLICES = """
Id=system.slice
LoadState=loaded
IPAddressAllow=192.0.2.0/24
IPAddressDeny=

Id=-.slice
LoadState=loaded
IPAddressAllow=
IPAddressDeny=198.51.100.0/24
"""


def test_a_unit_has_the_address_lists_of_its_slices(folder: Path) -> None:
    printing(folder)
    text = (folder / "shown").read_text().replace("Id=ollama", "Slice=system.slice\nId=ollama")
    (folder / "shown").write_text(text + SLICES)
    unit = only_unit()
    assert unit.ip_address_allow == ("127.0.0.0/8", "::1/128", "192.0.2.0/24")
    assert unit.ip_address_deny == ("0.0.0.0/0", "::/0", "198.51.100.0/24")
    assert len((folder / "asked").read_text().splitlines()) == 1


def test_slices_of_a_units_own_are_asked_for(folder: Path) -> None:
    printing(folder)
    text = (folder / "shown").read_text().replace("Id=ollama", "Slice=ai-gpu.slice\nId=ollama")
    (folder / "shown").write_text(text + SLICES)
    own = "Id=ai-gpu.slice\nLoadState=loaded\nIPAddressDeny=2001:db8::/32\n\n"
    own += "Id=ai.slice\nLoadState=loaded\nIPAddressDeny=\n"
    (folder / "own").write_text(own)
    systemctl(folder, f'case "$*" in *" ai"*) cat {folder}/own;; *) cat {folder}/shown;; esac')
    unit = only_unit()
    assert unit.ip_address_deny == ("0.0.0.0/0", "::/0", "2001:db8::/32", "198.51.100.0/24")
    assert (folder / "asked").read_text().splitlines()[1].endswith("-- ai-gpu.slice ai.slice")
