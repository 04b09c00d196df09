"""A manual page laid out for a terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.markdown import Markdown

from ollama_audit.render.text import Style


def laid_out(text: str, style: Style) -> str:
    """Markdown `text` with headings, lists and code as a terminal shows them."""
    screen = io.StringIO()
    console = Console(
        file=screen,
        width=style.width,
        force_terminal=style.color,
        no_color=not style.color,
        legacy_windows=False,
    )
    console.print(Markdown(text, hyperlinks=False))
    lines = screen.getvalue().splitlines()
    return "\n".join(style.ours(line.rstrip()) for line in lines) + "\n"
