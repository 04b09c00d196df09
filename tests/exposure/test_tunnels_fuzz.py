"""Whatever a client was told, its tunnels are judged or unclear, and nothing is made up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exposure.tunnelled import ANYWHERE, told, tunnels, with_tunnel

NAMES = st.sampled_from(
    """ingress service hostname originRequest access required path tunnel url tunnels endpoints name
    proto addr upstream traffic_policy on_http_request actions type expressions bindings labels
    serverAddr proxies localPort localIP remotePort customDomains plugin localAddr start locations
    client services remote_addr local_addr TCP Web Handlers Proxy TCPForward AllowFunnel HTTPS
    serve status Self DNSName prefs Foreground config quicktunnel public_url a""".split()  # noqa: SIM905
)
WORDS = st.sampled_from(
    """localhost:11434 http://127.0.0.1:11434 http://[ 11434 tcp http https stcp socks5 https2http
    ::1 *.a box:443 Running http://a:b:c""".split()  # noqa: SIM905
) | st.text(max_size=3)
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-1, 70000) | st.just(11434) | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
CLIENTS = {
    "cloudflared": "cloudflared tunnel run",
    "ngrok": "ngrok start --all",
    "frp": "frpc -c /c.json",
    "rathole": "rathole /c.json",
    "tailscaled": "tailscaled --tun=userspace-networking",
}
QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@pytest.mark.parametrize("program", CLIENTS)
@QUIET
@given(value=VALUES)
def test_documents(program: str, value: Any) -> None:
    files = {"/c.json": json.dumps(value)}
    for client in (
        told(program, CLIENTS[program], files),
        told(program, CLIENTS[program], running=value),
    ):
        for endpoint in tunnels(with_tunnel(client, ANYWHERE)):
            assert endpoint.hops
            assert all(part.because for part in endpoint.reach)


LINES = st.lists(
    st.sampled_from(
        """tunnel run local client share public private reserved host http tcp -p --port --to -t
        11434 localhost:11434 R:11434 R:socks R:a:b:c --url= --url -c --token *** -L -F rtcp://
        rtcp://:1/localhost:11434 relay://a --upstream a=b tcp://[::1 :: - -- = --all""".split()  # noqa: SIM905
    ),
    max_size=7,
)
PROGRAMS = """
    bore chisel cloudflared devtunnel frp gost inlets localtunnel ngrok playit rathole tailscaled
    zrok
"""


@pytest.mark.parametrize("program", PROGRAMS.split())
@QUIET
@given(line=LINES)
def test_command_lines(program: str, line: list[str]) -> None:
    for endpoint in tunnels(with_tunnel(told(program, " ".join([program, *line])), ANYWHERE)):
        assert all(part.because for part in endpoint.reach)
