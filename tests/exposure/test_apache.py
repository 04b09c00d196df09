"""Apache configurations and who gets through them (httpd.apache.org, 2.4)."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.model import Encryption
from tests.exposure.proxied import configured, steps, verdict

ROOT = "/etc/apache2/apache2.conf"
PASS = "ProxyPass / http://127.0.0.1:11434/"
USERS = "AuthType Basic\nAuthName x\nAuthUserFile /etc/users\nRequire valid-user"
LAN = "192.168.1.7"


def site(inside: str, *, at: str = "*:80", around: str = "") -> dict[str, str]:
    text = (
        "ServerRoot /etc/apache2\nListen 80\nLoadModule proxy_module /usr/lib/mod_proxy.so\n"
        "<Directory />\nRequire all denied\n</Directory>\n"
        f"{around}\n<VirtualHost {at}>\n{inside}\n</VirtualHost>\n"
    )
    return {ROOT: text}


TABLE = {
    "open": (PASS, "open"),
    "no proxy": ("DocumentRoot /var/www", "shut"),
    "login": (f"{PASS}\n<Location />\n{USERS}\n</Location>", "login"),
    "login in <Proxy>": (f"{PASS}\n<Proxy *>\n{USERS}\n</Proxy>", "login"),
    "login for another path": (f"{PASS}\n<Location /admin>\n{USERS}\n</Location>", "open"),
    "path exempt": (
        f"{PASS}\n<Location />\n{USERS}\n</Location>\n"
        "<Location /api/tags>\nRequire all granted\n</Location>",
        "open",
    ),
    "all denied": (f"{PASS}\n<Location />\nRequire all denied\n</Location>", "shut"),
    "login or address": (
        f"{PASS}\n<Location />\n<RequireAny>\nRequire ip 10.0.0.0/8\n{USERS}\n</RequireAny>\n"
        "</Location>",
        "login",
    ),
    "login and address": (
        f"{PASS}\n<Location />\n<RequireAll>\nRequire ip 10.0.0.0/8\n{USERS}\n</RequireAll>\n"
        "</Location>",
        "shut",
    ),
    "methods but GET": (
        f"{PASS}\n<Location />\n<LimitExcept GET>\n{USERS}\n</LimitExcept>\n</Location>",
        "open",
    ),
    "excluded": (f"ProxyPass /api !\nProxyPass /v1 !\n{PASS}", "shut"),
    "prefix stripped": ("ProxyPass /ollama/ http://127.0.0.1:11434/", "open"),
    "in a location": (
        "<Location /ai/>\nProxyPass http://127.0.0.1:11434/\n</Location>",
        "open",
    ),
    "ProxyPassMatch": ("ProxyPassMatch ^/(api/.*)$ http://127.0.0.1:11434/$1", "open"),
    "rewritten": ("RewriteEngine On\nRewriteRule ^/(.*)$ http://127.0.0.1:11434/$1 [P]", "open"),
    "rewriting turned off": ("RewriteRule ^/(.*)$ http://127.0.0.1:11434/$1 [P]", "shut"),
    "forbidden without a key": (
        "RewriteEngine On\nRewriteCond %{HTTP:Authorization} !=Bearer-0123456789\n"
        f"RewriteRule .* - [F]\n{PASS}",
        "login",
    ),
    "redirected to TLS": (
        f"RewriteEngine On\nRewriteRule ^(.*)$ https://ai.example$1 [R,L]\n{PASS}",
        "shut",
    ),
    "key by SetEnvIf": (
        f'{PASS}\nSetEnvIf Authorization "^Bearer ***$" ok\n'
        "<Location />\nRequire env ok\n</Location>",
        "login",
    ),
    "order of old": (
        f"{PASS}\n<Location />\nOrder deny,allow\nDeny from all\nAllow from 10\n</Location>",
        "shut",
    ),
    "balancer": (
        "<Proxy balancer://ai>\nBalancerMember http://127.0.0.1:11434\n</Proxy>\n"
        "ProxyPass / balancer://ai/",
        "open",
    ),
    "only with a module that is not loaded": (
        f"<IfModule mod_nothing.c>\n{PASS}\n</IfModule>",
        "shut",
    ),
    "<If> decides": (
        f"{PASS}\n<Location />\n<If \"%{{HTTP:X}} == 'y'\">\n"
        "Require all denied\n</If>\n</Location>",
        "open",
    ),
    "name only in DNS": ("ProxyPass / http://ollama:11434/", "doubt"),
}


@pytest.mark.parametrize("name", TABLE)
def test_one_virtual_host(name: str) -> None:
    inside, expected = TABLE[name]
    assert verdict(steps(configured("apache", site(inside)), "apache2")) == expected


def test_addresses() -> None:
    inside = f"{PASS}\n<Location />\nRequire ip 192.168.1\n</Location>"
    found = steps(configured("apache", site(inside)), "apache2")
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


def test_the_weakest_virtual_host_counts() -> None:
    closed = f"<VirtualHost *:80>\n{PASS}\n<Location />\n{USERS}\n</Location>\n</VirtualHost>"
    found = steps(configured("apache", site(PASS, around=closed)), "apache2")
    assert verdict(found) == "open"


def test_tls_and_client_certificates() -> None:
    inside = f"SSLEngine on\nSSLVerifyClient require\n{PASS}"
    found = steps(configured("apache", site(inside, at="*:443")), "apache2", "0.0.0.0:443")
    assert verdict(found) == "login"
    assert {step.tls for step in found} == {Encryption.TLS}


def test_includes_and_continued_lines() -> None:
    files = {
        ROOT: "IncludeOptional sites/*.conf\nInclude none/*.conf\n",
        "/etc/apache2/sites/a.conf": "<VirtualHost *:80>\nProxyPass / \\\n http://127.0.0.1:11434/\n"
        "</VirtualHost>\n",
    }
    found = steps(configured("apache", files), "apache2")
    assert verdict(found) == "open"
    assert found[0].hop.detail == "/etc/apache2/sites/a.conf:2"


@pytest.mark.parametrize(
    "text", ["<Location />\n", "</Location>\n", "<Location /\n", "Include gone.conf\n"]
)
def test_what_httpd_refuses_is_unknown(text: str) -> None:
    (step,) = steps(configured("apache", {ROOT: text}), "apache2")
    assert step.namespace is None
    assert ROOT in step.reason
