"""Capabilities from a model store, laid out as Ollama's types/model/name.go does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ollama_audit.collect.model_store import capabilities_of
from ollama_audit.observed import Known, Unknown

DIGEST = "sha256:" + "ab" * 32


def store(root: Path, where: str, template: str | None, *kinds: str) -> Known[str]:
    layers = [
        {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": "sha256:00"}
        for kind in kinds
    ]
    if template is not None:
        kind = "application/vnd.ollama.image.template"
        layers.append({"mediaType": kind, "digest": DIGEST})
        (root / "blobs").mkdir()
        (root / "blobs" / DIGEST.replace(":", "-")).write_text(template)
    manifest = root / "manifests" / where
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return Known(str(root), "test")


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("llama3.2:3b", "registry.ollama.ai/library/llama3.2/3b"),
        ("ada/tiny:latest", "registry.ollama.ai/ada/tiny/latest"),
        ("hf.co/ada/tiny:q4", "hf.co/ada/tiny/q4"),
    ],
)
def test_a_template_that_uses_tools_means_tools(tmp_path: Path, name: str, where: str) -> None:
    models = store(tmp_path, where, "{{ if .Tools }}tools{{ end }}{{ .Prompt }}", "model")
    found = capabilities_of(name, models)
    assert isinstance(found, Known)
    assert found.value == {"completion", "tools"}


def test_a_projector_sees(tmp_path: Path) -> None:
    models = store(tmp_path, "registry.ollama.ai/library/eye/1", "{{ .Prompt }}", "projector")
    found = capabilities_of("eye:1", models)
    assert isinstance(found, Known)
    assert found.value == {"completion", "vision"}


def test_without_a_template_it_is_not_known(tmp_path: Path) -> None:
    models = store(tmp_path, "registry.ollama.ai/library/bare/1", None, "model")
    assert isinstance(capabilities_of("bare:1", models), Unknown)


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd:1", "a/b/c/d:1", "a/../b:1", "m:"])
def test_a_name_cannot_lead_out_of_the_store(tmp_path: Path, name: str) -> None:
    assert isinstance(capabilities_of(name, Known(str(tmp_path), "test")), Unknown)


def test_a_manifest_that_is_no_json_is_unknown(tmp_path: Path) -> None:
    store(tmp_path, "registry.ollama.ai/library/odd/1", None)
    (tmp_path / "manifests/registry.ollama.ai/library/odd/1").write_text("{")
    assert isinstance(capabilities_of("odd:1", Known(str(tmp_path), "test")), Unknown)
