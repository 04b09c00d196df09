"""What a unit's files say now, as opposed to what systemd has loaded or a process was given."""

from __future__ import annotations

from ollama_audit.observed import need
from ollama_audit.snapshot.process import OllamaServer, Setting
from ollama_audit.snapshot.service import SystemdUnit


def on_disk(unit: SystemdUnit) -> dict[str, Setting]:
    """The variables that the files of a unit give, by name, each with its file and line.

    The last assignment wins, an empty `Environment=` takes back all before it, and files of
    EnvironmentFile= come after (systemd.exec(5)).

    Raises:
        UnobservedError: One of the files could not be read.
    """
    found: dict[str, Setting] = {}
    for file in unit.files:
        directives = need(file.directives)
        cleared = [d.line for d in directives if d.name == "Environment" and not d.value]
        if cleared:
            found.clear()
        for setting in need(file.settings):
            if setting.line >= max(cleared, default=0):
                found[setting.name] = setting
    for source in unit.environment_files:
        found.update({setting.name: setting for setting in need(source.settings)})
    return found


def variable(server: OllamaServer, name: str) -> str | None:
    """The value of a variable of a running server; None when it is not set.

    Raises:
        UnobservedError: The environment could not be read.
    """
    setting = server.variable(name)
    return setting.value if setting else None


def place(setting: Setting) -> str:
    """Where a setting stands: `FILE:LINE`, or the file alone."""
    return f"{setting.path}:{setting.line}" if setting.line else setting.path or "the unit"
