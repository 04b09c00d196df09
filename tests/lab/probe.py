"""Ask for Ollama from inside a network namespace: the truth of a scenario's cells.

    nsenter --net=NAMESPACE python -I probe.py <QUESTIONS >ANSWERS

Questions and answers are JSON lists of the same length and order. A question is
`{"source": ADDRESS, "to": ADDRESS, "port": N, "tls": BOOL, "host": NAME, "login": [STATUS, ...],
"paths": [METHOD_AND_PATH, ...], "sign_in": PATH}`.
Every request goes out from `source`, once with the Host header that a browser would send and, if
that brings nothing, with `localhost`, which is what somebody sends who knows of Ollama's own check
of that header. Standard library only: it runs under whatever Python the outer machine has.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

TIMEOUT = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
BODY = b'{"model": "no-such-model", "messages": [{"role": "user", "content": "hello"}]}'
NOBODY = b'{"email": "", "password": ""}'
ANYWAY = asyncio.Semaphore(200)


def insecure() -> ssl.SSLContext:
    """A client that takes any certificate: reachability is asked, not identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def request(
    question: dict[str, Any], what: str, host: str, token: str = "", given: bytes = BODY
) -> tuple[int, bytes]:
    """One request: its status and body, or (0, reason) without an answer."""
    method, path = what.split()
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    body = given if method == "POST" else b""
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    opening = asyncio.open_connection(
        question["to"],
        question["port"],
        local_addr=(question["source"], 0),
        ssl=insecure() if question["tls"] else None,
    )
    try:
        async with ANYWAY, asyncio.timeout(TIMEOUT):
            reader, writer = await opening
    except (OSError, TimeoutError) as error:
        return 0, f"no connection: {type(error).__name__}".encode()
    try:
        async with asyncio.timeout(2 * TIMEOUT):
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            answer = await reader.read(65536)
            while more := await reader.read(65536):
                answer += more
    except (OSError, TimeoutError, ValueError) as error:
        return 0, b"connected, then " + type(error).__name__.encode()
    finally:
        writer.close()
    status = answer.split(None, 2)[1:2]
    if not status or not status[0].isdigit():
        return 0, b"connected, then " + (answer[:80] or b"the end")
    return int(status[0]), answer


def from_ollama(what: str, status: int, answer: bytes) -> bool:
    """Whether this is what Ollama answers without asking who is there."""
    if what == "GET /api/version":
        return status == 200 and b'"version"' in answer
    if what == "GET /api/tags":
        return status == 200 and b'"models"' in answer
    return status == 404 and b"no-such-model" in answer


async def signed_in(question: dict[str, Any], host: str) -> str:
    """The token that an application gives to whoever asks; empty when it gives none."""
    if not question["sign_in"]:
        return ""
    status, answer = await request(question, f"POST {question['sign_in']}", host, given=NOBODY)
    try:
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
    except ValueError:
        return ""
    return str(told.get("token", "")) if status == 200 else ""


async def ask(question: dict[str, Any]) -> dict[str, str]:
    """Whether this source reaches Ollama there: `open`, `login`, `other` or `nothing`.

    A connection that brings no answer of HTTP is `nothing`, as one that is refused is: a relay that
    looks at who calls only after accept(2) shows as the one or the other by chance.
    """
    plain = f"[{question['to']}]" if ":" in question["to"] else question["to"]
    hosts = [question["host"]] if question["host"] else [plain, "localhost"]
    opened, locked, heard, silences = [], [], [], []
    token = await signed_in(question, hosts[0])
    for asked in question["paths"]:
        what = asked.replace(" ", f" {question['prefix']}")
        for host in hosts:
            status, answer = await request(question, what, host, token)
            if not status:
                if answer.startswith(b"no connection"):
                    return {"outcome": "nothing", "detail": answer.decode()}
                silences.append(answer.decode(errors="replace"))
                continue
            heard.append(f"{what.split()[1]} {status}")
            if from_ollama(asked, status, answer):
                opened.append(what)
                break
            if status in question["login"]:
                locked.append(what)
                break
    if not heard:
        return {"outcome": "nothing", "detail": silences[0]}
    outcome = "open" if opened else "login" if len(locked) == len(question["paths"]) else "other"
    return {"outcome": outcome, "detail": ", ".join(heard)}


async def main() -> None:
    """Answer all questions at once."""
    questions = json.load(sys.stdin)
    answers = await asyncio.gather(*(ask(question) for question in questions))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
