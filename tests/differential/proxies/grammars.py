"""Random configurations of five proxies, which mix what people write."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tests.differential.proxies.compare import Case

KEY = "0123456789abcdef0123"
FREE: tuple[dict[str, str], ...] = (
    {},
    {"Host": "localhost"},
    {"Host": "a.local", "Authorization": "Bearer x", "X-Other": "x"},
    {"X-Forwarded-For": "10.1.2.3", "X-Other": "x"},
)
KEYS: tuple[dict[str, str], ...] = (
    {"Authorization": "Basic YWRhOnNlY3JldA=="},
    {"Authorization": f"Bearer {KEY}", "X-API-Key": KEY},
    {"X-API-Key": KEY, "Host": "a.local", "Authorization": f"Bearer {KEY}"},
    {"Authorization": "Basic YWRhOnNlY3JldA==", "Host": "a.local", "X-API-Key": KEY},
)
NETWORKS = ("10.1.0.0/16", "10.1.2.3", "127.0.0.0/8", "203.0.113.0/24", "2001:db8:5::/48", "::1")
PATHS = ("/api/tags", "/api/", "/v1/", "/api/generate", "/api", "/api/p", "/")
PATTERNS = ("^/api/(tags|version)$", "^/(api|v1)/", "^/api/p", "tags", "^/v1")


def _some(chance: random.Random, makers: list[Callable[[], str]], most: int) -> list[str]:
    return [chance.choice(makers)() for _ in range(chance.randint(0, most))]


def nginx(chance: random.Random) -> Case:
    """One or two servers with locations, lists, logins, conditions and error pages."""
    pick = chance.choice
    passing = "proxy_pass http://127.0.0.1:11434;"
    basic = "auth_basic x; auth_basic_user_file /etc/nginx/users;"
    conditions: list[Callable[[], str]] = [
        lambda: "($ok = 0)",
        lambda: "($near)",
        lambda: "($free = 1)",
        lambda: "($asks)",
        lambda: f"($request_method {pick(['=', '!='])} {pick(['GET', 'POST'])})",
        lambda: f"($remote_addr {pick(['~', '!~'])} ^10\\.1\\.)",
        lambda: f'($http_authorization {pick(["=", "!="])} "Bearer {KEY}")',
        lambda: f"($uri {pick(['~', '!~'])} {pick(PATTERNS)})",
        lambda: "($flag = 1)",
    ]
    scripts: list[Callable[[], str]] = [
        lambda: f"if {pick(conditions)()} {{ return {pick([401, 403, 404, 418])}; }}",
        lambda: f"if {pick(conditions)()} {{ set $flag 1; }}",
        lambda: f"if {pick(conditions)()} {{ set $flag 0; }}",
    ]
    access: list[Callable[[], str]] = [
        lambda: f"allow {pick(NETWORKS)};",
        lambda: f"deny {pick(NETWORKS)};",
        lambda: "deny all;",
        lambda: basic,
        lambda: "auth_basic off;",
        lambda: "satisfy any;",
    ]
    contents: list[Callable[[], str]] = [
        lambda: passing,
        lambda: passing,
        lambda: "proxy_pass http://127.0.0.1:11434$request_uri;",
        lambda: f"return {pick([200, 403, 404])};",
        lambda: f"if {pick(conditions)()} {{ {passing} }} return 404;",
        lambda: f"limit_except GET {{ {pick(access[2:4])()} }} {passing}",
        lambda: f"try_files /nothing {pick(['@up', '=404'])}; {passing}",
    ]

    def location() -> str:
        kind = pick(["", "", "= ", "^~ ", "~ "])
        place = pick(PATTERNS) if kind == "~ " else pick(PATHS)
        inside = [*_some(chance, scripts, 1), *dict.fromkeys(_some(chance, access, 2))]
        internal = "internal; " if chance.random() < 0.08 else ""
        return f"location {kind}{place} {{ {internal}{' '.join(inside)} {pick(contents)()} }}"

    def server(listen: str) -> str:
        locations = {each.partition("{")[0]: each for each in (location() for _ in range(3))}
        pages = [f"error_page {pick([401, 403, 404, 418])} {pick(['@up', '= @up'])};"]
        inside = [
            f"listen {listen}; set $flag 0; proxy_set_header Host localhost;",
            *dict.fromkeys(_some(chance, access, 2)),
            *_some(chance, scripts, 1),
            *(pages if chance.random() < 0.2 else []),
            *locations.values(),
            f"location @up {{ {pick(['', basic, 'deny all;'])} {passing} }}",
        ]
        return f"server {{ {' '.join(inside)} }}"

    near = " ".join(f"{each} 1;" for each in chance.sample(NETWORKS, 2))
    maps = (
        f"geo $near {{ default 0; {near} }} "
        f'map $http_x_api_key $ok {{ default 0; "{KEY}" 1; }} '
        f"map $uri $free {{ default 0; ~{pick(PATTERNS)} 1; }} "
        f"map $request_method$ok $asks {{ default 1; ~^{pick(['OPTIONS', 'GET'])}0 0; ~1$ 0; }}"
    )
    text = (
        "daemon off; master_process off; pid /run/n.pid; error_log /dev/null; events {}\n"
        f"http {{ access_log off; {maps}\n{server('80; listen [::]:80')}\n"
        f"{server('80; server_name a.local') if chance.random() < 0.3 else ''} }}\n"
    )
    files = {"/etc/nginx/test.conf": text, "/etc/nginx/users": "ada:{PLAIN}secret\n"}
    return Case(program="nginx", files=files, free=FREE, keys=KEYS)


def haproxy(chance: random.Random) -> Case:
    """A frontend and two backends with rules of every phase."""
    pick = chance.choice
    tests: list[Callable[[], str]] = [
        lambda: f"src {pick(NETWORKS)}",
        lambda: f"path_beg {pick(PATHS)}",
        lambda: f"path_reg {pick(PATTERNS)}",
        lambda: f"path {pick(PATHS)}",
        lambda: f"method {pick(['GET', 'POST'])}",
        lambda: "http_auth(people)",
        lambda: f"req.hdr(x-api-key) {KEY}",
        lambda: f"req.hdr(authorization) -m str 'Bearer {KEY}'",
        lambda: "hdr(host) -i a.local",
        lambda: "always_true",
    ]

    def condition() -> str:
        parts = [
            f"{pick(['', '!'])}{pick(['{ ' + pick(tests)() + ' }', 'named'])}"
            for _ in range(chance.randint(1, 2))
        ]
        return f"{pick(['if', 'unless'])} {pick([' ', ' || ']).join(parts)}"

    rules: list[Callable[[], str]] = [
        lambda: f"http-request deny {condition()}",
        lambda: f"http-request auth {condition()}",
        lambda: f"http-request allow {condition()}",
        lambda: f"http-request return status 404 {condition()}",
        lambda: f"http-request set-path /api/tags if {{ path_beg {pick(PATHS)} }}",
        lambda: f"redirect location /x {condition()}",
        lambda: (
            f"tcp-request connection {pick(['accept', 'reject'])} if {{ src {pick(NETWORKS)} }}"
        ),
        lambda: f"http-request set-src hdr(x-forwarded-for) if {{ src {pick(NETWORKS)} }}",
    ]
    uses: list[Callable[[], str]] = [lambda: f"use_backend {pick(['one', 'two'])} {condition()}"]
    front = [*_some(chance, rules, 3), *_some(chance, uses, 2)]
    back = _some(chance, rules[:5], 1)
    lines = [
        *("defaults", " mode http", " timeout connect 1s", " timeout client 5s"),
        *(" timeout server 5s", "userlist people", " user ada insecure-password secret"),
        *("frontend web", " bind :80", " bind :::80 v6only"),
        *(f" acl named {pick(tests)()}" for _ in range(chance.randint(1, 2))),
        *(f" {each}" for each in front),
        *([] if chance.random() < 0.2 else [f" default_backend {pick(['one', 'two'])}"]),
        *("backend one", *(f" {each}" for each in back if "named" not in each)),
        *(" server a 127.0.0.1:11434", "backend two", " server a 127.0.0.1:9091"),
    ]
    files = {"/etc/haproxy/test.cfg": "\n".join(lines) + "\n"}
    return Case(program="haproxy", files=files, free=FREE, keys=KEYS)


_MODULES = (
    *("mpm_event", "proxy", "proxy_http", "rewrite", "authz_core", "authz_host", "authz_user"),
    *("authn_core", "authn_file", "auth_basic", "setenvif", "access_compat"),
)
_HTTPD = "\n".join(
    [
        "ServerName x\nListen 80\nPidFile /run/a.pid\nErrorLog /dev/null\nMutex posixsem",
        "User www-data\nGroup www-data\nDocumentRoot /var/www",
        *(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES),
    ]
)


def apache(chance: random.Random) -> Case:
    """A virtual host with sections, demands, variables and rewrite rules."""
    pick = chance.choice
    users = "AuthType Basic\nAuthName x\nAuthUserFile /etc/apache2/users"
    demands: list[Callable[[], str]] = [
        lambda: f"Require ip {pick(NETWORKS)}",
        lambda: "Require valid-user",
        lambda: f"Require all {pick(['granted', 'denied'])}",
        lambda: f"Require method {pick(['GET', 'POST'])}",
        lambda: "Require env ok",
        lambda: f"Require expr \"%{{HTTP:X-API-Key}} == '{KEY}'\"",
        lambda: f"Require expr \"%{{REMOTE_ADDR}} -ipmatch '{pick(NETWORKS)}'\"",
        lambda: f"Require expr \"%{{REQUEST_METHOD}} == '{pick(['GET', 'POST'])}'\"",
    ]

    def demand() -> str:
        if chance.random() < 0.6:
            return pick(demands)()
        kind = pick(["RequireAny", "RequireAll"])
        return f"<{kind}>\n{pick(demands)()}\n{pick(demands)()}\n</{kind}>"

    def inside() -> str:
        merging = pick(["", "", "", "AuthMerging And\n", "AuthMerging Or\n"])
        body = "\n".join(demand() for _ in range(chance.randint(1, 2)))
        if chance.random() < 0.15:
            body = f"<LimitExcept GET>\n{body}\n</LimitExcept>"
        return f"{users}\n{merging}{body}"

    def section() -> str:
        kind, place = pick(
            [
                ("Location", pick(PATHS)),
                ("LocationMatch", f'"{pick(PATTERNS)}"'),
                ("Proxy", pick(["*", "http://127.0.0.1:11434/*"])),
            ]
        )
        return f"<{kind} {place}>\n{inside()}\n</{kind}>"

    conditions: list[Callable[[], str]] = [
        lambda: f"RewriteCond %{{HTTP:X-API-Key}} {pick(['', '!'])}={KEY}",
        lambda: f"RewriteCond %{{REMOTE_ADDR}} {pick(['', '!'])}^10\\.1\\.",
        lambda: f"RewriteCond %{{REQUEST_METHOD}} {pick(['', '!'])}=GET",
        lambda: f"RewriteCond %{{REQUEST_URI}} {pick(['', '!'])}{pick(PATTERNS)}",
    ]

    def rule() -> str:
        before = [pick(conditions)() + pick(["", "", " [OR]"]) for _ in range(chance.randint(0, 2))]
        if before:
            before[-1] = before[-1].removesuffix(" [OR]")
        way = pick(["^ - [F]", "^ - [S=1]", "^(.*)$ http://127.0.0.1:11434$1 [P]", "^ - [L]"])
        return "\n".join([*before, f"RewriteRule {way}"])

    passes = ["ProxyPass / http://127.0.0.1:11434/", "ProxyPass /api http://127.0.0.1:11434/api"]
    lines = [
        _HTTPD,
        "<VirtualHost *:80>",
        f'SetEnvIf X-API-Key "^{KEY}$" ok',
        *([f'SetEnvIf Request_URI "{pick(PATTERNS)}" ok'] if chance.random() < 0.3 else []),
        *(["RewriteEngine On", rule(), rule()] if chance.random() < 0.5 else []),
        *([f"ProxyPass {pick(PATHS)} !"] if chance.random() < 0.2 else []),
        pick(passes),
        *(section() for _ in range(chance.randint(0, 3))),
        "</VirtualHost>",
    ]
    files = {
        "/etc/apache2/test.conf": "\n".join(lines) + "\n",
        "/etc/apache2/users": "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
    }
    return Case(program="apache", files=files, free=FREE, keys=KEYS)


_HASH = "$2a$04$HURv3PziIY/e//10Wm3GjOSDK/A2.xZ44oAZoGP4A3xBh4iKOhopy"


def caddy(chance: random.Random) -> Case:
    """A site with matchers, handlers and errors, in the order that the Caddyfile gives them."""
    pick = chance.choice
    passing = "reverse_proxy 127.0.0.1:11434 {\n header_up Host localhost\n }"
    kinds: list[Callable[[], str]] = [
        lambda: f"path {pick(PATHS)}{pick(['', '*'])}",
        lambda: f"path_regexp {pick(PATTERNS)}",
        lambda: f"remote_ip {pick(NETWORKS)}",
        lambda: f"method {pick(['GET', 'POST'])}",
        lambda: f'header X-API-Key "{KEY}"',
        lambda: f"header_regexp Authorization ^Bearer\\s{KEY}$",
        lambda: "header X-Other *",
        lambda: "host a.local",
    ]

    def matcher(name: str) -> str:
        lines = [pick(["", "not "]) + pick(kinds)() for _ in range(chance.randint(1, 2))]
        return "\n".join([f"@{name} {{", *(f" {line}" for line in lines), "}"])

    parts: list[Callable[[str], str]] = [
        lambda name: f"respond @{name} {pick([401, 403])}",
        lambda name: f"error @{name} 401",
        lambda name: f"basicauth @{name} {{\n ada {_HASH}\n}}",
        lambda name: f"handle @{name} {{\n{pick([passing, 'respond 404'])}\n}}",
        lambda name: f"rewrite @{name} /api/tags",
        lambda name: f"redir @{name} https://x/",
    ]
    lines = []
    for name in "abc"[: chance.randint(0, 3)]:
        lines += [matcher(name), pick(parts)(name)]
    lines.append(pick([passing, f"handle {{\n{passing}\n}}", f"route {{\n{passing}\n}}"]))
    if chance.random() < 0.2:
        lines.append(f"handle_errors {{\n{pick([passing, 'respond sorry'])}\n}}")
    text = "{\n admin localhost:2019\n auto_https off\n}\n:80 {\n" + "\n".join(lines) + "\n}\n"
    return Case(program="caddy", files={"Caddyfile": text}, free=FREE, keys=KEYS)


def lighttpd(chance: random.Random) -> Case:
    """Conditions inside one another and after one another, with what each of them sets."""
    pick = chance.choice
    basic = '( "method" => "basic", "realm" => "r", "require" => "valid-user" )'
    upstream = '( ( "host" => "127.0.0.1", "port" => 11434 ) )'
    settings: list[Callable[[], str]] = [
        lambda: f'auth.require = ( "{pick(["", *PATHS])}" => {basic} )',
        lambda: f'auth.require += ( "{pick(PATHS)}" => {basic} )',
        lambda: "auth.require = ()",
        lambda: f'url.access-deny = ( "{pick(["", "tags", "/api/generate", "version"])}" )',
        lambda: "url.access-deny = ()",
        lambda: f'url.access-allow = ( "{pick(["tags", "version", "generate"])}" )',
        lambda: f'url.redirect = ( "{pick(PATTERNS)}" => "https://x/" )',
        lambda: f'url.rewrite-once = ( "{pick(PATTERNS)}" => "/api/tags" )',
        lambda: f'proxy.server = ( "{pick(PATHS)}" => {upstream} )',
        lambda: "proxy.server = ()",
    ]
    conditions: list[Callable[[], str]] = [
        lambda: f'$HTTP["url"] {pick(["=~", "!~"])} "{pick(PATTERNS)}"',
        lambda: f'$HTTP["url"] {pick(["==", "!=", "=^", "=$"])} "{pick(PATHS)}"',
        lambda: f'$HTTP["remoteip"] {pick(["==", "!="])} "{pick(NETWORKS)}"',
        lambda: f'$HTTP["request-method"] {pick(["==", "!="])} "{pick(["GET", "POST"])}"',
        lambda: f'$REQUEST_HEADER["x-api-key"] {pick(["==", "!="])} "{KEY}"',
        lambda: f'$HTTP["host"] {pick(["==", "!="])} "{pick(["a.local", "localhost"])}"',
        lambda: f'$HTTP["host"] {pick(["=~", "!~"])} "^a"',
    ]

    def block(depth: int) -> str:
        inside = [pick(settings)() for _ in range(chance.randint(1, 2))]
        if depth and chance.random() < 0.4:
            inside.append(block(depth - 1))
        otherwise = ""
        if chance.random() < 0.3:
            more = pick(["", f"{pick(conditions)()} "])
            otherwise = f"else {more}{{\n{pick(settings)()}\n}}"
        return f"{pick(conditions)()} {{\n" + "\n".join(inside) + f"\n}} {otherwise}"

    lines = [
        'server.modules = ( "mod_rewrite", "mod_redirect", "mod_access", "mod_auth",',
        '  "mod_authn_file", "mod_proxy" )',
        'server.document-root = "/var/www"\nserver.port = 80\nserver.bind = "0.0.0.0"',
        '$SERVER["socket"] == "[::]:80" { }',
        'auth.backend = "plain"\nauth.backend.plain.userfile = "/etc/lighttpd/users"',
        f'proxy.server = ( "" => {upstream} )',
        *dict.fromkeys(_some(chance, settings[:1] + settings[3:4], 1)),
        *(block(2) for _ in range(chance.randint(1, 3))),
    ]
    files = {
        "/etc/lighttpd/test.conf": "\n".join(lines) + "\n",
        "/etc/lighttpd/users": "ada:secret\n",
    }
    return Case(program="lighttpd", files=files, free=FREE, keys=KEYS)


GRAMMARS: Mapping[str, Callable[[random.Random], Case]] = MappingProxyType(
    {"nginx": nginx, "haproxy": haproxy, "apache": apache, "caddy": caddy, "lighttpd": lighttpd}
)
