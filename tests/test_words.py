"""Lists and numbers read as a person would write them."""

from __future__ import annotations

import pytest

from ollama_audit.words import joined, listed, plural


@pytest.mark.parametrize(
    ("names", "more", "text"),
    [
        ("", 0, ""),
        ("a", 0, "a"),
        ("ab", 0, "a and b"),
        ("abc", 0, "a, b and c"),
        ("abca", 0, "a, b and c"),
        ("abcd", 0, "a, b, c and 1 more"),
        ("abc", 2, "a, b, c and 2 more"),
        ("abcde", 2, "a, b, c and 4 more"),
    ],
)
def test_a_list_names_three_and_counts_the_rest(names: str, more: int, text: str) -> None:
    assert listed(names, more) == text


def test_all_of_a_list_is_joined() -> None:
    assert joined("abcde") == "a, b, c, d and e"


def test_one_is_no_plural() -> None:
    assert [plural(n, "rule") for n in (0, 1, 2)] == ["0 rules", "1 rule", "2 rules"]
    assert plural(2, "process", "processes") == "2 processes"
