"""`ollama-audit rules` and `explain`: what is looked for, and why."""

from __future__ import annotations

from ollama_audit.cli import output, screen
from ollama_audit.cli.exits import ExitCode
from ollama_audit.cli.names import choose
from ollama_audit.registry import load_rules
from ollama_audit.render.text import Paint


def names() -> tuple[str, ...]:
    """Every rule, for completion."""
    return tuple(rule.name for rule in load_rules())


def rules(*, markdown: bool, color: str, width: str | None) -> int:
    """Print every rule by area; with `markdown`, the text of rules/README.md."""
    loaded = load_rules()
    if markdown:
        from ollama_audit.manual import index  # noqa: PLC0415

        output.write_stdout(index(loaded))
        return ExitCode.OK
    style = screen.style(color, width)
    lines: list[str] = []
    for area in dict.fromkeys(rule.area for rule in loaded):
        lines += ["", style.paint(area, Paint.BOLD)] if lines else [style.paint(area, Paint.BOLD)]
        for rule in loaded:
            if rule.area == area:
                head = f"  {rule.severity:<8}  {rule.name}"
                lines += [head, *style.wrap(rule.title, " " * 12)]
    output.write_stdout("\n".join(lines) + "\n")
    return ExitCode.OK


def explain(name: str, *, color: str, width: str | None) -> int:
    """Print one rule's manual page: laid out where colour is wanted, else as it is written."""
    from ollama_audit.manual import page  # noqa: PLC0415

    style = screen.style(color, width)
    known = {rule.name: rule for rule in load_rules()}
    text = page(known[choose("rule", name, list(known))])
    if style.color:
        from ollama_audit.render.markdown import laid_out  # noqa: PLC0415

        text = laid_out(text, style)
    output.write_stdout(text)
    return ExitCode.OK
