"""systemd's formats: captures of systemd 252 and the examples of its manual pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_audit.collect.systemd_syntax import (
    Assignment,
    cut_off,
    environment_assignments,
    environment_file,
    show_blocks,
    shown_words,
    unit_assignments,
    words,
)

# systemd.syntax(7), "Example 1" and "Example 2", and a drop-in as `systemctl edit` leaves it
UNIT = """\
[Section A]
KeyOne=value 1
KeyTwo=value 2

# a comment

[Section B]
Setting="something" "some thing" "…"
KeyTwo=value 2 \\
       value 2 continued

[Section C]
KeyThree=value 3\\
# this line is ignored
; this line is ignored too
       value 3 continued
"""


def test_unit_files() -> None:
    assert list(unit_assignments(UNIT)) == [
        Assignment("KeyOne", "value 1", 2, "Section A"),
        Assignment("KeyTwo", "value 2", 3, "Section A"),
        Assignment("Setting", '"something" "some thing" "…"', 8, "Section B"),
        Assignment("KeyTwo", "value 2  value 2 continued", 9, "Section B"),
        Assignment("KeyThree", "value 3 value 3 continued", 13, "Section C"),
    ]


def test_a_line_that_is_not_utf_8_ends_a_unit_file() -> None:
    """As systemd 252 does it: "String is not UTF-8 clean, ignoring assignment", and no more."""
    text = b"[Service]\n# caf\xe9\nA=1\nB=caf\xc3\xa9 \\\n\xff\nC=3\n"
    decoded = text.decode(errors="surrogateescape")

    assert [each.name for each in unit_assignments(decoded)] == ["A"]
    assert cut_off(decoded) == 4
    assert cut_off(decoded.replace("\udcff", "\ufffd")) == 0


@pytest.mark.parametrize("broken", [b"B=\xff", b"B='a\nb\xff'", b"caf\xe9=1"])
def test_an_environment_file_that_is_not_utf_8_counts_for_nothing(broken: bytes) -> None:
    text = b"A=1\n# caf\xe9\n" + broken + b"\nC=3\n"
    with pytest.raises(ValueError, match=r"line 3 is not UTF-8"):
        environment_file(text.decode(errors="surrogateescape"))


def test_unit_files_of_other_habits() -> None:
    text = "\ufeff[Service]\r\nUser = ollama\r\n  Group=\tollama \n=x\nnonsense\n[Install]\nA=b\\"
    assert list(unit_assignments(text)) == [
        Assignment("User", "ollama", 2, "Service"),
        Assignment("Group", "ollama", 3, "Service"),
        Assignment("", "x", 4, "Service"),
        Assignment("A", "b", 7, "Install"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # systemd.exec(5), Environment=: the example
        (
            '"VAR1=word1 word2" VAR2=word3 "VAR3=$word 5 6"',
            [("VAR1", "word1 word2"), ("VAR2", "word3"), ("VAR3", "$word 5 6")],
        ),
        ('"OLLAMA_HOST=0.0.0.0"', [("OLLAMA_HOST", "0.0.0.0")]),
        ("OLLAMA_HOST=0.0.0.0:11434", [("OLLAMA_HOST", "0.0.0.0:11434")]),
        ("OLLAMA_HOST='0.0.0.0'", [("OLLAMA_HOST", "0.0.0.0")]),
        (r"A=\x41\101\u00e9\s\t", [("A", "AA\u00e9 \t")]),
        (r'"A=say \"hi\""', [("A", 'say "hi"')]),
        ("A=%h/x%%", [("A", "%h/x%")]),
        ("1A=x B=1", [("B", "1")]),
        ("A=1 'B=2", [("A", "1")]),
        (r"A=1 B=\q C=3", [("A", "1")]),
        ('A="mid quoted" B=x', [("A", "mid quoted"), ("B", "x")]),
        (r'"A=esc\x41\101\n|" B=\u00e9 C=a\ b', [("A", "escAA\n|"), ("B", "\u00e9")]),
        ("A=%%x B=$HOME", [("A", "%x"), ("B", "$HOME")]),
        ("A='a''b' B=\"a\"b", [("A", "ab"), ("B", "ab")]),
        ("", []),
    ],
)
def test_environment(value: str, expected: list[tuple[str, str]]) -> None:
    assert environment_assignments(value) == expected


# The values are what a service of systemd 252 got from this file (its /proc/self/environ).
ENV_FILE = """\
# comment
; comment too
a=a
b=b \\
b
c='c
c'
d="d \\
d"
 e = e
f=f f  \n\
g="a\\"b\\$c\\d"
h='a'"b"c
export OLLAMA_HOST=0.0.0.0
OLLAMA_HOST=0.0.0.0:11434   # no comment
i=
no value
j=a\\ b\\\\
m="x
y"
n="a\\tb\\'c"
o=a'b'c
p='x' 'y'
r=a\\
  b
s="ab" \\
 "cd"
t=\\"x\\"
"""


def test_environment_files() -> None:
    assert [(each.name, each.value, each.line) for each in environment_file(ENV_FILE)] == [
        ("a", "a", 3),
        ("b", "b b", 4),
        ("c", "c\nc", 6),
        ("d", "d d", 8),
        ("e", "e", 10),
        ("f", "f f", 11),
        ("g", 'a"b$c\\d', 12),
        ("h", "abc", 13),
        ("OLLAMA_HOST", "0.0.0.0:11434   # no comment", 15),
        ("i", "", 16),
        ("j", "a b\\", 18),
        ("m", "x\ny", 19),
        ("n", "a\\tb\\'c", 21),
        ("o", "a'b'c", 22),
        ("p", "xy", 23),
        ("r", "a  b", 24),
        ("s", 'ab "cd"', 26),
        ("t", '"x"', 28),
    ]


@pytest.mark.parametrize("text", ["", "a", "=b", "a='", 'a="\\', "a=\\", "#", "\\\n", "a=b\r\nc=d"])
def test_broken_environment_files_end(text: str) -> None:
    assert len(environment_file(text)) <= 2


@given(st.text(st.sampled_from("ab=\\\"' \n\r#;[]"), max_size=30))
def test_any_text_is_read(text: str) -> None:
    environment_file(text)
    list(unit_assignments(text))
    words(text)
    show_blocks(text)
    shown_words(text)


# `systemctl show ollama.service absent.service`, systemd 252
SHOWN = """\
MainPID=443
ExecStart={ path=/usr/local/bin/ollama ; argv[]=/usr/local/bin/ollama serve ; ignore_errors=no }
Environment=PATH=/usr/bin:/bin OLLAMA_HOST=127.0.0.1:11434 "OLLAMA_X=a \\"b c"
EnvironmentFiles=/etc/default/ollama (ignore_errors=no)
EnvironmentFiles=/etc/x.env (ignore_errors=yes)
Id=ollama.service

MainPID=0
Environment="A6=escAA\\n|" A7=é D1=%x "D2=\\$HOME" E1=ab
Id=absent.service
LoadState=not-found
"""


def test_show() -> None:
    first, second = show_blocks(SHOWN)
    assert first["MainPID"] == ["443"]
    assert first["EnvironmentFiles"] == [
        "/etc/default/ollama (ignore_errors=no)",
        "/etc/x.env (ignore_errors=yes)",
    ]
    assert shown_words(first["Environment"][0]) == [
        "PATH=/usr/bin:/bin",
        "OLLAMA_HOST=127.0.0.1:11434",
        'OLLAMA_X=a "b c',
    ]
    assert shown_words(second["Environment"][0]) == [
        "A6=escAA\n|",
        "A7=é",
        "D1=%x",
        "D2=$HOME",
        "E1=ab",
    ]
    assert second["LoadState"] == ["not-found"]
