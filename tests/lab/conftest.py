"""What the tests of the lab share."""

from __future__ import annotations

import os

import pytest

from tests.lab.outer import unavailable


@pytest.fixture(scope="session")
def root() -> None:
    """Skip where nobody asked for minutes of image making; in CI, fail where it cannot be."""
    reason = unavailable()
    if os.environ.get("CI"):
        assert not reason, reason
    elif reason := reason or "boots hosts: set CI=1":
        pytest.skip(reason)
