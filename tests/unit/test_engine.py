"""The engine over real stores, with vectors that are planted so that the answer is known."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from planted import WORDS, PlantedEncoder

from search.catalog.rows import Batch, FileRow, NewImage
from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import load_config
from search.engine import Picture, SearchEngine
from search.errors import InvalidQuery, NotFound
from search.filters import parse
from search.projections import Projections
from search.types import EmbeddingSpace, Filter, ImageId, Mode, Query, SimilarBy, Sort, Tag, TagKind

DIM = 8
SPACE = EmbeddingSpace("planted", DIM, "e" * 32)


def an_id(number: int) -> ImageId:
    return ImageId(f"{number:032x}")


def an_image(number: int, *axes: str, objects: tuple[str, ...] = (), **changes: object) -> NewImage:
    vector = np.full(DIM, 0.01, np.float32)
    for axis in axes:
        vector[WORDS[axis]] += 1
    tags = tuple(Tag(TagKind.OBJECT, label, 0.9, "test") for label in objects)
    values: dict = {
        "id": an_id(number), "width": 4, "height": 3, "mime_type": "image/jpeg", "bytes": 1,
        "phash": number * 0x0F0F_3C5A_9669_A5C3 % 2**64,
        "models": "m", "vector": vector / np.linalg.norm(vector), "tags": {"objects": tags},
    }  # fmt: skip
    return NewImage(**{**values, **changes})


IMAGES = [
    an_image(1, "dog", objects=("dog",), taken_at=datetime(2020, 1, 1)),
    an_image(2, "dog", "beach", objects=("dog", "person"), taken_at=datetime(2024, 1, 1)),
    an_image(3, "cat", objects=("cat",), taken_at=datetime(2022, 1, 1)),
    an_image(4, "beach", caption="An empty beach at dusk", caption_source="test"),
    an_image(5, "night", objects=("car", "car")),
]


@pytest.fixture(params=["scan", "ann"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SearchEngine]:
    exact_limit = 1000 if request.param == "scan" else 0
    with SqliteCatalog(tmp_path, create=True) as catalog:
        files = [(FileRow(f"{n}.jpg", 1, 1, n), image.id) for n, image in enumerate(IMAGES, start=1)]
        catalog.write(catalog.root(Path("/p")), Batch(SPACE, IMAGES, files))
        catalog.activate("lite", SPACE)
        projections = Projections(catalog, load_config(data=tmp_path, exact_limit=exact_limit), SPACE)
        projections.catch_up()
        yield SearchEngine(
            records=catalog,
            tags=projections.tags,
            finder=projections.finder,
            encoder=PlantedEncoder(SPACE),
            cutoff=0.5,
        )
        projections.close()


def found(engine: SearchEngine, query: Query) -> list[int]:
    return [int(hit.image.id, 16) for hit in engine.search(query).hits]


def test_the_nearest_come_first_and_the_irrelevant_are_cut_off(engine: SearchEngine) -> None:
    assert found(engine, Query(texts=("dog",))) == [1, 2]
    assert set(found(engine, Query(texts=("dog",), cutoff="none"))) == {1, 2, 3, 4, 5}
    assert found(engine, Query(texts=("dog",), cutoff=0.9)) == [1]


def test_nothing_relevant_is_an_empty_answer(engine: SearchEngine) -> None:
    results = engine.search(Query(texts=("zebra",), facets=("object",)))
    assert (list(results.hits), results.total, results.cutoff) == ([], 0, 0.5)
    assert all(not facet.values for facet in results.facets)


def test_a_filter_narrows_before_anything_is_ranked(engine: SearchEngine) -> None:
    assert found(engine, Query(texts=("dog",), filter=parse("-object:person"))) == [1]
    assert found(engine, Query(texts=("dog",), filter=parse("object:cat"))) == []


def test_totals_and_counts_are_of_what_matched(engine: SearchEngine) -> None:
    results = engine.search(Query(texts=("dog",), facets=("object",), k=1))
    assert results.total == 2
    assert {v.value: v.count for v in results.facets[0].values} == {"dog": 2, "person": 1}


def test_a_facets_own_selection_is_left_out_of_its_counts_and_the_cutoff_is_not(engine: SearchEngine) -> None:
    results = engine.search(Query(texts=("dog",), filter=parse("object:person"), facets=("object",)))
    assert [int(hit.image.id, 16) for hit in results.hits] == [2]
    assert {v.value: (v.count, v.selected) for v in results.facets[0].values} == {
        "dog": (2, False),
        "person": (1, True),
    }


def test_what_is_not_wanted_moves_down(engine: SearchEngine) -> None:
    assert found(engine, Query(texts=("beach",), cutoff=0.1))[:2] == [4, 2]
    assert found(engine, Query(texts=("beach dog",), not_texts=("dog",), cutoff="none"))[0] == 4
    assert found(engine, Query(texts=("dog",), not_images=(an_id(2),)))[0] == 1
    elsewhere = tuple(engine.embedding(an_id(2)).tolist())
    by_id, by_vector = Query(texts=("dog",), not_images=(an_id(2),)), Query(texts=("dog",), not_vectors=(elsewhere,))
    assert found(engine, by_vector) == found(engine, by_id)
    with pytest.raises(InvalidQuery, match="numbers"):
        engine.search(Query(not_vectors=((1.0, 0.0),)))


def test_pictures_and_texts_are_composed(engine: SearchEngine) -> None:
    assert found(engine, Query(images=(an_id(1),)))[:2] == [1, 2]
    assert found(engine, Query(texts=("beach",), images=(an_id(1),)))[0] == 2
    assert found(engine, Query(vector=(0, 1, 0, 0, 0, 0, 0, 0)))[0] == 3
    with pytest.raises(NotFound):
        engine.search(Query(images=(an_id(99),)))
    with pytest.raises(InvalidQuery, match="8 numbers"):
        engine.search(Query(vector=(1.0, 2.0)))


def test_words_lift_an_image_that_says_them(engine: SearchEngine) -> None:
    hit = engine.search(Query(texts=("dusk",), cutoff="none")).hits[0]
    assert int(hit.image.id, 16) == 4
    assert hit.keyword is not None
    assert hit.keyword > 0
    assert "caption: 'dusk'" in hit.why


def test_an_image_that_carries_the_very_word_as_a_label_is_never_cut_off(engine: SearchEngine) -> None:
    assert found(engine, Query(texts=("cars",))) == [5]
    assert found(engine, Query(texts=("cars",), mode=Mode.VECTOR)) == []


def test_matches_can_be_sorted_by_date_and_those_without_one_come_last(engine: SearchEngine) -> None:
    assert found(engine, Query(texts=("dog",), sort=Sort.NEWEST)) == [2, 1]
    assert found(engine, Query(sort=Sort.NEWEST)) == [2, 3, 1, 5, 4]
    assert found(engine, Query(sort=Sort.OLDEST)) == [1, 3, 2, 5, 4]


def test_pages_follow_one_another_without_gap_or_repeat(engine: SearchEngine) -> None:
    query, seen = Query(texts=("dog",), cutoff="none", k=2), []
    while True:
        results = engine.search(query)
        seen += [int(hit.image.id, 16) for hit in results.hits]
        if results.next is None:
            break
        query = replace(query, cursor=results.next)
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert seen == found(engine, Query(texts=("dog",), cutoff="none", k=10))


def test_the_plan_says_what_was_done(engine: SearchEngine) -> None:
    results = engine.search(Query(texts=("dog",)))
    assert results.plan.route in ("prefilter-scan", "ann")
    assert results.total_is_exact is (results.plan.route == "prefilter-scan")
    assert engine.search(Query()).plan.route == "keyword-only"


def test_similar_images_by_each_way(engine: SearchEngine) -> None:
    def alike(by: SimilarBy, filter: Filter = parse("")) -> list[int]:  # noqa: B008
        return [int(h.image.id, 16) for h in engine.similar(an_id(2), by=by, filter=filter, k=10).hits]

    assert alike(SimilarBy.IMAGE)[:2] in ([1, 4], [4, 1])
    assert alike(SimilarBy.TAGS) == [1]
    assert alike(SimilarBy.BOTH)[0] == 1
    assert alike(SimilarBy.DUPLICATE) == []
    assert alike(SimilarBy.IMAGE, parse("object:cat")) == [3]


def test_an_altered_copy_is_a_duplicate(engine: SearchEngine) -> None:
    copy = Picture(IMAGES[2].vector, IMAGES[2].phash ^ 0b101)
    results = engine.similar_to(copy, by=SimilarBy.DUPLICATE, filter=Filter(), k=5)
    assert [int(hit.image.id, 16) for hit in results.hits] == [3]


def test_words_are_offered_as_filters_on_the_first_page(engine: SearchEngine) -> None:
    query = Query(texts=("dog night",), k=1, cutoff="none")
    first = engine.search(query)
    assert [(str(one.term), one.rest, one.count) for one in first.suggested] == [("object:dog", "night", 2)]
    assert not engine.search(replace(query, cursor=first.next)).suggested
    assert not engine.search(Query(filter=parse("object:dog"))).suggested


@pytest.mark.parametrize("mode", [Mode.BLEND, Mode.KEYWORD])
def test_what_holds_a_quoted_phrase_comes_first_and_stays(engine: SearchEngine, mode: Mode) -> None:
    assert 4 in found(engine, Query(texts=('"at dusk" dog',), mode=mode))
    hits = engine.search(Query(texts=('"at dusk" dog',), mode=mode, cutoff="none")).hits
    assert int(hits[0].image.id, 16) == 4
    assert '"at dusk" in caption' in hits[0].why
    assert {1, 2} <= {int(hit.image.id, 16) for hit in hits}
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] >= 0.5 > scores[1]
    assert sum(hits[0].parts.values()) == pytest.approx(scores[0], abs=1e-5)


def test_quotes_change_nothing_else(engine: SearchEngine) -> None:
    assert found(engine, Query(texts=('"dusk at" dog',))) == found(engine, Query(texts=("dusk at dog",)))
    assert found(engine, Query(texts=('"dog"',))) == found(engine, Query(texts=("dog",)))
    vector = Query(texts=('"at dusk" dog',), mode=Mode.VECTOR, cutoff="none")
    assert found(engine, vector) == found(engine, replace(vector, texts=("at dusk dog",)))


def test_a_phrase_is_found_in_file_names_and_only_where_the_filter_lets_it(engine: SearchEngine) -> None:
    hits = engine.search(Query(texts=('"5 jpg"',))).hits
    assert int(hits[0].image.id, 16) == 5
    assert '"5 jpg" in file name' in hits[0].why
    assert found(engine, Query(texts=('"5 jpg"',), filter=parse("-object:car"))) == []


@pytest.mark.parametrize(("word", "images"), [("puppy", {1, 2}), ("automobile", {5}), ("animal", {1, 2, 3})])
def test_labels_are_found_by_other_words(engine: SearchEngine, word: str, images: set[int]) -> None:
    assert set(found(engine, Query(texts=(word,), mode=Mode.KEYWORD))) == images


def test_what_is_not_wanted_is_not_found_by_other_words(engine: SearchEngine) -> None:
    query = Query(texts=("animal",), not_texts=("a cat",), mode=Mode.KEYWORD)
    assert set(found(engine, query)) == {1, 2}


def test_other_words_drop_nothing_and_tell_why(engine: SearchEngine) -> None:
    plain = found(engine, Query(texts=("dusk",), mode=Mode.KEYWORD))
    assert set(plain) <= set(found(engine, Query(texts=("dusk puppy",), mode=Mode.KEYWORD)))
    assert "object:dog 0.90" in engine.search(Query(texts=("puppy",), mode=Mode.KEYWORD)).hits[0].why
