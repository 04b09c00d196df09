"""Processes: Ollama servers, their children, and whoever else holds a socket that matters."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ollama_audit.observed import Observed, need


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """An environment variable, and where it was set.

    A value outside the allow-list of `ollama_audit.snapshot.redact` never enters a snapshot.
    """

    name: str
    value: str | None
    """None: set, but withheld."""
    path: str = ""
    """The file that sets it, or empty for a process environment."""
    line: int = 0
    """Counted from 1; 0 where lines have no meaning."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A running process (proc(5))."""

    pid: int
    parent: int
    name: str
    """/proc/PID/comm."""
    executable: Observed[str]
    """/proc/PID/exe, as the process's own mount namespace names it; ` (deleted)` removed."""
    executable_deleted: bool = False
    """The file was replaced or removed since the process started."""
    arguments: Observed[tuple[str, ...]]
    """The command line with secrets masked."""
    uid: Observed[int]
    """Effective user id, as seen from our user namespace."""
    user: str = ""
    """The name of `uid`; empty when it has none."""
    gid: Observed[int]
    group: str = ""
    groups: Observed[tuple[int, ...]]
    """Supplementary group ids."""
    capabilities: Observed[frozenset[str]]
    """Effective capabilities by name."""
    no_new_privileges: Observed[bool]
    seccomp: Observed[bool]
    """A system call filter is in force."""
    started_at: Observed[datetime]
    """Aware, UTC."""
    unit: str = ""
    """The systemd unit of its cgroup, such as `ollama.service`; empty for none."""
    unit_owner: str = ""
    """The user whose service manager runs `unit`; empty for the system's."""
    container: str = ""
    """The container id in its cgroup, the machine name, or `pid:[INODE]` of its process
    namespace where nobody names it; empty for none."""
    network_namespace: Observed[int]
    mount_namespace: Observed[int]
    pid_namespace: Observed[int]
    own_mounts: Observed[bool]
    """Whether its files are not the host's: another root, not merely a private /tmp."""


class RunningModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is loaded (`GET /api/ps`)."""

    name: str
    size: int = 0
    expires_at: str = ""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers."""

    name: str
    """`name:tag` as `/api/tags` prints it."""
    size: int = 0
    """Bytes."""
    family: str = ""
    parameters: str = ""
    """For people, such as `8.0B`."""
    remote_host: str = ""
    """Where prompts go when it is not run here (Ollama >= 0.12.0)."""
    capabilities: Observed[frozenset[str]]
    """`completion`, `tools`, `vision`, ...; an open set (Ollama types/model/capability.go)."""


class ApiAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said of itself on loopback, read-only."""

    asked: str
    """The address and port that were asked."""
    version: Observed[str]
    """`GET /api/version`."""
    models: Observed[tuple[Model, ...]]
    """`GET /api/tags`; for servers before 0.30.0, capabilities come from the model store."""
    running: Observed[tuple[RunningModel, ...]]
    """`GET /api/ps`."""
    cloud_disabled: Observed[bool]
    """`GET /api/status` (Ollama >= 0.16.2)."""


class OllamaServer(msgspec.Struct, frozen=True, kw_only=True):
    """An `ollama serve` process, in whatever namespace it lives."""

    process: Process
    environment: Observed[tuple[Setting, ...]]
    """/proc/PID/environ at start, redacted.

    Of equal names Go reads the first (copyenv in Go's syscall/env_unix.go).
    """
    runners: tuple[Process, ...] = ()
    """Children that run models."""
    models_directory: Observed[str]
    """OLLAMA_MODELS or `$HOME/.ollama/models`, as the server sees it."""
    home: Observed[str]
    """HOME of the process."""
    api: ApiAnswers

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def variable(self, name: str) -> Setting | None:
        """The setting of an environment variable, None when it is not set.

        Raises:
            UnobservedError: The environment could not be read.
        """
        found = [setting for setting in need(self.environment) if setting.name == name]
        return found[0] if found else None
