"""Quoted phrases in the text of a query."""

from __future__ import annotations

import pytest
from helpers import an_image
from hypothesis import given
from hypothesis import strategies as st

from search.literals import parted, phrases_of, places, unquoted
from search.types import Tag, TagKind
from search.words import words


@pytest.mark.parametrize(
    ("text", "plain", "phrases"),
    [
        ('"happy birthday" party', "happy birthday party", ("happy birthday",)),
        ("a “happy birthday” party", "a happy birthday party", ("happy birthday",)),
        ('"one two" and "three"', "one two and three", ("one two", "three")),
        ('"one" "one"', "one one", ("one",)),
        (r'"say \"cheese\""', 'say "cheese"', ('say "cheese"',)),
        ('the 24" screen and the 27" one', 'the 24" screen and the 27" one', ()),
        ('"open', '"open', ()),
        ('"" "?!"', '"" "?!"', ()),
        ("plain", "plain", ()),
    ],
)
def test_phrases_stand_between_quotes(text: str, plain: str, phrases: tuple[str, ...]) -> None:
    assert parted(text) == (plain, phrases)


def test_what_is_outside_of_quotes() -> None:
    assert unquoted('a "happy birthday" party').split() == ["a", "party"]
    assert phrases_of(['"one" x', '"two" "one"']) == ("one", "two")


@given(st.text(max_size=80))
def test_quotes_take_no_word_away(text: str) -> None:
    plain, phrases = parted(text)
    assert words(plain) == words(text.replace("\\", " ")) or "\\" in text
    assert all(words(phrase) for phrase in phrases)


def test_places_are_named() -> None:
    record = an_image(
        ordinal=1,
        files=("2024/Happy-Birthday_1.jpg",),
        caption="A happy birthday cake",
        tags=[Tag(TagKind.TEXT, "HAPPY", 0.9, "ocr"), Tag(TagKind.TEXT, "Birthday!", 0.9, "ocr")],
    )
    assert list(places(record, "happy birthday")) == ["caption", "text in the picture", "file name"]
    assert list(places(record, "birthday cake")) == ["caption"]
    assert list(places(record, "birthday happy")) == []
