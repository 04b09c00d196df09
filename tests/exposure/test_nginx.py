"""nginx configurations and who gets through them, by nginx.org's reference of each module."""

from __future__ import annotations

import io
from datetime import timedelta

import msgspec
import pytest

from ollama_audit.exposure.forwarders.nginx.syntax import tokens
from ollama_audit.exposure.model import Encryption
from ollama_audit.snapshot.masking import configuration
from tests.exposure.proxied import LOADED, configured, steps, verdict

ROOT = "/etc/nginx/nginx.conf"
PASS = "proxy_pass http://127.0.0.1:11434;"
BASIC = 'auth_basic "Ollama"; auth_basic_user_file /etc/nginx/htpasswd;'
LAN = "192.168.1.7"


def http(server: str, around: str = "", listen: str = "listen 80;") -> dict[str, str]:
    """A main file with one server."""
    text = f"events {{}}\nhttp {{\n{around}\nserver {{ {listen}\n{server}\n}}\n}}\n"
    return {ROOT: configuration("nginx", text)}


KEY = "0123456789abcdef0123"

TABLE = {
    "as in Ollama's FAQ": (
        f"location / {{ {PASS} proxy_set_header Host localhost:11434; }}",
        "open",
    ),
    "basic login": (f"{BASIC} location / {{ {PASS} }}", "login"),
    "basic login without its file is not enforced": (
        f'auth_basic "x"; location / {{ {PASS} }}',
        "open",
    ),
    "login switched off below": (
        f"{BASIC} location / {{ {PASS} }} location /api/ {{ auth_basic off; {PASS} }}",
        "open",
    ),
    "no location but another": ("location / { return 204; }", "shut"),
    "only part of the API passes": (f"location /v1/ {{ {PASS} }}", "open"),
    "exact location": (f"location = /api/tags {{ {PASS} }}", "open"),
    "regular expression": (f"location ~ ^/(api|v1)/ {{ {PASS} }}", "open"),
    "a path that Ollama does not know": (f"location /chat/ {{ {PASS} }}", "shut"),
    "prefix stripped": ("location /ollama/ { proxy_pass http://127.0.0.1:11434/; }", "open"),
    "prefix rewritten": (
        f"location /ollama {{ rewrite ^/ollama/(.*)$ /$1 break; {PASS} }}",
        "open",
    ),
    "everything refused": (f"location / {{ return 403; {PASS} }}", "shut"),
    "deny all": (f"location / {{ deny all; {PASS} }}", "shut"),
    "deny all above, allowed list below": (
        f"deny all; location / {{ allow all; {PASS} }}",
        "open",
    ),
    "methods but GET refused": (
        f"location / {{ limit_except GET {{ deny all; }} {PASS} }}",
        "open",
    ),
    "a key that methods beyond limit_except are not asked for": (
        'location / { if ($http_x_key != "s3cr3t-key-1") { return 401; } '
        f"limit_except GET {{ allow all; }} {PASS} }}",
        "open",
    ),
    "key in a header": (
        'if ($http_authorization != "Bearer s3cr3t-key-1") { return 401; } '
        f"location / {{ {PASS} }}",
        "login",
    ),
    "any bearer at all": (
        f'location / {{ if ($http_authorization !~ "^Bearer .+") {{ return 401; }} {PASS} }}',
        "open",
    ),
    "header only has to be there": (
        f'location / {{ if ($http_authorization = "") {{ return 401; }} {PASS} }}',
        "open",
    ),
    "key kept in a variable": (
        f'set $ok 0; if ($http_x_api_key = "abcd1234efgh") {{ set $ok 1; }} '
        f"if ($ok = 0) {{ return 403; }} location / {{ {PASS} }}",
        "login",
    ),
    "referer asked for": (
        f'if ($http_referer !~ "example") {{ return 403; }} location / {{ {PASS} }}',
        "open",
    ),
    "login service": (
        f"location / {{ auth_request /auth; {PASS} }} "
        "location = /auth { internal; proxy_pass http://127.0.0.1:4180; }",
        "login",
    ),
    "login service that says yes to all": (
        f"location / {{ auth_request /auth; {PASS} }} location = /auth {{ return 200; }}",
        "open",
    ),
    "Lua decides": (f"location / {{ access_by_lua_file /etc/a.lua; {PASS} }}", "doubt"),
    "token by auth_jwt": (f'auth_jwt "api"; location / {{ {PASS} }}', "login"),
    "error page leads around the login": (
        f"error_page 401 = @free; location / {{ {BASIC} {PASS} }} location @free {{ {PASS} }}",
        "open",
    ),
    "status of its own used as a jump": (
        f"error_page 418 = @up; location / {{ return 418; }} location @up {{ {PASS} }}",
        "open",
    ),
    "try_files": (f"location / {{ try_files $uri @up; }} location @up {{ {PASS} }}", "open"),
    "address in a variable": (
        "set $up http://127.0.0.1:11434; location / { proxy_pass $up; }",
        "open",
    ),
    "address by the client's choice": ("location / { proxy_pass http://$host; }", "doubt"),
    "a name that is only in DNS": ("location / { proxy_pass http://ollama:11434; }", "doubt"),
    "localhost": ("location / { proxy_pass http://localhost:11434; }", "open"),
    "another machine": ("location / { proxy_pass http://192.0.2.9:11434; }", "shut"),
    "one condition holds after another": (
        f'location / {{ set $a ""; if ($http_authorization = "Bearer {KEY}") {{ set $a "A"; }} '
        f'if ($request_method = POST) {{ set $a "${{a}}B"; }} '
        f'if ($a != "AB") {{ return 403; }} {PASS} }}',
        "login",
    ),
    "a pattern with a key in it": (
        f'location / {{ if ($http_authorization !~ "^Bearer {KEY}$") {{ return 403; }} {PASS} }}',
        "login",
    ),
    "below a path that begins as the API does": (
        f"location /api/ollama/ {{ rewrite ^/api/ollama/(.*) /$1 break; {PASS} }}",
        "open",
    ),
    "its own paths below its own": (
        "location /api/ { proxy_pass http://127.0.0.1:11434/; }",
        "open",
    ),
    "the whole path in a variable": (
        "location / { proxy_pass http://127.0.0.1:11434$request_uri; }",
        "open",
    ),
    "internal": (f"location /api/ {{ internal; {PASS} }} location / {{ return 404; }}", "shut"),
    "internal, and a rewrite leads there": (
        f"location /ollama/ {{ rewrite ^/ollama/(.*) /$1 last; }} "
        f"location /api/ {{ internal; {PASS} }}",
        "open",
    ),
    "internal, and an error page leads there": (
        "error_page 404 /api/tags; location / { return 404; } "
        f"location /api/ {{ internal; {PASS} }}",
        "open",
    ),
    "valid_referers": (
        f"location / {{ valid_referers x.org; if ($invalid_referer) {{ return 403; }} {PASS} }}",
        "open",
    ),
    "nested locations": (
        f"location /api/ {{ {BASIC} location /api/tags {{ auth_basic off; {PASS} }} {PASS} }}",
        "open",
    ),
}


MAPS = {
    "a flag made of a key and the method": (
        f'map $http_authorization $bearer {{ default 0; "Bearer {KEY}" 1; }}'
        "map $request_method$bearer $asks { default 1; ~^OPTIONS0 0; ~^.*1 0; }",
        f"if ($asks) {{ return 401; }} location / {{ {PASS} }}",
        "login",
    ),
    "the same that forgets one method": (
        f'map $http_authorization $bearer {{ default 0; "Bearer {KEY}" 1; }}'
        "map $request_method$bearer $asks { default 1; ~^GET0 0; ~^.*1 0; }",
        f"if ($asks) {{ return 401; }} location / {{ {PASS} }}",
        "open",
    ),
    "a pattern with a key in it": (
        f'map $http_authorization $ok {{ default ""; "~*^Bearer\\s+{KEY}$" 1; }}',
        f'location / {{ if ($ok = "") {{ return 401; }} {PASS} }}',
        "login",
    ),
    "a pattern that takes out any key": (
        'map $http_authorization $key { default ""; "~^Bearer (?<key>.+)$" $key; }',
        f'location / {{ if ($key = "") {{ return 401; }} {PASS} }}',
        "open",
    ),
    "what it has taken out is compared": (
        'map $http_authorization $token { default ""; "~^Bearer (?<t>.+)$" $t; }'
        f'map $token $ok {{ default 0; "{KEY}" 1; }}',
        f"location / {{ if ($ok = 0) {{ return 401; }} {PASS} }}",
        "login",
    ),
    "paths without a login": (
        "map $uri $asks { default 1; ~^/api/(tags|version)$ 0; }",
        f"if ($asks) {{ return 401; }} location / {{ {PASS} }}",
        "open",
    ),
    "paths without a login, by the realm": (
        "map $request_uri $realm { default Ollama; ~^/api/tags off; }",
        f"location / {{ auth_basic $realm; auth_basic_user_file /etc/nginx/users; {PASS} }}",
        "open",
    ),
    "a header made up for a key": (
        "",
        f'location / {{ if ($http_x_my_app != "{KEY}") {{ return 401; }} {PASS} }}',
        "login",
    ),
    "too many values to follow": (
        "map $http_x_pool $a { 1 1; 2 2; 3 3; 4 4; } map $http_x_pool $b { 1 1; 2 2; 3 3; 4 4; } "
        "map $http_x_pool $c { 1 1; 2 2; 3 3; 4 4; }",
        f'location / {{ if ($a$b$c = "123") {{ return 403; }} {PASS} }}',
        "doubt",
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps(name: str) -> None:
    """As nginx 1.22 serves the same configuration, whether with the key or without."""
    around, text, expected = MAPS[name]
    assert verdict(steps(configured("nginx", http(text, around)))) == expected


@pytest.mark.parametrize("name", TABLE)
def test_one_server(name: str) -> None:
    text, expected = TABLE[name]
    assert verdict(steps(configured("nginx", http(text)))) == expected


def test_login_on_part_names_the_open_paths() -> None:
    text = f"{BASIC} location / {{ {PASS} }} location = /api/tags {{ auth_basic off; {PASS} }}"
    (step, *_) = steps(configured("nginx", http(text)))
    assert step.open_paths == ("/api/tags",)
    assert step.hop.detail == f"{ROOT}:5"


def test_allow_list_admits_those_only() -> None:
    text = f"allow 192.168.1.0/24; deny all; location / {{ {PASS} }}"
    found = steps(configured("nginx", http(text)))
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")
    assert verdict(found, "2001:db8::1") == "shut"


def test_satisfy_any_asks_strangers_for_a_login() -> None:
    text = f"satisfy any; allow 192.168.1.0/24; deny all; {BASIC} location / {{ {PASS} }}"
    found = steps(configured("nginx", http(text)))
    assert (verdict(found, LAN), verdict(found)) == ("open", "login")


def test_satisfy_any_without_a_deny() -> None:
    """Who is in no line of the list is not let in by it."""
    text = f"satisfy any; allow 192.168.1.0/24; {BASIC} location / {{ {PASS} }}"
    found = steps(configured("nginx", http(text)))
    assert (verdict(found, LAN), verdict(found)) == ("open", "login")


@pytest.mark.parametrize(
    "condition",
    [
        r"if ($remote_addr !~ ^192\.168\.) { return 403; }",
        r"if ($remote_addr !~ '^(192\.168\.1\.7|10\.0\.0\.1)$') { return 403; }",
        "if ($remote_addr != 192.168.1.7) { return 403; }",
        "if ($near = 0) { return 403; }",
    ],
)
def test_addresses_in_conditions(condition: str) -> None:
    around = r"map $remote_addr $near { default 0; ~^192\.168\.1\. 1; }"
    text = f"location / {{ {condition} {PASS} }}"
    found = steps(configured("nginx", http(text, around)))
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")
    assert verdict(found, "2001:db8::1") == "shut"


@pytest.mark.parametrize(
    "around",
    [
        "set_real_ip_from 203.0.113.0/24; geo $near { default 0; 192.168.1.0/24 1; }",
        "geo $near { proxy 203.0.113.0/24; default 0; 192.168.1.0/24 1; }",
        "set_real_ip_from 203.0.113.0/24; map $remote_addr $near { default 0; 192.168.1.7 1; }",
    ],
)
def test_who_is_believed_may_say_an_address_that_is_let_in(around: str) -> None:
    text = f"if ($near = 0) {{ return 403; }} location / {{ {PASS} }}"
    found = steps(configured("nginx", http(text, around)))
    assert (verdict(found, LAN), verdict(found), verdict(found, "198.51.100.1")) == (
        "open",
        "open",
        "shut",
    )


def test_many_locations_before_the_one() -> None:
    others = "".join(f"location /a{n}/ {{ proxy_pass http://127.0.0.1:9/; }} " for n in range(60))
    text = f"{others} location /ollama/ {{ proxy_pass http://127.0.0.1:11434/; }}"
    assert verdict(steps(configured("nginx", http(text)))) == "open"


def test_both_must_be_satisfied_by_default() -> None:
    text = f"allow 192.168.1.0/24; deny all; {BASIC} location / {{ {PASS} }}"
    found = steps(configured("nginx", http(text)))
    assert (verdict(found, LAN), verdict(found)) == ("login", "shut")


def test_trusted_peers_may_say_any_address() -> None:
    around = "set_real_ip_from 192.168.1.0/24; allow 10.0.0.0/8; deny all;"
    found = steps(configured("nginx", http(f"location / {{ {PASS} }}", around)))
    assert (verdict(found, LAN), verdict(found, "10.1.1.1"), verdict(found)) == (
        "open",
        "open",
        "shut",
    )


def test_geo_and_map() -> None:
    around = """
        geo $near { default 0; 192.168.1.0/24 1; }
        map $http_authorization $known { default 0; "Bearer abcdefgh12345" 1; }
    """
    by_address = f"if ($near = 0) {{ return 403; }} location / {{ {PASS} }}"
    found = steps(configured("nginx", http(by_address, around)))
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")
    by_key = f"if ($known = 0) {{ return 401; }} location / {{ {PASS} }}"
    assert verdict(steps(configured("nginx", http(by_key, around)))) == "login"


def test_the_weakest_of_all_servers_counts() -> None:
    closed = f"server {{ listen 80; server_name a; {BASIC} location / {{ {PASS} }} }}"
    found = http(f"server_name b; location / {{ {PASS} }}", closed)
    assert verdict(steps(configured("nginx", found))) == "open"


@pytest.mark.parametrize(
    ("listen", "at", "expected"),
    [
        ("", "0.0.0.0:80", "open"),
        ("listen 8080;", "0.0.0.0:80", "shut"),
        ("listen 127.0.0.1:80;", "127.0.0.1:80", "open"),
        ("listen *:80;", "0.0.0.0:80", "open"),
        ("listen [::]:80;", "[::]:80", "open"),
        ("listen [::]:80;", "0.0.0.0:80", "shut"),
        ("listen 192.168.1.2;", "192.168.1.2:80", "open"),
        ("listen unix:/run/x;", "0.0.0.0:80", "shut"),
        ("listen 443 ssl;", "0.0.0.0:443", "open"),
    ],
)
def test_listen(listen: str, at: str, expected: str) -> None:
    found = steps(configured("nginx", http(f"location / {{ {PASS} }}", listen=listen)), at=at)
    assert verdict(found) == expected
    assert all((step.tls is Encryption.TLS) == ("ssl" in listen) for step in found)


def test_client_certificates() -> None:
    text = f"ssl_verify_client on; location / {{ {PASS} }}"
    found = configured("nginx", http(text, listen="listen 443 ssl;"))
    assert verdict(steps(found, at="0.0.0.0:443")) == "login"
    text = (
        "ssl_verify_client optional; if ($ssl_client_verify != SUCCESS) { return 403; } "
        f"location / {{ {PASS} }}"
    )
    found = configured("nginx", http(text, listen="listen 443 ssl;"))
    assert verdict(steps(found, at="0.0.0.0:443")) == "login"


def test_upstream_group_and_includes() -> None:
    main = "http { upstream ai { server 127.0.0.1:11434; } include sites/*; include one.conf; }"
    site = (
        "server { listen 80; include parts.inc; "
        "location / { proxy_pass http://ai; proxy_set_header Host localhost; } }"
    )
    files = {
        ROOT: main,
        "/etc/nginx/sites/ai": site,
        "/etc/nginx/one.conf": "",
        "/etc/nginx/parts.inc": BASIC,
    }
    assert verdict(steps(configured("nginx", files))) == "login"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", ("ollama",)),
        ("proxy_set_header Host localhost:11434;", ("localhost:11434",)),
        ("proxy_set_header Host ai.example.com;", ("ai.example.com",)),
        ("proxy_set_header Host $host;", None),
        ("proxy_set_header X-Real-IP $remote_addr;", ("ollama",)),
    ],
)
def test_the_host_header_that_is_sent_along(setting: str, expected: tuple[str, ...] | None) -> None:
    around = "upstream ollama { server 127.0.0.1:11434; }"
    text = f"location / {{ proxy_pass http://ollama; {setting} }}"
    (step,) = steps(configured("nginx", http(text, around)))
    assert step.hosts == expected


def test_stream() -> None:
    server = "listen 80; allow 192.168.1.0/24; deny all; proxy_pass 127.0.0.1:11434;"
    text = f"stream {{ server {{ {server} }} }}"
    found = steps(configured("nginx", {ROOT: text}))
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


@pytest.mark.parametrize(
    "text",
    [
        "http { server { listen 80; ",
        "http { } }",
        'http { log "x; }',
        "http { include gone.conf; }",
    ],
)
def test_what_nginx_refuses_is_unknown(text: str) -> None:
    (step,) = steps(configured("nginx", {ROOT: text}))
    assert step.namespace is None
    assert ROOT in step.reason or "gone.conf" in step.reason


def test_changed_after_loading_is_unknown() -> None:
    found = configured("nginx", http(f"{BASIC} location / {{ {PASS} }}"))
    file = msgspec.structs.replace(found.files[0], changed_at=LOADED + timedelta(minutes=5))
    (step,) = steps(msgspec.structs.replace(found, files=(file,)))
    assert step.namespace is None
    assert "reload nginx" in step.cure


def test_unread_is_unknown() -> None:
    (step,) = steps(None)
    assert step.reason == "its configuration was not read"


SAMPLE = r"""
user www-data; # a comment "with" { marks
http { log_format x '$remote_addr "$request" \'q\''; map $a $b { ~^/x{2} 1; "a b" "c;d"; }
 server { location ~* \.(gif|jpg)$ { return 200 "a\tb"; } set $v ${v}x; } }
"""


def test_tokens_are_those_of_crossplane() -> None:
    lexer = pytest.importorskip("crossplane.lexer")
    sample = SAMPLE.replace("~^/x{2} 1", '"~^/x{2}" 1')
    theirs = [
        (word, line)
        for word, line, quoted in lexer._lex_file_object(io.StringIO(sample))
        if quoted or not word.startswith("#")
    ]
    ours = [(word, line) for word, line, _ in tokens(sample)]
    # crossplane keeps \t as it is written.
    assert [word.replace("\t", "\\t") for word, _ in ours] == [word for word, _ in theirs]
    assert [line for _, line in ours] == [line for _, line in theirs]


def test_keys_do_not_stay_in_the_text() -> None:
    text = http(TABLE["key in a header"][0])[ROOT]
    assert "s3cr3t" not in text
    text = configuration("nginx", 'map $http_x_api_key $ok { default 0; "hunter2222" 1; }')
    assert "hunter2222" not in text
    assert "default 0" in text
