"""Quoted phrases, other words for labels and offered filters: the same wherever a library is kept."""

from pathlib import Path

import pytest
from engines import Library, a_library_in, with_id_of
from helpers import an_image

from search.filters import parse
from search.types import Filter, Mode, Query, Tag, TagKind

RECORDS = [
    an_image(caption="A happy birthday cake", objects=["cake"], files=["a.jpg"]),
    an_image(objects=["dog", "dog"], scenes=["beach"], taken_at="2024-05-01", files=["Happy-Birthday 1.jpg"]),
    an_image(tags=[Tag(TagKind.TEXT, "HAPPY", 0.9, "ocr"), Tag(TagKind.TEXT, "Birthday", 0.9, "ocr")], files=["c.jpg"]),
    an_image(caption="birthday happy", objects=["car", "person"], files=["unhappy/birthdays.jpg"]),
]
PHRASE = Query(texts=('"happy birthday" party',), cutoff="none")


@pytest.fixture(params=["embedded", "opensearch", "opensearch-knn"])
def library(request: pytest.FixtureRequest, tmp_path: Path):
    options: dict[str, object] = {"store": request.param}
    if request.param != "embedded":
        options["opensearch_url"] = request.getfixturevalue("opensearch_url")
        options["opensearch_prefix"] = request.getfixturevalue("prefix")
    with a_library_in(tmp_path, **options) as library:
        library.add([with_id_of(record, number) for number, record in enumerate(RECORDS)])
        yield library


def numbers(library: Library, query: Query) -> list[int]:
    return [int(hit.image.id[8:], 16) for hit in library.engine.search(query).hits]


def test_words_mean_the_same_in_every_store(library: Library) -> None:
    found = numbers(library, PHRASE)
    assert (set(found[:3]), set(found)) == ({0, 1, 2}, {0, 1, 2, 3})
    assert set(numbers(library, Query(texts=PHRASE.texts))) >= {0, 1, 2}
    assert set(numbers(library, Query(texts=('"happy birthday"',), mode=Mode.KEYWORD, k=3))) == {0, 1, 2}
    assert numbers(library, Query(texts=PHRASE.texts, filter=parse("object:dog"), cutoff="none")) == [1]
    assert numbers(library, Query(texts=("puppy",), mode=Mode.KEYWORD)) == [1]
    assert numbers(library, Query(texts=("automobile",), mode=Mode.KEYWORD)) == [3]
    offered = library.engine.search(Query(texts=("two dogs on a beach 2024 kid",))).suggested
    assert [(str(one.term), one.count) for one in offered] == [
        ("count(object:dog):2", 1),
        ("scene:beach", 1),
        ("year:2024", 1),
        ("object:person", 1),
    ]
    assert library.engine.search(Query(filter=Filter())).suggested == ()
