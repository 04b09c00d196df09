"""What `logs-prompts` says of which host."""

from __future__ import annotations

from ollama_audit.rule import Host, Severity, Status
from tests.cases import Case
from tests.hosts import HIDDEN, environment, host, server, servers


def logging(**variables: str) -> Host:
    """A server with these variables."""
    return host(servers=servers(server(env=environment(variables))))


CASES = [
    Case("as installed", host(), Status.PASS),
    Case(
        "whole requests",
        logging(OLLAMA_DEBUG_LOG_REQUESTS="1"),
        Status.FAIL,
        "OLLAMA_DEBUG_LOG_REQUESTS=1",
        Severity.MEDIUM,
    ),
    Case("trace", logging(OLLAMA_DEBUG="2"), Status.FAIL, "OLLAMA_DEBUG=2", Severity.MEDIUM),
    Case("debug", logging(OLLAMA_DEBUG="1"), Status.FAIL, severity=Severity.LOW),
    Case("an unparsable yes", logging(OLLAMA_DEBUG_LOG_REQUESTS="ja"), Status.FAIL),
    Case("off", logging(OLLAMA_DEBUG="0", OLLAMA_DEBUG_LOG_REQUESTS="false"), Status.PASS),
    Case("the environment unread", host(servers=servers(server(env=HIDDEN))), Status.UNKNOWN),
    Case("processes that hide", host(unseen=3), Status.UNKNOWN, "3 processes"),
    Case("no server runs", host(servers=servers()), Status.NOT_APPLICABLE),
]
