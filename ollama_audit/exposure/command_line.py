"""Command lines of programs that are told what to do by options and words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Options and words of a command line."""

    options: Mapping[str, tuple[str, ...]]
    """Values by name without its dashes, in their order; a switch has an empty one."""
    words: tuple[str, ...]
    """What is neither an option nor its value."""

    def value(self, *names: str) -> str:
        """The last value of an option that has any of these names; empty without it."""
        found = [value for name in names for value in self.options.get(name, ())]
        return found[-1] if found else ""

    def values(self, *names: str) -> tuple[str, ...]:
        """All values of an option, those of a list with commas each."""
        found = (value for name in names for value in self.options.get(name, ()))
        return tuple(part for value in found for part in value.split(",") if part)

    def has(self, *names: str) -> bool:
        """Whether an option is there and not turned off."""
        return any(
            value.lower() not in {"false", "0", "no"}
            for name in names
            for value in self.options.get(name, ())
        )


def command_line(arguments: Iterable[str], switches: Iterable[str]) -> CommandLine:
    """Parse `-name value`, `--name=value` and words, as Go's flag and Rust's clap do.

    `switches` are the options without a value; all others take the next word.
    """
    alone = frozenset(switches)
    options: dict[str, list[str]] = {}
    words: list[str] = []
    waiting, ended = "", False
    for each in arguments:
        if ended:
            words.append(each)
        elif waiting:
            options.setdefault(waiting, []).append(each)
            waiting = ""
        elif each == "--":
            ended = True
        elif each[:1] == "-" and len(each) > 1:
            name, equals, value = each.lstrip("-").partition("=")
            if equals or name in alone:
                options.setdefault(name, []).append(value)
            else:
                waiting = name
        else:
            words.append(each)
    if waiting:
        options.setdefault(waiting, []).append("")
    return CommandLine({name: tuple(values) for name, values in options.items()}, tuple(words))
