"""Units that run, ran or would run Ollama: as their manager has them, and as files have them.

The system's manager is asked once, about all units of interest, with `systemctl show`, and again
only for the slices of units that are in one of their own. A user's
manager answers only that user; for other users the files are read, and what their manager has
loaded stays empty (`load_state`).
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Sequence
from glob import glob
from pathlib import Path

from msgspec.structs import replace

from ollama_audit.collect import systemd_syntax as syntax
from ollama_audit.collect.proc import printable, user_name
from ollama_audit.collect.read import read_bytes, read_text
from ollama_audit.collect.run import run
from ollama_audit.collect.slices import OUTERMOST, Block, address_lists, is_slice
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot import redact
from ollama_audit.snapshot.process import Process, Setting
from ollama_audit.snapshot.service import EnvironmentFile, SystemdUnit, UnitFile

# systemd.unit(5), "UNIT FILE LOAD PATH", highest precedence first.
SYSTEM_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
USER_FOLDERS = (
    "~/.config/systemd/user",
    "/etc/systemd/user",
    "/run/systemd/user",
    "~/.local/share/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
)
_IDENTITY = """
Id LoadState ActiveState UnitFileState MainPID User Group DynamicUser FragmentPath DropInPaths
Environment EnvironmentFiles NeedDaemonReload ExecStart IPAddressAllow IPAddressDeny
""".split()  # noqa: SIM905 - a block of names
# systemd.exec(5) "SANDBOXING", systemd.resource-control(5); those of NixOS's proven sandbox too.
SANDBOX = """
AmbientCapabilities CapabilityBoundingSet DeviceAllow DevicePolicy InaccessiblePaths IPAccounting
KeyringMode LimitAS LimitCORE LimitMEMLOCK LimitNOFILE LimitNPROC LockPersonality CPUQuotaPerSecUSec
MemoryDenyWriteExecute MemoryHigh MemoryMax MountFlags NetworkNamespacePath NoExecPaths
NoNewPrivileges PassEnvironment PrivateDevices PrivateIPC PrivateMounts PrivateNetwork PrivateTmp
PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome ProtectHostname
ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem
ReadOnlyPaths ReadWritePaths RemoveIPC Restart RestrictAddressFamilies RestrictFileSystems
RestrictNamespaces RestrictRealtime RestrictSUIDSGID RootDirectory RootImage SecureBits
StateDirectory SupplementaryGroups SystemCallArchitectures SystemCallFilter TasksMax
TemporaryFileSystem UMask UnsetEnvironment WorkingDirectory BindPaths BindReadOnlyPaths Slice
ControlGroup
""".split()  # noqa: SIM905 - a block of names
_FILE = re.compile(r"(.*) \(ignore_errors=(yes|no)\)")
_PROGRAM = re.compile(r"path=(.*?) ; argv\[\]=", re.DOTALL)
_SERVES = re.compile(r"(?m)^\s*ExecStart\s*=.*ollama.*\b(?:serve|start)\b")
_MOST_FILES = 2000


def read_units(servers: Sequence[Process]) -> Observed[tuple[SystemdUnit, ...]]:
    """The units of these processes and every other that names Ollama, the system's first."""
    on_disk = [*_system_names(), "ollama.service"]
    running = [each for each in servers if each.unit and not each.container]
    system = {each.unit for each in running if not each.unit_owner}
    names = sorted({name for name in system if name.endswith(".service")} | set(on_disk))
    shown = _shown((*names, *OUTERMOST))
    if isinstance(shown, Unknown):
        return shown
    lists = address_lists(shown.value, _shown)
    units = [
        replace(
            _unit(block),
            ip_address_allow=lists[block["Id"][-1]].ip_address_allow,
            ip_address_deny=lists[block["Id"][-1]].ip_address_deny,
        )
        for block in shown.value
        if not is_slice(block)
    ]
    loaded = [unit for unit in units if unit.load_state != "not-found" or unit.files]
    return Known((*loaded, *_user_units(running)), shown.source)


def _shown(names: Sequence[str]) -> Observed[list[Block]]:
    """What `systemctl show` prints of these units."""
    properties = f"--property={','.join((*_IDENTITY, *SANDBOX))}"
    shown = run(("systemctl", "show", "--no-pager", properties, "--", *names))
    if isinstance(shown, Unknown):
        return shown
    blocks = syntax.show_blocks(shown.value)
    if not all("Id" in block and "LoadState" in block for block in blocks) or not blocks:
        return Unknown("systemctl did not say what was asked", shown.source)
    return Known(blocks, shown.source)


def _system_names() -> list[str]:
    """Services on disk that are named after Ollama or start it."""
    return sorted({name for name, _ in _services(SYSTEM_FOLDERS) if not name.endswith("@.service")})


def _services(folders: Iterable[str]) -> list[tuple[str, str]]:
    """Names and paths of unit files that are about Ollama, in the order of the folders."""
    found = []
    for folder in folders:
        for path in sorted(glob(f"{folder}/*.service"))[:_MOST_FILES]:  # noqa: PTH207 - many paths
            name = path.rpartition("/")[2]
            if "ollama" in name or (_is_local(folder) and _starts_ollama(path)):
                found.append((printable(name), path))
    return found


def _is_local(folder: str) -> bool:
    """Whether an administrator or a user writes here; what a package ships keeps its own name."""
    return folder.startswith(("/etc", "/usr/local", "/home", "/root"))


def _starts_ollama(path: str) -> bool:
    text = read_text(path, limit=1 << 20)
    return isinstance(text, Known) and bool(_SERVES.search(text.value))


def _unit(block: dict[str, list[str]], owner: str = "") -> SystemdUnit:
    """A unit from one block of `systemctl show`."""
    one = {name: values[-1] for name, values in block.items()}
    paths = [one.get("FragmentPath", ""), *syntax.shown_words(one.get("DropInPaths", ""))]
    on_disk = [] if owner else _paths(one.get("Id", ""), SYSTEM_FOLDERS)
    unread = one.get("NeedDaemonReload") == "yes" or _has_unread(paths, on_disk)
    if unread and not owner:
        # What systemd has not read yet is what it will do next.
        paths = _with_unread(paths, on_disk)
    program = _PROGRAM.search(one.get("ExecStart", ""))
    pairs = (word.partition("=") for word in syntax.shown_words(one.get("Environment", "")))
    return SystemdUnit(
        name=one.get("Id", ""),
        owner=owner,
        load_state=one.get("LoadState", ""),
        active_state=one.get("ActiveState", ""),
        unit_file_state=one.get("UnitFileState", ""),
        main_pid=int(pid) if (pid := one.get("MainPID", "")).isdecimal() else 0,
        user=one.get("User", ""),
        group=one.get("Group", ""),
        dynamic_user=one.get("DynamicUser") == "yes",
        files=tuple(_unit_file(path) for path in paths if path),
        environment=redact.environment((name, value) for name, _, value in pairs),
        environment_files=tuple(
            _environment_file(found[1], optional=found[2] == "yes")
            for found in map(_FILE.fullmatch, block.get("EnvironmentFiles", []))
            if found
        ),
        need_daemon_reload=unread,
        executable=program[1] if program else "",
        properties={name: redact.text(one[name]) for name in SANDBOX if name in one},
    )


def _has_unread(loaded: list[str], on_disk: list[str]) -> bool:
    """Whether a drop-in is there that systemd does not have.

    NeedDaemonReload= does not say so of a folder of drop-ins that is new, as systemd keeps a list
    of folders (252, observed). An empty file, or a link to /dev/null, masks another one.
    """
    folders = {os.path.realpath(path) for path in loaded if path}
    return any(
        os.path.realpath(path) not in folders and Path(path).stat().st_size > 0
        for path in on_disk
        if path.endswith(".conf")
    )


def _with_unread(loaded: list[str], on_disk: list[str]) -> list[str]:
    """The files in the order in which they will apply, and those systemd has that are gone."""
    folders = {os.path.realpath(path) for path in on_disk}
    return on_disk + [path for path in loaded if path and os.path.realpath(path) not in folders]


def _text(path: str, absent: bytes | None = None) -> Observed[str]:
    """A file of systemd's, its bytes that are not UTF-8 as lone surrogates."""
    content = read_bytes(path, limit=1 << 20, absent=absent)
    if isinstance(content, Unknown):
        return content
    return Known(content.value.decode(errors="surrogateescape"), path)


def _unit_file(path: str) -> UnitFile:
    read = _text(path)
    if isinstance(read, Unknown):
        return UnitFile(path=path, settings=read, directives=read)
    found = syntax.unit_assignments(read.value)
    service = [each for each in found if each.section == "Service"]
    settings: list[Setting] = []
    for each in service:
        if each.name == "Environment":
            pairs = syntax.environment_assignments(each.value)
            settings += (redact.setting(*pair, path=path, line=each.line) for pair in pairs)
    directives = tuple(
        Setting(name=each.name, value=redact.text(each.value), path=path, line=each.line)
        for each in service
        # An empty Environment= takes back all before it, so it is a directive of its own.
        if each.name != "Environment" or not each.value
    )
    return UnitFile(
        path=path,
        settings=Known(tuple(settings), path),
        directives=Known(directives, path),
        ignored_from=syntax.cut_off(read.value),
    )


def _environment_file(path: str, *, optional: bool) -> EnvironmentFile:
    """A file of EnvironmentFile=; a pattern stands for the files that match, in their order."""
    matches = sorted(glob(path)) if glob_pattern(path) else [path]  # noqa: PTH207 - absolute
    settings: list[Setting] = []
    for each in matches:
        text = _text(each, b"" if optional else None)
        if isinstance(text, Unknown):
            return EnvironmentFile(path=path, optional=optional, settings=text)
        try:
            found = syntax.environment_file(text.value)
        except ValueError as error:
            if optional:
                continue
            broken = Unknown(f"{error}, so that systemd does not start the service", each)
            return EnvironmentFile(path=path, optional=optional, settings=broken)
        settings += (redact.setting(a.name, a.value, path=each, line=a.line) for a in found)
    return EnvironmentFile(path=path, optional=optional, settings=Known(tuple(settings), path))


def glob_pattern(path: str) -> bool:
    """Whether a path is a pattern (glob(7))."""
    return any(char in path for char in "*?[")


def _user_units(running: Sequence[Process]) -> list[SystemdUnit]:
    """Units of users' managers: those that run a server, and those that lie in a home."""
    homes = {folder: user_name(_owner(folder)) for folder in ["/root", *glob("/home/*")]}  # noqa: PTH207
    wanted = {(each.unit_owner, each.unit) for each in running if each.unit_owner}
    for home, user in homes.items():
        folders = [_expanded(folder, home) for folder in USER_FOLDERS if folder.startswith("~")]
        wanted |= {(user, name) for name, _ in _services(folders) if user}
    mine = user_name(os.geteuid())
    units = []
    for owner, name in sorted(each for each in wanted if each[1].endswith(".service")):
        shown = _own_unit(name, mine) if owner == mine and owner else None
        units.append(shown or _from_disk(name, owner, running))
    return [unit for unit in units if unit.files and unit.owner]


def _owner(folder: str) -> int:
    try:
        return Path(folder).stat().st_uid
    except OSError:
        return -1


def _expanded(folder: str, home: str) -> str:
    return home + folder[1:] if folder.startswith("~") else folder


def _own_unit(name: str, owner: str) -> SystemdUnit | None:
    """A unit of our own user's manager, if it answers."""
    properties = ",".join((*_IDENTITY, *SANDBOX))
    shown = run(
        ("systemctl", "--user", "show", "--no-pager", f"--property={properties}", "--", name),
        environment={"XDG_RUNTIME_DIR": f"/run/user/{os.geteuid()}"},
    )
    blocks = syntax.show_blocks(shown.value) if isinstance(shown, Known) else []
    return _unit(blocks[0], owner) if blocks else None


def _from_disk(name: str, owner: str, running: Sequence[Process]) -> SystemdUnit:
    """A user's unit by its files alone."""
    home = _home(owner)
    folders = [_expanded(folder, home) for folder in USER_FOLDERS]
    files = tuple(_unit_file(path) for path in _paths(name, folders))
    directives = [
        d for file in files if isinstance(file.directives, Known) for d in file.directives.value
    ]
    started = [d.value or "" for d in directives if d.name == "ExecStart"]
    sources = [d.value or "" for d in directives if d.name == "EnvironmentFile"]
    pids = [each.pid for each in running if (each.unit_owner, each.unit) == (owner, name)]
    return SystemdUnit(
        name=name,
        owner=owner,
        load_state="",
        active_state="active" if pids else "",
        main_pid=pids[0] if pids else 0,
        files=files,
        environment=tuple(
            s for file in files if isinstance(file.settings, Known) for s in file.settings.value
        ),
        environment_files=tuple(
            _environment_file(s.removeprefix("-").replace("%h", home), optional=s.startswith("-"))
            for s in sources
            if s
        ),
        executable=(syntax.words(started[-1]) or [""])[0].lstrip("@-:+!") if started else "",
    )


def _home(user: str) -> str:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return f"/home/{user}"


def _paths(name: str, folders: Sequence[str]) -> list[str]:
    """The unit file and its drop-ins in effective order (systemd.unit(5)).

    Of drop-ins with one name the folder of higher precedence wins; all are applied by name.
    """
    fragment = next((f"{f}/{name}" for f in folders if Path(f"{f}/{name}").is_file()), "")
    drop_ins: dict[str, str] = {}
    for folder in folders:
        for path in glob(f"{folder}/{name}.d/*.conf"):  # noqa: PTH207 - many paths
            drop_ins.setdefault(path.rpartition("/")[2], path)
    return [path for path in (fragment, *(drop_ins[each] for each in sorted(drop_ins))) if path]
