"""The tables of Ollama's envconfig/config_test.go, and of ollama.md's "Algorithm" beside them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_audit import envconfig
from ollama_audit.envconfig import BindScope

FOREVER = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # envconfig/config_test.go TestHost
        ("", "http://127.0.0.1:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":1234", "http://:1234"),
        ("1.2.3.4:1234", "http://1.2.3.4:1234"),
        ("example.com", "http://example.com:11434"),
        ("example.com:1234", "http://example.com:1234"),
        (":0", "http://:0"),
        (":66000", "http://:11434"),
        (":-1", "http://:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::]", "http://[::]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:1337", "http://[::1]:1337"),
        (" 1.2.3.4 ", "http://1.2.3.4:11434"),
        ('"1.2.3.4"', "http://1.2.3.4:11434"),
        (' " 1.2.3.4 " ', "http://1.2.3.4:11434"),
        ("'1.2.3.4'", "http://1.2.3.4:11434"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("http://1.2.3.4:4321", "http://1.2.3.4:4321"),
        ("https://1.2.3.4", "https://1.2.3.4:443"),
        ("https://1.2.3.4:4321", "https://1.2.3.4:4321"),
        ("https://example.com/ollama", "https://example.com:443/ollama"),
        # the algorithm's other branches
        (None, "http://127.0.0.1:11434"),
        ("0.0.0.0:", "http://0.0.0.0:11434"),
        (":", "http://:11434"),
        ("::", "http://[::]:11434"),
        ("0.0.0.0:99999", "http://0.0.0.0:11434"),
        ("tcp://0.0.0.0", "tcp://0.0.0.0:11434"),
        ("HTTP://0.0.0.0", "HTTP://0.0.0.0:11434"),
        ("http://", "http://127.0.0.1:80"),
        ("https://", "https://127.0.0.1:443"),
        ("ollama.com", "https://ollama.com:443"),
        ("[0.0.0.0]", "http://0.0.0.0:11434"),
        ("::ffff:127.0.0.1", "http://127.0.0.1:11434"),
        ("0.0.0.0/x:1", "http://0.0.0.0:11434/x:1"),
        ("127.0.0.1:+80", "http://127.0.0.1:80"),
        ("127.0.0.1:0x50", "http://127.0.0.1:11434"),
        ("127.0.0.1: 80", "http://127.0.0.1:11434"),
        ("01.2.3.4", "http://01.2.3.4:11434"),
        ("[::1", "http://[::1]:11434"),
        ("\u00a00.0.0.0\u3000", "http://0.0.0.0:11434"),
    ],
)
def test_host(value: str | None, expected: str) -> None:
    assert str(envconfig.host(value)) == expected


@pytest.mark.parametrize(
    ("value", "scope"),
    [
        (None, BindScope.LOOPBACK),
        ("127.8.9.1:80", BindScope.LOOPBACK),
        ("localhost", BindScope.LOOPBACK),
        ("LOCALHOST:1", BindScope.LOOPBACK),
        ("::1", BindScope.LOOPBACK),
        ("[::ffff:127.0.0.1]:1", BindScope.LOOPBACK),
        ("0.0.0.0", BindScope.WILDCARD),
        ("0", BindScope.NAME),
        (":8080", BindScope.WILDCARD),
        (":", BindScope.WILDCARD),
        ("[::]:1", BindScope.WILDCARD),
        ("0:0:0:0:0:0:0:0", BindScope.WILDCARD),
        ("[::ffff:0.0.0.0]:1", BindScope.WILDCARD),
        ("https://0.0.0.0", BindScope.WILDCARD),
        ("192.168.1.5", BindScope.ADDRESS),
        ("[fe80::1%eth0]:11434", BindScope.ADDRESS),
        ("my-host", BindScope.NAME),
        ("localhost.example.com", BindScope.NAME),
    ],
)
def test_scope(value: str | None, scope: BindScope) -> None:
    assert envconfig.host(value).scope is scope


def test_a_bad_port_is_said() -> None:
    assert envconfig.host("0.0.0.0:99999").warnings == (
        "invalid port '99999', using default 11434",
    )
    assert envconfig.host("0.0.0.0:80").warnings == ()


@given(st.text(max_size=40))
def test_host_reads_any_text(value: str) -> None:
    bind = envconfig.host(value)
    assert 0 <= bind.port <= 65535
    assert bind.scope in BindScope


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # TestVar
        ("value", "value"),
        (" value ", "value"),
        (" 'value' ", "value"),
        (' "value" ', "value"),
        (" ' value ' ", " value "),
        (' " value " ', " value "),
        (None, ""),
        ("\x1fvalue", "\x1fvalue"),  # a space to Python, not to Go
    ],
)
def test_var(value: str | None, expected: str) -> None:
    assert envconfig.var(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # TestBool
        ("", False),
        ("true", True),
        ("false", False),
        ("1", True),
        ("0", False),
        ("random", True),
        ("something", True),
        # strconv.ParseBool
        (None, False),
        ("F", False),
        ("tRUE", True),
        ("off", True),
        ("no", True),
        ("'0'", False),
    ],
)
def test_boolean(value: str | None, expected: bool) -> None:  # noqa: FBT001
    assert envconfig.boolean(value) is expected


def test_boolean_default() -> None:
    assert envconfig.boolean(None, default=True) is True
    assert envconfig.boolean("0", default=True) is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # TestUint
        ("0", 0),
        ("1", 1),
        ("1337", 1337),
        ("", 11434),
        ("-1", 11434),
        ("0o10", 11434),
        ("0x10", 11434),
        ("string", 11434),
        # strconv.ParseUint
        (str(2**64 - 1), 2**64 - 1),
        (str(2**64), 11434),
        ("+1", 11434),
        ("1_000", 11434),
        ("\u0661", 11434),
    ],
)
def test_unsigned(value: str, expected: int) -> None:
    assert envconfig.unsigned(value, 11434) == expected


FIVE = timedelta(minutes=5)
DURATIONS = [
    # TestKeepAlive and TestLoadTimeout
    ("", FIVE, FIVE),
    ("1s", timedelta(seconds=1), timedelta(seconds=1)),
    ("1m", timedelta(minutes=1), timedelta(minutes=1)),
    ("1h", timedelta(hours=1), timedelta(hours=1)),
    ("5m0s", FIVE, FIVE),
    ("1h2m3s", timedelta(hours=1, minutes=2, seconds=3), timedelta(hours=1, minutes=2, seconds=3)),
    ("0", timedelta(0), FOREVER),
    ("60", timedelta(seconds=60), timedelta(seconds=60)),
    ("120", timedelta(minutes=2), timedelta(minutes=2)),
    ("3600", timedelta(hours=1), timedelta(hours=1)),
    ("-0", timedelta(0), FOREVER),
    ("-1", FOREVER, FOREVER),
    ("-1m", FOREVER, FOREVER),
    (" ", FIVE, FIVE),
    ("???", FIVE, FIVE),
    ("1d", FIVE, FIVE),
    ("1y", FIVE, FIVE),
    ("1w", FIVE, FIVE),
    # time.ParseDuration
    ("1.5h", timedelta(minutes=90), timedelta(minutes=90)),
    (".5s", timedelta(milliseconds=500), timedelta(milliseconds=500)),
    ("1.s", timedelta(seconds=1), timedelta(seconds=1)),
    (".s", FIVE, FIVE),
    ("1h 2m", FIVE, FIVE),
    ("10\u00b5s", timedelta(microseconds=10), timedelta(microseconds=10)),
    ("+2s", timedelta(seconds=2), timedelta(seconds=2)),
    ("1hs", FIVE, FIVE),
    ("9999999999h", FIVE, FIVE),
]


@pytest.mark.parametrize(("value", "keep", "load"), DURATIONS)
def test_durations(value: str, keep: timedelta | None, load: timedelta | None) -> None:
    assert envconfig.keep_alive(value) == keep
    assert envconfig.load_timeout(value) == load


def test_seconds_overflow_as_in_go() -> None:
    # int64: 9223372037 s is 9223372037000000000 ns, 145224193 ns past the largest.
    assert envconfig.keep_alive("9223372036") == timedelta(seconds=9223372036)
    assert envconfig.keep_alive("9223372037") is FOREVER
    assert envconfig.keep_alive("9223372036854775808") == FIVE


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (None, 0),
        ("0", 0),
        ("false", 0),
        ("1", -4),
        ("true", -4),
        ("t", -4),
        ("2", -8),
        ("3", -12),
        ("-1", 4),
        ("yes", 0),
        ("'2'", -8),
    ],
)
def test_log_level(value: str | None, level: int) -> None:
    assert envconfig.log_level(value) == level


def test_models() -> None:
    assert envconfig.models(None, "/usr/share/ollama") == "/usr/share/ollama/.ollama/models"
    assert envconfig.models(" '/srv/models' ", "/home/a") == "/srv/models"
    assert envconfig.models("", "/home/a/") == "/home/a/.ollama/models"


def test_remotes() -> None:
    assert envconfig.remotes(None) == ("ollama.com",)
    assert envconfig.remotes(" ") == ("ollama.com",)
    assert envconfig.remotes("ollama.com,evil.example") == ("ollama.com", "evil.example")
    assert envconfig.remotes("a, b") == ("a", " b")


@pytest.mark.parametrize(
    ("value", "server_json", "off"),
    [
        (None, None, False),
        ("1", None, True),
        ("off", None, True),
        ("0", '{"disable_ollama_cloud": true}', True),
        (None, '{"Disable_Ollama_Cloud": true}', True),
        (None, '{"disable_ollama_cloud": false}', False),
        (None, '{"disable_ollama_cloud": "true"}', False),
        (None, '{"disable_ollama_cloud": true', False),
        (None, "[true]", False),
        (None, "[" * 100_000, False),
        (None, "", False),
    ],
)
def test_no_cloud(value: str | None, server_json: str | None, off: bool) -> None:  # noqa: FBT001
    assert envconfig.no_cloud(value, server_json) is off
