"""Pages, random order and counts of the engine over a library in OpenSearch that is written to."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import pytest
from engines import a_library_in, with_id_of
from facet_oracle import ranges_of, recounted
from helpers import an_image
from pyroaring import BitMap

from search.facets import FACETS, PEOPLE_BUCKETS, RANGES
from search.filters import parse
from search.matching import matches
from search.types import ImageId, ImageRecord, Query, Sort
from search.words import fold

QUERIES = (Query(), Query(texts=("dog beach",), cutoff="none"), Query(filter=parse("object:dog")))


def some(random: Random, number: int) -> ImageRecord:
    made = an_image(
        ordinal=number,
        width=random.choice((320, 640)),
        taken_at=random.choice((None, "2020-02-03", "2024-05-06")),
        caption=random.choice((None, "dog", "a dog and a cat", "a beach")),
        objects=["dog", *random.sample(("dog", "cat", "beach", "person"), random.randrange(3))],
    )
    return with_id_of(made, number)


@pytest.mark.parametrize("store", ["opensearch", "opensearch-knn"])
def test_what_is_there_all_the_time_is_shown_exactly_once(
    opensearch_url: str, prefix: str, tmp_path: Path, store: str
) -> None:
    options = {"store": store, "opensearch_url": opensearch_url, "opensearch_prefix": prefix}
    random, numbers = Random(5), count(1)
    with a_library_in(tmp_path, **options) as library:
        library.add([some(random, next(numbers)) for _ in range(30)])
        for query in QUERIES:
            for sort in Sort:
                at_first = {hit.image.id for hit in library.engine.search(replace(query, k=200)).hits}
                shown: list[ImageId] = []
                removed: set[ImageId] = set()
                page = replace(query, sort=sort, k=7)
                for write in (True, True, True, *[False] * 40):
                    results = library.engine.search(page)
                    shown += [hit.image.id for hit in results.hits]
                    if results.next is None:
                        break
                    page = replace(page, cursor=results.next)
                    if write:
                        library.add([some(random, next(numbers)) for _ in range(2)])
                        gone = random.choice(library.records())
                        library.remove(gone)
                        removed.add(gone.id)
                assert len(set(shown)) == len(shown), (query, sort)
                assert at_first - removed <= set(shown), (query, sort)

        records = library.records()
        everything = BitMap(record.ordinal for record in records)
        filter = parse("object:dog object:cat year:>=2021 -width:320")
        results = library.engine.search(
            Query(texts=("dog",), cutoff="none", filter=filter, facets=tuple(FACETS), ranges=tuple(RANGES), k=200)
        )
        assert {hit.image.ordinal for hit in results.hits} == {r.ordinal for r in records if matches(filter, r)}
        for facet in results.facets:
            known = [v for v in facet.values if v.count and (facet.name != "people" or v.value in PEOPLE_BUCKETS)]
            counted = {fold(value.value): value.count for value in known}
            assert counted == recounted(facet.name, filter, records, everything), facet.name
        ends = {range.field: (range.least, range.most) for range in results.ranges}
        assert ends == ranges_of(filter, records, everything)
