"""What `reachable-from-internet` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Severity, Zone
from tests.reach_cases import reach_cases

CASES = reach_cases(Zone.INTERNET, Severity.CRITICAL)
