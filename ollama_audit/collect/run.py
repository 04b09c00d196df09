"""Runs a command: the only place that starts a process.

A command is looked for in the system's own directories and not along the caller's PATH, so that
an audit without root finds `/usr/sbin/nft` and one with root runs nobody else's program. It gets
no input, no environment but a plain locale, a time limit and an output limit; what is left of it
after that is killed by its process group.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from ollama_audit.observed import Known, Observed, Unknown

SEARCH_PATH = (
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/run/current-system/sw/bin",  # NixOS has no other
    "/usr/local/sbin",  # last: on some systems a user owns it
    "/usr/local/bin",
)

_LONGEST = 60
"""A longer value of an option is left out of the name of a source."""
_lock = threading.Lock()
_started = 0
_CHUNK = 1 << 16
_ERROR_LIMIT = 1 << 16
_REAP_S = 0.5


def children_started() -> int:
    """How many child processes this program has started so far."""
    return _started


def find_command(name: str) -> str:
    """The path of a command in the system's directories; empty when it is in none of them."""
    for directory in SEARCH_PATH:
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK) and Path(path).is_file():
            return path
    return ""


def run(
    argv: tuple[str, ...],
    *,
    timeout_s: float = 2.0,
    limit: int = 64 << 20,
    accept: Container[int] = (0,),
    environment: Mapping[str, str] | None = None,
) -> Observed[str]:
    """What a command printed on its standard output.

    It runs in the network namespace of the calling thread. `limit` is in bytes, `accept` the exit
    codes that are not a failure. Bytes that are not UTF-8 become U+FFFD; a NUL byte makes the
    output no text, and so `Unknown`.
    """
    global _started  # noqa: PLW0603  # one number for the whole program
    source = shlex.join(map(_brief, argv))
    path = find_command(argv[0])
    if not path:
        return Unknown(f"the command {argv[0]} was not found", source)
    try:
        child = subprocess.Popen(
            (path, *argv[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={"LC_ALL": "C", "PATH": ":".join(SEARCH_PATH), **(environment or {})},
            process_group=0,
        )
    except OSError as error:
        return Unknown(f"{argv[0]} could not be started: {error.strerror}", source)
    with _lock:
        _started += 1
    with _ended(child):
        return _result(child, source, timeout_s, limit, accept)


def _brief(word: str) -> str:
    """An argument for people: of a long list of properties nobody reads more than the option."""
    option, equals, value = word.partition("=")
    return f"{option}=..." if equals and len(value) > _LONGEST else word


def _result(
    child: subprocess.Popen[bytes],
    source: str,
    timeout_s: float,
    limit: int,
    accept: Container[int],
) -> Observed[str]:
    name = source.partition(" ")[0]
    deadline = time.monotonic() + timeout_s
    try:
        output, errors = _drain(child, deadline, limit)
        code = child.wait(max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        return Unknown(f"{name} did not finish within {timeout_s:g} s", source)
    except _TooLargeError:
        return Unknown(f"{name} printed more than {limit} bytes", source)
    if code not in accept:
        said = next(iter(errors.decode(errors="replace").strip().splitlines()), "")
        how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
        return Unknown(f"{name} {how}" + (f": {said.strip()}" if said else ""), source)
    if b"\0" in output:
        return Unknown(f"{name} printed what is not text", source)
    return Known(output.decode(errors="replace"), source)


class _TooLargeError(Exception):
    """A command printed more than it may."""


def _drain(
    child: subprocess.Popen[bytes], deadline: float, limit: int
) -> tuple[bytearray, bytearray]:
    """Read standard output and error to their end.

    Raises:
        TimeoutError: The deadline (monotonic seconds) passed.
        _TooLargeError: There was more than `limit` bytes of output. Errors are cut instead.
    """
    assert child.stdout is not None
    assert child.stderr is not None
    output, errors = bytearray(), bytearray()
    sinks = {child.stdout.fileno(): output, child.stderr.fileno(): errors}
    poll = select.poll()
    for descriptor in sinks:
        poll.register(descriptor, select.POLLIN)
    while sinks:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        for descriptor, _ in poll.poll(left * 1000):
            chunk = os.read(descriptor, _CHUNK)
            sink = sinks[descriptor]
            if not chunk:
                poll.unregister(descriptor)
                del sinks[descriptor]
            elif sink is errors:
                sink += chunk[: _ERROR_LIMIT - len(errors)]
            else:
                sink += chunk
        if len(output) > limit:
            raise _TooLargeError
    return output, errors


@contextlib.contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave nothing of a command behind, however the block is left."""
    try:
        yield
    finally:
        if child.returncode is None:
            # Not reaped yet, so its number, which is its group's, cannot be anybody else's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            # One that is stuck in the kernel cannot be reaped; the audit does not wait for it.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_REAP_S)
        for stream in (child.stdout, child.stderr):
            assert stream is not None
            stream.close()
