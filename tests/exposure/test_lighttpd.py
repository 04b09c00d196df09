"""lighttpd configurations and who gets through them, as lighttpd 1.4.69 answered when it ran."""

from __future__ import annotations

import pytest

from ollama_audit.exposure.model import Encryption
from ollama_audit.snapshot import masking
from tests.exposure.proxied import configured, steps, verdict

ROOT = "/etc/lighttpd/lighttpd.conf"
LAN = "192.168.1.7"
PROXY = 'proxy.server = ( "" => ( ( "host" => "127.0.0.1", "port" => 11434 ) ) )\n'
BELOW = PROXY.replace('""', '"/ollama"')
USERS = 'auth.backend = "htpasswd"\nauth.backend.htpasswd.userfile = "/etc/users"\n'
LOGIN = '( "method" => "basic", "realm" => "r", "require" => "valid-user" )'
EVERYTHING = f'auth.require = ( "" => {LOGIN} )\n'
DENY = 'url.access-deny = ( "" )'
MODULES = ("rewrite", "redirect", "access", "auth", "authn_file", "proxy")


def conf(text: str, *modules: str, proxy: str = PROXY, users: str = USERS) -> str:
    loaded = ", ".join(f'"mod_{name}"' for name in modules or MODULES)
    return f"server.modules = ( {loaded} )\n{users}{proxy}{text}\n"


TABLE = {
    "open": (conf(""), "open"),
    "login": (conf(EVERYTHING), "login"),
    "login whatever the order of the modules": (
        conf(EVERYTHING, "proxy", "auth", "authn_file"),
        "login",
    ),
    "login by a module that is not loaded": (conf(EVERYTHING, "proxy"), "open"),
    "login without a backend answers 500": (conf(EVERYTHING, users=""), "shut"),
    "login for part": (conf(f'auth.require = ( "/api/tags" => {LOGIN} )'), "open"),
    "login for all but a path": (
        conf(f'{EVERYTHING}$HTTP["url"] =~ "^/api/version" {{ auth.require = () }}'),
        "open",
    ),
    "two logins make one": (
        conf(
            f'auth.require = ( "/api" => {LOGIN} )\n'
            f'$HTTP["host"] =~ "." {{ auth.require += ( "/v1" => {LOGIN} ) }}'
        ),
        "login",
    ),
    "a later condition takes the login away": (
        conf(
            f'$HTTP["url"] =~ "^/" {{ {EVERYTHING} }}\n$HTTP["host"] == "x" {{ auth.require = () }}'
        ),
        "login",  # Ollama refuses the name x
    ),
    "the global scope counts first wherever it stands": (
        conf(f'$HTTP["url"] =~ "^/" {{ auth.require = () }}\nglobal {{ {EVERYTHING} }}'),
        "open",
    ),
    "passed on for names that begin so alone": (
        conf('$HTTP["host"] !~ "^a" { proxy.server = () }'),
        "open",
    ),
    "passed on for names that begin so, by text": (
        conf(f'$HTTP["host"] =^ "gpu" {{ {PROXY} }}', proxy=""),
        "open",
    ),
    "denied": (conf(DENY), "shut"),
    "denied by a module that is not loaded": (conf(DENY, "proxy"), "open"),
    "only paths that end so": (
        conf('url.access-allow = ( "version" )\nurl.access-deny = ( "" )'),
        "open",
    ),
    "else": (
        conf(
            f'$HTTP["url"] == "/none" {{ auth.require = () }} else $HTTP["url"] =^ "/" '
            f"{{ {EVERYTHING} }}"
        ),
        "login",
    ),
    "the condition of an else is the same one later on": (
        conf(
            '$HTTP["host"] =~ "^a" { } else $HTTP["url"] =^ "/" { }\n'
            f'$HTTP["url"] =^ "/" {{ {EVERYTHING} }}'
        ),
        "open",  # to a.localhost
    ),
    "bare else": (conf(f'$HTTP["url"] =~ "^/x" {{ }}\nelse {{ {DENY} }}'), "shut"),
    "redirect to an encrypted address": (
        conf('$HTTP["scheme"] == "http" { url.redirect = ( "" => "https://${url.authority}" ) }'),
        "shut",
    ),
    "prefix taken off": (
        conf(
            'proxy.header = ( "map-urlpath" => ( "/ollama/" => "/" ) )',
            proxy=BELOW,
        ),
        "open",
    ),
    "prefix kept": (
        conf(
            "",
            proxy=BELOW,
        ),
        "shut",
    ),
    "rewritten": (
        conf(f'url.rewrite-once = ( "^/in(/.*)$" => "$1" )\n$HTTP["url"] !~ "^/api" {{ {DENY} }}'),
        "open",
    ),
    "the first prefix that fits": (
        conf(
            "",
            proxy=(
                'proxy.server = ( "" => ( ( "host" => "127.0.0.1", "port" => 1 ) ),'
                '"/api" => ( ( "host" => "127.0.0.1", "port" => 11434 ) ) )\n'
            ),
        ),
        "shut",
    ),
    "variables and sums": (
        conf(
            "",
            proxy=(
                'var.box = "127.0.0.1"\nbase = 11400\n'
                'proxy.server = ( "" => ( ( "host" => var.box, "port" => base + 34 ) ) )\n'
            ),
        ),
        "open",
    ),
    "a name that Ollama refuses": (
        conf(f'$HTTP["host"] != "ai.example" {{ {DENY} }}'),
        "shut",
    ),
    "another name sent along": (
        conf(
            f'$HTTP["host"] != "ai.example" {{ {DENY} }}\n'
            'proxy.header = ( "map-host-request" => ( "-" => "localhost" ) )'
        ),
        "open",
    ),
    "a key in a header": (
        conf(f'$REQUEST_HEADER["X-Api-Key"] != "0123456789" {{ {DENY} }}'),
        "login",
    ),
    "a word in a header": (conf(f'$REQUEST_HEADER["X-Mine"] != "yes" {{ {DENY} }}'), "open"),
    "a script": (conf('include_shell "/usr/local/bin/more"'), "doubt"),
    "Debian's scripts": (
        conf(
            'include_shell "/usr/share/lighttpd/create-mime.conf.pl"\n'
            'include_shell "/usr/share/lighttpd/use-ipv6.pl " + 80'
        ),
        "open",
    ),
    "no socket of its own": (
        conf("", proxy='proxy.server = ( "" => ( ( "host" => "/run/x.sock" ) ) )\n'),
        "doubt",
    ),
}


def found_in(text: str, at: str = "0.0.0.0:80") -> str:
    return verdict(
        tuple(
            step
            for step in steps(configured("lighttpd", {ROOT: text}), "lighttpd", at)
            if step.hosts not in {("x",), ("ai.example",)}
        )
    )


@pytest.mark.parametrize("name", TABLE)
def test_one_configuration(name: str) -> None:
    text, expected = TABLE[name]
    assert found_in(text) == expected


@pytest.mark.parametrize(
    "condition",
    [
        '$HTTP["remote-ip"] != "192.168.1.0/24"',
        '$HTTP["remoteip"] !~ "^192\\.168\\.1\\."',
        '$HTTP["remoteip"] !~ "^(192\\.168\\.1\\.|10\\.)"',
    ],
)
def test_sources(condition: str) -> None:
    text = conf(f"{condition} {{ {DENY} }}")
    found = steps(configured("lighttpd", {ROOT: text}), "lighttpd")
    assert (verdict(found, LAN), verdict(found)) == ("open", "shut")


def test_a_loose_pattern_of_addresses_is_in_doubt() -> None:
    assert found_in(conf(f'$HTTP["remoteip"] !~ "192.168.1" {{ {DENY} }}')) == "doubt"


def test_whoever_may_name_the_client_gets_by() -> None:
    text = conf(
        f'extforward.forwarder = ( "all" => "trust" )\n'
        f'$HTTP["remoteip"] != "192.168.1.0/24" {{ {DENY} }}',
        *MODULES,
        "extforward",
    )
    assert found_in(text) == "open"


@pytest.mark.parametrize(
    ("socket", "at", "expected"),
    [
        (":81", "0.0.0.0:81", "login"),
        (":81", "0.0.0.0:80", "open"),
        (":81", "[::]:81", "open"),
        ("[::]:81", "[::]:81", "login"),
        ("10.0.0.1:81", "10.0.0.1:81", "login"),
        ("10.0.0.1:81", "0.0.0.0:81", "open"),
    ],
)
def test_one_listener_of_several(socket: str, at: str, expected: str) -> None:
    assert found_in(conf(f'$SERVER["socket"] == "{socket}" {{ {EVERYTHING} }}'), at) == expected


SSL = 'ssl.engine = "enable"\nssl.pemfile = "/etc/x.pem"\n'


@pytest.mark.parametrize(
    ("text", "at", "tls"),
    [
        (SSL, "0.0.0.0:80", Encryption.TLS),
        (f'$SERVER["socket"] == ":443" {{ {SSL} }}', "0.0.0.0:80", Encryption.PLAIN),
        (f'$SERVER["socket"] == ":443" {{ {SSL} }}', "0.0.0.0:443", Encryption.TLS),
        (
            f'{SSL}$SERVER["socket"] == ":8080" {{ ssl.engine = "disable" }}',
            "0.0.0.0:8080",
            Encryption.PLAIN,
        ),
    ],
)
def test_encryption(text: str, at: str, tls: Encryption) -> None:
    (step,) = steps(configured("lighttpd", {ROOT: conf(text)}), "lighttpd", at)
    assert step.tls is tls


def test_client_certificates() -> None:
    verify = f'{SSL}ssl.verifyclient.activate = "enable"\n'
    assert found_in(conf(verify)) == "login"
    assert found_in(conf(f'{verify}ssl.verifyclient.enforce = "disable"\n')) == "open"


def test_a_socket_without_a_certificate_of_its_own() -> None:
    text = conf(f'{SSL}$SERVER["socket"] == ":81" {{ }}')
    assert found_in(text, "0.0.0.0:81") == "doubt"


def test_includes_by_pattern_and_variable() -> None:
    files = {
        ROOT: 'var.here = "/etc/lighttpd"\ninclude here + "/conf.d/*.conf"\ninclude "one.conf"\n',
        "/etc/lighttpd/conf.d/a.conf": f'server.modules += ( "mod_proxy", "mod_auth" )\n{PROXY}',
        "/etc/lighttpd/one.conf": f"{USERS}{EVERYTHING}",
    }
    assert verdict(steps(configured("lighttpd", files), "lighttpd")) == "login"


@pytest.mark.parametrize(
    "text",
    [
        "server.port = ",
        "( )",
        "}",
        '$HTTP["url"] { }',
        'a = ( "b"',
        "x = unheard_of",
        "a = 1 +",
        "€",
    ],
)
def test_a_text_that_is_not_lighttpds(text: str) -> None:
    (step,) = steps(configured("lighttpd", {ROOT: f"\n{text}"}), "lighttpd")
    assert step.namespace is None
    assert ROOT in step.reason


def test_unread_files() -> None:
    found = configured("lighttpd", {ROOT: 'include "gone.conf"'})
    (step,) = steps(found, "lighttpd")
    assert "/etc/lighttpd/gone.conf was not read" in step.reason


def test_many_names_are_walked_once_each() -> None:
    names = "".join(
        f'$HTTP["host"] == "s{number}.example" {{ {EVERYTHING} }}\n' for number in range(300)
    )
    assert found_in(conf(names)) == "open"


def test_masked_secrets_leave_a_configuration_that_can_be_read() -> None:
    text = conf(
        f'$REQUEST_HEADER["X-Api-Key"] != "0123456789" {{ {DENY} }}\n'
        'setenv.set-request-header = ( "Authorization" => "Bearer 0123456789abcdef" )\n'
        'auth.backend.ldap.bind-pw = "hunter22"\n'
    )
    masked = masking.configuration("lighttpd", text)
    assert "0123456789" not in masked
    assert "hunter22" not in masked
    assert found_in(masked) == "login"


def test_two_conditions_on_one_header_are_not_two_choices() -> None:
    both = "\n".join(
        f'$REQUEST_HEADER["X-Mine"] {sign} "yes" {{ {DENY} }}' for sign in ("==", "!=")
    )

    assert verdict(steps(configured("lighttpd", {ROOT: conf(both)}), "lighttpd")) == "doubt"
