"""Finds every Ollama server on the host, in whatever namespace and on whatever port.

A server is known by what runs, its executable and its command line (`ollama serve`, or the alias
`start`; Ollama cmd/cmd.go), never by a port. A binary of another name counts when Go's linker
says that it was built from Ollama. `ollama run` and the other commands are clients; `ollama
runner` and `llama-server` are what a server starts (llm/server.go, llm/llama_server.go).

One pass over /proc reads a link and a command line of each process; only those that matter are
read in full. It also notes the programs that may pass requests on to Ollama without holding a
socket, as tunnels do, and in which network namespaces there are processes at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import msgspec

from ollama_audit.collect.buildinfo import go_main_package
from ollama_audit.collect.configurations import PROGRAMS
from ollama_audit.collect.proc import CURE, describe, executable_of
from ollama_audit.collect.read import peek, read_text
from ollama_audit.observed import Known, Observed, Unknown
from ollama_audit.snapshot.process import Process, names_of

# Names under which packages install it: `ollama-lib` (IPEX-LLM), `.ollama-wrapped` (NixOS), ...
_NAME = re.compile(
    r"\.?ollama(?:[-_.](?:lib|bin|real|wrapped|unwrapped|orig|cpu|cuda|rocm|vulkan|sycl|"
    r"linux|amd64|arm64|x86_64|aarch64|v?\d[\d.]*))*"
)
_RUNNER = re.compile(r"llama|mlx|runner", re.IGNORECASE)
_SERVE = frozenset({"serve", "start"})
# Programs that run another one given on their command line, as binfmt_misc or a wrapper does.
_LOADER = re.compile(r"ld-(?:linux|musl)[\w.-]*\.so(?:\.\d+)*|qemu-[\w-]+|box(?:64|86)|FEX\w*")
_LOADER_VALUES = frozenset({"--library-path", "--preload", "--argv0", "--audit", "--inhibit-rpath"})
_BEGINNING = 4096
_MODULE = "github.com/ollama/ollama"
_KERNEL_THREAD = 0x0020_0000  # PF_KTHREAD, linux/sched.h; field 9 of /proc/PID/stat


class Scan(msgspec.Struct, frozen=True):
    """Who on this host is, or may be, an Ollama server."""

    servers: Observed[tuple[int, ...]]
    """Process ids, ascending."""
    unseen: Observed[int]
    """Processes that may be a server: their executable is hidden, and their command line is
    hidden too or fits."""
    runners: tuple[int, ...] = ()
    """Process ids that look like what a server starts, whoever started them."""
    forwarders: tuple[int, ...] = ()
    """Process ids of programs that may pass requests on, with or without a socket of their own."""
    inhabitants: tuple[int, ...] = ()
    """A process of each network namespace, as far as those can be told."""


def scan() -> Scan:
    """Look at every process once."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - a Path for each of 5,000 is slow
    except OSError as error:
        why = Unknown(f"processes cannot be listed: {error.strerror}", "/proc", CURE)
        return Scan(why, why)
    servers, runners, forwarders, unseen = [], [], [], 0
    inhabitants: dict[int, int] = {}
    for pid in sorted(int(name) for name in names if name.isascii() and name.isdigit()):
        if inode := _network_namespace(pid):
            inhabitants.setdefault(inode, pid)
        verdict = _judge(pid)
        if verdict is _SERVER:
            servers.append(pid)
        elif verdict is _RUNS_MODELS:
            runners.append(pid)
        elif verdict is _PASSES_ON:
            forwarders.append(pid)
        elif verdict is _HIDDEN:
            unseen += 1
    return Scan(
        Known(tuple(servers), "/proc"),
        _unseen(unseen),
        tuple(runners),
        tuple(forwarders),
        tuple(inhabitants.values()),
    )


def _network_namespace(pid: int) -> int:
    """The inode of a process's network namespace; 0 when we may not know."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 - a Path for each is slow
    except OSError:
        return 0


_SERVER, _RUNS_MODELS, _PASSES_ON = "server", "runner", "forwarder"
_HIDDEN, _OTHER = "hidden", "other"
_FORWARDERS = frozenset({*PROGRAMS, "rootlesskit"})
"""Of RootlessKit two: one that holds the ports, and its child in the network they lead into."""


def _judge(pid: int) -> str:
    executable = executable_of(pid)
    hidden = isinstance(executable, Unknown)
    path = "" if isinstance(executable, Unknown) else executable.value
    if not hidden and not path:
        return _OTHER  # a kernel thread, or ended
    # Which program and which command stands at the beginning.
    start = peek(f"/proc/{pid}/cmdline", _BEGINNING)
    if isinstance(start, Unknown):
        suspicious = hidden or _named_ollama(_base(path))
        return _HIDDEN if suspicious and os.path.exists(f"/proc/{pid}") else _OTHER  # noqa: PTH110
    if not start.value:
        return _OTHER if not hidden or _is_kernels_or_dead(pid) else _HIDDEN
    argv = start.value.decode(errors="replace").removesuffix("\0").split("\0")
    verdict = classify(pid, None if hidden else path, argv)
    if verdict is _OTHER and not _FORWARDERS.isdisjoint(names_of(path, argv)):
        return _PASSES_ON
    return verdict


def classify(pid: int, executable: str | None, argv: Sequence[str]) -> str:
    """`server`, `runner`, `hidden` or `other`; `executable` is None when it cannot be read."""
    argv = _unwrapped(_base(executable or ""), argv)
    called = _base(argv[0]) if argv else ""
    name = _base((executable or "").removesuffix(" (deleted)")) or called
    if _LOADER.fullmatch(name):
        name = called
    if not _serves(argv):
        runs = _RUNNER.search(name) and (argv[1:2] == ["runner"] or not _named_ollama(name))
        return _RUNS_MODELS if runs else _OTHER
    if _named_ollama(name):
        return _SERVER
    if executable is None:
        # A command line can be anything; without the executable "app serve" may be a renamed one.
        return _HIDDEN
    built_from = go_main_package(f"/proc/{pid}/exe")
    return _SERVER if built_from.startswith(_MODULE) else _OTHER


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _named_ollama(name: str) -> bool:
    return bool(_NAME.fullmatch(name))


def _serves(argv: Sequence[str]) -> bool:
    return next((word for word in argv[1:] if not word.startswith("-")), "") in _SERVE


def _unwrapped(executable: str, argv: Sequence[str]) -> list[str]:
    """The command line of the program itself when a loader or an emulator runs it."""
    words = list(argv)
    if not _LOADER.fullmatch(executable) or len(words) < 2:
        return words
    at = 1
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _LOADER_VALUES else 1
    return words[at:]


def _is_kernels_or_dead(pid: int) -> bool:
    stat = read_text(f"/proc/{pid}/stat")
    if isinstance(stat, Unknown):
        return not os.path.exists(f"/proc/{pid}")  # noqa: PTH110
    fields = stat.value.rpartition(")")[2].split()
    return fields[0] in {"Z", "X"} or bool(int(fields[6]) & _KERNEL_THREAD)


def _unseen(counted: int) -> Observed[int]:
    """The count, unless /proc shows us only our own processes (hidepid=, proc(5))."""
    if os.path.exists("/proc/1"):  # noqa: PTH110
        return Known(counted, "/proc")
    return Unknown("/proc hides the processes of others (hidepid=)", "/proc", CURE)


def runners_of(server: int, candidates: Sequence[int]) -> tuple[Process, ...]:
    """The processes among `candidates` that `server` started."""
    found = (describe(pid) for pid in candidates if _parent(pid) == server)
    return tuple(process for process in found if process is not None)


def _parent(pid: int) -> int:
    stat = read_text(f"/proc/{pid}/stat")
    return int(stat.value.rpartition(")")[2].split()[1]) if isinstance(stat, Known) else 0
