"""How typer's commands behave here: `audit` by default, quick to start, order of options kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup

DEFAULT = "audit"

ORDER = "ollama_audit.order"
"""Key in `Context.meta`: names of the options as they were given, in order."""


class Command(TyperCommand):
    """A command whose values are text.

    typer converts values with pydantic, whose import costs 0.1 s and 15 MiB of a run that takes
    half a second. Our options are text and flags, checked where they are used, with answers that
    name the nearest right value; so conversion is left out.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, and keep the order of the options: which `-o` follows which `-f`."""
        _keep_text(self, ctx)
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """The program: without the name of a command, `audit` is meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `audit` in front of options that are not the program's own."""
        _keep_text(self, ctx)
        own = {name for parameter in self.params for name in parameter.opts}
        own.update(ctx.help_option_names)
        bare = not args and not ctx.resilient_parsing
        if bare or (args and args[0].startswith("-") and args[0].partition("=")[0] not in own):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the options of `audit` beside the program's own."""
        found = list(super().shell_complete(ctx, incomplete))
        if incomplete.startswith("-"):
            found += self.commands[DEFAULT].shell_complete(ctx, incomplete)
        return found


def _keep_text(command: Any, ctx: Any) -> None:
    """Leave conversion out for every option of a command, `--help` and completion included."""
    for parameter in command.get_params(ctx):
        parameter.process_value = _as_text(parameter)


def _as_text(parameter: Any) -> Callable[[Any, Any], Any]:
    convert = parameter.process_value

    def process(ctx: Any, value: Any) -> Any:
        many = parameter.multiple or parameter.nargs == -1
        plain = value is None or isinstance(value, (str, bool, list, tuple))
        missing = parameter.required and value in (None, (), [])
        if missing or (parameter.callback and value) or not plain:
            return convert(ctx, value)
        return list(value or ()) if many else value

    return process
