"""Pages of a library that is written to between them: what is there all the time is shown exactly once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from engines import Library, a_library_in, with_id_of
from filter_strategies import MOMENTS, TEXTS
from helpers import an_image
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import InvalidQuery
from search.filters import parse
from search.types import ImageId, ImageRecord, Query, Sort

QUERIES = (
    Query(),
    Query(filter=parse("width:>=640")),
    Query(texts=("dog beach",), cutoff="none"),
    Query(texts=("happy birthday",), cutoff="none"),
    Query(texts=("dog",), not_texts=("cat",), cutoff="none"),
    Query(vector=(1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, -1.0)),
)


def page_through(library: Library, query: Query, between: Callable[[], None]) -> list[ImageId]:
    """Return what all pages show; ``between`` may write to the library after each."""
    shown: list[ImageId] = []
    while True:
        results = library.engine.search(query)
        shown += [hit.image.id for hit in results.hits]
        if results.next is None:
            return shown
        query = replace(query, cursor=results.next)
        between()


def some_images(random: Random, numbers: Iterator[int], most: int) -> list[ImageRecord]:
    return [
        with_id_of(
            an_image(
                ordinal=number,
                width=random.choice((320, 640, 1024)),
                taken_at=random.choice((None, *MOMENTS)),
                caption=random.choice((None, "dog", "a dog and a cat", "a beach with a dog", *TEXTS)),
                objects=random.sample(("dog", "cat", "beach"), random.randrange(3)),
            ),
            number,
        )
        for number in islice(numbers, random.randrange(most + 1))
    ]


@pytest.mark.parametrize("sort", Sort)
@settings(max_examples=40, deadline=None)
@given(
    query=st.sampled_from(QUERIES),
    seed=st.none() | st.integers(0, 9),
    k=st.integers(1, 4),
    exact_limit=st.sampled_from((1000, 0)),
    number=st.integers(0, 2**32),
)
def test_what_is_there_all_the_time_is_shown_exactly_once(sort, query, seed, k, exact_limit, number) -> None:
    random = Random(number)  # drawing each image would make examples small
    with TemporaryDirectory() as folder, a_library_in(Path(folder), exact_limit=exact_limit) as library:
        numbers, writes = count(1), iter(range(8))  # then it rests, so that paging ends
        library.add([*some_images(random, numbers, 12), *some_images(random, numbers, 12)])
        at_first = {hit.image.id for hit in library.engine.search(replace(query, k=200)).hits}
        removed: set[ImageId] = set()

        def write() -> None:
            if next(writes, None) is None:
                return
            library.add(some_images(random, numbers, 3))
            for gone in random.sample(there := library.records(), min(len(there), random.randrange(2))):
                library.remove(gone)
                removed.add(gone.id)

        shown = page_through(library, replace(query, sort=sort, seed=seed, k=k), write)
        assert len(set(shown)) == len(shown)
        assert at_first - removed <= set(shown)


def test_a_cursor_of_another_query_is_refused(tmp_path: Path) -> None:
    with a_library_in(tmp_path) as library:
        library.add([an_image(ordinal=n) for n in range(1, 9)])
        cursor = library.engine.search(Query(k=2)).next
        for other in (Query(texts=("dog",)), Query(filter=parse("object:dog")), Query(sort=Sort.RANDOM, seed=1)):
            with pytest.raises(InvalidQuery, match="another query"):
                library.engine.search(replace(other, cursor=cursor))
