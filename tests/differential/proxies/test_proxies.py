"""The short run: a few random configurations of each proxy against the program itself."""

from __future__ import annotations

import os

import pytest

from tests.differential.proxies.run import run
from tests.lab.outer import require, unavailable

SHORT = {"nginx": 15, "haproxy": 8, "apache": 10, "caddy": 12, "lighttpd": 12}


@pytest.mark.parametrize("program", SHORT)
def test_a_proxy_does_what_is_said_of_it(program: str) -> None:
    """Nobody gets through who is called shut out or asked for a login, and nobody else is kept."""
    reason = unavailable()
    if os.environ.get("CI"):
        assert not reason, reason
    elif reason := reason or "makes the lab's image: set CI=1":
        pytest.skip(reason)
    require()

    tally = run(program, SHORT[program], seed=7)

    assert not tally.bad, str(tally.bad)
    assert tally.counts["is open"] > 0
    assert tally.counts["is shut"] > 0
