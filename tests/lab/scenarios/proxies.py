"""Reverse proxies in front of an Ollama that listens on loopback."""

from __future__ import annotations

from tests.lab.scenario import LOGIN, NOTHING, OPEN, Scenario


def nginx(server: str, *, listen: str = "listen 80; listen [::]:80;", around: str = "") -> str:
    """Set-up: one nginx server, as a site of Debian's package."""
    return f"""
        rm /etc/nginx/sites-enabled/default
        printf 'ada:%s\\n' "$(openssl passwd -apr1 secret)" >/etc/nginx/users
        cat >/etc/nginx/sites-available/ollama <<'END'
        {around}
        server {{
          {listen}
          {server}
        }}
END
        ln -s /etc/nginx/sites-available/ollama /etc/nginx/sites-enabled/
        systemctl start nginx
        until_open 80
    """


PASS = "proxy_pass http://127.0.0.1:11434;"
BASIC = "auth_basic Ollama; auth_basic_user_file /etc/nginx/users;"

SCENARIOS = [
    Scenario(
        name="nginx-open",
        about="nginx as in Ollama's FAQ: no login, Host rewritten",
        setup=nginx(f"location / {{ {PASS} proxy_set_header Host localhost:11434; }}"),
        ports=(80, 11434),
        truth={"lan? -> lan?:80": OPEN, "internet? -> lan?:80": OPEN, "lan? -> *:11434": NOTHING},
    ),
    Scenario(
        name="nginx-login",
        about="nginx with basic authentication for everything",
        setup=nginx(f"{BASIC} location / {{ {PASS} }}"),
        ports=(80, 11434),
        truth={"lan? -> lan?:80": LOGIN, "self4 -> lo4:11434": OPEN},
    ),
    Scenario(
        name="nginx-login-on-part",
        about="nginx with a login for /, and /api exempt for an editor's plug-in",
        setup=nginx(f"{BASIC} location / {{ {PASS} }} location /api/ {{ auth_basic off; {PASS} }}"),
        ports=(80,),
        truth={"lan? -> lan?:80": OPEN},
        findings={"login-covers-part-of-api": "fail"},
    ),
    Scenario(
        name="nginx-allow-list",
        about="nginx that allows the LAN's IPv4 and nobody else",
        setup=nginx(f"allow 192.168.77.0/24; deny all; location / {{ {PASS} }}"),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN},
    ),
    Scenario(
        name="nginx-satisfy-any",
        about="nginx: the LAN freely, everybody else with a login",
        setup=nginx(
            f"satisfy any; allow 192.168.77.0/24; deny all; {BASIC} location / {{ {PASS} }}"
        ),
        ports=(80,),
        truth={"lan4 -> lan4:80": OPEN, "internet4 -> lan4:80": LOGIN},
    ),
    Scenario(
        name="nginx-behind-nginx",
        about="an outer nginx without a login in front of an inner one that allows loopback",
        setup=nginx(
            "location / { proxy_pass http://127.0.0.1:8080; }",
            around=(
                "server { listen 127.0.0.1:8080; allow 127.0.0.1; deny all; "
                f"location / {{ {PASS} }} }}"
            ),
        ),
        ports=(80, 8080),
        truth={"lan? -> lan?:80": OPEN, "lan? -> lan?:8080": NOTHING, "self4 -> lo4:8080": OPEN},
    ),
    Scenario(
        name="nginx-key",
        about="nginx that wants a bearer token",
        setup=nginx(
            f'if ($http_authorization != "Bearer 0123456789abcdef") {{ return 401; }} '
            f"location / {{ {PASS} }}"
        ),
        ports=(80,),
        truth={"lan? -> lan?:80": LOGIN},
    ),
]
