"""Filters that are offered for words, over libraries in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filter_strategies import libraries
from helpers import an_image
from hypothesis import given, settings
from hypothesis import strategies as st
from tag_stores import open_embedded

from search.filters import joined, parse
from search.suggesting import Suggester
from search.tags.sqlite_store import SqliteTagStore
from search.types import Filter
from search.understanding import MOST_SUGGESTIONS
from search.vocabulary import Vocabulary


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteTagStore]:
    store = open_embedded(tmp_path)
    yield store
    store.close()


def suggester(store: SqliteTagStore) -> Suggester:
    return Suggester(store, Vocabulary(store))


def test_words_are_offered_as_filters_with_what_they_leave(store: SqliteTagStore) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["dog", "dog"], scenes=["beach"], taken_at="2024-05-01"),
            an_image(ordinal=2, objects=["dog"], scenes=["beach"], taken_at="2023-05-01"),
            an_image(ordinal=3, objects=["car", ("horse", 0.1)], colors=["red"]),
        ]
    )
    offered = suggester(store).suggest("two dogs on a beach 2024", Filter())
    assert [(str(one.term), one.words, one.rest, one.count) for one in offered] == [
        ("count(object:dog):2", "two dogs", "on a beach 2024", 1),
        ("scene:beach", "beach", "two dogs 2024", 2),
        ("year:2024", "2024", "two dogs on a beach", 1),
    ]


@pytest.mark.parametrize(
    ("text", "filter", "expected"),
    [
        ("puppy", "", ["object:dog"]),
        ("red vehicle", "", ["color:red", "object:car"]),
        ("horse", "", []),
        ("dog", "-object:dog", []),
        ("dog", "object:dog", []),
        ("beach 2024", "object:car", []),
        ("no dogs", "", ["-object:dog"]),
    ],
)
def test_what_no_image_carries_or_is_filtered_by_already_is_not_offered(
    store: SqliteTagStore, text: str, filter: str, expected: list[str]
) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["dog"], scenes=["beach"], taken_at="2024-05-01"),
            an_image(ordinal=2, objects=["car", ("horse", 0.1)], colors=["red"]),
        ]
    )
    assert [str(one.term) for one in suggester(store).suggest(text, parse(filter))] == expected


def test_a_full_filter_takes_no_more(store: SqliteTagStore) -> None:
    store.upsert([an_image(ordinal=1, objects=["dog"])])
    full = parse(" ".join(f"-object:x{n}" for n in range(64)))
    assert suggester(store).suggest("dog", full) == ()


words = st.sampled_from(
    [
        "two",
        "1",
        "no",
        "dog",
        "dogs",
        "person",
        "people",
        "traffic",
        "lights",
        "été",
        "10%",
        "square",
        "portrait",
        "landscape",
        "2024",
        "2023",
        "may 2024",
        "2024-02-29",
        "2020s",
        "puppy",
        "animal",
        '"',
        ",",
        "a",
        "(c)",
    ]
)
texts = st.lists(words, max_size=10).map(" ".join) | st.text(max_size=40)


@settings(max_examples=60)
@given(
    library=libraries(), text=texts, filter=st.sampled_from(["", "object:dog", "-object:person", "confidence:>=0.7"])
)
def test_every_offer_parses_matches_something_and_can_be_taken_with_the_others(
    library: list, text: str, filter: str
) -> None:
    narrowed = parse(filter)
    with TemporaryDirectory() as folder:
        store = open_embedded(Path(folder))
        store.upsert(library)
        offered = suggester(store).suggest(text, narrowed)
        assert len(offered) <= MOST_SUGGESTIONS
        for one in offered:
            assert parse(str(one.term)) == Filter((one.term,))
            assert one.count == store.count(joined(narrowed, Filter((one.term,)))) > 0
            assert one.words in text
        everything = joined(narrowed, *(Filter((one.term,)) for one in offered))
        assert len(everything.terms) == len(narrowed.terms) + len(offered)
        store.close()
