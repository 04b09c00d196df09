"""Which service or container a process belongs to, by its control group (cgroups(7)).

Names are those of systemd (`systemd.slice(5)`, `systemd-escape(1)`), Docker and containerd
(`docker-ID.scope`, `/docker/ID`), Podman (`libpod-ID.scope`), CRI-O (`crio-ID.scope`), LXC
(`lxc.payload.NAME`) and systemd-machined (`machine-NAME.scope`). Seen from inside a container the
path is the container's own, so this says what the host's manager would say only on the host.
"""

from __future__ import annotations

import re

import msgspec

_ID = r"[0-9a-f]{64}"
_CONTAINER = re.compile(
    rf"(?:(?:docker|libpod|crio|cri-containerd|nerdctl|containerd)[-:])?({_ID})(?:\.scope)?"
    rf"|lxc\.payload\.(.+)"
    rf"|machine-(.+)\.scope"
    rf"|systemd-nspawn@(.+)\.service"
)
_UNIT = re.compile(r".+\.(?:service|scope|socket|mount)")
_USER_MANAGER = re.compile(r"user@(\d+)\.service")


class Membership(msgspec.Struct, frozen=True):
    """Where a control group belongs."""

    unit: str = ""
    """The systemd unit of this host's manager; empty for none."""
    owner_uid: int = -1
    """The user whose service manager runs the unit; -1 for the system's."""
    container: str = ""
    """The container's id or the machine's name; empty for none."""


def membership(listing: str) -> Membership:
    """The unit and container in the text of /proc/PID/cgroup.

    With both hierarchies mounted, systemd's own (`name=systemd`) knows the units.
    """
    paths: dict[str, str] = {}
    for line in listing.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths[controllers] = path
    found = [_of_path(path) for path in _by_trust(paths)]
    return max(
        found, key=lambda each: (bool(each.container), bool(each.unit)), default=Membership()
    )


def _by_trust(paths: dict[str, str]) -> list[str]:
    first = [paths[name] for name in ("name=systemd", "") if name in paths]
    return first + [path for name, path in paths.items() if name not in {"name=systemd", ""}]


def _of_path(path: str) -> Membership:
    unit, owner, container = "", -1, ""
    parts = [part for part in path.split("/") if part]
    for at, part in enumerate(parts):
        if manager := _USER_MANAGER.fullmatch(part):
            owner = int(manager[1])
        if _UNIT.fullmatch(part):
            unit = part
        container = _container(part, parts[at - 1] if at else "")
        if container:
            break  # what is further down was named by the container's own manager
    if unit and _USER_MANAGER.fullmatch(unit):
        owner = -1  # the manager itself is a unit of the system's
    return Membership(unit, owner, container)


def _container(part: str, parent: str) -> str:
    if found := _CONTAINER.fullmatch(part):
        name = next(filter(None, found.groups()))
        return name if found[1] or found[2] else _unescaped(name)
    if parent in {"lxc", "lxc.payload"}:
        return part
    return ""


def _unescaped(name: str) -> str:
    """A name as it was before `systemd-escape`."""
    plain = name.replace("-", "/") if "\\x2d" in name else name
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), plain)
