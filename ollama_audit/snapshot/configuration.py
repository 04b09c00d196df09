"""What running programs that pass requests on were told to do, verbatim but for secrets."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ollama_audit.observed import Observed
from ollama_audit.snapshot.process import Setting


class ConfigurationFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a program's configuration, as the program sees the file system."""

    path: str
    text: Observed[str]
    """Verbatim, line by line, with secrets masked (`***`)."""
    changed_at: datetime | None = None
    """Aware, UTC; None when it could not be read."""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one running program: a reverse proxy, a relay, a tunnel's client."""

    program: str
    """Its kind, such as `nginx` (also Angie and OpenResty), `caddy` or `apache`."""
    pid: int
    """The master process."""
    pids: tuple[int, ...] = ()
    """The master and its workers, ascending."""
    loaded_at: Observed[datetime]
    """When its newest worker started: what changed in a file after that may not be in force."""
    main: str = ""
    """The file it starts from; empty when it has none."""
    base: str = ""
    """The folder from which relative names in its configuration count."""
    files: tuple[ConfigurationFile, ...] = ()
    """`main` and everything it includes, each once, in the order of reading."""
    running: Observed[str] | None = None
    """Its whole configuration as JSON, where the program itself tells it; None if it does not."""
    environment: Observed[tuple[Setting, ...]] | None = None
    """Its variables, redacted; None for a program that none of them configures."""
    names: dict[str, tuple[str, ...]] = {}
    """Addresses by name, from the /etc/hosts that it sees."""

    def file(self, path: str) -> ConfigurationFile | None:
        """The file of this path, if it was read."""
        return next((file for file in self.files if file.path == path), None)
