"""From words to the labels that they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.encoders.coco import COCO_LABELS
from search.nouns import Nouns, nouns, singulars
from search.thesaurus import Thesaurus

COCO = Thesaurus(COCO_LABELS.values())


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("puppy", "dog"),
        ("puppies", "dog"),
        ("spaniel", "dog"),
        ("sofa", "couch"),
        ("kid", "person"),
        ("women", "person"),
        ("bike", "bicycle"),
        ("automobile", "car"),
        ("phone", "cell phone"),
        ("vehicle", "car"),
        ("animals", "giraffe"),
        ("food", "pizza"),
        ("furniture", "bed"),
        ("rucksack", "backpack"),
        ("stoplight", "traffic light"),
    ],
)
def test_a_word_finds_the_label(word: str, label: str) -> None:
    assert COCO.related(word).get(label, 0) >= 0.6


@pytest.mark.parametrize("word", ["thing", "object", "entity", "happy", "", "wedding", "xyzzy", "2024"])
def test_what_means_everything_or_nothing_finds_nothing(word: str) -> None:
    assert not COCO.related(word)


def test_the_same_is_closer_than_a_kind_and_that_than_what_it_is_a_kind_of() -> None:
    same, below, above = COCO.related("sofa")["couch"], COCO.related("vehicle")["car"], COCO.related("puppy")["dog"]
    assert same > below > above


def test_a_label_is_not_related_to_itself_or_to_what_it_is_a_kind_of() -> None:
    thesaurus = Thesaurus(["dog", "animal", "golden retriever"])
    assert list(thesaurus.related("dogs")) == ["golden retriever"]
    assert thesaurus.knows("dogs")
    assert not thesaurus.knows("puppy")


def test_what_is_a_label_of_another_kind_means_no_noun() -> None:
    thesaurus = Thesaurus(["person"], other_labels=["red"])
    assert thesaurus.knows("red")
    assert not thesaurus.related("red")


def test_words_that_are_one_noun_belong_together() -> None:
    assert COCO.is_phrase("living room")
    assert COCO.is_phrase("traffic lights")
    assert not COCO.is_phrase("dog beach")
    assert not COCO.is_phrase("dog")


@given(st.text(max_size=30))
def test_any_text_can_be_asked(text: str) -> None:
    assert all(0 < closeness <= 1 for closeness in COCO.related(text).values())


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("dogs", "dog"),
        ("buses", "bus"),
        ("knives", "knife"),
        ("children", "child"),
        ("people", "person"),
        ("men", "man"),
    ],
)
def test_plurals(plural: str, singular: str) -> None:
    assert singular in singulars(plural)


def test_a_graph_is_read_from_lines() -> None:
    graph = Nouns(iter(["\tentity", "1\tanimal|beast@1", "1\tdog|hound"]))
    assert graph.senses("hounds") == (2,)
    assert graph.higher(2) == {2: 0, 1: 1, 0: 2}
    assert graph.depth(2) == 2


def test_every_noun_is_under_the_top() -> None:
    graph = nouns()
    assert all(0 in graph.higher(sense) for word in ("dog", "beach", "party", "rain") for sense in graph.senses(word))
