"""Commands that fail in every way a command can fail."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_audit.collect import run as module
from ollama_audit.collect.run import children_started, find_command, run
from ollama_audit.observed import Known, Unknown

Stub = Callable[[str, str], None]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Puts a shell script in the only directory that is searched before the system's."""
    monkeypatch.setattr(module, "SEARCH_PATH", (str(tmp_path), "/usr/bin", "/bin"))

    def write(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(script)
        path.chmod(0o755)

    return write


def reason_of(observed: object) -> str:
    assert isinstance(observed, Unknown)
    return observed.reason


def test_output_is_known_with_its_command_line() -> None:
    assert run(("echo", "a b", "c")) == Known("a b c\n", "echo 'a b' c")


def test_the_environment_is_a_plain_locale_and_nothing_of_the_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    seen = run(("env",), environment={"XDG_RUNTIME_DIR": "/run/user/1"})
    assert isinstance(seen, Known)
    names = {line.partition("=")[0] for line in seen.value.splitlines()}
    assert names <= {"LC_ALL", "PATH", "XDG_RUNTIME_DIR", "PWD", "_"}
    assert {"LC_ALL=C", "XDG_RUNTIME_DIR=/run/user/1"} <= set(seen.value.splitlines())


def test_standard_input_is_at_its_end() -> None:
    assert run(("cat",)) == Known("", "cat")


def test_a_command_is_not_taken_from_the_callers_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / "only-on-the-callers-path"
    impostor.write_text("#!/bin/sh\necho caught\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_command(impostor.name) == ""
    assert "was not found" in reason_of(run((impostor.name,)))


def test_a_missing_command_is_unknown_and_starts_nothing() -> None:
    before = children_started()
    assert reason_of(run(("no-such-command",))) == "the command no-such-command was not found"
    assert children_started() == before


def test_every_start_is_counted() -> None:
    before = children_started()
    run(("true",))
    run(("false",))
    assert children_started() == before + 2


def test_a_failure_is_told_with_the_first_line_of_its_errors(stub: Stub) -> None:
    stub("tool", "#!/bin/sh\necho partial\necho 'no such table' >&2\necho more >&2\nexit 3\n")
    assert reason_of(run(("tool",))) == "tool failed with exit code 3: no such table"
    assert run(("tool",), accept=(0, 3)) == Known("partial\n", "tool")


def test_death_by_signal_is_a_failure(stub: Stub) -> None:
    stub("tool", "#!/bin/sh\nkill -SEGV $$\n")
    assert reason_of(run(("tool",))).startswith("tool was killed by signal 11")


def test_a_file_that_is_no_program_is_unknown(stub: Stub) -> None:
    stub("tool", "\0\1\2 not a program")
    assert reason_of(run(("tool",))) == "tool could not be started: Exec format error"


def test_a_command_that_hangs_is_killed_with_its_children(stub: Stub, tmp_path: Path) -> None:
    stub("tool", f"#!/bin/sh\nsleep 600 &\necho $! $$ >{tmp_path}/pids\nwait\n")
    started = time.monotonic()
    assert reason_of(run(("tool",), timeout_s=0.3)) == "tool did not finish within 0.3 s"
    assert time.monotonic() - started < 2
    for pid in (tmp_path / "pids").read_text().split():
        wait_for_end(int(pid))


def test_a_grandchild_that_keeps_the_output_open_is_not_waited_for(
    stub: Stub, tmp_path: Path
) -> None:
    stub("tool", f"#!/bin/sh\nsleep 600 &\necho $! >{tmp_path}/pids\n")
    assert "did not finish" in reason_of(run(("tool",), timeout_s=0.3))
    wait_for_end(int((tmp_path / "pids").read_text()))


def test_an_endless_output_is_cut_off(stub: Stub) -> None:
    stub("tool", "#!/bin/sh\nexec yes\n")
    assert reason_of(run(("tool",), limit=1 << 20)) == "tool printed more than 1048576 bytes"


def test_endless_errors_do_not_fill_memory_or_block(stub: Stub) -> None:
    stub("tool", "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x >&2\necho done\n")
    assert run(("tool",)) == Known("done\n", "tool")


def test_bytes_that_are_no_utf8_are_replaced(stub: Stub) -> None:
    stub("tool", "#!/bin/sh\nprintf 'caf\\351'\n")
    assert run(("tool",)) == Known("caf\N{REPLACEMENT CHARACTER}", "tool")


def test_binary_output_is_unknown(stub: Stub) -> None:
    stub("tool", "#!/bin/sh\nprintf 'a\\0b'\n")
    assert reason_of(run(("tool",))) == "tool printed what is not text"


def test_two_threads_do_not_mix_their_outputs() -> None:
    seen: dict[str, object] = {}

    def read(word: str) -> None:
        seen[word] = run(("echo", word))

    threads = [threading.Thread(target=read, args=(word,)) for word in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"one": Known("one\n", "echo one"), "two": Known("two\n", "echo two")}


def wait_for_end(pid: int) -> None:
    """Waits until a process is gone or a zombie, for at most 5 seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} still runs")
