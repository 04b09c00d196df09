"""The shipped JSON Schemas: current, valid, and obeyed by what the program writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from ollama_audit import schema
from ollama_audit.exposure.path import answer
from ollama_audit.outcome import Evidence, Status
from ollama_audit.render.json import render
from ollama_audit.snapshot.codec import encode
from ollama_audit.snapshot.network import canonical_address
from tests.hosts import HIDDEN, host
from tests.reports import OPEN, finding, report


def shipped(name: str) -> Any:
    return json.loads((schema.FOLDER / name).read_text(encoding="utf-8"))


def problems(name: str, document: str | bytes) -> list[str]:
    checker = Draft202012Validator(shipped(name), format_checker=FormatChecker())
    return [
        f"{error.json_path}: {error.message}" for error in checker.iter_errors(json.loads(document))
    ]


@pytest.mark.parametrize("name", schema.DOCUMENTS)
def test_shipped_schema_is_current(name: str) -> None:
    shipped_text = (schema.FOLDER / name).read_text(encoding="utf-8")
    assert shipped_text == schema.text(name), "run: python -m ollama_audit.schema"


@pytest.mark.parametrize("name", schema.DOCUMENTS)
def test_schema_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(shipped(name))


def test_report_obeys_its_schema() -> None:
    evidence = (Evidence("ss", "*:11434"),)
    written = render(
        report(
            finding("a", Status.FAIL, evidence=evidence, remedy="bind to 127.0.0.1"),
            finding("b", Status.UNKNOWN, evidence=evidence, cure="sudo ollama-audit"),
            endpoints=(OPEN,),
        )
    )
    assert problems("report-1.json", written) == []


def test_unrated_report_obeys_its_schema() -> None:
    assert problems("report-1.json", render(report(unrated="no rule applies"))) == []


def test_snapshot_obeys_its_schema() -> None:
    assert problems("snapshot-1.json", encode(host().snapshot)) == []


def test_snapshot_with_nothing_read_obeys_its_schema() -> None:
    bare = host(servers=HIDDEN, unseen=HIDDEN, namespaces=HIDDEN, units=HIDDEN)
    assert problems("snapshot-1.json", encode(bare.snapshot)) == []


def test_reach_answer_obeys_its_schema() -> None:
    source, target = canonical_address("192.0.2.7"), canonical_address("127.0.0.1")
    answers = answer(host().snapshot, (source,), ((target, 11434),))
    assert len(answers.answers) == 1
    assert problems("reach-1.json", render(answers)) == []


def test_schema_refuses_what_is_no_report() -> None:
    written = json.loads(render(report(finding("a"))))
    written["findings"][0]["status"] = "fine"
    written["schema"] = "ollama-audit/report/2"
    found = problems("report-1.json", json.dumps(written))
    assert {line.partition(":")[0] for line in found} == {"$.schema", "$.findings[0].status"}


def test_report_fields_come_in_the_order_of_the_contract() -> None:
    fields = list(json.loads(render(report(finding("a")))))
    contract = [
        "schema", "tool", "host", "started_at", "duration_s", "privileged", "score",
        "endpoints", "findings",
    ]  # fmt: skip
    assert [field for field in fields if field in contract] == contract
    found = list(json.loads(render(report(finding("a"))))["findings"][0])
    contract = [
        "rule", "title", "status", "severity", "summary", "evidence", "waiver", "remedies",
        "references",
    ]  # fmt: skip
    assert [field for field in found if field in contract] == contract
