"""Ollama runs as root.

## What it checks

No Ollama server runs as root or with a capability that amounts to it. Where none runs, the user
of its systemd unit is judged.

## Why it matters

Ollama parses model files that other people made. A flaw in that gives whoever made the file the
rights of the process; as root, those are the rights to the whole machine.

## Fix by hand

Reinstall with Ollama's own script, which creates an `ollama` user, or set it in a drop-in:

    sudo systemctl edit ollama        # [Service] User=ollama and Group=ollama
    sudo chown -R ollama: /usr/share/ollama
    sudo systemctl restart ollama

The server then has another home: models that it kept in `/root/.ollama/models` belong into
`/usr/share/ollama/.ollama/models`, and whoever was signed in at ollama.com signs in again. Where
both folders hold models, or they are on different file systems, that is for you to do.

For a container, run it rootless, or with `--user 1000:1000` and a volume of that user.

## Limits

Root inside a user namespace of its own is another user outside, and passes. Root in an ordinary
container counts as medium while the container's capabilities are confined: a flaw of the kernel
or the engine stands between it and the machine.

## References

- CWE-250: Execution with Unnecessary Privileges
- CVE-2024-37032: remote code execution in Ollama, worst where it runs as root
- MITRE ATLAS AML.T0112 Machine Compromise
- NIST CSF 2.0 PR.AA-05
- NIST SP 800-53 AC-6
- CIS Controls v8.1 5.4 Restrict Administrator Privileges to Dedicated Administrator Accounts
- BSI SYS.1.6.A18 Accounts der Anwendungsdienste
- BSI SYS.1.3.A6 Verwaltung von Benutzenden und Gruppen
"""

from __future__ import annotations

from dataclasses import dataclass

from ollama_audit.rule import (
    Disruption,
    Evidence,
    Host,
    Known,
    ManagedServer,
    OllamaServer,
    Outcome,
    Process,
    Remedy,
    Severity,
    Unknown,
    failed,
    known_or,
    managed_servers,
    need,
    not_applicable,
    passed,
    rule,
    unread,
    unseen,
)

_AS_GOOD_AS_ROOT = frozenset(
    {
        "cap_bpf",
        "cap_chown",
        "cap_dac_override",
        "cap_dac_read_search",
        "cap_fowner",
        "cap_setgid",
        "cap_setuid",
        "cap_sys_admin",
        "cap_sys_module",
        "cap_sys_ptrace",
        "cap_sys_rawio",
    }
)
"""Capabilities that lead to all others (capabilities(7))."""

_ESCAPES = frozenset(
    {"cap_sys_admin", "cap_sys_module", "cap_sys_ptrace", "cap_sys_rawio", "cap_bpf"}
)
"""Those that lead out of a container; engines grant none of them by default."""


_HOME = "/usr/share/ollama"
"""Of the user that Ollama's install script makes (scripts/install.sh)."""

_PRIVATE = ("/root/", "/home/", "/run/user/")
"""Where another user than the owner does not get."""


@dataclass(frozen=True, slots=True)
class _Servant:
    """A server that systemd starts as root, and what it takes to start it as `ollama`."""

    managed: ManagedServer
    models: str

    @property
    def unit(self) -> str:
        return self.managed.unit.name

    @property
    def drop_in(self) -> str:
        return self.managed.drop_in("user")

    @property
    def home(self) -> str:
        return _HOME

    @property
    def new_models(self) -> str:
        return f"{_HOME}/.ollama/models"

    @property
    def moves(self) -> bool:
        """Whether the models are where they are because HOME is what it is."""
        named = self.managed.server.variable("OLLAMA_MODELS")
        return named is None and self.models != self.new_models

    @property
    def possible(self) -> bool:
        """Whether `ollama` would get at the models and the port, and one home is meant."""
        unit = self.managed.unit
        in_files = {
            setting.name
            for file in unit.environment_files
            for setting in known_or(file.settings, ())
        }
        return (
            unit.user in ("", "root", "0")
            and not unit.dynamic_user
            and self.managed.port >= 1024
            and (self.moves or not self.models.startswith(_PRIVATE))
            and "HOME" not in in_files
        )


def _servants(host: Host) -> tuple[_Servant, ...]:
    """Every server as root, if all of them are for a drop-in to mend; else none."""
    as_root = [s for s in known_or(host.snapshot.servers, ()) if _power(host, s.process)]
    managed = {each.server.pid: each for each in managed_servers(host.snapshot)}
    found = [
        _Servant(managed[server.pid], server.models_directory.value)
        for server in as_root
        if server.pid in managed
        and isinstance(server.models_directory, Known)
        and isinstance(server.environment, Known)
        and known_or(server.process.uid, -1) == 0
    ]
    if len(found) != len(as_root) or not all(each.possible for each in found):
        return ()
    return tuple(found) if sum(each.moves for each in found) <= 1 else ()


@rule(
    severity=Severity.HIGH,
    remedies=(
        Remedy(
            name="systemd",
            title="run as the user ollama, with its models",
            applies=lambda host: bool(_servants(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {"servants": _servants(host)},
            restarts=lambda host: tuple(each.unit for each in _servants(host)),
        ),
    ),
)
def runs_as_root(host: Host) -> Outcome:
    """Judge the user and the capabilities of every Ollama server."""
    servers = known_or(host.snapshot.servers, ())
    powerful = [(server, why) for server in servers if (why := _power(host, server.process))]
    if powerful:
        confined = all(_confined(server.process) for server, _ in powerful)
        where = " in a container" if confined else ""
        return failed(
            f"Ollama runs as root{where}"
            if any(known_or(server.process.uid, -1) == 0 for server, _ in powerful)
            else "Ollama runs with the powers of root",
            tuple(Evidence(f"process {server.pid}", why) for server, why in powerful),
            severity=Severity.MEDIUM if confined else None,
        )
    doubts = (*(fact for server in servers for fact in _unread(server)), *unseen(host.snapshot))
    if doubts:
        return unread(*doubts)
    if servers:
        users = sorted({s.process.user or str(need(s.process.uid)) for s in servers})
        return passed(f"Ollama runs as {', '.join(users)}")
    return _when_started(host)


def _power(host: Host, process: Process) -> str:
    """Why this process is as good as root, empty when that is not known to be so."""
    if known_or(process.uid, -1) == 0:
        inside = f", container {_container(host, process)}" if process.container else ""
        return f"user root{inside}"
    held = sorted(known_or(process.capabilities, frozenset()) & _AS_GOOD_AS_ROOT)
    # In a user namespace of its own a process holds capabilities over nothing of ours.
    return f"capabilities {', '.join(held)}" if held and not process.container else ""


def _container(host: Host, process: Process) -> str:
    """The container's name, or what its engine shows of its id where it has none."""
    names = (
        container.name
        for engine in host.snapshot.engines
        for container in known_or(engine.containers, ())
        if container.id == process.container
    )
    return next(names, process.container[:12])


def _confined(process: Process) -> bool:
    held = process.capabilities
    return bool(process.container) and isinstance(held, Known) and not held.value & _ESCAPES


def _unread(server: OllamaServer) -> list[Unknown]:
    facts = (server.process.uid, server.process.capabilities)
    return [fact for fact in facts if isinstance(fact, Unknown)]


def _when_started(host: Host) -> Outcome:
    units = need(host.snapshot.units)
    as_root = [
        unit
        for unit in units
        if not unit.owner and not unit.dynamic_user and unit.user in ("", "root", "0")
    ]
    if as_root:
        return failed(
            "Ollama would run as root if it were started",
            tuple(Evidence(unit.name, f"User={unit.user or '(none: root)'}") for unit in as_root),
        )
    if units:
        return passed("no Ollama server is running; its unit would not run as root")
    return not_applicable("no Ollama server is running")
