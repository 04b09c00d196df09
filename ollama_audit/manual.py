"""The manual pages of the rules, and their index, as Markdown."""

from __future__ import annotations

from ollama_audit.rule import Rule

REGENERATE = "ollama-audit rules --markdown >rules/README.md"


def page(rule: Rule) -> str:
    """The manual page of a rule, as `ollama-audit explain` prints it."""
    body = rule.manual.partition("\n")[2].strip()
    facts = [f"severity: {rule.severity}", f"area: {rule.area}"]
    if rule.cause:
        facts.append(f"often caused by: {rule.cause}")
    facts += [f"remedy: {r.name} ({r.title}; interrupts: {r.disruption})" for r in rule.remedies]
    head = "\n".join(f"- {fact}" for fact in facts)
    return f"# {rule.name}\n\n{rule.title}.\n\n{head}\n\n{body}\n"


def index(rules: tuple[Rule, ...]) -> str:
    """The rules by area, each with its severity and a line: the text of `rules/README.md`."""
    lines = [
        "# Rules",
        "",
        "One file a rule. Its docstring is its manual page: `ollama-audit explain RULE` prints it.",
        f"Made by `{REGENERATE}`; a test compares.",
    ]
    for area in dict.fromkeys(rule.area for rule in rules):
        lines += ["", f"## {area}", "", "| rule | severity | what a failure means | remedies |"]
        lines.append("|---|---|---|---|")
        lines += [_row(rule) for rule in rules if rule.area == area]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    link = f"[{rule.name}]({rule.area}/{rule.path.name})"
    remedies = ", ".join(remedy.name for remedy in rule.remedies) or "by hand"
    return f"| {link} | {rule.severity} | {rule.title} | {remedies} |"
