"""Configurations as people publish them for Ollama, and what their programs did with requests.

Each was given to nginx 1.22, HAProxy 2.6 or Apache 2.4, which were then asked for every path of
the API from several addresses, with the key and without: what is expected is what came through.
"""

from __future__ import annotations

import pytest

from ollama_audit.snapshot.masking import configuration
from tests.exposure.proxied import configured, steps, verdict
from tests.exposure.test_apache import site
from tests.exposure.test_haproxy import ROOT as HAPROXY
from tests.exposure.test_nginx import http

KEY = "0123456789abcdef0123"
LAN = "10.1.2.3"
STRANGER = "203.0.113.9"
PASS = "ProxyPass / http://127.0.0.1:11434/"
LOGIN = "AuthType Basic\nAuthName o\nAuthUserFile /etc/apache2/users\n"
ON = "RewriteEngine On\n"

HAPROXY_RULES = {
    "key in single quotes": (
        f"http-request deny unless {{ req.hdr(authorization) -m str 'Bearer {KEY}' }}",
        "login login",
    ),
    "one of two keys": (
        f"acl ok req.hdr(x-api-key) {KEY} other{KEY}\nhttp-request deny unless ok",
        "login login",
    ),
    "key in a variable": (
        "http-request set-var(txn.key) req.hdr(authorization)\n"
        f"acl ok var(txn.key) -m str 'Bearer {KEY}'\nhttp-request return status 401 unless ok",
        "login login",
    ),
    "key of the environment": (
        'http-request deny unless { req.hdr(x-api-key) "${APIKEY}" }',
        "login login",
    ),
    "keys in a map": (
        "http-request deny unless { req.hdr(x-api-key),map(/etc/haproxy/keys.map) -m found }",
        "login login",
    ),
    "keys in a file": (
        "acl ok req.hdr(x-api-key) -f /etc/haproxy/keys.txt\nhttp-request deny if !ok",
        "login login",
    ),
    "http_auth_bearer": (
        f"http-request deny unless {{ http_auth_bearer -m str {KEY} }}",
        "login login",
    ),
    "cookie": (f"http-request deny unless {{ req.cook(session) {KEY} }}", "login login"),
    "scheme only": (
        "http-request deny unless { req.hdr(authorization) -m beg 'Bearer ' }",
        "open open",
    ),
    "client's word for its address": (
        "http-request set-src hdr(x-forwarded-for)\nhttp-request deny if !{ src 10.1.2.3 }",
        "open open",
    ),
    "older redirect": ("redirect scheme https code 301 if !{ ssl_fc }", "shut shut"),
    "rate limit": (
        "stick-table type ip size 1k expire 10s store http_req_rate(10s)\n"
        "http-request track-sc0 src\n"
        "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100 }",
        "open open",
    ),
    "own port": ("http-request deny unless { dst_port 80 }", "open open"),
    "accepted below, asked above": (
        "tcp-request connection accept if { src 10.1.2.3 }\ntcp-request connection reject\n"
        "http-request auth unless { http_auth(people) }",
        "login shut",
    ),
    "name that Ollama refuses": (
        "acl ours hdr(host) -i ai.example.org\nhttp-request deny if !ours",
        "shut shut",
    ),
    "name that Ollama takes": (
        "acl ours hdr(host) -i ollama.local\nhttp-request deny if !ours",
        "open open",
    ),
    "name that is put in its place": (
        "acl ours hdr(host) -i ai.example.org\nhttp-request deny if !ours\n"
        "http-request set-header Host localhost",
        "open open",
    ),
    "foreign name sent along": ("http-request set-header Host ai.example.org", "shut shut"),
    "settled at start": (".if defined(X)\nhttp-request deny\n.endif", "doubt doubt"),
}


@pytest.mark.parametrize("name", HAPROXY_RULES)
def test_haproxy(name: str) -> None:
    rules, expected = HAPROXY_RULES[name]
    text = (
        "defaults\nmode http\nuserlist people\nuser ada password ***\n"
        f"frontend w\nbind :80\n{rules}\ndefault_backend o\n"
        "backend o\nserver a 127.0.0.1:11434\n"
    )
    found = steps(configured("haproxy", {HAPROXY: configuration("haproxy", text)}), "haproxy")
    assert KEY not in configuration("haproxy", text)
    assert f"{verdict(found, LAN)} {verdict(found, STRANGER)}" == expected


def test_haproxy_reads_lists_of_addresses() -> None:
    text = (
        "defaults\nmode http\nfrontend w\nbind :80\nacl lan src -f /etc/haproxy/lan.txt\n"
        "http-request deny if !lan\ndefault_backend o\nbackend o\nserver a 127.0.0.1:11434\n"
    )
    files = {HAPROXY: text, "/etc/haproxy/lan.txt": "# us\n10.1.0.0/16\n::1\n"}
    found = steps(configured("haproxy", files), "haproxy")
    assert (verdict(found, LAN), verdict(found, STRANGER)) == ("open", "shut")


def test_haproxy_families_have_wildcards_of_their_own() -> None:
    """`bind :80` is IPv4's."""
    text = (
        "defaults\nmode http\nfrontend four\nbind :80\ndefault_backend o\n"
        "frontend six\nbind :::80 v6only\nhttp-request deny\ndefault_backend o\n"
        "backend o\nserver a 127.0.0.1:11434\n"
    )
    found = configured("haproxy", {HAPROXY: text})
    assert verdict(steps(found, "haproxy", "0.0.0.0:80")) == "open"
    assert verdict(steps(found, "haproxy", "[::]:80"), "2001:db8::1") == "shut"


APACHE = {
    "alternative in an expression": (
        f"{PASS}\n<Location />\nRequire expr \"%{{HTTP:X-API-Key}} == '{KEY}' || "
        "%{REQUEST_METHOD} == 'GET'\"\n</Location>",
        "open open",
    ),
    "pattern in an expression": (
        f'{PASS}\n<Location />\nRequire expr "%{{HTTP:Authorization}} =~ /^Bearer {KEY}$/"\n'
        "</Location>",
        "login login",
    ),
    "address in an expression": (
        f"{PASS}\n<Location />\nRequire expr \"%{{REMOTE_ADDR}} -ipmatch '10.1.0.0/16'\"\n"
        "</Location>",
        "open shut",
    ),
    "function in an expression": (
        f"{PASS}\n<Location />\nRequire expr req('X-API-Key') == '{KEY}'\n</Location>",
        "login login",
    ),
    "two ways to one variable": (
        f'SetEnvIf X-API-Key "^{KEY}$" ok\nSetEnvIf Remote_Addr "^10\\.1\\." ok\n'
        f"{PASS}\n<Location />\nRequire env ok\n</Location>",
        "open login",
    ),
    "paths without a login": (
        f'SetEnvIf Request_URI "^/api/(tags|version)" free\n{PASS}\n<Location />\n{LOGIN}'
        "<RequireAny>\nRequire env free\nRequire valid-user\n</RequireAny>\n</Location>",
        "open open",
    ),
    "variable in Allow": (
        f"SetEnvIf X-API-Key ^{KEY}$ ok\n{PASS}\n<Location />\nOrder deny,allow\n"
        "Deny from all\nAllow from env=ok\n</Location>",
        "login login",
    ),
    "escaped space in a condition": (
        f"{ON}RewriteCond %{{HTTP:Authorization}} !^Bearer\\ {KEY}$\nRewriteRule ^ - [F]\n{PASS}",
        "login login",
    ),
    "addresses in conditions": (
        f"{ON}RewriteCond %{{REMOTE_ADDR}} !^10\\.1\\.\nRewriteRule ^ - [F]\n{PASS}",
        "open shut",
    ),
    "skipped rule": (
        f"{ON}RewriteCond %{{REMOTE_ADDR}} =10.1.2.3\nRewriteRule ^ - [S=1]\n"
        f"RewriteRule ^ - [F]\n{PASS}",
        "open shut",
    ),
    "demands added up": (
        f"{PASS}\n<Location />\n{LOGIN}Require valid-user\n</Location>\n"
        "<Location /api>\nAuthMerging And\nRequire ip 10.1.0.0/16\n</Location>\n"
        "<Location /v1>\nRequire all denied\n</Location>",
        "login shut",
    ),
    "demands to choose from": (
        f"{PASS}\n<Location />\n{LOGIN}Require valid-user\n</Location>\n"
        "<Location /api>\nAuthMerging Or\nRequire ip 10.1.0.0/16\n</Location>",
        "open login",
    ),
    "nothing to add a demand to": (
        f"{PASS}\n<Location />\n{LOGIN}AuthMerging Or\nRequire valid-user\n</Location>",
        "login login",
    ),
    "demands of other methods take the place of all": (
        f"{PASS}\n<Location />\nRequire ip 10.1.0.0/16\n</Location>\n"
        "<Location /api/tags>\n<LimitExcept GET>\nRequire all denied\n</LimitExcept>\n</Location>",
        "open open",
    ),
    "condition around a demand": (
        f"{PASS}\n<If \"%{{HTTP:X-API-Key}} != '{KEY}'\">\nRequire all denied\n</If>",
        "login login",
    ),
    "condition around something else": (
        f"{PASS}\n<If \"%{{HTTP:X-Y}} == 'z'\">\nHeader set A b\n</If>",
        "open open",
    ),
    "rules in a section": (
        f"{PASS}\n<Location />\n{ON}RewriteCond %{{HTTP:X-API-Key}} !={KEY}\n"
        "RewriteRule ^ - [F]\n</Location>",
        "doubt doubt",
    ),
    "slash forgotten": ("ProxyPass / http://127.0.0.1:11434", "shut shut"),
    "defined name": ("Define UP http://127.0.0.1:11434\nProxyPass / ${UP}/", "open open"),
}


@pytest.mark.parametrize("name", APACHE)
def test_apache(name: str) -> None:
    inside, expected = APACHE[name]
    text = {path: configuration("apache", text) for path, text in site(inside).items()}
    found = steps(configured("apache", text), "apache2")
    assert f"{verdict(found, LAN)} {verdict(found, STRANGER)}" == expected


def test_apache_is_overridden_by_the_document_root() -> None:
    around = "<Directory /var/www>\nAllowOverride All\n</Directory>"
    rules = "RewriteEngine On\nRewriteRule ^(.*)$ http://127.0.0.1:11434/$1 [P]\n"
    text = site("DocumentRoot /var/www/html", around=around)
    override = {"/var/www/html/.htaccess": rules}
    assert verdict(steps(configured("apache", text | override), "apache2")) == "doubt"
    assert verdict(steps(configured("apache", text), "apache2")) == "shut"
    kept = {path: each.replace("Override All", "Override None") for path, each in text.items()}
    assert verdict(steps(configured("apache", kept | override), "apache2")) == "shut"


NAMES = {
    "the only server": ("server_name ai.example.org;", "", "open"),
    "another is the default": ("server_name ai.example.org;", "listen 80 default_server;", "shut"),
    "another was first": ("server_name ai.example.org;", "listen 80;", "shut"),
    "a name that Ollama takes": ("server_name ollama.local;", "listen 80;", "open"),
    "a pattern": ("server_name ~^ai;", "listen 80;", "open"),
    "the default at its own address": (
        "server_name ai.example.org; listen 192.0.2.1:80;",
        "listen 80;",
        "open",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_nginx_sends_along_the_names_that_lead_to_a_server(name: str) -> None:
    own, other, expected = NAMES[name]
    passing = "proxy_pass http://127.0.0.1:11434; proxy_set_header Host $host;"
    around = f"server {{ {other} return 444; }}" if other else ""
    files = http(f"{own} location / {{ {passing} }}", around)
    assert verdict(steps(configured("nginx", files))) == expected


def test_nginx_that_wants_the_proxy_protocol() -> None:
    text = "location / { proxy_pass http://127.0.0.1:11434; }"
    files = http(text, listen="listen 80 proxy_protocol;")
    assert verdict(steps(configured("nginx", files))) == "doubt"
