"""What `application-allows-sign-up` says of which host."""

from __future__ import annotations

import json

import msgspec

from ollama_audit.observed import Known
from ollama_audit.rule import Endpoint, Extent, Hop, Host, Login, Severity, Status
from ollama_audit.snapshot import redact
from tests.cases import Case
from tests.exposure.proxied import PROXY, configured
from tests.hosts import LOOPBACK, Reach, endpoint, exposure, host

HOPS = (Hop(kind="application", name=f"Open WebUI ({PROXY})", pid=PROXY),)


def application(login: Login = Login.REQUIRED, lan: Reach = Extent.ALL) -> Endpoint:
    """An application at port 8080."""
    return endpoint("0.0.0.0:8080", login=login, hops=HOPS, lan=lan)


def told(*, first: bool = False, signup: bool = False, asks: bool = True, role: str = "") -> Host:
    """A host whose Open WebUI says this of itself."""
    said = json.dumps({"auth": asks, "enable_signup": signup, "onboarding": first})
    return with_program("open-webui", said, {"DEFAULT_USER_ROLE": role} if role else {})


def with_program(
    program: str,
    said: str = "",
    variables: dict[str, str] | None = None,
    *,
    ends: Endpoint | None = None,
) -> Host:
    """A host with this application at port 8080."""
    given = host(exposure=exposure(LOOPBACK, ends or application()))
    found = msgspec.structs.replace(
        configured(program, {}, running=said),
        environment=Known(redact.environment((variables or {}).items()), "environ"),
    )
    snapshot = msgspec.structs.replace(given.snapshot, configurations=(found,))
    return msgspec.structs.replace(given, snapshot=snapshot)


QUIET = json.dumps({"auth": True, "enable_signup": True, "onboarding": False})

CASES = [
    Case("no application", host(), Status.NOT_APPLICABLE),
    Case("no account yet", told(first=True), Status.FAIL, "the first visitor", Severity.HIGH),
    Case(
        "sign-ups that wait",
        told(signup=True),
        Status.FAIL,
        "waits for an administrator",
        Severity.MEDIUM,
    ),
    Case(
        "sign-ups that count at once",
        told(signup=True, role="user"),
        Status.FAIL,
        "use your models with it",
        Severity.HIGH,
    ),
    Case(
        "no sign-ups, for whoever may get there",
        with_program(
            "librechat",
            variables={"ALLOW_REGISTRATION": "no"},
            ends=application(lan=Extent.UNKNOWN),
        ),
        Status.NOT_APPLICABLE,
    ),
    Case("no sign-ups", told(), Status.PASS, "Open WebUI gives no account to strangers"),
    Case("no login at all", told(asks=False), Status.NOT_APPLICABLE),
    Case("not asked", with_program("open-webui"), Status.UNKNOWN, "webui.db"),
    Case(
        "nobody else gets there",
        with_program("open-webui", QUIET, ends=application(lan=Extent.NONE)),
        Status.NOT_APPLICABLE,
    ),
    Case(
        "it is not known who gets there",
        with_program("open-webui", QUIET, ends=application(lan=Extent.UNKNOWN)),
        Status.UNKNOWN,
        "whether others get to 0.0.0.0:8080",
    ),
    Case(
        "LibreChat with registration",
        with_program("librechat", variables={"ALLOW_REGISTRATION": "true"}),
        Status.FAIL,
        "ALLOW_REGISTRATION=true",
        Severity.HIGH,
    ),
    Case(
        "LibreChat without",
        with_program("librechat", variables={"ALLOW_REGISTRATION": "false"}),
        Status.PASS,
        "LibreChat",
    ),
    Case("LibreChat by its .env", with_program("librechat"), Status.UNKNOWN, ".env"),
    Case(
        "Langflow whose users are active",
        with_program("langflow", variables={"LANGFLOW_NEW_USER_IS_ACTIVE": "True"}),
        Status.FAIL,
        "LANGFLOW_NEW_USER_IS_ACTIVE=True",
    ),
    Case("Langflow as it is", with_program("langflow"), Status.PASS, "Langflow"),
    Case("an application without accounts", with_program("litellm"), Status.NOT_APPLICABLE),
]
