"""How labels, paths and texts are made comparable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.words import caseless, contains_phrase, fold, words, writable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IMG_2024-dog.jpg", ["img", "2024", "dog", "jpg"]),
        ("Crème brûlée, STRASSE Straße", ["creme", "brulee", "strasse", "strasse"]),
        ("生日快乐 cake", ["生", "日", "快", "乐", "cake"]),
        ("℡ ½", ["tel", "1", "2"]),
        ("!?", []),
    ],
)
def test_words_are_without_case_accents_and_punctuation(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_words_of_words_are_the_same_words(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)


def test_a_phrase_is_whole_words_side_by_side() -> None:
    assert contains_phrase("A happy, BIRTHDAY!", "happy birthday")
    assert not contains_phrase("unhappy birthday", "happy birthday")
    assert not contains_phrase("happy my birthday", "happy birthday")


def test_labels_compare_without_case_composition_and_extra_spaces_but_paths_keep_spaces() -> None:
    assert fold(" Cafe\u0301  BAR ") == fold("café bar") == "café bar"
    assert caseless("A  B") == "a  b"


def test_names_that_are_not_unicode_can_be_written() -> None:
    assert writable("a\udcff.jpg") == "a?.jpg"
