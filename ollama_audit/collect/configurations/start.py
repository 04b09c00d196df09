"""Where a program starts to read its configuration: its arguments, its folders, its variables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ollama_audit.collect.proc import raw_arguments, raw_environment
from ollama_audit.collect.rooted import Rooted
from ollama_audit.observed import Observed, known_or
from ollama_audit.snapshot.network import Listener
from ollama_audit.snapshot.process import Process


@dataclass(slots=True)
class Start:
    """What is read first, and how names in it are to be understood."""

    main: str = ""
    """The first file; empty for none."""
    base: str = ""
    more: tuple[str, ...] = ()
    """Further files to start from."""
    running: Observed[str] | None = None
    variables: dict[str, str] = field(default_factory=dict)
    """For `${NAME}` in the names of included files."""


def nothing_to_read(_process: Process, _rooted: Rooted) -> Start:
    """The start of a program that its arguments and variables tell everything."""
    return Start()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to read the configuration of one kind of program."""

    kind: str
    start: Callable[[Process, Rooted], Start] = nothing_to_read
    include: re.Pattern[str] | None = None
    """Finds the names of included files, in its second group."""
    included: Callable[[str, dict[str, str]], Iterable[str]] | None = None
    """Finds those names where a pattern does not do: from a text and the variables so far."""
    include_beside: bool = False
    """A name counts from the folder of the file that has it, and only if it exists there."""
    environment: bool = False
    """Whether variables configure it."""
    workers: bool = True
    """Whether one of these that another one started goes by what that one was told."""
    ask: Callable[[Process, Rooted, tuple[Listener, ...]], Observed[str]] | None = None
    """Asks it for its whole configuration as JSON, at one of its own sockets; secrets masked."""


def words(process: Process) -> tuple[str, ...]:
    """The command line as it is, for finding files; never to be stored."""
    found = known_or(raw_arguments(process.pid), ())
    if len(found) == 1 or (found and " " in found[0]):
        # nginx writes its title over its arguments: "nginx: master process nginx -c FILE".
        return tuple(" ".join(found).split())
    return found


def variables(process: Process) -> dict[str, str]:
    """The variables at start, for finding files; never to be stored."""
    return dict(reversed(known_or(raw_environment(process.pid), ())))


def folder(process: Process) -> str:
    """The folder that a process runs in, in its own terms; empty when it is hidden."""
    try:
        return os.readlink(f"/proc/{process.pid}/cwd")  # noqa: PTH115 - not resolved by our root
    except OSError:
        return ""


def option(process: Process, *names: str) -> str:
    """The first value of an option; see `options`."""
    return next(iter(options(process, *names)), "")


def options(process: Process, *names: str) -> list[str]:
    """The values of an option: `-c FILE`, `-cFILE`, `--config FILE` or `--config=FILE`."""
    line = words(process)
    found = []
    for index, word in enumerate(line[1:], start=1):
        name, equals, value = word.partition("=")
        if word in names and index + 1 < len(line):
            found.append(line[index + 1])
        elif equals and name in names:
            found.append(value)
        else:
            short = [n for n in names if len(n) == 2 and word.startswith(n) and word != n]
            found += [word[2:] for _ in short]
    return found
