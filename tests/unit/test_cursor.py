from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import cursor
from search.errors import InvalidQuery
from search.types import Query

QUERY = Query(texts=("a dog",), k=10)


@given(st.integers(0, 10**9))
def test_a_cursor_gives_its_offset_back(offset: int) -> None:
    assert cursor.decode(replace(QUERY, cursor=cursor.encode(QUERY, offset))) == offset


def test_without_a_cursor_the_answer_starts_at_the_top() -> None:
    assert cursor.decode(QUERY) == 0


def test_page_size_and_facets_may_change_between_pages() -> None:
    place = cursor.encode(QUERY, 20)
    assert cursor.decode(replace(QUERY, k=50, facets=("object",), cursor=place)) == 20


def test_a_cursor_of_another_query_is_refused() -> None:
    place = cursor.encode(QUERY, 20)
    with pytest.raises(InvalidQuery, match="another query"):
        cursor.decode(replace(QUERY, texts=("a cat",), cursor=place))


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        cursor.decode(replace(QUERY, cursor=text))
