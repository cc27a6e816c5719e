from urllib.parse import parse_qsl, urlsplit

import pytest
from filter_strategies import all_filters
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InvalidQuery
from search.filters import joined, parse
from search.types import Sort
from ui.state import SearchState

words = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=4).map(" ".join)


def reread(state: SearchState) -> SearchState:
    return SearchState.of(dict(parse_qsl(urlsplit(state.url()).query)))


@given(words, all_filters.map(joined), words, st.sampled_from(Sort), st.booleans())
def test_a_state_is_its_address(text, filter, not_text, sort, anyway) -> None:
    state = SearchState(text, filter, not_text, sort, anyway)
    assert reread(state) == state


def test_terms_typed_into_the_box_become_the_filter() -> None:
    state = SearchState.of({"q": "two dogs -object:person", "filter": "color:blue"})
    assert state.text == "two dogs"
    assert state.filter == parse("color:blue -object:person")


def test_nothing_asked_is_the_bare_page() -> None:
    assert SearchState().url() == "/"
    assert not SearchState().asks_something


@pytest.mark.parametrize("params", [{"filter": "object:"}, {"sort": "up"}, {"cutoff": "some"}, {"q": "nosuch:1"}])
def test_what_means_nothing_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery):
        SearchState.of(params)
