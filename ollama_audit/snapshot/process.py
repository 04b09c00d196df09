"""Processes: Ollama servers, their children, and whoever else holds a socket that matters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from ollama_audit.observed import Observed, known_or, need

_SERVERS = frozenset({"daphne", "granian", "gunicorn", "hypercorn", "uvicorn"})
"""What runs a Python application that is named as `package.module:application`."""
_APPLICATION = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*:\w+")
INTERPRETER = re.compile(r"(?:python|perl|ruby)[\d.]*|node|nodejs|bun|deno|(?:da|ba)?sh|env")


def names_of(executable: str, argv: Sequence[str]) -> tuple[str, ...]:
    """What a program is called: its file, its first argument, and the script it interprets.

    `python3 -B /usr/local/bin/litellm --port 4000` is `python3` and `litellm`; `python3 -m app`
    is `app`, too, and so is `uvicorn app.main:app`. A script that only its folders tell apart goes
    by its package (`node_modules/NAME/`, `lib/NAME/`) and by the end of its path
    (`api/server/index`). Each name once, without its folder and the endings .py, .js, .mjs and
    .cjs.
    """
    # A program may write its title there: "nginx: master process nginx -c FILE".
    words = [executable, *(word.partition(" ")[0].rstrip(":") for word in argv[:1])]
    if any(INTERPRETER.fullmatch(word.rpartition("/")[2]) for word in words):
        rest = list(argv[1:])
        while rest and rest[0][:1] == "-" and rest[0] != "-m":
            del rest[: 1 if rest[0] not in {"-c", "-e"} else len(rest)]
        words += rest[1:2] if rest[:1] == ["-m"] else rest[:1]
    bases = [word.rpartition("/")[2] for word in words]
    if _SERVERS.intersection(bases):
        bases += [word.partition(".")[0] for word in argv[1:] if _APPLICATION.fullmatch(word)]
    bases += re.findall(
        r"(?<=/node_modules/)[\w-]+(?=/)|(?<=/lib/)(?!node_modules)[\w-]+(?=/)", words[-1]
    )
    if bases[-1:] and re.fullmatch(r"index\.[mc]?js", words[-1].rpartition("/")[2]):
        bases.append("/".join(words[-1].split("/")[-3:]))
    found = (re.sub(r"\.(?:py|[mc]?js)$", "", base) for base in bases)
    return tuple(dict.fromkeys(name for name in found if name))


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
    names_ollama: bool = False
    """Its command line, environment or script has the name of Ollama or its usual port."""

    @property
    def called(self) -> tuple[str, ...]:
        """The names that it goes by, its own choice (`name`) first; see `names_of`."""
        argv = known_or(self.arguments, ())
        return tuple(dict.fromkeys((self.name, *names_of(known_or(self.executable, ""), argv))))


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
