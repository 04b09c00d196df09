"""Asks listeners on this host what a client without credentials gets, to confirm configuration.

GET requests that change nothing, over loopback or to the listener's own address, marked in their
User-Agent. Which listeners are asked is for the caller to say.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence

from ollama_audit.collect.http import AT_LOCALHOST, NotHttpError, Response, get
from ollama_audit.collect.namespaces import inside
from ollama_audit.observed import Known, Observed, Unknown, known_or
from ollama_audit.snapshot.probe import FOREIGN_NAME, Probe, Question, Reply

_LIMIT_S = 0.5
"""For all that is asked of one listener."""
_TOGETHER_S = 2.0
_MOST = 256
"""All at once: one that does not answer is waited for while the others are."""
_LARGEST = 64 << 10
_LARGEST_LIST = 1 << 20
"""/api/tags of a server with some 2,000 models."""

_VERSION = "/api/version"
_TAGS = "/api/tags"
_LOCKED = (401, 403, 407)


def probe(questions: Sequence[Question]) -> tuple[Probe, ...]:
    """The answers, in the order of the questions.

    At most 256 listeners are asked, each for half a second and all together for two; the others
    are recorded as unasked.
    """
    deadline = time.monotonic() + _TOGETHER_S
    found: list[Probe] = []
    asked: list[int] = []
    for question in questions:
        too_many = f"only {_MOST} listeners are asked" if len(asked) == _MOST else ""
        reason = question.unasked or too_many
        if not reason:
            asked.append(len(found))
        found.append(_record(question, reason))

    def put(index: int) -> None:
        found[index] = _probed(questions[index], deadline)

    # Daemons, so that an interrupted audit ends without waiting for them.
    threads = [threading.Thread(target=put, args=(index,), daemon=True) for index in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(found)


def _record(question: Question, unasked: str = "") -> Probe:
    return Probe(
        namespace=question.namespace,
        address=question.address,
        port=question.port,
        at=question.at,
        unasked=unasked,
    )


def _probed(question: Question, deadline: float) -> Probe:
    if time.monotonic() >= deadline:
        return _record(question, "the time for asking listeners was up")
    limit = min(deadline, time.monotonic() + _LIMIT_S)
    found = inside(f"/proc/{question.pid}/ns/net", lambda: _Listener(question, limit).probed())
    if isinstance(found, Unknown):
        return _record(question, found.reason)
    return found


class _Listener:
    """One listener, asked until `deadline` (time.monotonic())."""

    def __init__(self, question: Question, deadline: float) -> None:
        self.question = question
        self.deadline = deadline
        self.tls = False
        self.wants_tls = False

    def probed(self) -> Probe:
        """Its answers; what the first leaves without meaning is not asked."""
        version = self._version()
        tags = foreign_host = foreign_origin = None
        answer = known_or(version, None)
        if answer and (answer.version or answer.status in _LOCKED) and not self.question.server:
            tags = self._asked(_TAGS, largest=_LARGEST_LIST)
        if answer and (answer.version or self.question.forwards):
            foreign_host = self._asked(_VERSION, (("Host", FOREIGN_NAME),))
        if answer and answer.version:
            origin = ("Origin", f"http://{FOREIGN_NAME}")
            foreign_origin = self._asked(_VERSION, (*AT_LOCALHOST, origin))
        return Probe(
            namespace=self.question.namespace,
            address=self.question.address,
            port=self.question.port,
            at=self.question.at,
            tls=self.tls,
            version=version,
            tags=tags,
            foreign_host=foreign_host,
            foreign_origin=foreign_origin,
        )

    def _version(self) -> Observed[Reply]:
        """The version, over TLS when the listener shows that it wants that."""
        plain = self._asked(_VERSION)
        if self.wants_tls:
            self.tls = True
            secure = self._asked(_VERSION)
            # One that ends a connection may do so for the name that was asked for.
            self.tls = isinstance(secure, Known) or known_or(plain, None) is None
            return secure if self.tls else plain
        return plain

    def _get(
        self,
        path: str,
        headers: tuple[tuple[str, str], ...] = AT_LOCALHOST,
        largest: int = _LARGEST,
    ) -> Response:
        where = (self.question.at, self.question.port, path, self.deadline, headers)
        return get(*where, largest=largest, tls=self.tls)

    def _asked(
        self,
        path: str,
        headers: tuple[tuple[str, str], ...] = AT_LOCALHOST,
        largest: int = _LARGEST,
    ) -> Observed[Reply]:
        source = f"GET {path}"
        try:
            response = self._get(path, headers, largest)
        except NotHttpError as error:
            # An alert is a TLS record of type 21 (RFC 8446, 5.1).
            self.wants_tls = error.received[:2] in {b"\x15\x03", b""}
            ended = Known(Reply(status=0), source)
            return _failed(path, error) if error.received else ended
        except (OSError, ValueError) as error:
            return _failed(path, error)
        # As nginx, Apache and Go's net/http word it.
        said = response.body.upper()
        self.wants_tls = response.status == 400 and (b"HTTPS" in said or b"SSL" in said)
        return Known(_reply(response), source)


def _failed(path: str, error: OSError | ValueError) -> Unknown:
    source = f"GET {path}"
    if isinstance(error, TimeoutError):
        return Unknown("it did not answer in time", source)
    if isinstance(error, OSError):
        return Unknown(f"it did not answer: {error.strerror or error}", source)
    return Unknown(f"the answer was not understood: {error}", source)


def _reply(response: Response) -> Reply:
    document: object = None
    if response.status == 200:
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            document = None
    return Reply(
        status=response.status,
        server=_clipped(response.headers.get("server", "")),
        login=", ".join(_schemes(response.headers.get("www-authenticate", ""))),
        allow_origin=_clipped(response.headers.get("access-control-allow-origin", "")),
        version=_version_in(document),
        models=_models_in(document),
    )


def _clipped(text: str) -> str:
    """A header as far as it is for people; they come from whoever answered."""
    return "".join(letter for letter in text[:80] if letter.isprintable())


def _schemes(challenges: str) -> Iterator[str]:
    """The schemes of `Basic realm="x", Bearer` (RFC 9110, 11.6.1), without their parameters."""
    for part in challenges.split(","):
        word = part.strip().partition(" ")[0]
        if word and "=" not in word and '"' not in word:
            yield _clipped(word)


def _version_in(document: object) -> str:
    match document:
        case {"version": str(version), **others} if not others:
            return _clipped(version)
        case _:
            return ""


def _models_in(document: object) -> tuple[str, ...] | None:
    match document:
        case {"models": list(models), **others} if not others:
            names = [str(each.get("name", "")) for each in models if isinstance(each, dict)]
            return tuple(sorted(names)) if len(names) == len(models) else None
        case {"models": None, **others} if not others:
            return ()
        case _:
            return None
