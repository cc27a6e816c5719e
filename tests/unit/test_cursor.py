import base64
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import cursor
from search.cursor import MAX_KEY, MAX_ORDINAL, Position
from search.errors import InvalidQuery
from search.types import Place, Query, Sort

QUERY = Query(texts=("a dog",), k=10)
PLACE = Position(after=Place(5, 20))

ordinals = st.sets(st.integers(0, MAX_ORDINAL), max_size=50).map(lambda seen: np.array(sorted(seen), np.uint32))
positions = st.builds(
    Position,
    st.integers(0, 2**32 - 1),
    st.none() | st.builds(Place, st.integers(-MAX_KEY, MAX_KEY), st.integers(0, MAX_ORDINAL)),
    ordinals,
    st.integers(0, 10**9),
)


def reread(text: str, query: Query = QUERY) -> Position | None:
    return cursor.decode(replace(query, cursor=text))


@given(positions)
def test_a_cursor_gives_its_position_back(position: Position) -> None:
    found = reread(cursor.encode(QUERY, position))
    assert found is not None
    assert found.seen.tolist() == position.seen.tolist()
    assert replace(found, seen=position.seen) == position


def test_without_a_cursor_the_answer_starts_at_the_top() -> None:
    assert cursor.decode(QUERY) is None


def test_page_size_and_facets_may_change_between_pages() -> None:
    text = cursor.encode(QUERY, PLACE)
    found = reread(text, replace(QUERY, k=50, facets=("object",)))
    assert found is not None
    assert found.after == PLACE.after


@pytest.mark.parametrize("change", [{"texts": ("a cat",)}, {"sort": Sort.NEWEST}, {"seed": 3}, {"cutoff": "none"}])
def test_a_cursor_of_another_query_is_refused(change: dict) -> None:
    text = cursor.encode(QUERY, PLACE)
    with pytest.raises(InvalidQuery, match="another query"):
        reread(text, replace(QUERY, **change))


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        reread(text)


@given(positions, st.data())
def test_a_cursor_that_was_tampered_with_is_refused_or_read(position: Position, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(cursor.encode(QUERY, position) + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidQuery):  # and nothing else
        reread(base64.urlsafe_b64encode(bytes(raw)).decode())


@pytest.mark.parametrize(
    "head", ["[]", "{}", "[1,2,3,4]", '["x",0,[1],0]', '["x",-1,null,0]', '["x",0,null,1e999]', "[" * 9999]
)
def test_a_cursor_that_somebody_made_up_is_refused(head: str) -> None:
    with pytest.raises(InvalidQuery):
        reread(base64.urlsafe_b64encode(head.encode()).decode())


def test_a_deep_cursor_fits_into_an_address_and_a_swollen_one_is_not_unpacked() -> None:
    seen = np.sort(np.random.default_rng(1).choice(1_000_000, 3_000, replace=False)).astype(np.uint32)
    assert len(cursor.encode(QUERY, Position(seen=seen))) < 6_000
    with pytest.raises(InvalidQuery):
        reread(cursor.encode(QUERY, Position(seen=np.arange(1_000_000, dtype=np.uint32))))
