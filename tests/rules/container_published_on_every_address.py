"""What `container-published-on-every-address` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Known, Severity, Status, Unknown
from tests.cases import Case
from tests.hosts import (
    CONTAINER_NAMESPACE,
    engine,
    host,
    in_container,
    listener,
    namespace,
    namespaces,
    published,
    server,
)

STOPPED = Unknown("Docker is not running", "/run/docker.sock", "sudo systemctl start docker")
INSIDE = {
    "servers": Known((server(in_container(2001)),), "/proc"),
    "namespaces": namespaces(
        namespace(), namespace(listener("[::]:8000", owners=2001), inode=CONTAINER_NAMESPACE)
    ),
}
"""Ollama at port 8000 of a container."""

CASES = [
    Case(
        "-p 11434:11434",
        host(engines=(engine(published("11434:11434")),)),
        Status.FAIL,
        "ollama publishes -p 11434:11434; safer: -p 127.0.0.1:11434:11434",
        Severity.LOW,
    ),
    Case(
        "-p 127.0.0.1:11434:11434",
        host(engines=(engine(published("127.0.0.1:11434:11434")),)),
        Status.PASS,
    ),
    Case(
        "stopped",
        host(engines=(engine(published("80:11434", running=False, state="exited")),)),
        Status.FAIL,
        "is exited, and would publish -p 80:11434; safer: -p 127.0.0.1:80:11434",
    ),
    Case(
        "a quadlet of a user's",
        host(
            engines=(
                engine(
                    published("0:11434", name="ai", running=False, state="quadlet"),
                    name="podman",
                    owner="ada",
                ),
            )
        ),
        Status.FAIL,
        "ai (podman of ada) publishes",
    ),
    Case(
        "another port of a container by another name",
        host(
            engines=(engine(published("9000:8000", "22:22", name="ai", image="mine")),),
            **INSIDE,  # type: ignore[arg-type]
        ),
        Status.FAIL,
        "ai publishes -p 9000:8000",
    ),
    Case(
        "a port that is not Ollama's",
        host(
            engines=(engine(published("22:22", name="ai", image="mine")),),
            **INSIDE,  # type: ignore[arg-type]
        ),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "another container",
        host(engines=(engine(published("80:80", name="web", image="nginx")),)),
        Status.NOT_APPLICABLE,
    ),
    Case("no engine", host(), Status.NOT_APPLICABLE),
    Case("an engine that is not running", host(engines=(engine(unread=STOPPED),)), Status.UNKNOWN),
    Case(
        "one that is not running, and an open one",
        host(engines=(engine(unread=STOPPED), engine(published("11434:11434"), name="podman"))),
        Status.FAIL,
    ),
]
