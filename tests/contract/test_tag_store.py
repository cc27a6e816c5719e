"""What every tag store does: stated answers first, then random libraries against the definition of the language."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from math import log1p
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from facet_oracle import ranges_of, recounted
from filter_strategies import fitting_filters, libraries, records
from helpers import an_image
from hypothesis import given, settings
from hypothesis import strategies as st
from opensearch_server import delete_everything
from pyroaring import BitMap
from tag_stores import open_embedded, open_opensearch

from search.errors import InvalidQuery, Unavailable
from search.facets import FACETS, PEOPLE_BUCKETS, RANGES
from search.filters import parse
from search.matching import matches
from search.protocols import TagProjection
from search.tags.sqlite_store import SqliteTagStore
from search.types import Filter, ImageRecord, Order, Place, Range, Sort, TagKind
from search.words import fold

Open = Callable[[], TagProjection]


@pytest.fixture(scope="module")
def open_in_opensearch(opensearch_url: str) -> Iterator[Open]:
    """Open a store in OpenSearch that the tests here share, for to make an index takes longer than most of them."""
    prefix = f"t-{uuid.uuid4().hex[:12]}"
    yield lambda: open_opensearch(opensearch_url, prefix)
    delete_everything(opensearch_url, prefix)


@pytest.fixture(params=["embedded", "opensearch"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the same empty store once more; all are closed afterwards."""
    in_opensearch = request.param == "opensearch"
    open_another: Open = (
        request.getfixturevalue("open_in_opensearch") if in_opensearch else lambda: open_embedded(tmp_path)
    )
    opened: list[TagProjection] = []

    def open_one() -> TagProjection:
        opened.append(open_another())
        return opened[-1]

    yield open_one
    if in_opensearch:
        empty(opened[0])
    for store in opened:
        store.close()


def empty(store: TagProjection) -> None:
    store.delete(store.match(Filter()), applied=0)


@pytest.fixture
def store(open_store: Open) -> TagProjection:
    """A fresh, empty store."""
    return open_store()


@pytest.fixture
def open_file(tmp_path: Path) -> Iterator[Callable[[], SqliteTagStore]]:
    """Open the file of the embedded store once more; for what is about files."""
    opened: list[SqliteTagStore] = []

    def open_one() -> SqliteTagStore:
        opened.append(open_embedded(tmp_path))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def counts(store: TagProjection, name: str, expression: str = "", **options: object) -> dict[str, int]:
    within = options.get("within")
    assert within is None or isinstance(within, BitMap)
    facet = store.facets([name], parse(expression), within=within, size=100)[0]
    return {value.value: value.count for value in facet.values}


def test_an_empty_store_answers_everything_with_nothing(store: TagProjection) -> None:
    assert len(store) == 0
    assert store.match(Filter()) == BitMap()
    assert store.match(parse("-object:dog")) == BitMap()
    assert store.search_text("dog", filter=Filter(), k=5)[0].tolist() == []
    assert counts(store, "object") == {}
    assert store.labels("", k=5) == store.labels_named(["dog"]) == []
    assert store.delete(BitMap([1, 2])) == 0
    assert store.applied == 0


def test_two_filters_are_joined_by_and(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, objects=["dog"]), an_image(ordinal=2, objects=["dog", "person"])])
    assert store.match(parse("object:dog object:person")) == BitMap([2])


def test_values_of_one_term_are_joined_by_or_and_negation_takes_the_whole_term(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, objects=[label]) for n, label in enumerate(["dog", "cat", "bus"])])
    assert store.match(parse("object:dog|cat")) == BitMap([0, 1])
    assert store.match(parse("-object:dog|cat")) == BitMap([2])


def test_a_tag_counts_from_its_own_then_the_filters_then_the_default_confidence(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, objects=[("dog", n / 10)]) for n in range(1, 10)])
    assert store.match(parse("object:dog")) == BitMap([5, 6, 7, 8, 9])
    assert store.match(parse("confidence:>=0.7 object:dog")) == BitMap([7, 8, 9])
    assert store.match(parse("confidence:>0.7 object:dog")) == BitMap([8, 9])
    assert store.match(parse("confidence:>=0.7 object:dog@0.2 -object:dog@0.4")) == BitMap([2, 3])


def test_labels_compare_without_case_and_by_kind(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, user_tags=["Grandma's House"]), an_image(ordinal=2, scenes=["dog"])])
    assert store.match(parse('user:"grandma\'s  HOUSE"')) == BitMap([1])
    assert store.match(parse("object:dog")) == BitMap()


def test_people_are_counted_at_the_confidence_of_the_filter(store: TagProjection) -> None:
    people = [("person", 0.9), ("person", 0.6), ("person", 0.3)]
    store.upsert([an_image(ordinal=n, objects=people[:n]) for n in range(4)])
    assert store.match(parse("people:0")) == BitMap([0])
    assert store.match(parse("people:2")) == BitMap([2, 3])
    assert store.match(parse("people:3-5|6+")) == BitMap()
    assert store.match(parse("confidence:>=0.1 people:3-5")) == BitMap([3])
    assert store.match(parse("people:>=1 confidence:>=0.95")) == BitMap()
    assert store.match(parse("has:faces")) == BitMap([1, 2, 3])


def test_instances_of_any_label_are_counted(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, objects=["dog"] * n) for n in range(4)])
    assert store.match(parse("count(object:dog):>=2")) == BitMap([2, 3])
    assert store.match(parse("count(object:dog):0..1")) == BitMap([0, 1])
    assert store.match(parse("count(object:cat):0")) == BitMap([0, 1, 2, 3])
    assert store.match(parse("-count(object:dog@0.95):0")) == BitMap()
    assert store.match(parse("confidence:>0.9 count(object:dog):0")) == BitMap([0, 1, 2, 3])
    assert store.match(parse("confidence:>0.9 count(object:dog@0.9):>2")) == BitMap([3])


def test_dates_hold_to_the_end_of_the_day_and_images_without_one_match_only_the_negation(
    store: TagProjection,
) -> None:
    taken = ["2024-05-01", "2024-08-31T23:59:59", "2024-09-01", None]
    store.upsert([an_image(ordinal=n, taken_at=date) for n, date in enumerate(taken)])
    assert store.match(parse("taken:2024-05..2024-08")) == BitMap([0, 1])
    assert store.match(parse("taken:>2024-08")) == BitMap([2])
    assert store.match(parse("year:2024")) == BitMap([0, 1, 2])
    assert store.match(parse("-year:2024")) == BitMap([3])
    assert store.match(parse("-taken:<=2030")) == BitMap([3])


def test_size_orientation_source_path_and_features_are_fields(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, width=640, height=480, files=["a.jpg", "Holiday/sub/b [1].jpg"], objects=["dog"]),
            an_image(ordinal=2, width=480, height=640, location=(1.0, 2.0), caption="A dog", caption_source="teller"),
            an_image(ordinal=3, width=500, height=500, texts=["STOP"], alt_text="A sign"),
        ]
    )
    answers = {
        "orientation:portrait|square": [2, 3],
        "width:>=500": [1, 3],
        "height:480..500": [1, 3],
        "path:holiday/*": [1],
        'path:"*[1].jpg"': [1],
        "path:b*": [],
        "source:a-model": [1, 3],
        "source:teller|person": [2, 3],
        "has:location": [2],
        "has:text": [3],
        "has:caption": [2],
    }
    assert {expression: list(store.match(parse(expression))) for expression in answers} == answers


def test_text_is_words_in_this_order_in_one_text(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, texts=["HAPPY", "Birthday!"]),
            an_image(ordinal=2, caption="a birthday, happy"),
            an_image(ordinal=3, caption="happy", alt_text="birthday"),
            an_image(ordinal=4, alt_text="unhappy birthdays"),
            an_image(ordinal=5, texts=["happy", ("blurred", 0.1), "birthday"]),
            an_image(ordinal=6, caption="Crème brûlée"),
        ]
    )
    assert store.match(parse('text:"happy birthday"')) == BitMap([1])
    assert store.match(parse('text:"happy birthday" confidence:>=0.5')) == BitMap([1, 5])
    assert store.match(parse("text:BRULEE|birthdays")) == BitMap([4, 6])


def test_a_limit_keeps_the_lowest_ordinals(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n) for n in (7, 3, 9)])
    assert store.match(Filter(), limit=2) == BitMap([3, 7])
    assert store.count(Filter()) == 3


def test_an_upsert_replaces_and_a_delete_removes_in_every_way_of_asking(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, objects=["dog"], caption="a dog", files=["dog.jpg"]), an_image(ordinal=2)])
    store.upsert([an_image(ordinal=1, objects=["cat"], caption="a cat", files=["cat.jpg"])])
    for expression in ("object:dog", "text:dog", "path:dog*"):
        assert store.match(parse(expression)) == BitMap(), expression
    assert store.match(parse("object:cat text:cat path:cat*")) == BitMap([1])
    assert store.delete(BitMap([1, 5])) == 1
    assert store.delete(BitMap([1])) == 0
    assert store.match(Filter()) == BitMap([2])
    assert store.search_text("dog cat", filter=Filter(), k=5)[0].tolist() == []
    assert store.match(parse("-object:cat")) == BitMap([2])
    assert len(store) == 1


def test_an_upsert_that_fails_changes_nothing(store: TagProjection) -> None:
    def records_that_break() -> Iterator[ImageRecord]:
        yield an_image(ordinal=1, objects=["dog"])
        raise RuntimeError("the disk of the caller is gone")

    with pytest.raises(RuntimeError, match="gone"):
        store.upsert(records_that_break(), applied=5)
    assert (len(store), store.applied) == (0, 0)
    store.upsert([an_image(ordinal=1, objects=["cat"])], applied=6)
    assert (counts(store, "object"), store.applied) == ({"cat": 1}, 6)


def test_a_store_that_is_built_again_holds_the_new_records_and_no_others(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, objects=["dog"]), an_image(ordinal=2, objects=["cat"])], applied=5)
    store.rebuild(iter([an_image(ordinal=2, objects=["bus"]), an_image(ordinal=3)]), applied=7)
    assert (list(store.match(Filter())), store.applied) == ([2, 3], 7)
    assert counts(store, "object") == {"bus": 1}
    assert store.search_text("dog cat", filter=Filter(), k=5)[0].tolist() == []
    store.upsert([an_image(ordinal=4, objects=["bus"])])
    assert store.match(parse("object:bus")) == BitMap([2, 4])
    assert store.size() > 0


def test_a_phrase_may_run_over_a_line_that_has_no_word(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, texts=["happy", "!!!", "birthday"])])
    for expression in ('text:"happy birthday"', 'text:"happy birthday" confidence:>=0.5'):
        assert store.match(parse(expression)) == BitMap([1]), expression


def test_facet_counts_leave_out_the_facets_own_selection_and_nothing_else(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["dog", "person"], scenes=["beach"]),
            an_image(ordinal=2, objects=["dog"], scenes=["beach"]),
            an_image(ordinal=3, objects=["cat"], scenes=["beach"]),
            an_image(ordinal=4, objects=["cat"], scenes=["street"]),
        ]
    )
    assert counts(store, "object", "object:dog scene:beach") == {"dog": 2, "cat": 1, "person": 1}
    assert counts(store, "scene", "object:dog scene:beach") == {"beach": 2}
    assert counts(store, "object", "object:cat -object:person") == {"cat": 2, "dog": 1}
    assert counts(store, "people", "scene:beach") == {"0": 2, "1": 1}
    assert counts(store, "scene", "object:cat", within=BitMap([4, 99])) == {"street": 1}


def test_facet_counts_use_the_confidence_of_the_filter(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, objects=[("dog", n / 10), ("person", 0.6)]) for n in range(1, 10)])
    assert counts(store, "object") == {"person": 9, "dog": 5}
    assert counts(store, "object", "confidence:>=0.8") == {"dog": 2}
    assert counts(store, "people", "confidence:>=0.8 people:1") == {"0": 9, "1": 0}


def test_facets_in_which_all_values_must_hold_count_what_is_left(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["dog", "cat"], colors=["red"]),
            an_image(ordinal=2, objects=["dog"], colors=["red", "blue"]),
            an_image(ordinal=3, objects=["cat"]),
        ]
    )
    facets = store.facets(["object", "color"], parse("object:dog"), within=None, size=5, conjunctive=["object"])
    assert [{v.value: v.count for v in facet.values} for facet in facets] == [
        {"dog": 2, "cat": 1},
        {"red": 2, "blue": 1},
    ]
    assert facets[0].values[0].selected
    facets = store.facets(["object"], parse("object:dog object:cat"), within=None, size=5, conjunctive=["object"])
    assert [(v.value, v.count) for v in facets[0].values] == [("cat", 1), ("dog", 1)]


def test_values_are_found_by_the_beginning_of_any_word_however_rare(store: TagProjection) -> None:
    store.upsert(
        [an_image(ordinal=n, objects=["dog", "Straße"][: 1 + (n > 1)], user_tags=["hot  Dog"]) for n in range(3)]
    )

    def found(prefix: str, expression: str = "", size: int = 5) -> list[list[tuple[str, int]]]:
        facets = store.facets(["object", "user"], parse(expression), within=None, size=size, prefix=prefix)
        return [[(value.value, value.count) for value in facet.values] for facet in facets]

    assert found("DO") == [[("dog", 3)], [("hot  Dog", 3)]]
    assert found("STRASS", size=1) == [[("Straße", 1)], []]
    assert found("hot d", "confidence:>=0.6") == [[], [("hot  Dog", 3)]]
    assert found("og") == [[], []]
    assert found("do", "object:dogma|Straße")[0] == [("dog", 3), ("dogma", 0)]


def test_ranges_are_the_ends_of_what_is_left_without_the_fields_own_selection(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, width=100, taken_at="2020-12-31T23:59:59", objects=["person"] * 3),
            an_image(ordinal=2, width=200, taken_at="2024-01-01", objects=["person", ("person", 0.2)]),
            an_image(ordinal=3, width=300),
        ]
    )

    def ends(expression: str = "", *names: str, within: BitMap | None = None) -> dict[str, tuple[int, int]]:
        found = store.ranges(names or list(RANGES), parse(expression), within=within)
        return {range.field: (range.least, range.most) for range in found}

    assert ends() == {"people": (0, 3), "year": (2020, 2024), "width": (100, 300), "height": (768, 768)}
    assert ends("year:2024", "year", "width") == {"year": (2020, 2024), "width": (200, 200)}
    assert ends("people:>=1 -width:>150", "people", "width") == {"people": (3, 3), "width": (100, 100)}
    assert ends("confidence:>=0.1", "people", within=BitMap([1, 2])) == {"people": (2, 3)}
    assert ends("", within=BitMap([3])) == {"people": (0, 0), "width": (300, 300), "height": (768, 768)}
    assert ends("", within=BitMap()) == {}
    with pytest.raises(InvalidQuery, match=r"no range 'object'.*people"):
        store.ranges(["object"], Filter(), within=None)


def test_selected_values_are_listed_however_rare_and_in_the_spelling_of_the_library(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, user_tags=["Dog"], colors=["red"] + ["blue"] * (n > 1)) for n in range(4)])
    facet = store.facets(["color"], parse("color:BLUE|pink"), within=None, size=1)[0]
    assert [(v.value, v.count, v.selected) for v in facet.values] == [
        ("red", 4, False),
        ("blue", 2, True),
        ("pink", 0, True),
    ]


def test_a_number_of_people_that_is_no_bucket_is_listed_when_selected(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, objects=["person"] * n) for n in range(3, 6)])
    assert counts(store, "people", "people:4") == {"3-5": 3, "4": 1}


def test_an_unknown_facet_is_an_error_that_names_those_there_are(store: TagProjection) -> None:
    with pytest.raises(InvalidQuery, match=r"no facet 'shape'.*object.*source"):
        store.facets(["shape"], Filter(), within=None, size=5)


def test_a_better_match_of_words_scores_higher_and_only_allowed_images_are_found(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, files=["dogs/1.jpg"], caption="a street"),
            an_image(ordinal=2, objects=["dog"], caption="two dogs playing"),
            an_image(ordinal=3, objects=[("dog", 0.1)], caption="a street"),
            an_image(ordinal=4, objects=["cat"]),
        ]
    )
    ordinals, scores = store.search_text("a dog that plays", filter=Filter(), k=10)
    assert ordinals[0] == 2
    assert set(ordinals.tolist()) == {1, 2, 3}
    assert all(scores > 0)
    assert sorted(scores, reverse=True) == scores.tolist()
    assert store.search_text("dog", filter=Filter(), within=BitMap([1, 4]), k=10)[0].tolist() == [1]
    assert store.search_text("dog", filter=Filter(), k=1)[0].tolist() == [2]


def test_words_are_looked_for_only_in_images_that_match(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, caption="a dog", objects=["cat"] * (n > 2)) for n in range(5)])
    assert store.search_text("dogs", filter=parse("object:cat"), k=5)[0].tolist() == [3, 4]
    assert store.search_text("dogs", filter=parse("-object:cat"), within=BitMap([2, 3, 9]), k=5)[0].tolist() == [2]
    assert store.search_text("dogs", filter=Filter(), within=BitMap(), k=5)[0].tolist() == []
    assert store.search_text("dogs", filter=Filter(), k=5)[0].tolist() == [0, 1, 2, 3, 4]


def test_among_some_images_are_those_that_satisfy_any_of_the_filters(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n, objects=[label]) for n, label in enumerate(["dog", "cat", "bus", "dog"])])
    dog, cat = parse("object:dog"), parse("object:cat")
    assert store.among([dog, cat], BitMap([1, 2, 3, 7])) == BitMap([1, 3])
    assert store.among([Filter()], BitMap([2, 7])) == BitMap([2])
    assert store.among([dog], BitMap()) == BitMap()
    assert store.among([], BitMap([1])) == BitMap()


def test_images_by_date_are_newest_or_oldest_first_and_those_without_one_come_last(store: TagProjection) -> None:
    taken = ["2024-05-02", None, "1969-12-31", "2024-05-02", None, "2025-01-01"]
    store.upsert([an_image(ordinal=n, taken_at=date, colors=["red"] * (n < 5)) for n, date in enumerate(taken)])

    def by_date(expression: str = "", sort: Sort = Sort.NEWEST, **options: Any) -> list[int]:
        return store.in_order(Order(sort), parse(expression), **{"k": 10, **options})[0].tolist()

    assert by_date() == [5, 3, 0, 2, 4, 1]
    assert by_date(sort=Sort.OLDEST) == [2, 3, 0, 5, 4, 1]
    assert by_date("color:red", within=BitMap([0, 1, 2, 5, 9])) == [0, 2, 1]
    assert by_date(within=BitMap()) == []


ORDERS = [Order(Sort.NEWEST), Order(Sort.OLDEST), Order(Sort.RANDOM, 7), Order(Sort.RANDOM, 2**32 - 1)]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_an_order_goes_on_after_a_place_whose_image_may_be_gone(store: TagProjection, order: Order) -> None:
    taken = ["2024-05-02", None, "1969-12-31", "2024-05-02", None, "2025-01-01", "0001-01-01", None]
    store.upsert([an_image(ordinal=n, taken_at=date) for n, date in enumerate(taken)])
    ordinals, keys = store.in_order(order, Filter(), k=100)
    assert sorted(ordinals.tolist()) == list(range(8))
    places = [Place(key, n) for key, n in zip(keys.tolist(), ordinals.tolist(), strict=True)]
    assert places == sorted(places, key=lambda place: (place.key, -place.ordinal))
    for passed, place in enumerate(places, start=1):
        after, its_keys = store.in_order(order, Filter(), after=place, k=3)
        assert after.tolist() == ordinals[passed : passed + 3].tolist()
        assert its_keys.tolist() == keys[passed : passed + 3].tolist()
    store.delete(BitMap([places[3].ordinal]))
    assert store.in_order(order, Filter(), after=places[3], k=9)[0].tolist() == ordinals[4:].tolist()


def test_a_random_order_is_another_for_another_seed_and_the_same_for_the_same(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=n) for n in range(30)])
    orders = [store.in_order(Order(Sort.RANDOM, seed), Filter(), k=30)[0].tolist() for seed in (0, 1, 2, 0)]
    assert orders[0] == orders[3]
    assert len(set(map(tuple, orders))) == 3
    assert orders[0][:5] == [20, 13, 27, 12, 6]


def test_images_share_labels_with_a_picture_and_rare_labels_count_more(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["dog"], scenes=["beach"]),
            an_image(ordinal=2, objects=["dog"]),
            an_image(ordinal=3, scenes=["beach"]),
            an_image(ordinal=4, objects=[("dog", 0.1)], scenes=["Beach"]),
            an_image(ordinal=5, colors=["dog"]),
        ]
    )
    labels = {(TagKind.OBJECT, "Dog"): 0.8, (TagKind.SCENE, "beach"): 0.5, (TagKind.USER, "mine"): 1.0}
    weights = [0.8 * log1p(5 / 2), 0.5 * log1p(5 / 3), log1p(5)]
    dog, beach = (weight / sum(weights) for weight in weights[:2])
    ordinals, scores = store.search_labels(labels, filter=Filter(), k=5)
    assert ordinals.tolist() == [1, 2, 3, 4]
    assert scores == pytest.approx([dog + beach, dog, beach, beach], rel=1e-6)
    ordinals, scores = store.search_labels(labels, filter=parse("-object:dog"), within=BitMap([2, 4, 5]), k=5)
    assert (ordinals.tolist(), scores.tolist()) == ([4], pytest.approx([beach], rel=1e-6))
    assert store.search_labels(labels, filter=Filter(), k=1)[0].tolist() == [1]
    assert store.search_labels({}, filter=Filter(), k=5)[0].tolist() == []
    assert store.search_labels(labels, filter=Filter(), within=BitMap(), k=5)[0].tolist() == []


@pytest.mark.parametrize(
    "text", ['"', "NEAR(a b)", "caption:dog", "a AND", "*", "^x -y", "''; DROP TABLE image", "🎂", "\0", "x" * 5000]
)
def test_any_text_is_safe_to_search_for(store: TagProjection, text: str) -> None:
    store.upsert([an_image(ordinal=1, caption="a dog")])
    store.search_text(text, filter=Filter(), k=5)
    store.search_text(f"{text} " * 300 + "dog", filter=Filter(), k=5)
    assert len(store) == 1


def test_stop_words_are_searched_for_only_when_there_is_nothing_else(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, caption="the who"), an_image(ordinal=2, caption="a cat on the mat")])
    assert store.search_text("the cat", filter=Filter(), k=5)[0].tolist() == [2]
    assert store.search_text("the who", filter=Filter(), k=5)[0].tolist()[0] == 1


def test_labels_are_completed_at_the_start_of_any_word_commonest_first(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["traffic light", "dog"], moderation=["traffic"]),
            an_image(ordinal=2, objects=["traffic light", ("truck", 0.1)], user_tags=["My Trip"]),
        ]
    )
    assert store.labels("tr", k=5) == [("object", "traffic light", 2), ("user", "My Trip", 1)]
    assert store.labels("LIGHT", k=5) == [("object", "traffic light", 2)]
    assert len(store.labels("", k=2)) == 2


def test_labels_are_found_by_their_whole_name_whatever_its_case(store: TagProjection) -> None:
    store.upsert(
        [
            an_image(ordinal=1, objects=["traffic light", "dog"], moderation=["dog"], user_tags=["Dog"]),
            an_image(ordinal=2, objects=["dog", "dog"], user_tags=["Dog", "Großvater"]),
            an_image(ordinal=3, objects=[("cat", 0.1)]),
        ]
    )
    assert store.labels_named(["DOG", " traffic  light "]) == [
        ("user", "Dog", 2),
        ("object", "dog", 2),
        ("object", "traffic light", 1),
    ]
    assert store.labels_named(["grossvater"]) == [("user", "Großvater", 1)]
    assert store.labels_named(["traffic", "cat", "do*", ""]) == store.labels_named([]) == []


def test_several_filters_are_counted_at_once(store: TagProjection) -> None:
    store.upsert([an_image(ordinal=1, objects=["dog"]), an_image(ordinal=2, objects=["dog", "dog"])])
    filters = [parse(text) for text in ("object:dog", "", "count(object:dog):2", "object:cat", "-object:cat")]
    assert store.counts(filters) == [2, 2, 1, 0, 2]
    assert store.counts([]) == []


def test_what_one_process_writes_another_sees(open_store: Open) -> None:
    writer, reader = open_store(), open_store()
    writer.upsert([an_image(ordinal=1, objects=["dog"]), an_image(ordinal=2, objects=["zebra"])], applied=3)
    assert reader.match(parse("object:dog|zebra")) == BitMap([1, 2])
    writer.delete(BitMap([1]), applied=4)
    writer.upsert([an_image(ordinal=2, objects=["yak"])])
    assert counts(reader, "object") == {"yak": 1}
    assert reader.applied == 4


def test_a_file_with_other_defaults_or_a_broken_one_is_made_anew(
    open_file: Callable[[], SqliteTagStore], tmp_path: Path
) -> None:
    store = open_file()
    store.upsert([an_image(ordinal=1)], applied=9)
    store.close()
    with sqlite3.connect(tmp_path / "tags.sqlite") as connection:
        connection.execute("UPDATE meta SET value = 'of another version' WHERE key = 'layout'")
    connection.close()
    store = open_file()
    assert (len(store), store.applied) == (0, 0)
    store.close()
    (tmp_path / "tags.sqlite").write_bytes(b"no database" * 1000)
    store = open_file()
    store.upsert([an_image(ordinal=1)])
    assert len(store) == 1


def test_a_store_that_is_open_while_the_file_is_made_anew_forgets_what_it_had(
    open_file: Callable[[], SqliteTagStore], tmp_path: Path
) -> None:
    reader = open_file()
    reader.upsert([an_image(ordinal=1, objects=["dog"])])
    assert len(reader) == 1
    with sqlite3.connect(tmp_path / "tags.sqlite") as connection:
        connection.execute("UPDATE meta SET value = 'of another version' WHERE key = 'layout'")
    connection.close()
    open_file().upsert([an_image(ordinal=2, objects=["cat"])])
    assert counts(reader, "object") == {"cat": 1}


def test_a_file_that_was_closed_is_unavailable(open_file: Callable[[], SqliteTagStore]) -> None:
    store = open_file()
    store.close()
    with pytest.raises(Unavailable, match="tag store"):
        store.match(Filter())


def test_threads_read_whole_changes_while_another_writes(store: TagProjection) -> None:
    def pair(label: str) -> list[ImageRecord]:
        return [an_image(ordinal=n, objects=[label]) for n in (1, 2)]

    def looks_whole() -> bool:
        return store.count(parse("object:dog")) in (0, 2) and store.search_text("dog", filter=Filter(), k=5) is not None

    with ThreadPoolExecutor(4) as pool:
        looks = []
        for round_ in range(20):
            looks += [pool.submit(looks_whole) for _ in range(4)]
            store.upsert(pair("dog" if round_ % 2 else "cat"))
        assert all(look.result() for look in looks)


def check(store: TagProjection, filter: Filter, library: Sequence[ImageRecord], within: BitMap) -> None:
    """Hold every answer against the definition of the language."""
    expected = BitMap(record.ordinal for record in library if matches(filter, record))
    assert store.match(filter) == expected
    assert store.count(filter) == len(expected)
    for name, (least, most) in ranges_of(filter, library, within).items():
        assert store.ranges([name], filter, within=within) == [Range(name, least, most)]
    with_range = [range.field for range in store.ranges(list(RANGES), filter, within=within)]
    assert with_range == list(ranges_of(filter, library, within))
    for facet in store.facets(list(FACETS), filter, within=within, size=1000):
        counted = {fold(value.value): value.count for value in facet.values if value.count}
        exact = {v.value for v in facet.values if facet.name == "people" and v.value not in PEOPLE_BUCKETS}
        counted = {value: count for value, count in counted.items() if value not in exact}
        assert counted == recounted(facet.name, filter, library, within), facet.name
    in_all = store.facets(list(FACETS), filter, within=within, size=1000, conjunctive=list(FACETS))
    for facet in in_all:
        counted = {fold(v.value): v.count for v in facet.values if v.count and v.value in PEOPLE_BUCKETS}
        if facet.name != "people":
            counted = {fold(value.value): value.count for value in facet.values if value.count}
        assert counted == recounted(facet.name, filter, library, within, conjunctive=True), facet.name
    for prefix in ("D", "traffic L", "li", "10%", "é", "\\ @", "*", "?"):
        for facet, every in zip(
            store.facets(["object", "user", "source"], filter, within=within, size=1000, prefix=prefix),
            store.facets(["object", "user", "source"], filter, within=within, size=1000),
            strict=True,
        ):
            starting = {fold(v.value): v for v in every.values if f" {fold(prefix)}" in f" {fold(v.value)}"}
            assert {fold(value.value): (value.count, value.selected) for value in facet.values} == {
                value: (v.count, v.selected) for value, v in starting.items()
            }, (facet.name, prefix)


def live(data: st.DataObject, written: TagProjection, others: Callable[[], Sequence[TagProjection]]) -> None:
    """Fill, change and thin out a library, and hold what the stores then say against the definition."""
    library = {record.ordinal: record for record in data.draw(libraries())}
    filters = data.draw(st.lists(fitting_filters, min_size=1, max_size=6))
    within = BitMap(data.draw(st.sets(st.integers(0, 40), min_size=20)))
    written.upsert(library.values())
    for filter in filters:
        check(written, filter, list(library.values()), within)
    written.save()
    changed = {ordinal: data.draw(records(ordinal)) for ordinal in [*library][::2]}
    gone = BitMap([*library][1::3])
    written.upsert(changed.values())
    assert written.delete(gone) == len(gone)
    library = {n: record for n, record in (library | changed).items() if n not in gone}
    for store in others():
        for filter in filters:
            check(store, filter, list(library.values()), within)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_filters_on_random_files_answer_as_the_language_defines(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder, ExitStack() as opened:

        def open_one() -> SqliteTagStore:
            return opened.enter_context(closing(open_embedded(Path(folder))))

        store, other = open_one(), open_one()
        live(data, store, lambda: [other, open_one()])


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_random_filters_on_random_libraries_in_opensearch_answer_as_the_language_defines(
    open_in_opensearch: Open, data: st.DataObject
) -> None:
    with closing(open_in_opensearch()) as store:
        try:
            live(data, store, lambda: [store])
        finally:
            empty(store)


def test_large_libraries_count_the_same_by_bitmaps_and_by_arrays(store: TagProjection) -> None:
    labels = ["dog", "cat", "person", "bus"]
    library = [
        an_image(ordinal=n, objects=[(labels[n % 4], (n % 10) / 10), (labels[n % 3], 0.8)], colors=["red"][: n % 2])
        for n in range(120)
    ]
    store.upsert(library[:60])
    store.upsert(library[60:])
    store.upsert([replace(record, caption="again") for record in library[30:90]])
    for expression in ("", "object:dog", "confidence:>=0.6 color:red"):
        for within in (BitMap(range(120)), BitMap(range(0, 120, 9)), BitMap([5])):
            check(store, parse(expression), library, within)
