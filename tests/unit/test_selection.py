import pytest
from filter_strategies import fitting_filters, libraries
from hypothesis import given
from hypothesis import strategies as st

from search import filters
from search.filters import parse
from search.matching import matches


@pytest.mark.parametrize(
    ("expression", "every", "some"),
    [
        ("object:dog|cat", "object:dog object:cat", "object:dog|cat"),
        ("color:red object:dog object:cat@0.8 -object:bus", None, "color:red object:dog|cat -object:bus"),
        ("object:dog|cat@0.8 count(object:dog):2", "object:dog@0.8 object:cat@0.8 count(object:dog):2", None),
        ("object:dog", None, None),
        ("color:red", None, None),
    ],
)
def test_values_hold_together_or_instead_of_each_other(expression: str, every: str | None, some: str | None) -> None:
    filter = parse(expression)
    assert str(filters.all_of(filter, "object")) == (every or expression)
    assert str(filters.any_of(filter, "object")) == (some or expression)
    assert filters.wants_all(filters.all_of(filter, "object"), "object") is ("cat" in expression)
    assert not filters.wants_all(filters.any_of(filter, "object"), "object")


def test_a_value_is_added_besides_or_instead() -> None:
    filter = parse("object:dog color:red")
    assert str(filters.also(filter, "object", "cat")) == "object:dog color:red object:cat"
    assert filters.also(filter, "object", "Dog") == filter


@given(fitting_filters, libraries())
def test_all_of_the_values_is_never_more_than_any_of_them(filter, library) -> None:
    for field in ("object", "color"):
        every, some = filters.all_of(filter, field), filters.any_of(filter, field)
        assert filters.selected_values(every, field) == filters.selected_values(filter, field)
        if not any(term.min_confidence is not None for term in filter.terms):
            assert all(matches(some, record) for record in library if matches(every, record))


numbers = st.integers(0, 3000).map(str)


@given(fitting_filters, numbers | st.just(""), numbers | st.just(""))
def test_a_range_that_was_set_is_read_back_and_printed(filter, first: str, last: str) -> None:
    if first and last and int(first) > int(last):
        first, last = last, first
    narrowed = filters.between(filter, "width", first, last)
    assert filters.ends(narrowed, "width") == (first, last)
    assert parse(str(narrowed)) == narrowed
    assert filters.without_field(narrowed, "width") == filters.without_field(filter, "width")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("year:>2019 year:<2025", ("2020", "2024")),
        ("year:2024", ("", "")),
        ("-year:>=2024", ("", "")),
        ("year:<=2020", ("", "2020")),
    ],
)
def test_the_ends_of_a_field_are_those_of_its_comparisons(expression: str, expected: tuple[str, str]) -> None:
    assert filters.ends(parse(expression), "year") == expected
