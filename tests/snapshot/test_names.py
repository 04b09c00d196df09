"""The names that a program goes by."""

from __future__ import annotations

import pytest

from ollama_audit.snapshot.process import names_of

LITELLM = "/usr/local/bin/litellm"


@pytest.mark.parametrize(
    ("executable", "line", "expected"),
    [
        ("/usr/sbin/nginx", "nginx: master process /x/nginx -c /y/z", "nginx"),
        ("/usr/bin/socat1", "socat TCP-LISTEN:1 TCP:a:2", "socat1 socat"),
        ("/usr/bin/python3.11", f"python3 -B {LITELLM} --port", "python3.11 python3 litellm"),
        ("/usr/bin/python3", "python3 -m open_webui serve", "python3 open_webui"),
        ("/usr/bin/node", "node /srv/app/server.js", "node server"),
        (
            "/usr/bin/python3",
            "python3 -m uvicorn open_webui.main:app",
            "python3 uvicorn open_webui",
        ),
        ("", "/usr/bin/gunicorn -b :80 shop.wsgi:application", "gunicorn shop"),
        ("", "node /x/lib/node_modules/flowise/bin/run start", "node run flowise"),
        ("", "node api/server/index.js", "node index api/server/index"),
        ("", "node /app/server/index.js", "node index app/server/index"),
        ("/usr/bin/dash", "sh -c /usr/bin/ollama", "dash sh"),
        ("", LITELLM, "litellm"),
        ("", "", ""),
    ],
)
def test_a_program_is_called_by_its_file_and_its_script(
    executable: str, line: str, expected: str
) -> None:
    argv = [line] if line.startswith("nginx:") else line.split()

    assert names_of(executable, argv) == tuple(expected.split())
