"""Sockets that service managers hold for services, and what those services will run.

The system's manager is asked once, for its sockets, and only when process 1 holds a TCP socket.
What it will start is read from the unit's files, as `systemctl show` names by pattern only units
that are active; a manager of another user does not answer us, and all of its is read from files.
"""

from __future__ import annotations

import pwd
import re
from collections.abc import Iterable, Mapping, Sequence
from glob import glob
from pathlib import Path

from ollama_audit.collect import systemd_syntax as syntax
from ollama_audit.collect.read import read_text
from ollama_audit.collect.run import run
from ollama_audit.collect.systemd import SYSTEM_FOLDERS, USER_FOLDERS
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot import redact
from ollama_audit.snapshot.process import Process
from ollama_audit.snapshot.service import SocketUnit

_STREAM = re.compile(r"(\S+) \(Stream\)")
_TRUE = frozenset({"1", "yes", "y", "true", "t", "on"})
"""Of parse_boolean() in systemd's basic/parse-util.c."""
_NONE: Observed[tuple[SocketUnit, ...]] = Known((), "systemd holds no TCP socket")


def read_socket_units(holders: Iterable[Process]) -> Observed[tuple[SocketUnit, ...]]:
    """The TCP sockets of those managers among these holders of sockets, by name."""
    managers = [process for process in holders if process.name == "systemd"]
    users = [each.user for each in managers if each.pid != 1]
    found = [unit for user in dict.fromkeys(users) for unit in _of_user(user)]
    if all(each.pid != 1 for each in managers):
        return Known(tuple(found), "unit files") if found else _NONE
    shown = run(
        (
            *("systemctl", "show", "--no-pager", "--property=Id,Listen,Triggers,Accept"),
            *("--", "*.socket"),
        )
    )
    if isinstance(shown, Unknown):
        return shown
    return Known((*_of_system(shown.value), *found), shown.source)


def _of_system(text: str) -> list[SocketUnit]:
    """The units from what `systemctl show` printed."""
    found = []
    for block in syntax.show_blocks(text):
        name = next(iter(block.get("Id", [])), "")
        listens = tuple(m[1] for each in block.get("Listen", []) for m in [_stream(each)] if m)
        if name.endswith(".socket") and listens:
            accepts = block.get("Accept") == ["yes"]
            service = next(iter(" ".join(block.get("Triggers", [])).split()), "")
            service = _template(name) if accepts else service
            found.append(_unit(name, listens, service, SYSTEM_FOLDERS, accepts=accepts))
    return sorted(found, key=lambda unit: unit.name)


def _stream(text: str) -> re.Match[str] | None:
    found = _STREAM.fullmatch(text)
    return found if found and not found[1].startswith(("/", "@")) else None


def _template(name: str) -> str:
    """The unit of which a socket starts an instance for each connection (systemd.socket(5))."""
    return f"{name.removesuffix('.socket')}@.service"


def _unit(  # noqa: PLR0913 - the parts of a unit
    name: str,
    listens: tuple[str, ...],
    service: str,
    folders: Sequence[str],
    *,
    accepts: bool,
    owner: str = "",
) -> SocketUnit:
    settings = _settings(service, folders) if service else {}
    return SocketUnit(
        name=name,
        listens=listens,
        service=service,
        arguments=_arguments(name, service, settings.get("ExecStart", [])),
        owner=owner,
        accepts=accepts,
        private_network=_true(settings, "PrivateNetwork"),
        network_path=next(iter(settings.get("NetworkNamespacePath", [])[-1:]), ""),
        joins=tuple(" ".join(settings.get("JoinsNamespaceOf", [])).split()),
    )


def _true(settings: Mapping[str, list[str]], name: str) -> bool:
    return "".join(settings.get(name, [])[-1:]).lower() in _TRUE


def _arguments(name: str, service: str, commands: Sequence[str]) -> Observed[tuple[str, ...]]:
    """The command of a service by its files (systemd.service(5), "COMMAND LINES")."""
    command = commands[-1] if commands else ""
    prefix = command[: len(command) - len(command.lstrip("@-:+!"))]
    words = syntax.words(command.removeprefix(prefix))
    if "@" in prefix and len(words) > 1:
        words.pop(1)  # what the program is told that it is called
    if not words:
        reason = f"what systemd starts for {name} is not known"
        return Unknown(reason, service or name, f"systemctl cat {service or name}")
    instance = service.partition("@")[2].rpartition(".")[0]
    shown = (word.replace("%i", instance).replace("%I", instance) for word in words)
    return Known(redact.arguments(tuple(shown)), service)


def _of_user(user: str) -> list[SocketUnit]:
    """The socket units of a user's manager, by their files."""
    try:
        home = pwd.getpwnam(user).pw_dir
    except KeyError:
        return []
    folders = [home + each[1:] if each.startswith("~") else each for each in USER_FOLDERS]
    names = {
        Path(path).name
        for folder in folders
        for path in glob(f"{folder}/*.socket")  # noqa: PTH207 - many paths
    }
    found = (_from_files(name, user, folders) for name in sorted(names))
    return [unit for unit in found if unit is not None]


def _from_files(name: str, user: str, folders: list[str]) -> SocketUnit | None:
    own = _settings(name, folders)
    listens = tuple(
        address if ":" in address else f"[::]:{address}"
        for address in own.get("ListenStream", [])
        if address and not address.startswith(("/", "@", "%"))
    )
    if not listens:
        return None
    accepts = _true(own, "Accept")
    usual = _template(name) if accepts else f"{name.removesuffix('.socket')}.service"
    service = next(iter(own.get("Service", [])), usual)
    return _unit(name, listens, service, folders, accepts=accepts, owner=user)


def _settings(name: str, folders: Sequence[str]) -> dict[str, list[str]]:
    """The assignments of a unit file and its drop-ins, by name; an empty one takes all back."""
    template = f"{name.partition('@')[0]}@.{name.rpartition('.')[2]}" if "@" in name else name
    paths = [f"{folder}/{each}" for each in (name, template) for folder in folders]
    fragment = next((path for path in paths if Path(path).is_file()), "")
    drop_ins = [p for f in folders for p in sorted(glob(f"{f}/{name}.d/*.conf"))]  # noqa: PTH207
    found: dict[str, list[str]] = {}
    for path in [fragment, *drop_ins]:
        text = read_text(path, limit=1 << 20) if path else None
        for each in syntax.unit_assignments(known_or(text, "")) if text is not None else ():
            values = found.setdefault(each.name, [])
            if each.value:
                values.append(each.value)
            else:
                values.clear()
    return found
