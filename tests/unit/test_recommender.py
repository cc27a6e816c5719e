"""The recommender over a small real library with planted vectors: what comes in, what stays out, and in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from catalogs import SPACE, a_file, an_id, an_image

from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch
from search.config import load_config
from search.errors import InvalidQuery
from search.filters import parse
from search.recommend.events import EventType
from search.recommend.keeper import CrowdKeeper
from search.recommend.recommender import Recommendations, Recommender
from search.stores import open_stores
from search.types import Filter, Tag, TagKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
AXES = np.eye(SPACE.dim)
DOGS, HILLS, BOATS = range(100, 140), range(200, 240), range(300, 340)
"""Numbers of images; those of a range lie near an axis of the space, all others anywhere."""
COPY = 150


@dataclass
class Library:
    catalog: Catalog
    recommender: Recommender
    crowd: CrowdKeeper

    def note(self, person: str, numbers: Sequence[int], type: EventType = EventType.LIKE, *, days: float = 0) -> None:
        for number in numbers:
            self.catalog.events.note(person, an_id(number), type, NOW - timedelta(days=days), kept_for=YEAR)
        self.crowd.note()

    def shown(self, person: str = "ann", filter: Filter | None = None, k: int = 10) -> list[int]:
        return [int(one.hit.image.id, 16) for one in self.recommend(person, filter, k).shown]

    def recommend(self, person: str = "ann", filter: Filter | None = None, k: int = 10) -> Recommendations:
        return self.recommender.recommend(person, filter=filter or Filter(), k=k, now=NOW)


def planted() -> Iterator[tuple[int, np.ndarray, str]]:
    rng = np.random.default_rng(1)
    for axis, (numbers, label) in enumerate(((DOGS, "dog"), (HILLS, "hill"), (BOATS, "boat"))):
        for number in numbers:
            yield number, AXES[axis] + rng.normal(scale=0.12, size=SPACE.dim), label
    for number in range(400, 440):
        yield number, rng.normal(size=SPACE.dim), "thing"
    yield COPY, AXES[0] + np.random.default_rng(1).normal(scale=0.12, size=SPACE.dim), "dog"  # as the first of them


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    config = load_config(data=tmp_path)
    with open_catalog(config, create=True) as catalog:
        images = []
        for number, vector, label in planted():
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            tag = Tag(TagKind.OBJECT, label, 0.9, "detector")
            images.append(an_image(number, vector=unit, tags={"objects": (tag,)}, width=300 if number % 2 else 600))
        files = [(a_file(f"{int(one.id, 16)}.jpg"), one.id) for one in images]
        catalog.write(catalog.root(Path("/photos")), Batch(SPACE, images, files))
        catalog.activate("lite", SPACE)
        stores = open_stores(config, catalog, SPACE)
        stores.catch_up()
        crowd = CrowdKeeper(catalog.events)
        made = Recommender(
            records=catalog, tags=stores.tags, finder=stores.finder, space=SPACE, events=catalog.events, crowd=crowd
        )
        yield Library(catalog, made, crowd)
        crowd.close()
        stores.close()


def test_places_go_to_several_interests_by_how_much_they_are_liked(library: Library) -> None:
    library.note("ann", DOGS[:6])
    library.note("ann", HILLS[:3])
    shown = library.shown(k=12)
    assert sum(number in DOGS for number in shown) == 8
    assert sum(number in HILLS for number in shown) == 4
    assert not set(shown) & {*DOGS[:6], *HILLS[:3]}
    assert {int(one.reasons[0].image or "0", 16) for one in library.recommend(k=12).shown} <= {*DOGS[:6], *HILLS[:3]}
    assert library.recommend().shown[0].reasons[0].labels == ("dog",)


def test_what_was_liked_long_ago_says_less(library: Library) -> None:
    library.note("ann", DOGS[:4], days=300)
    library.note("ann", HILLS[:4])
    shown = library.shown(k=10)
    assert sum(number in HILLS for number in shown) >= 8
    library.note("bob", DOGS[:4])
    library.note("bob", HILLS[:4], days=300)
    assert sum(number in DOGS for number in library.shown("bob", k=10)) >= 8


def test_views_count_but_a_like_counts_more(library: Library) -> None:
    library.note("ann", DOGS[:3], EventType.VIEW)
    assert all(number in DOGS for number in library.shown(k=8))
    library.note("ann", HILLS[:3])
    shown = library.shown(k=8)
    assert 1 <= sum(number in DOGS for number in shown) < sum(number in HILLS for number in shown)


def test_a_copy_of_a_like_is_no_news(library: Library) -> None:
    library.note("ann", [DOGS[0]])
    assert COPY not in library.shown(k=30)
    library.note("bob", [DOGS[5]])
    assert COPY in library.shown("bob", k=40)


def test_what_is_nearer_to_what_was_hidden_gives_its_place_up(library: Library) -> None:
    library.note("ann", [DOGS[0], HILLS[0]])
    library.note("ann", HILLS[1:8], EventType.HIDE)
    shown = library.recommend(k=30).shown
    assert not {int(one.hit.image.id, 16) for one in shown} & {*HILLS[1:8]}
    by_taste = [int(one.hit.image.id, 16) for one in shown if "content" in one.hit.parts or "labels" in one.hit.parts]
    assert sum(number in DOGS for number in by_taste) > 20
    assert sum(number in HILLS for number in by_taste) < 10, "most hills are nearer to a hidden one than to the liked"


def test_a_filter_and_k_hold_and_a_full_list_is_as_long_as_it_can_be(library: Library) -> None:
    library.note("ann", DOGS[:3])
    wide = parse("width:>=500")
    assert all(number % 2 == 0 for number in library.shown(filter=wide, k=50))
    everything = library.shown(k=200)
    assert len(everything) == len(set(everything)) == 161 - 3
    for k in (0, 201):
        with pytest.raises(InvalidQuery, match="k must be"):
            library.shown(k=k)


def test_others_bring_what_is_like_nothing_that_one_likes(library: Library) -> None:
    for person in ("bob", "cy", "dan"):
        library.note(person, [*DOGS[:5], 400, 401])
    library.note("ann", DOGS[:4])
    found = {int(one.hit.image.id, 16): one for one in library.recommend(k=30).shown}
    assert {400, 401} <= found.keys()
    assert found[400].reasons[0].kind == "others"
    assert int(found[400].reasons[0].image or "0", 16) in DOGS[:4]


def test_who_hides_everything_that_is_new_is_not_shown_it(library: Library) -> None:
    first = library.shown(k=5)
    library.note("ann", first, EventType.HIDE)
    second = library.shown(k=5)
    assert len(second) == 5
    assert not set(first) & set(second)


def test_a_person_whose_likes_are_gone_from_the_library_is_one_who_did_nothing(library: Library) -> None:
    library.note("ann", [9_999])
    assert library.recommend().basis.interests == 0
    assert library.shown() == library.shown("nobody")
