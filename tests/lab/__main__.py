"""The lab's command line: `python -m tests.lab --help`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from tests.lab.host import Host, end_all, leftovers, sweep
from tests.lab.image.build import SUITES, base_image
from tests.lab.lab import booted, chosen
from tests.lab.outer import LabError, LabUnavailableError, cache, require
from tests.lab.run import run
from tests.lab.scenario import all_scenarios


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="make the base image, once for each recipe")
    build.add_argument("suite", nargs="*", choices=[*SUITES, []], help="Debian release")
    commands.add_parser("list", help="the scenarios")
    for name, text in (
        ("exec", "boot a scenario and run one command in it"),
        ("shell", "boot a scenario and give a shell in it"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("scenario")
        command.add_argument("--bare", action="store_true", help="without ollama-audit installed")
        command.add_argument("--peer", action="store_true", help="with llm-host-guard installed")
        command.add_argument("--user", default="root", help="who runs it: root, or ada")
        if name == "exec":
            command.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    run_ = commands.add_parser("run", help="run scenarios and compare; all, or those named")
    run_.add_argument("scenario", nargs="*", help="name or shell pattern")
    run_.add_argument("--no-audit", action="store_true", help="only check the scenarios' own truth")
    run_.add_argument("--peer", action="store_true", help="also run llm-host-guard")
    run_.add_argument("-v", "--verbose", action="store_true", help="tell of every doubtful cell")
    commands.add_parser("clean", help="remove leftovers of killed runs; with --all, the cache too")
    commands.choices["clean"].add_argument("--all", action="store_true")
    return parser


def enter(host: Host, script: str, user: str) -> int:
    """Run a script on our own terminal."""
    return subprocess.run(host.argv(script, user), check=False).returncode


def dispatch(asked: argparse.Namespace) -> int:
    """Do what the command line says; the exit code."""
    if asked.command == "list":
        for name, scenario in all_scenarios().items():
            print(f"{name:32} {scenario.about}")
        return 0
    require()
    sweep()
    if asked.command == "build":
        for suite in asked.suite or SUITES[:1]:
            print(base_image(suite))
        return 0
    if asked.command == "clean":
        if asked.all:
            shutil.rmtree(cache(), ignore_errors=True)
        found = leftovers()
        print("\n".join(found) or "nothing is left of any run")
        return bool(found)
    if asked.command == "run":
        results = run(
            chosen(asked.scenario), audit=not asked.no_audit, peer=asked.peer, verbose=asked.verbose
        )
        return int(any(result.problems for result in results))
    with booted(asked.scenario, product=not asked.bare, peer=asked.peer) as host:
        if asked.command == "shell":
            return enter(host, "exec bash -i", asked.user)
        words = asked.argv[1:] if asked.argv[:1] == ["--"] else asked.argv
        return enter(host, " ".join(words), asked.user)


def terminated(number: int, _: FrameType | None) -> None:
    """Leave as Ctrl-C does when told to end."""
    del number
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point."""
    signal.signal(signal.SIGTERM, terminated)
    try:
        return dispatch(arguments().parse_args(argv))
    except LabUnavailableError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Threads may wait in a host that is gone; nothing of theirs is worth waiting for.
        end_all()
        sys.stdout.flush()
        os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
