"""The machine, and what this run was allowed to see of it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ollama_audit.observed import Observed


class InitSystem(StrEnum):
    """What process 1 is."""

    SYSTEMD = "systemd"
    OPENRC = "openrc"
    RUNIT = "runit"
    S6 = "s6"
    SYSVINIT = "sysvinit"
    LAUNCHD = "launchd"
    OTHER = "other"


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and its operating system."""

    system: str
    """`Linux`, `Darwin` or `Windows` (uname(2))."""
    hostname: str
    distribution: str
    """os-release(5) ID, such as `debian`; empty when there is none."""
    distribution_like: tuple[str, ...] = ()
    """os-release(5) ID_LIKE."""
    distribution_version: str = ""
    """os-release(5) VERSION_ID."""
    name: str = ""
    """For people: os-release(5) PRETTY_NAME or as near as there is."""
    kernel: str
    machine: str
    init: InitSystem
    container: Observed[str]
    """The container we are in (`docker`, `lxc`, `systemd-nspawn`, `wsl`, ...); empty for none."""
    hypervisor: Observed[str]
    """The kind of virtual machine; empty for none."""


class Privileges(msgspec.Struct, frozen=True, kw_only=True):
    """Who is looking."""

    uid: int
    user: str
    capabilities: frozenset[str]
    """Effective capabilities by name, such as `cap_net_admin` (capabilities(7))."""

    @property
    def root(self) -> bool:
        """Whether this run may read every process, socket and packet filter."""
        return self.uid == 0 and {"cap_sys_ptrace", "cap_net_admin"} <= self.capabilities
