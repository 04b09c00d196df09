"""Which findings are told together."""

from __future__ import annotations

import msgspec

from ollama_audit.report import Finding
from ollama_audit.together import together
from tests.reports import finding


def about(name: str, *endpoints: str, cause: str = "listens", caused_by: str = "") -> Finding:
    return msgspec.structs.replace(
        finding(name), endpoints=endpoints, cause=cause, caused_by=caused_by
    )


def told(*findings: Finding) -> list[tuple[str, ...]]:
    return [(head.rule, *(each.rule for each in rest)) for head, rest in together(findings)]


def test_findings_of_one_cause_about_one_endpoint_are_told_together() -> None:
    internet = about("internet", "0.0.0.0:80")
    lan = about("lan", "0.0.0.0:80", "0.0.0.0:90")
    assert told(internet, lan) == [("internet", "lan")]
    assert told(lan, internet) == [("lan", "internet")]


def test_another_way_in_or_another_cause_is_told_apart() -> None:
    internet = about("internet", "0.0.0.0:80")
    for other in (
        about("lan", "0.0.0.0:90"),
        about("lan"),
        about("plain", "0.0.0.0:80", cause=""),
        about("plain", "0.0.0.0:80", cause="something"),
    ):
        assert told(internet, other) == [("internet",), (other.rule,)]
    assert told(about("a", "x", cause=""), about("b", "x", cause="")) == [("a",), ("b",)]


def test_what_a_finding_explains_is_told_with_it() -> None:
    assert told(about("a"), about("b", cause="a", caused_by="a")) == [("a", "b")]
