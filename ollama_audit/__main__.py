"""Entry point: exit codes, and what may go wrong before and after a command runs.

Nothing is imported here that `--version` does not need; the rest is imported when it is.
"""

from __future__ import annotations

import sys
from errno import ENOSPC

from ollama_audit import __version__

USAGE = 2
INTERNAL_ERROR = 4
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell reports of any program whose reader went away."""


def main() -> None:
    """Run the command line and exit with a documented code (`ollama_audit.cli.exits`)."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        _leave(_print_version())
    try:
        from ollama_audit.cli.app import run  # noqa: PLC0415  # costs time that --version has not

        code = run(arguments)
    except KeyboardInterrupt:
        _say("interrupted")
        code = INTERRUPTED
    except BrokenPipeError:
        code = BROKEN_PIPE
    except Exception as mistake:  # noqa: BLE001  # the last line of defence
        if isinstance(mistake, OSError) and mistake.errno == ENOSPC:
            code = _unwritten(mistake)  # help texts are printed by typer
        elif _interrupted(mistake):
            _say("interrupted")
            code = INTERRUPTED
        else:
            code = _internal_error(mistake)
    _leave(code)


def _print_version() -> int:
    try:
        print(f"ollama-audit {__version__}", flush=True)  # noqa: T201
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as problem:
        return _unwritten(problem)
    return 0


def _unwritten(problem: OSError) -> int:
    _say(f"cannot write: {problem.strerror}")
    return USAGE


def _interrupted(mistake: BaseException) -> bool:
    """Whether it is an interrupt in disguise: Python 3.11 wraps what __set_name__ raises."""
    cause = mistake.__cause__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _interrupted(cause))


def _internal_error(mistake: Exception) -> int:
    from os import environ  # noqa: PLC0415, TID251  # a debugging switch, nothing of the host

    if environ.get("OLLAMA_AUDIT_DEBUG"):
        import traceback  # noqa: PLC0415

        traceback.print_exception(mistake)
    what = " ".join(str(mistake).split())
    _say(
        f"internal error: {type(mistake).__name__}: {what}"
        " (a mistake of this program; OLLAMA_AUDIT_DEBUG=1 shows where)"
    )
    return INTERNAL_ERROR


def _say(message: str) -> None:
    if sys.stderr is None:
        return
    try:
        print(f"ollama-audit: {message}", file=sys.stderr)  # noqa: T201
    except OSError:
        return


def _leave(code: int) -> None:
    """Exit; a reader that has gone away stays silent, also while the interpreter shuts down.

    At exit Python flushes the standard streams once more and would complain about a closed pipe.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            import os  # noqa: PLC0415

            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
    sys.exit(code)


if __name__ == "__main__":
    main()
