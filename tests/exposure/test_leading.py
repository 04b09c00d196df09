"""Whether a listener may lead to Ollama at all, also where listeners lead to each other."""

from __future__ import annotations

import msgspec
import pytest

from ollama_audit.exposure.assess import assess
from ollama_audit.observed import Known
from tests.exposure.networked import link, space
from tests.exposure.proxied import PROXY, configured
from tests.hosts import host, listener, namespaces, process

BACK = "location {path} {{ proxy_pass http://127.0.0.1:{port}; }}"
OLLAMA = "location / { proxy_pass http://127.0.0.1:11434; }"


def endpoints(*servers: str) -> list[int]:
    """The ports of one nginx that are ways to Ollama; its servers listen at 8001, 8002, ..."""
    ports = range(8001, 8001 + len(servers))
    listening = [listener("127.0.0.1:11434")]
    listening += [listener(f"0.0.0.0:{port}", owners=PROXY) for port in ports]
    home = space(link("192.168.1.10/24"), routes=())
    home = msgspec.structs.replace(home, listeners=Known(tuple(listening), "sock_diag"))
    blocks = (
        f"server {{ listen {port}; {block} }}" for port, block in zip(ports, servers, strict=True)
    )
    found = configured("nginx", {"/etc/nginx/nginx.conf": f"http {{ {' '.join(blocks)} }}"})
    nginx = process(PROXY, name="nginx", executable="/usr/sbin/nginx")
    snapshot = host(namespaces=namespaces(home), processes=(nginx,)).snapshot
    found_at = assess(msgspec.structs.replace(snapshot, configurations=(found,))).endpoints
    return [each.port for each in found_at if each.port != 11434]


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ((OLLAMA, BACK.format(path="/", port=8001)), [8001, 8002]),
        (
            (
                BACK.format(path="/api/version", port=8002) + OLLAMA,
                BACK.format(path="/", port=8001),
            ),
            [8001, 8002],
        ),
        (
            (
                BACK.format(path="/", port=8002),
                BACK.format(path="/", port=8003),
                BACK.format(path="/api/version", port=8001) + OLLAMA,
            ),
            [8001, 8002, 8003],
        ),
        ((BACK.format(path="/", port=8002), BACK.format(path="/", port=8001)), []),
    ],
    ids=["chain", "back and forth", "around", "a circle alone"],
)
def test_a_circle_hides_nobody_on_it(servers: tuple[str, ...], expected: list[int]) -> None:
    assert endpoints(*servers) == expected
