"""Counts, totals and ranges of the engine against an oracle that scans: rank and cut every image, then count."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from engines import a_library_in
from facet_oracle import ranges_of, recounted
from filter_strategies import fitting_filters, libraries
from helpers import an_image
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from search.facets import FACETS, PEOPLE_BUCKETS, RANGES
from search.matching import matches
from search.types import Filter, Mode, Query, Sort
from search.words import fold

names = st.lists(st.sampled_from(list(FACETS)), unique=True).map(tuple)

words = st.sampled_from((("dog",), ("happy birthday cafe",), ("nothing",)))
queries = st.one_of(
    st.just(Query()),
    st.builds(
        Query,
        vector=st.tuples(*[st.integers(-3, 3).map(float)] * 8).filter(any),
        cutoff=st.sampled_from((0.05, 0.3, 0.6, "none", "auto")),
    ),
    st.builds(Query, texts=words, mode=st.just(Mode.KEYWORD)),
    st.builds(Query, texts=words, mode=st.sampled_from((Mode.BLEND, Mode.VECTOR)), cutoff=st.sampled_from((0.2, 0.5))),
    st.builds(Query, texts=words, not_texts=st.sampled_from(((), ("cat",)))),
)


@settings(max_examples=120, deadline=None)
@given(
    library=libraries(),
    query=queries,
    filter=fitting_filters,
    facets=names,
    conjunctive=names,
    ranges=st.lists(st.sampled_from(list(RANGES)), unique=True).map(tuple),
    sort=st.sampled_from(Sort),
)
def test_what_is_counted_is_what_matched(library, query, filter, facets, conjunctive, ranges, sort) -> None:
    with TemporaryDirectory() as folder, a_library_in(Path(folder)) as opened:
        opened.add(library)
        records = opened.records()
        relevant = BitMap(hit.image.ordinal for hit in opened.engine.search(replace(query, k=200)).hits)
        counting = replace(query, facets=facets, conjunctive=conjunctive, ranges=ranges, facet_size=1000)
        asked = replace(counting, filter=filter, sort=sort, k=200)
        results = opened.engine.search(asked)
        expected = {r.ordinal for r in records if r.ordinal in relevant and matches(filter, r)}
        assert {hit.image.ordinal for hit in results.hits} == expected
        assert results.total == len(expected)
        assert [facet.name for facet in results.facets] == list(facets)
        for facet in results.facets:
            counted = {
                fold(v.value): v.count
                for v in facet.values
                if v.count and (facet.name != "people" or v.value in PEOPLE_BUCKETS)
            }
            within_itself = facet.name in conjunctive
            assert counted == recounted(facet.name, filter, records, relevant, conjunctive=within_itself), facet.name
        ends = {range.field: (range.least, range.most) for range in results.ranges}
        assert ends == {name: both for name, both in ranges_of(filter, records, relevant).items() if name in ranges}


def test_selecting_everything_page_by_page_gives_the_total() -> None:
    with TemporaryDirectory() as folder, a_library_in(Path(folder)) as opened:
        opened.add([an_image(ordinal=n, objects=["dog"][: n % 2]) for n in range(1, 60)])
        for sort in Sort:
            query, seen = Query(filter=Filter(), texts=("dog",), cutoff="none", sort=sort, k=7), []
            while True:
                results = opened.engine.search(query)
                seen += [hit.image.id for hit in results.hits]
                if results.next is None:
                    break
                query = replace(query, cursor=results.next)
            assert len(set(seen)) == len(seen) == results.total == 59
