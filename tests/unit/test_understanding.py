"""Words of a search box as filters to be offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.filters import parse
from search.types import Filter, TagKind
from search.understanding import MOST_SUGGESTIONS, Idea, compatible, ideas, label_forms, without

OBJECT, SCENE, COLOR = TagKind.OBJECT, TagKind.SCENE, TagKind.COLOR
LABELS = {
    **{name: {OBJECT: name} for name in ("dog", "person", "skis", "bus", "traffic light")},
    **{name: {SCENE: name} for name in ("beach", "living room", "park")},
    "garden": {SCENE: "Garden", TagKind.USER: "garden"},
    "grey": {COLOR: "grey"},
    "red": {COLOR: "red"},
}
OTHER_WORDS: Mapping[str, Mapping[TagKind, Sequence[str]]] = {
    "puppies": {OBJECT: ("dog",)},
    "vehicle": {OBJECT: ("bus", "car")},
    "bus stop": {},
    "thing": {OBJECT: tuple(f"thing {n}" for n in range(20))},
}


def related(phrase: str) -> Mapping[TagKind, Sequence[str]] | None:
    return OTHER_WORDS.get(phrase)


def offered(text: str) -> list[Idea]:
    return compatible(ideas(text, LABELS, related))


def terms(text: str) -> list[str]:
    return [str(idea.term) for idea in offered(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two dogs on a beach 2024", ["count(object:dog):2", "scene:beach", "year:2024"]),
        ("Dog", ["object:dog"]),
        ("ski", ["object:skis"]),
        ("buses", ["object:bus"]),
        ("3 people", ["people:3"]),
        ("people and two people", ["people:2"]),
        ("a living room without people", ["-object:person", 'scene:"living room"']),
        ("traffic lights", ['object:"traffic light"']),
        ("living, room", []),
        ("gray bus", ["object:bus", "color:grey"]),
        ("garden", ["user:garden", "scene:Garden"]),
        ("two puppies", ["count(object:dog):2"]),
        ("vehicle at the park", ["scene:park", "object:bus|car"]),
        ("thing", []),
        ("bus stop in the park", ["scene:park"]),
        ("square portrait", ["orientation:square"]),
        ("dog without dogs", ["-object:dog"]),
        ('"two dogs" park', ["scene:park"]),
        ("may 2024", ["taken:2024-05"]),
        ("17th of May, 2024 dog", ["object:dog", "taken:2024-05-17"]),
        ("Sep 3, 2021", ["taken:2021-09-03"]),
        ("2024-05-17", ["taken:2024-05-17"]),
        ("the 1990s", ["year:1990..1999"]),
        ("2019-2021", ["year:2019..2021"]),
        ("2019 or 2021", ["year:2019"]),
        ("feb 30 2024", ["year:2024"]),
        ("summer 2023", ["year:2023"]),
        ("$2024 2024px 10:30 may", []),
        ("", []),
    ],
)
def test_offers_what_is_certain(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "term", "left"),
    [
        ("two dogs on a beach 2024", "count(object:dog):2", "on a beach 2024"),
        ("two dogs on a beach 2024", "scene:beach", "two dogs 2024"),
        ("dog", "object:dog", ""),
        ("the dog", "object:dog", ""),
        ("running dog at the beach", "scene:beach", "running dog"),
        ('"happy dog" beach', "scene:beach", '"happy dog"'),
        ("beach, running", "scene:beach", "running"),
    ],
)
def test_taking_an_offer_takes_its_words_out(text: str, term: str, left: str) -> None:
    (idea,) = [idea for idea in offered(text) if str(idea.term) == term]
    assert without(text, idea) == left


WORDS = ["two", "3", "no", "without", "a", "on", "square", "portrait", "May", "17", "2024", "1990s", '"', ",", "-"]
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*WORDS, *LABELS, *OTHER_WORDS, "dogs", "people"]), max_size=12).map(" ".join),
)


@given(texts)
@example("two  dogs\x00")
@example("0000-00-00 2024-13 99 may 2024")
def test_whatever_is_typed_can_be_parsed_and_taken_together(text: str) -> None:
    found = offered(text)
    assert len(found) <= MOST_SUGGESTIONS
    for idea in found:
        assert parse(str(idea.term)) == Filter((idea.term,))
        assert text[idea.start : idea.end].strip()
        without(text, idea)
    fields = [idea.term.field for idea in found]
    assert fields.count("orientation") <= 1
    assert fields.count("year") + fields.count("taken") <= 1
    labels = [(idea.term.field, label) for idea in found for label in named(idea)]
    assert len(labels) == len(set(labels))


@given(texts)
def test_labels_are_looked_up_by_the_forms_that_are_named(text: str) -> None:
    asked = label_forms(text)
    known = {form: kinds for form, kinds in LABELS.items() if form in asked}
    assert ideas(text, known, related) == ideas(text, LABELS, related)


def named(idea: Idea) -> Sequence[str]:
    if idea.term.field == "people":
        return ("person",)
    return idea.term.values if idea.term.counted is None else (idea.term.counted,)
