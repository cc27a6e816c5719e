"""Every tag store says the same of the same library: what matches, how many, which facets, which words are found."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from filter_strategies import (
    CONFIDENCES,
    LABELS,
    MOMENTS,
    PATHS,
    PHRASES,
    SOURCES,
    TEXTS,
    filters_of,
    terms,
)
from helpers import an_image
from hypothesis import given, settings
from hypothesis import strategies as st
from opensearch_server import delete_everything
from pyroaring import BitMap
from tag_stores import open_embedded, open_opensearch

from search.facets import FACETS
from search.protocols import TagStore
from search.tags.sqlite_store import SqliteTagStore
from search.types import Facet, Filter, ImageRecord, Location, Order, Place, Sort, Tag, TagKind
from search.words import fold

MANY_LABELS = (
    *LABELS,
    "cat",
    "bus",
    "living room",
    "Living  Room",
    "street",
    "beach",
    "red",
    "blue",
    "dogs",
    "STRASSE",
)
MANY_TEXTS = (*TEXTS[:-1], "the dog's living room", "dogs running on beaches", "Straße, 10 %", "happy happy days")
SEARCHES = (
    "dog",
    "a dog that runs",
    "happy birthdays",
    "living rooms",
    "holiday 2024",
    "the",
    "生日",
    "CAFE",
    "nothing",
)
PREFIXES = ("", "d", "l", "LIVING r", "room", "10%", 'a "b" \\', "t", "x")

Fill = Callable[[str, str, Sequence[ImageRecord]], TagStore]


def in_opensearch(**options: int) -> Fill:
    def fill(url: str, prefix: str, library: Sequence[ImageRecord]) -> TagStore:
        store = open_opensearch(url, prefix, **options)
        store.upsert(library)
        return store

    return fill


STORES: Mapping[str, Fill] = {"opensearch": in_opensearch(), "opensearch, three shards": in_opensearch(shards=3)}
"""The stores that are held against the embedded one, and how each is filled."""


def a_library(seed: int) -> list[ImageRecord]:
    """Return 100 to 300 images that share few labels, dates, texts and paths."""
    chance = random.Random(seed)
    maybe = (None, *MANY_TEXTS)
    return [
        an_image(
            ordinal=ordinal,
            files=chance.sample(PATHS, chance.randint(1, 2)),
            width=chance.choice((640, 768, 1024)),
            height=chance.choice((640, 768, 1024)),
            taken_at=chance.choice((None, *MOMENTS)),
            location=chance.choice((None, Location(1.0, 2.0))),
            caption=chance.choice(maybe),
            caption_source=chance.choice((None, *SOURCES)),
            alt_text=chance.choice(maybe),
            tags=[a_tag(chance) for _ in range(chance.randint(0, 12))],
        )
        for ordinal in chance.sample(range(1000), chance.randint(100, 300))
    ]


def a_tag(chance: random.Random) -> Tag:
    kind = chance.choice([*TagKind, TagKind.OBJECT, TagKind.OBJECT, TagKind.TEXT])
    label = chance.choice(MANY_TEXTS if kind is TagKind.TEXT else ("person", "dog", *MANY_LABELS))
    return Tag(kind, label, chance.choice(CONFIDENCES), chance.choice(SOURCES))


@pytest.fixture(scope="module", params=list(STORES))
def stores(
    request: pytest.FixtureRequest, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SqliteTagStore, TagStore]]:
    """The embedded store and another one with the same library, of another seed for each."""
    prefix = f"t-{uuid.uuid4().hex[:12]}"
    library = a_library(list(STORES).index(request.param))
    with closing(open_embedded(Path(tmp_path_factory.mktemp("tags")))) as embedded:
        embedded.upsert(library)
        other = STORES[request.param](opensearch_url, prefix, library)
        yield embedded, other
        if hasattr(other, "close"):
            other.close()
    delete_everything(opensearch_url, prefix)


some_filters = filters_of(terms(st.sampled_from(MANY_LABELS), st.sampled_from(PHRASES)))
some_images = st.none() | st.sets(st.integers(0, 999), max_size=400).map(BitMap)


def read(facets: Sequence[Facet]) -> dict[str, dict[str, tuple[int, bool]]]:
    """Return facets with their values as they compare: of two spellings of one value, stores may list either."""
    return {facet.name: {fold(v.value): (v.count, v.selected) for v in facet.values} for facet in facets}


@settings(max_examples=150, deadline=None)
@given(filter=some_filters, other=some_filters, within=some_images, text=st.sampled_from(SEARCHES))
def test_stores_agree(
    stores: tuple[SqliteTagStore, TagStore], filter: Filter, other: Filter, within: BitMap | None, text: str
) -> None:
    one, two = stores
    assert one.match(filter) == two.match(filter)
    assert one.match(filter, limit=7) == two.match(filter, limit=7)
    assert one.count(filter) == two.count(filter)
    if within is not None:
        assert one.among([filter, other], within) == two.among([filter, other], within)
    for order in (Order(Sort.NEWEST), Order(Sort.OLDEST), Order(Sort.RANDOM, 2**32 - 1)):
        ordinals, keys = one.in_order(order, filter, within=within, k=50)
        after = Place(int(keys[-1]), int(ordinals[-1])) if len(keys) else None
        for place in (None, after):
            found = [store.in_order(order, filter, within=within, after=place, k=50) for store in stores]
            assert [part.tolist() for part in found[0]] == [part.tolist() for part in found[1]]
    facets = [read(store.facets(list(FACETS), filter, within=within, size=1000)) for store in stores]
    assert facets[0] == facets[1]
    found = [store.search_text(text, filter=filter, within=within, k=1000) for store in stores]
    assert set(found[0][0].tolist()) == set(found[1][0].tolist())


@settings(max_examples=25, deadline=None)
@given(
    labels=st.dictionaries(
        st.tuples(st.sampled_from(list(TagKind)), st.sampled_from(MANY_LABELS)), st.floats(0, 1), max_size=8
    ),
    filter=some_filters,
    within=some_images,
)
def test_stores_agree_on_shared_labels_and_their_order(
    stores: tuple[SqliteTagStore, TagStore],
    labels: dict[tuple[TagKind, str], float],
    filter: Filter,
    within: BitMap | None,
) -> None:
    (ordinals, scores), found = [store.search_labels(labels, filter=filter, within=within, k=1000) for store in stores]
    assert ordinals.tolist() == found[0].tolist()
    np.testing.assert_allclose(scores, found[1], rtol=1e-6)


def test_stores_agree_on_completions_and_on_the_commonest_values(stores: tuple[SqliteTagStore, TagStore]) -> None:
    for prefix in PREFIXES:
        one, two = ({(kind, fold(label), n) for kind, label, n in s.labels(prefix, k=1000)} for s in stores)
        assert one == two, prefix
    for facet, other in zip(*(s.facets(list(FACETS), Filter(), within=None, size=5) for s in stores), strict=True):
        assert [value.count for value in facet.values] == [value.count for value in other.values], facet.name


def test_stores_rank_words_alike_and_on_one_scale(tmp_path: Path, opensearch_url: str, prefix: str) -> None:
    """Not equally: lengths of texts are weighted sums and rounded in one, and rare words tell more in the other."""
    animals = ("dog", "cat", "horse", "bird", "cow", "sheep", "bear", "zebra")
    places = ("street", "beach", "kitchen", "forest", "mountain", "field", "bridge", "harbour", "station", "garden")
    library = [
        an_image(
            ordinal=n,
            objects=[animals[n % 8]] if n % 3 else [],
            caption=f"a {animals[n % 8]} {'playing ' * (n % 11 == 0)}in a {places[n % 10]}" if n % 5 else None,
            files=[f"holiday/{places[n % 7]}_{n}.jpg"],
        )
        for n in range(300)
    ]
    with closing(open_embedded(tmp_path)) as embedded, closing(open_opensearch(opensearch_url, prefix)) as other:
        embedded.upsert(library)
        other.upsert(library)
        for text in ("dog", "a zebra on the beach", "playing cats", "kitchen", "playing"):
            one, two = (dict(scored(store, text)) for store in (embedded, other))
            ratios = np.array([two[ordinal] / one[ordinal] for ordinal in one])
            assert 0.9 < ratios.min() <= ratios.max() < 1.5, text
            assert 1.0 < np.median(ratios) < 1.25, text


def scored(store: TagStore, text: str) -> Iterator[tuple[int, float]]:
    ordinals, scores = store.search_text(text, filter=Filter(), k=1000)
    return zip(ordinals.tolist(), scores.tolist(), strict=True)


def test_stores_stem_alike(tmp_path: Path, opensearch_url: str, prefix: str) -> None:
    stems = ("dog", "play", "beach", "happy", "hous", "hop", "run", "walk", "relat", "nation", "organiz", "sit", "argu")
    endings = (
        "",
        "s",
        "es",
        "y",
        "ies",
        "ing",
        "ning",
        "ed",
        "ped",
        "e",
        "er",
        "ion",
        "ional",
        "ization",
        "ly",
        "ness",
    )
    vocabulary = [stem + ending for stem in stems for ending in endings]
    library = [an_image(ordinal=n, caption=word) for n, word in enumerate(vocabulary)]
    with closing(open_embedded(tmp_path)) as one, closing(open_opensearch(opensearch_url, prefix)) as two:
        one.upsert(library)
        two.upsert(library)
        for word in vocabulary:
            found = [set(s.search_text(word, filter=Filter(), k=300)[0].tolist()) for s in (one, two)]
            assert found[0] == found[1], word
