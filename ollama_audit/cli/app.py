"""The commands and their options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ollama_audit import __version__
from ollama_audit.cli.command import ORDER, Command, Group
from ollama_audit.cli.exits import ExitCode, UsageProblem
from ollama_audit.collect.edge import Beyond

app = typer.Typer(
    cls=Group,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Who can use this Ollama, by which path, and what to do about it.",
    epilog="Without a command: audit. Its options: ollama-audit audit --help",
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code.

    Raises:
        BrokenPipeError: The reader of standard output has gone.
        KeyboardInterrupt: The user has had enough.
    """
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments), prog_name="ollama-audit", standalone_mode=False)
    except UsageProblem as problem:
        return _complain(str(problem))
    except typer.TyperException as problem:
        return _complain(problem.format_message(), "`ollama-audit --help` shows what there is")
    except SystemExit as left:
        if left.code == 1:  # how typer ends when standard output is a closed pipe
            raise BrokenPipeError from left
        raise  # how it ends after --show-completion
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    if code == ExitCode.INTERRUPTED:  # how typer ends at SIGINT
        raise KeyboardInterrupt
    return int(code or 0)


def _complain(message: str, hint: str = "", *, code: ExitCode = ExitCode.USAGE) -> int:
    from ollama_audit.render.text import printable  # noqa: PLC0415

    typer.echo(f"ollama-audit: {printable(message)}", err=True)
    if hint:
        typer.echo(hint, err=True)
    return code


@app.callback()
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself."""
    if version:
        typer.echo(f"ollama-audit {__version__}")
        raise typer.Exit


Snapshot = Annotated[
    str | None,
    typer.Option("--snapshot", metavar="FILE", help="Judge a saved snapshot instead of this host."),
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", "-f", metavar="FORMAT", help="terminal or json; repeatable."),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where the format before it goes; - is stdout."
    ),
]
Color = Annotated[str, typer.Option("--color", metavar="WHEN", help="auto, always or never.")]
Width = Annotated[
    str | None, typer.Option("--width", metavar="COLUMNS", help="Instead of the terminal's.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but what -f or -o asks for.")
]
Probe = Annotated[
    bool, typer.Option("--no-probe", help="Ask nothing of local servers, read the host only.")
]
CloudMetadata = Annotated[
    bool,
    typer.Option(
        "--cloud-metadata",
        help="Ask the cloud's metadata service (169.254.169.254) for public addresses.",
    ),
]
AskRouter = Annotated[
    bool,
    typer.Option(
        "--ask-router",
        help="Ask the default gateway what it forwards (UPnP-IGD, NAT-PMP, PCP).",
    ),
]


def _beyond(*, cloud_metadata: bool, ask_router: bool) -> frozenset[Beyond]:
    """Whom these options allow to be asked beyond the host."""
    given = {Beyond.CLOUD_METADATA: cloud_metadata, Beyond.ASK_ROUTER: ask_router}
    return frozenset(each for each, wanted in given.items() if wanted)


@app.command(cls=Command)
def audit(  # noqa: PLR0913  # one argument an option
    ctx: typer.Context,
    *,
    formats: Formats = None,
    outputs: Outputs = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Show the whole checklist with its evidence.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="A rule, an area or a pattern; repeatable."),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="NAME", help="A rule, an area or a pattern; repeatable."),
    ] = None,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="SEVERITY",
            help="Exit 1 from here: none, low, medium, high, critical or any.",
        ),
    ] = "high",
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Do not exit 3 for what was not read.")
    ] = False,
    snapshot: Snapshot = None,
    no_probe: Probe = False,
    cloud_metadata: CloudMetadata = False,
    ask_router: AskRouter = False,
    color: Color = "auto",
    width: Width = None,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say how the run went and why it exits so.")
    ] = False,
) -> int:
    """Audit this host and print the scored checklist."""
    from ollama_audit.cli import audit as command  # noqa: PLC0415

    return command.audit(
        command.Request(
            destinations=command.destinations(
                ctx.meta[ORDER], formats or [], outputs or [], quiet=quiet
            ),
            whole=whole,
            only=tuple(only or ()),
            skip=tuple(skip or ()),
            fail_on=fail_on,
            allow_incomplete=allow_incomplete,
            snapshot=snapshot,
            probe=not no_probe,
            beyond=_beyond(cloud_metadata=cloud_metadata, ask_router=ask_router),
            color=color,
            width=width,
            verbose=verbose,
        )
    )


@app.command(cls=Command)
def reach(  # noqa: PLR0913
    *,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ADDR", help="A client's address; repeatable."),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="ADDR:PORT", help="What it connects to; repeatable."),
    ] = None,
    in_interface: Annotated[
        str | None,
        typer.Option("--in-interface", metavar="IF", help="Where its packets come in."),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")
    ] = "table",
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")
    ] = None,
    snapshot: Snapshot = None,
    rulesets: Annotated[
        list[str] | None,
        typer.Option(
            "--ruleset",
            metavar="FILE",
            help="Judge by this output of nft -j list ruleset, iptables-save or ip6tables-save "
            "instead of this host's packet filter; repeatable.",
        ),
    ] = None,
    no_probe: Probe = False,
    cloud_metadata: CloudMetadata = False,
    ask_router: AskRouter = False,
    color: Color = "auto",
    width: Width = None,
) -> int:
    """Say who can reach Ollama: endpoints by networks, or one path and what decides it."""
    from ollama_audit.cli import reach as command  # noqa: PLC0415

    return command.reach(
        command.Request(
            sources=tuple(sources or ()),
            targets=tuple(targets or ()),
            in_interface=in_interface,
            format=format_,
            output=output,
            snapshot=snapshot,
            rulesets=tuple(rulesets or ()),
            probe=not no_probe,
            beyond=_beyond(cloud_metadata=cloud_metadata, ask_router=ask_router),
            color=color,
            width=width,
        )
    )


@app.command(cls=Command)
def rules(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the index in rules/README.md.")
    ] = False,
    color: Color = "auto",
    width: Width = None,
) -> int:
    """List every rule by area, with its severity and what a failure means."""
    from ollama_audit.cli import catalogue  # noqa: PLC0415

    return catalogue.rules(markdown=markdown, color=color, width=width)


def _rule_names(incomplete: str) -> list[str]:
    from ollama_audit.cli import catalogue  # noqa: PLC0415

    return [name for name in catalogue.names() if name.startswith(incomplete)]


@app.command(cls=Command)
def explain(
    rule: Annotated[
        str, typer.Argument(metavar="RULE", autocompletion=_rule_names, show_default=False)
    ],
    *,
    color: Color = "auto",
    width: Width = None,
) -> int:
    """Print the manual page of one rule."""
    from ollama_audit.cli import catalogue  # noqa: PLC0415

    return catalogue.explain(rule, color=color, width=width)


@app.command(cls=Command)
def snapshot(
    *,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="Where it goes (mode 0600)."),
    ] = "-",
    no_probe: Probe = False,
    cloud_metadata: CloudMetadata = False,
    ask_router: AskRouter = False,
) -> int:
    """Write what the audit reads from this host, secrets left out, to judge it elsewhere."""
    from ollama_audit.cli import snapshot as command  # noqa: PLC0415

    return command.save(
        output,
        probe=not no_probe,
        beyond=_beyond(cloud_metadata=cloud_metadata, ask_router=ask_router),
    )


@app.command(cls=Command)
def remediate(  # noqa: PLR0913  # one argument an option
    *,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="RULE", help="For this rule alone; repeatable."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write the script (mode 0700).")
    ] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Run the script, after asking.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --apply: do not ask.")] = False,
    snapshot: Snapshot = None,
    no_probe: Probe = False,
    width: Width = None,
) -> int:
    """Print the plan that mends what was found, or write it as a script that can be undone."""
    from ollama_audit.cli import remediate as command  # noqa: PLC0415

    return command.remediate(
        command.Request(
            only=tuple(only or ()),
            output=output,
            apply=apply,
            yes=yes,
            snapshot=snapshot,
            probe=not no_probe,
            width=width,
        )
    )


@app.command(cls=Command)
def undo(
    run: Annotated[str, typer.Argument(metavar="[RUN]", show_default=False)] = "",
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also over what was changed since.")
    ] = False,
) -> int:
    """Take back what a remediation script did, the newest run by default."""
    from ollama_audit.cli import remediate as command  # noqa: PLC0415

    return command.undo(run, force=force)


Report = Annotated[str, typer.Argument(metavar="REPORT.json", show_default=False)]


@app.command(cls=Command)
def render(  # noqa: PLR0913
    ctx: typer.Context,
    file: Report,
    *,
    formats: Formats = None,
    outputs: Outputs = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Show the whole checklist with its evidence.")
    ] = False,
    color: Color = "auto",
    width: Width = None,
    quiet: Quiet = False,
) -> int:
    """Print a stored report in another format, without another audit."""
    from ollama_audit.cli import reports as command  # noqa: PLC0415
    from ollama_audit.cli.audit import destinations  # noqa: PLC0415

    pairs = destinations(ctx.meta[ORDER], formats or [], outputs or [], quiet=quiet)
    return command.render(
        command.Request(file=file, destinations=pairs, whole=whole, color=color, width=width)
    )


@app.command(cls=Command)
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD.json", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW.json", show_default=False)],
    *,
    color: Color = "auto",
    width: Width = None,
) -> int:
    """Print what changed between two reports; exit 1 when a rule newly fails."""
    from ollama_audit.cli import reports as command  # noqa: PLC0415

    return command.diff(old, new, color=color, width=width)


@app.command(cls=Command)
def doctor(
    *,
    snapshot: Snapshot = None,
    no_probe: Probe = False,
    color: Color = "auto",
    width: Width = None,
) -> int:
    """Say what cannot be read here, and which rules that leaves unknown."""
    from ollama_audit.cli import doctor as command  # noqa: PLC0415

    return command.doctor(snapshot, probe=not no_probe, color=color, width=width)
