from urllib.parse import parse_qsl, urlsplit

import pytest
from filter_strategies import all_filters
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InvalidQuery
from search.filters import joined, parse
from search.types import Sort
from ui.state import Like, SearchState, least_confidence

likes = st.lists(
    st.builds(
        Like,
        st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True),
        st.sampled_from(["", "0.1,0.2,0.3,0.25"]),
        st.sampled_from([0.5, 1.0, 2.0]),
    ),
    max_size=3,
).map(tuple)
words = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=4).map(" ".join)


def reread(state: SearchState) -> SearchState:
    return SearchState.of(dict(parse_qsl(urlsplit(state.url()).query)))


@given(
    words,
    all_filters.map(joined),
    st.lists(words.filter(bool), max_size=2).map(tuple),
    likes,
    likes,
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from(Sort),
    st.none() | st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(["object", "color"]), unique=True).map(tuple),
    st.booleans(),
)
def test_a_state_is_its_address(
    text, filter, not_texts, likes, unlikes, weight, sort, seed, conjunctive, anyway
) -> None:
    state = SearchState(text, filter, not_texts, likes, unlikes, weight, sort, seed, conjunctive, anyway)
    assert reread(state) == state


@pytest.mark.parametrize(
    ("filter", "params", "expected"),
    [
        ("color:red", {"year_from": "2020", "year_to": "2024"}, "color:red year:2020..2024"),
        ("year:2019 color:red", {"year_from": "2024", "year_to": "2020"}, "color:red year:2020..2024"),
        ("", {"people_from": "2", "people_to": ""}, "people:>=2"),
        ("width:>=7", {"width_from": "", "width_to": "0800"}, "width:<=800"),
        ("people:>=2 people:3 -people:>4", {"people_from": "", "people_to": ""}, "people:3 -people:>4"),
    ],
)
def test_numbers_of_a_form_become_part_of_the_filter(filter: str, params: dict[str, str], expected: str) -> None:
    state = SearchState.of({"filter": filter, **params})
    assert str(state.filter) == expected
    assert reread(state) == state


def test_terms_typed_into_the_box_become_the_filter() -> None:
    state = SearchState.of({"q": "two dogs -object:person", "filter": "color:blue"})
    assert state.text == "two dogs"
    assert state.filter == parse("color:blue -object:person")


def test_a_slider_sets_the_confidence_and_takes_it_away() -> None:
    state = SearchState.of({"filter": "object:dog confidence:>=0.3", "least": "65"})
    assert str(state.filter) == "object:dog confidence:>=0.65"
    assert least_confidence(state.filter) == 65
    assert str(SearchState.of({"filter": str(state.filter), "least": "0"}).filter) == "object:dog"


def test_nothing_asked_is_the_bare_page() -> None:
    assert SearchState().url() == "/"
    assert not SearchState().asks_something


@pytest.mark.parametrize(
    "params",
    [
        {"filter": "object:"},
        {"sort": "up"},
        {"cutoff": "some"},
        {"q": "nosuch:1"},
        {"year_from": "x"},
        {"seed": "-1"},
        {"like": "a/../b"},
        {"like": "abc*0"},
        {"like": " ".join("a" * 20)},
        {"weight": "nan"},
        {"weight": "1e9"},
        {"least": "101"},
    ],
)
def test_what_means_nothing_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery):
        SearchState.of(params)
