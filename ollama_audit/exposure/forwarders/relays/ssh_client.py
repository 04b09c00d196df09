"""What ssh(1) was told: its command line, and the files that add to it (ssh_config(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from ollama_audit.exposure.forwarders.relays.target import literal
from ollama_audit.observed import known_or
from ollama_audit.snapshot.configuration import Configuration

_VALUED = frozenset("BbcDEeFIiJLlmOopQRSWw")
"""The options of ssh(1) that take a value."""
_SETTING = re.compile(r"^\s*(?P<key>\w+)(?:\s*=\s*|\s+)(?P<value>.*?)\s*$")


class Forward(NamedTuple):
    """A forward of ssh(1): `[BIND:]PORT:HOST:HOSTPORT`."""

    port: int
    """The listening port; 0 for one that the server chooses."""
    host: str
    """Empty of a SOCKS proxy, which leads anywhere."""
    target: int
    bind: str = ""


@dataclass(slots=True)
class Told:
    """What a client was told, as far as it matters here; of one setting the first counts."""

    destination: str = ""
    """`[USER@]HOST` or `ssh://...`, as it was written; empty when there is none."""
    host: str = ""
    """The name or address that it connects to."""
    address: str = ""
    """Its address, where no resolver is needed for it; empty when it is not known."""
    port: int = 0
    local: list[Forward] = field(default_factory=list)
    dynamic: list[Forward] = field(default_factory=list)
    remote: list[Forward] = field(default_factory=list)
    jumps: bool = False
    """Whether it goes by way of other machines, or by a command."""

    def setting(self, key: str, value: str) -> None:
        """Take a setting of ssh_config(5) in."""
        lists = {
            "localforward": self.local,
            "remoteforward": self.remote,
            "dynamicforward": self.dynamic,
        }
        if key in lists:
            lists[key] += forwards(":".join(value.split()))
        elif key == "hostname":
            self.host = self.host or value
        elif key == "port" and value.isdecimal():
            self.port = self.port or int(value)
        elif key in {"proxyjump", "proxycommand"}:
            self.jumps = self.jumps or value.lower() != "none"


def told(words: Sequence[str], found: Configuration | None) -> Told:
    """What the command line behind the program's name says, and then the files.

    What a `Match` block asks for is not judged: it counts as if it matched.
    """
    said = Told()
    short = {"L": "localforward", "D": "dynamicforward", "R": "remoteforward"}
    short |= {"p": "port", "J": "proxyjump"}
    for name, value in _options(words):
        if name == "":
            said.destination = said.destination or value
        elif name in short:
            said.setting(short[name], value)
        elif name == "o":
            key, _, setting = value.replace("=", " ", 1).partition(" ")
            said.setting(key.lower(), setting.strip())
    alias, port = _destination(said.destination)
    said.setting("port", port)
    for key, value in _settings(found, alias):
        said.setting(key, value.replace("%h", alias) if key == "hostname" else value)
    said.host = said.host or alias
    said.port = said.port or 22
    named = found.names.get(said.host.lower(), ()) if found else ()
    said.address = (literal(said.host) if said.host else "") or next(iter(named), "")
    return said


def _destination(text: str) -> tuple[str, str]:
    """Host and port of `[USER@]HOST` or `ssh://[USER@]HOST[:PORT]`."""
    host = text.removeprefix("ssh://").rpartition("@")[2]
    if not text.startswith("ssh://"):
        return host, ""
    host = host.partition("/")[0]
    if host.startswith("["):
        inside, _, rest = host[1:].partition("]")
        return inside, rest.removeprefix(":")
    host, _, port = host.partition(":")
    return host, port


def _settings(found: Configuration | None, alias: str) -> Iterator[tuple[str, str]]:
    """The settings that files have for a host, in the order in which they were read."""
    for file in found.files if found else ():
        applies = True
        for line in known_or(file.text, "").splitlines():
            setting = _SETTING.match(line.partition("#")[0])
            if setting is None:
                continue
            key, value = setting["key"].lower(), setting["value"].strip('"')
            if key in {"host", "match"}:
                applies = key == "match" or _fits(alias, value.split())
            elif applies:
                yield key, value


def _fits(alias: str, patterns: list[str]) -> bool:
    """Whether a name fits the patterns of `Host`; a `!` one that fits excludes it."""
    if any(fnmatchcase(alias, each[1:]) for each in patterns if each.startswith("!")):
        return False
    return any(fnmatchcase(alias, each) for each in patterns)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options by letter with their values, and the operands with none, up to the command."""
    waiting = list(words)
    operands = 0
    while waiting and operands < 2:
        word = waiting.pop(0)
        if word[:1] != "-" or word == "-":
            operands += 1
            yield "", word
            continue
        for place, letter in enumerate(word[1:], start=1):
            if letter in _VALUED:
                value = word[place + 1 :] or (waiting.pop(0) if waiting else "")
                yield letter, value
                break
            yield letter, ""


def forwards(text: str) -> list[Forward]:
    """The forward that a word means; none of one that is not understood, or of Unix sockets."""
    parts: list[str] = []
    rest = text
    while rest:
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            parts.append(inside)
            rest = rest.removeprefix(":")
        else:
            part, _, rest = rest.partition(":")
            parts.append(part)
    numbers = [int(part) if part.isdecimal() else -1 for part in parts]
    if len(parts) in {3, 4} and numbers[-1] >= 0 and numbers[-3] >= 0:
        bind = parts[0] if len(parts) == 4 else ""
        return [Forward(numbers[-3], parts[-2] or "localhost", numbers[-1], bind)]
    if len(parts) in {1, 2} and numbers[-1] >= 0:
        return [Forward(numbers[-1], "", 0, parts[0] if len(parts) == 2 else "")]
    return []
