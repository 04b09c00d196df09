"""The Jinja environment of the remedies: shell-quoted by default, strict, with required blocks.

A value leaves a template as one quoted shell word, so that a path with a `$` or a quote in it is
data and never a command; it must stand where an argument goes, never inside quotes. Comments are
`{{# ... #}}`, because bash uses `${#...}`.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from jinja2.exceptions import TemplateError

from ollama_audit.observed import need
from ollama_audit.rule import Host, Remedy, Rule

TEMPLATES = Path(__file__).parent / "templates"


class Raw(str):
    """Text that is shell already; it leaves a template as it is."""

    __slots__ = ()


class RemedyError(Exception):
    """A remedy's template cannot be rendered; the message names it and says why."""


def quoted(value: object) -> Raw:
    """A value as one shell word."""
    return value if isinstance(value, Raw) else Raw(shlex.quote(str(value)))


def always_quoted(value: object) -> Raw:
    """A value in quotes even where it needs none: shellcheck takes `a=b-c` for arithmetic."""
    text = str(value).replace("'", "'\\''")
    return Raw(f"'{text}'")


def comment(value: object) -> Raw:
    """A value for a comment line: what would end the line or hide text is replaced by `?`."""
    return Raw("".join(char if char.isprintable() else "?" for char in str(value)))


def environment(*folders: Path) -> Environment:
    """The environment for templates of our own and of these folders."""
    loaders: list[BaseLoader] = [FileSystemLoader(folder) for folder in (TEMPLATES, *folders)]
    made = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=False,  # noqa: S701  # shell, not HTML: `finalize` quotes every value
        finalize=quoted,
        undefined=StrictUndefined,
        comment_start_string="{{#",
        comment_end_string="#}}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "raw": Raw,
        "quote": quoted,
        "text": always_quoted,
        "comment": comment,
        "need": need,
    }
    return made


def render_step(rule: Rule, remedy: Remedy, host: Host, function: str) -> str:
    """The bash functions `<function>_files`, `_apply`, `_verify` and `_undo` of one remedy.

    Raises:
        RemedyError: A block is missing, a name is undefined, or the template is malformed.
    """
    path = rule.template(remedy)
    try:
        template = environment(path.parent).get_template(path.name)
        return template.render(host=host, function=function, **remedy.values(host)).strip()
    except TemplateError as problem:
        raise RemedyError(f"{path.name}: {problem}") from problem
