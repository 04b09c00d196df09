"""The rule author's interface: all that a file under `rules/` may import.

A rule is one file: its docstring is its manual page, its one decorated function is the check,
and file, function and rule share a name. The check is a pure function of a `Host`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Protocol

import msgspec

from ollama_audit.accounts import SignUp, sign_up
from ollama_audit.advisories import ADVISORIES, DATA_OF, Advisory, advisories_for, before
from ollama_audit.configured import on_disk, place, variable
from ollama_audit.envconfig import BindScope, boolean, log_level
from ollama_audit.envconfig import host as bind_of
from ollama_audit.exposure.model import Check as BrowserCheck
from ollama_audit.exposure.model import (
    Encryption,
    Endpoint,
    Exposure,
    Extent,
    Gap,
    Hop,
    Login,
    PacketFilter,
    Zone,
    ZoneReach,
)
from ollama_audit.managed import DropInSetting, ManagedServer, managed_servers
from ollama_audit.networks import spelled
from ollama_audit.observed import Known, Observed, Unknown, UnobservedError, known_or, need
from ollama_audit.origins import origins
from ollama_audit.outcome import (
    Evidence,
    Outcome,
    Severity,
    Status,
    failed,
    manual_review,
    not_applicable,
    passed,
    unknown,
    unread,
)
from ollama_audit.permissions import Access, FileTree, Trusted, service_users
from ollama_audit.reachability import (
    as_unknown,
    calls_tools,
    in_doubt,
    open_without_login,
    proven_local,
    reachable_from,
    unseen,
)
from ollama_audit.repairs import Repair, repairs
from ollama_audit.snapshot.container import Container, ContainerEngine, PublishedPort
from ollama_audit.snapshot.files import FileFact, FileKind, FileRole, Stat
from ollama_audit.snapshot.host import HostSnapshot
from ollama_audit.snapshot.network import Family, Listener, NetworkNamespace
from ollama_audit.snapshot.platform import InitSystem
from ollama_audit.snapshot.process import Model, OllamaServer, Process, Setting
from ollama_audit.snapshot.service import EnvironmentFile, SystemdUnit, UnitFile
from ollama_audit.words import joined, listed

__all__ = [
    "ADVISORIES",
    "DATA_OF",
    "Access",
    "Advisory",
    "BindScope",
    "BrowserCheck",
    "Container",
    "ContainerEngine",
    "Disruption",
    "DropInSetting",
    "Encryption",
    "Endpoint",
    "EnvironmentFile",
    "Evidence",
    "Exposure",
    "Extent",
    "Family",
    "FileFact",
    "FileKind",
    "FileRole",
    "FileTree",
    "Gap",
    "Hop",
    "Host",
    "HostSnapshot",
    "InitSystem",
    "Known",
    "Listener",
    "Login",
    "ManagedServer",
    "Model",
    "NetworkNamespace",
    "Observed",
    "OllamaServer",
    "Outcome",
    "PacketFilter",
    "Process",
    "PublishedPort",
    "Remedy",
    "Repair",
    "Rule",
    "Setting",
    "Severity",
    "SignUp",
    "Stat",
    "Status",
    "SystemdUnit",
    "Trusted",
    "UnitFile",
    "Unknown",
    "UnobservedError",
    "Zone",
    "ZoneReach",
    "advisories_for",
    "as_unknown",
    "before",
    "bind_of",
    "boolean",
    "calls_tools",
    "failed",
    "in_doubt",
    "joined",
    "known_or",
    "listed",
    "log_level",
    "managed_servers",
    "manual_review",
    "need",
    "not_applicable",
    "on_disk",
    "open_without_login",
    "origins",
    "passed",
    "place",
    "proven_local",
    "reachable_from",
    "repairs",
    "rule",
    "service_users",
    "sign_up",
    "spelled",
    "unknown",
    "unread",
    "unseen",
    "variable",
]

SECTIONS = ("What it checks", "Why it matters", "Fix by hand", "Limits", "References")
"""The headings of a manual page, in order; a test demands them."""


class Host(msgspec.Struct, frozen=True):
    """What a rule judges: the host as read, and who reaches Ollama on it."""

    snapshot: HostSnapshot
    exposure: Exposure


class Disruption(StrEnum):
    """What applying a remedy interrupts."""

    NONE = "none"
    RELOAD = "reload"
    RESTART = "restart"


class Check(Protocol):
    """The shape of a check: a pure function, named like its file."""

    __name__: str
    __module__: str

    def __call__(self, host: Host, /) -> Outcome:
        """Judge a host.

        Raises:
            UnobservedError: A fact was needed that nobody could read; the outcome is `unknown`.
        """


def _no_values(_: Host) -> Mapping[str, object]:
    return {}


def _no_units(_: Host) -> tuple[str, ...]:
    return ()


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """One way to mend a failure, on the hosts where `applies` holds.

    Its script is `<rule>.<name>.sh.j2` beside the rule. Of several that apply, the first is
    taken. The three functions are pure, and never raise where the rule fails.
    """

    name: str
    title: str
    """What it does, in the imperative, for the plan: `bind to 127.0.0.1 in a drop-in`."""
    applies: Callable[[Host], bool]
    disruption: Disruption
    values: Callable[[Host], Mapping[str, object]] = _no_values
    """What its template may name, beside `host`."""
    restarts: Callable[[Host], tuple[str, ...]] = _no_units
    """The systemd units that it restarts."""
    opt_in: str = ""
    """Why it is only applied when asked for by name; empty for the others."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A rule as the registry holds it."""

    name: str
    severity: Severity
    check: Check
    manual: str
    path: Path
    remedies: tuple[Remedy, ...] = ()
    cause: str = ""

    @property
    def area(self) -> str:
        """The folder of the rule: `exposure`, `service`, ..."""
        return self.path.parent.name

    @cached_property
    def title(self) -> str:
        """The first line of the manual, without its full stop: what is wrong with a bad host."""
        return self.manual.partition("\n")[0].rstrip(".")

    def section(self, heading: str) -> str:
        """The text of one section of the manual; empty when it has none."""
        _, found, rest = self.manual.partition(f"## {heading}\n")
        return rest.partition("\n## ")[0].strip() if found else ""

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The items of the References section."""
        lines = self.section("References").splitlines()
        return tuple(line.removeprefix("- ") for line in lines if line.startswith("- "))

    def template(self, remedy: Remedy) -> Path:
        """Where the script of a remedy is."""
        return self.path.with_name(f"{self.path.stem}.{remedy.name}.sh.j2")


def rule(
    *, severity: Severity, remedies: tuple[Remedy, ...] = (), cause: str = ""
) -> Callable[[Check], Rule]:
    """Turn a check function into the `Rule` that its module defines.

    The name comes from the function and the manual from the module, so neither can drift.
    `cause` names the rule whose failure explains a failure of this one, so that one cause is
    charged once.
    """

    def define(check: Check) -> Rule:
        module = sys.modules[check.__module__]
        return Rule(
            name=check.__name__.replace("_", "-"),
            severity=severity,
            check=check,
            manual=inspect.cleandoc(module.__doc__ or ""),
            path=Path(inspect.getfile(module)),
            remedies=remedies,
            cause=cause,
        )

    return define
