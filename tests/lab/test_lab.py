"""The lab's own promises: it judges rightly, and leaves nothing behind however it ends.

The scenarios themselves are run by `python -m tests.lab run`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid

import pytest

from tests.lab.audit import Mark, Said, mark
from tests.lab.host import leftovers
from tests.lab.outer import checkout
from tests.lab.scenario import all_scenarios, cells
from tests.lab.truth import Truth

BOOT = """
import sys, time
from tests.lab import host, lab
host.new_identity = lambda: sys.argv[1]
with lab.booted():
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("reach", "login", "truth", "expected"),
    [
        ("yes", "none", "open", Mark.RIGHT),
        ("no", "unknown", "nothing", Mark.RIGHT),
        ("no", "unknown", "other", Mark.RIGHT),
        ("yes", "required", "login", Mark.RIGHT),
        ("no", "unknown", "open", Mark.FALSE_GREEN),
        ("no", "unknown", "login", Mark.FALSE_GREEN),
        ("yes", "required", "open", Mark.FALSE_GREEN),
        ("yes", "none", "nothing", Mark.FALSE_RED),
        ("yes", "none", "other", Mark.FALSE_RED),
        ("yes", "none", "login", Mark.FALSE_RED),
        ("yes", "unknown", "open", Mark.UNKNOWN),
        ("unknown", "unknown", "nothing", Mark.UNKNOWN),
    ],
)
def test_an_answer_is_judged_by_what_the_client_got(
    reach: str, login: str, truth: str, expected: Mark
) -> None:
    assert mark(Said(reach, login), Truth(truth, "")) is expected


@pytest.mark.parametrize("name", list(all_scenarios()))
def test_a_scenario_says_something_of_cells_that_it_has(name: str) -> None:
    scenario = all_scenarios()[name]
    assert scenario.truth, "a set-up that does nothing would go unnoticed"
    for pattern in scenario.truth:
        assert any(cell.matches(pattern) for cell in cells(scenario)), pattern


def test_there_are_forty_scenarios() -> None:
    assert len(all_scenarios()) >= 40


def remains(identity: str) -> list[str]:
    """What is left of this host, once that had time to end."""
    deadline = time.monotonic() + 20
    while left := [line for line in leftovers() if identity in line]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return left


@pytest.mark.lab
@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.2, 0.6, None])
def test_nothing_is_left_however_it_ends(how: signal.Signals, seconds: float | None) -> None:
    """Ended while it boots (after so many seconds), or once it is up (None)."""
    identity = uuid.uuid4().hex[:8]
    with subprocess.Popen(
        [sys.executable, "-c", BOOT, identity],
        cwd=checkout(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as runner:
        assert runner.stdout is not None
        if seconds is None:
            assert runner.stdout.readline() == "up\n"
            assert any(identity in line for line in leftovers()), "else this test cannot fail"
        else:
            time.sleep(seconds)  # the moment is what is tested
        runner.send_signal(how)
        runner.wait(timeout=30)
    assert remains(identity) == []
