"""A snapshot survives the trip, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_audit.snapshot.codec import SnapshotError, decode, encode
from ollama_audit.snapshot.host import HostSnapshot
from tests.snapshot.generated import snapshots

MINIMAL: dict[str, Any] = {
    "schema": "ollama-audit/snapshot/1",
    "tool_version": "1",
    "started_at": "2026-01-02T03:04:05Z",
    "platform": {
        "system": "Linux",
        "hostname": "h",
        "distribution": "debian",
        "kernel": "6",
        "machine": "x86_64",
        "init": "systemd",
        "container": {"observed": "known", "value": "", "source": "s"},
        "hypervisor": {"observed": "unknown", "reason": "r", "source": "s"},
    },
    "privileges": {"uid": 0, "user": "root", "capabilities": []},
    "servers": {"observed": "known", "value": [], "source": "/proc"},
    "unseen_processes": {"observed": "known", "value": 0, "source": "/proc"},
    "namespaces": {"observed": "known", "value": [], "source": "/proc"},
    "units": {"observed": "known", "value": [], "source": "systemctl"},
}


def text(**changes: Any) -> bytes:
    return json.dumps({**MINIMAL, **changes}).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots)
def test_round_trip(snapshot: HostSnapshot) -> None:
    data = encode(snapshot)
    assert decode(data) == snapshot
    assert encode(decode(data)) == data


def test_the_schema_comes_first_and_a_newline_last() -> None:
    data = encode(decode(text()))
    assert data.startswith(b'{\n  "schema": "ollama-audit/snapshot/1",\n')
    assert data.endswith(b"\n}\n")


def test_sets_are_written_in_order() -> None:
    names = [f"cap_{letter}" for letter in "zyxwvutsrq"]
    privileges = {"uid": 0, "user": "root", "capabilities": names}
    written = json.loads(encode(decode(text(privileges=privileges))))
    assert written["privileges"]["capabilities"] == sorted(names)


def test_unknown_fields_of_a_later_version_are_skipped() -> None:
    assert decode(text(later={"a": 1})) == decode(text())


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (b"", "$", "is not JSON"),
        (text()[:-40], "$", "is not JSON"),
        (b"null", "$", "Expected `object`"),
        (b"[]", "$", "Expected `object`"),
        (b"{}", "$", "missing required field `schema`"),
        (text(schema="ollama-audit/snapshot/9"), "$.schema", "'ollama-audit/snapshot/1'"),
        (text(schema="ollama-audit/snapshot/9"), "$.schema", "ollama-audit/snapshot/9"),
        (text(schema=7), "$.schema", "Expected `str`"),
        (text(started_at="2026-01-02T03:04:05"), "$", "no time zone"),
        (text(started_at="yesterday"), "$.started_at", "RFC3339"),
        (
            text(privileges={"uid": "0", "user": "", "capabilities": []}),
            "$.privileges.uid",
            "`int`",
        ),
        (text(privileges={"uid": 1e400, "user": ""}), "$", ""),
        (text(unseen_processes=3), "$.unseen_processes", "Expected `object`"),
        (text(unseen_processes={"observed": "guess"}), "$.unseen_processes.observed", "guess"),
        (text(files=[{"path": "/x", "role": "spoon"}]), "$.files[0].role", "spoon"),
        (text().replace(b'"h"', b'"\xff"'), "$", "is not UTF-8"),
        (text()[:-1] + b', "servers": {"observed": "known", "value": []}}', "$", "equal keys"),
        (b"[" * 200_000, "$", "is nested too deeply"),
        (text(extra=1)[:-2] + b"[" * 200_000 + b"]" * 200_000 + b"}", "$", "nested too deeply"),
    ],
)
def test_what_is_refused(data: bytes, path: str, reason: str) -> None:
    with pytest.raises(SnapshotError) as caught:
        decode(data)
    assert caught.value.path == path
    assert reason in caught.value.reason
    assert len(str(caught.value)) < 400


def test_a_number_of_any_length_is_refused_or_read() -> None:
    huge = text(privileges={"uid": 0, "user": "", "capabilities": []}).replace(
        b'"uid": 0', b'"uid": ' + b"9" * 100_000
    )
    with pytest.raises(SnapshotError):
        decode(huge)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        decode(data)


@settings(max_examples=300)
@given(st.integers(0, len(text()) - 1), st.binary(max_size=3))
def test_a_damaged_snapshot_is_read_or_refused(at: int, put: bytes) -> None:
    whole = text()
    # Any other exception fails the test.
    with contextlib.suppress(SnapshotError):
        decode(whole[:at] + put + whole[at + 1 :])
