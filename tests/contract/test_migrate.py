"""A library is the same wherever it is moved, however often that is stopped, and answers the same from every store."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from math import inf
from pathlib import Path

import numpy as np
import pytest
from catalogs import SPACE, a_file, a_lived_in_library, all_that_is_told, an_id, an_image, write
from filter_strategies import LABELS, SOURCES, TEXTS, fitting_filters
from hypothesis import given, settings
from hypothesis import strategies as st
from opensearch_server import delete_everything
from planted import PlantedEncoder
from pyroaring import BitMap

from search import migrate as migration
from search.catalog.opening import open_catalog
from search.catalog.rows import Batch, NewImage
from search.config import Config, load_config
from search.engine import SearchEngine
from search.errors import ConfigError, Conflict
from search.facets import FACETS
from search.migrate import migrate
from search.protocols import TagStore
from search.stores import Stores, open_stores
from search.types import Facet, Filter, Query, Sort, Tag, TagKind
from search.words import fold

STORES = ("embedded", "opensearch", "opensearch-knn")


class Counting:
    """Satisfies `search.migrate.Progress`; stops the run after some parts."""

    def __init__(self, parts: int = 1000) -> None:
        self.seen, self._parts = 0, parts

    def found(self, more: int) -> None: ...

    def done(self, count: int) -> None:
        self.seen += count
        self._parts -= 1
        if self._parts == 0:
            raise KeyboardInterrupt


@pytest.fixture
def embedded(opensearch_url: str, prefix: str, tmp_path: Path) -> Config:
    """The options of a library that has one of everything, in SQLite."""
    config = load_config(data=tmp_path, opensearch_url=opensearch_url, opensearch_prefix=prefix)
    with open_catalog(config, create=True) as catalog:
        a_lived_in_library(catalog)
    return config


def moved_to(config: Config, store: str) -> Config:
    return config.model_copy(update={"store": store})


def told(config: Config) -> dict[str, object]:
    with open_catalog(config) as catalog:
        return all_that_is_told(catalog)


def test_a_library_is_the_same_there_and_back_again(embedded: Config, tmp_path: Path) -> None:
    before = told(embedded)
    done = migrate(embedded, "opensearch-knn", replace=False, progress=Counting())
    cluster = moved_to(embedded, "opensearch-knn")
    assert told(cluster) == before
    assert done.counts["images"] == done.copied > 0
    assert done.counts["tagged"] == done.copied - 1, "one was rejected, so nobody finds it"
    elsewhere = cluster.model_copy(update={"data": tmp_path / "elsewhere"})
    migrate(elsewhere, "opensearch", replace=False, progress=Counting())
    assert told(moved_to(elsewhere, "opensearch")) == before
    assert told(cluster) == before, "the source stays"
    migrate(moved_to(elsewhere, "opensearch"), "embedded", replace=False, progress=Counting())
    assert told(moved_to(elsewhere, "embedded")) == before


@pytest.mark.parametrize("stops", [1, 2, 3])
def test_a_move_that_is_stopped_goes_on_where_it_was(
    embedded: Config, monkeypatch: pytest.MonkeyPatch, stops: int
) -> None:
    monkeypatch.setattr(migration, "CHUNK", 1)
    with open_catalog(embedded) as catalog:
        write(catalog, catalog.root(Path("/photos")), *range(10, 16))
        images = catalog.counts()["images"]
    before = told(embedded)
    for _ in range(stops):
        with pytest.raises(KeyboardInterrupt):
            migrate(embedded, "opensearch-knn", replace=False, progress=Counting(parts=1))
    rest = Counting()
    migrate(embedded, "opensearch-knn", replace=False, progress=rest)
    assert rest.seen <= images - stops + 1, "at most the part at hand is copied twice"
    assert told(moved_to(embedded, "opensearch-knn")) == before


def test_a_move_of_a_library_that_was_changed_meanwhile_starts_anew(
    embedded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "CHUNK", 1)
    with pytest.raises(KeyboardInterrupt):
        migrate(embedded, "opensearch-knn", replace=False, progress=Counting(parts=2))
    with open_catalog(embedded) as catalog:
        catalog.edit(an_id(1), caption="changed")
        catalog.remove_files(catalog.root(Path("/photos")), ["2.jpg"])
    before = told(embedded)
    migrate(embedded, "opensearch-knn", replace=False, progress=Counting())
    assert told(moved_to(embedded, "opensearch-knn")) == before


def test_a_library_that_is_changed_while_it_is_copied_is_said_so(embedded: Config) -> None:
    class Changing(Counting):
        def done(self, count: int) -> None:
            with open_catalog(embedded) as catalog:
                catalog.edit(an_id(1), caption="changed")

    with pytest.raises(Conflict, match="run the same command again"):
        migrate(embedded, "opensearch-knn", replace=False, progress=Changing())


def test_a_library_that_is_there_already_is_overwritten_only_on_demand(embedded: Config) -> None:
    migrate(embedded, "opensearch-knn", replace=False, progress=Counting())
    cluster = moved_to(embedded, "opensearch-knn")
    with open_catalog(cluster) as catalog:
        write(catalog, catalog.root(Path("/photos")), 20)
    with pytest.raises(ConfigError, match="--replace"):
        migrate(embedded, "opensearch-knn", replace=False, progress=Counting())
    migrate(embedded, "opensearch-knn", replace=True, progress=Counting())
    assert told(cluster) == told(embedded)
    with pytest.raises(ConfigError, match="is in embedded already"):
        migrate(embedded, "embedded", replace=True, progress=Counting())


# The same answers from all three


def a_picture(number: int, chance: random.Random) -> NewImage:
    kinds = [TagKind.OBJECT, TagKind.OBJECT, TagKind.SCENE, TagKind.COLOR, TagKind.TEXT]
    tags = []
    for kind in chance.choices(kinds, k=chance.randint(0, 8)):
        label = chance.choice(TEXTS if kind is TagKind.TEXT else LABELS)
        tags.append(Tag(kind, label, chance.choice((0.1, 0.3, 0.5, 0.7, 0.9)), chance.choice(SOURCES)))
    vector = np.array([chance.gauss(0, 1) for _ in range(SPACE.dim)], np.float32)
    day = datetime(chance.choice((2020, 2023, 2024)), chance.randint(1, 12), chance.randint(1, 28))
    return an_image(
        number,
        vector=vector / np.linalg.norm(vector),
        tags={"objects": tuple(tags)},
        width=chance.choice((640, 1024)),
        phash=chance.getrandbits(64),
        taken_at=chance.choice((None, day)),
        caption=chance.choice((None, *TEXTS)),
        caption_source=chance.choice(SOURCES),
    )


def counted(facets: Sequence[Facet]) -> dict[str, dict[str, int]]:
    """Return the counts by value; which of two spellings is shown is the store's choice."""
    return {facet.name: {fold(value.value): value.count for value in facet.values} for facet in facets}


Filled = Mapping[str, tuple[Stores, SearchEngine]]


@pytest.fixture(scope="module")
def filled(opensearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """One library of 300 images in each of the stores, and an engine over it."""
    prefix = f"t-{uuid.uuid4().hex[:12]}"
    config = load_config(
        data=tmp_path_factory.mktemp("library"), opensearch_url=opensearch_url, opensearch_prefix=prefix
    )
    chance = random.Random(3)
    with open_catalog(config, create=True) as catalog:
        root = catalog.root(Path("/photos"))
        for start in range(1, 301, 100):
            images = [a_picture(number, chance) for number in range(start, start + 100)]
            catalog.write(root, Batch(SPACE, images, [(a_file(f"{int(i.id, 16)}.jpg"), i.id) for i in images]))
        catalog.activate("lite", SPACE)
    found: dict[str, tuple[Stores, SearchEngine]] = {}
    catalogs = []
    for store in STORES:
        here = moved_to(config, store)
        if store != "embedded":
            migrate(config, store, replace=False, progress=Counting())
        opened = open_catalog(here)
        catalogs.append(opened)
        catalog = opened.__enter__()
        stores = open_stores(here, catalog, SPACE)
        stores.catch_up()
        engine = SearchEngine(
            records=catalog, tags=stores.tags, finder=stores.finder, encoder=PlantedEncoder(SPACE), cutoff=0.5
        )
        found[store] = stores, engine
    yield found
    for (stores, _), opened in zip(found.values(), catalogs, strict=True):
        stores.close()
        opened.__exit__(None, None, None)
    delete_everything(opensearch_url, prefix)


@settings(max_examples=40, deadline=None)
@given(filter=fitting_filters)
def test_filters_match_and_count_the_same(filled: Filled, filter: Filter) -> None:
    def answers(tags: TagStore) -> object:
        facets = tags.facets(list(FACETS), filter, within=None, size=1000)
        return tags.match(filter), tags.count(filter), counted(facets)

    right, *others = (answers(stores.tags) for stores, _ in filled.values())
    assert others == [right, right]


TEXT = st.sampled_from(["", "dog", "beach dog", "cat night", "happy birthday", "nothing like it"])


@settings(max_examples=60, deadline=None)
@given(
    filter=fitting_filters, text=TEXT, facets=st.sampled_from([(), ("object", "people")]), sort=st.sampled_from(Sort)
)
def test_whole_queries_are_answered_the_same(
    filled: Filled, filter: Filter, text: str, facets: tuple[str, ...], sort: Sort
) -> None:
    """Words are left out of the score: BM25 is no more than alike between engines."""
    asked: Callable[[str], Query] = lambda cutoff: Query(  # noqa: E731
        texts=(text,) if text else (),
        filter=filter,
        facets=facets,
        sort=sort,
        seed=7,
        cutoff=cutoff,
        mode="vector",
        k=200,
    )
    for cutoff in ("auto", "none"):
        right, *others = (engine.search(asked(cutoff)) for _, engine in filled.values())
        for other in others:
            assert (other.total, counted(other.facets)) == (right.total, counted(right.facets))
            scores = [{hit.image.id: hit.score for hit in results.hits} for results in (other, right)]
            # Vectors are halves in one, floats in the other; so where a page ends, either of two may be the last.
            last = min(scores[1].values(), default=0) if other.total > len(other.hits) else -inf
            both = scores[0].keys() & scores[1].keys()
            assert {id: scores[0][id] for id in both} == pytest.approx({id: scores[1][id] for id in both}, abs=2e-3)
            for id in scores[0].keys() ^ scores[1].keys():
                assert sort is Sort.RELEVANCE
                assert (scores[0] | scores[1])[id] == pytest.approx(last, abs=2e-3)
            if sort is not Sort.RELEVANCE:
                assert [hit.image.id for hit in other.hits] == [hit.image.id for hit in right.hits]


@settings(max_examples=15, deadline=None)
@given(filter=fitting_filters, seed=st.integers(0, 99), left_out=st.integers(0, 250))
def test_the_nearest_of_several_vectors_are_the_same(filled: Filled, filter: Filter, seed: int, left_out: int) -> None:
    probes = np.random.default_rng(seed).normal(size=(3, SPACE.dim)).astype(np.float32)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    without = BitMap(range(1, left_out))
    answers = [stores.finder.nearest(filter, probes, 10, without=without) for stores, _ in filled.values()]
    for found in zip(*answers, strict=True):
        (right, cosines), *others = found
        assert not BitMap(right) & without
        for ordinals, theirs in others:
            assert len(ordinals) == len(right)
            assert theirs == pytest.approx(cosines, abs=2e-3)
