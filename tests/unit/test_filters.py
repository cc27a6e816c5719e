"""The filter language: what parses, what is an error and where, and that printing and parsing are inverse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from filter_strategies import all_filters
from helpers import an_image
from hypothesis import example, given
from hypothesis import strategies as st

from search.errors import InvalidQuery
from search.filters import (
    MAX_CHARACTERS,
    joined,
    parse,
    quoted,
    selected_values,
    split,
    toggled,
    with_value,
    without_field,
    without_selection,
    without_term,
    without_value,
)
from search.matching import matches
from search.types import Filter, Op, TagKind, Term


def one(expression: str) -> Term:
    (term,) = parse(expression).terms
    return term


def failure(expression: str) -> tuple[int | None, str]:
    with pytest.raises(InvalidQuery) as caught:
        parse(expression)
    return caught.value.position, str(caught.value)


def test_an_empty_expression_is_the_empty_filter() -> None:
    assert parse("") == parse(" \t\n") == Filter()
    assert not parse("")


def test_the_example_of_the_documentation_parses_to_its_terms() -> None:
    expression = (
        'object:dog scene:beach -object:person people:>=2 color:red year:2024 confidence:>=0.7 text:"happy birthday"'
    )
    assert parse(expression).terms == (
        Term("object", Op.EQ, ("dog",)),
        Term("scene", Op.EQ, ("beach",)),
        Term("object", Op.EQ, ("person",), negated=True),
        Term("people", Op.GE, ("2",)),
        Term("color", Op.EQ, ("red",)),
        Term("year", Op.EQ, ("2024",)),
        Term("confidence", Op.GE, ("0.7",)),
        Term("text", Op.EQ, ("happy birthday",)),
    )
    assert str(parse(expression)) == expression


@pytest.mark.parametrize("kind", [kind.value for kind in TagKind if kind is not TagKind.TEXT])
def test_every_kind_of_tag_is_a_field(kind: str) -> None:
    assert one(f'{kind}:dog|"traffic light"@0.8') == Term(kind, Op.EQ, ("dog", "traffic light"), min_confidence=0.8)


def test_quotes_hold_spaces_bars_and_escapes() -> None:
    assert one(r'object:"a \"b\" \\ c|d@0.5"|e').values == (r'a "b" \ c|d@0.5', "e")


def test_values_keep_their_order_and_lose_their_duplicates() -> None:
    assert one("object:dog|Cat|DOG|cat").values == ("dog", "Cat")


def test_fields_numbers_and_choices_have_one_spelling() -> None:
    assert str(parse('Orientation:Landscape people:02|"3-5" confidence:>=.50')) == (
        "orientation:landscape people:2|3-5 confidence:>=0.5"
    )


def test_instances_are_counted_with_a_confidence_of_their_own() -> None:
    expected = Term("object", Op.RANGE, ("2", "4"), negated=True, min_confidence=0.3, counted="traffic light")
    assert one('-count(object:"traffic light"@0.3):2..4') == expected


@pytest.mark.parametrize(
    ("expression", "position", "message"),
    [
        ("object:", 7, "expected a value after 'object:'"),
        ("object:dog scene:", 17, "expected a value after 'scene:'"),
        ("object: dog", 7, "expected a value after 'object:'"),
        ('object:"dog', 7, "quote is not closed"),
        ('object:"dog"cat', 12, "expected a space, '|' or the end"),
        ('object:do"g', 9, "expected a space"),
        ('object:""', 7, "not empty"),
        ("object:a||b", 9, "expected a value after '|'"),
        ("object:a|", 9, "expected a value after '|'"),
        ("a||b", 0, "expected a term such as object:dog"),
        ("object:dog cat", 11, "expected a term such as object:dog, got 'cat'"),
        ("--object:dog", 1, "expected a term"),
        ("-", 1, "expected a term"),
        (":dog", 0, "expected a term"),
        ("nosuchfield:1", 0, "there is no field 'nosuchfield'; there are object,"),
        ("scene:a objct:1", 8, "did you mean object:?"),
        ("-colour:red", 1, "did you mean color:"),
        ("object:>=2", 7, "count(object:LABEL):>=2"),
        ("object:dog@", 11, "expected a confidence of 0–1"),
        ("object:dog@2", 11, "expected a confidence of 0–1, got '2'"),
        ("object:me@home", 10, "a label with '@' in it needs quotes"),
        ("object:dog@0.8|cat", 14, "expected a space"),
        ("people:>=x", 9, "expected a whole number"),
        ("people:>=", 9, "expected a value after 'people:>='"),
        ("people:>=2|3", 10, "expected a space"),
        ("people:many", 7, "0, 1, 2, 3-5, 6+"),
        ("people:2@0.5", 7, "expected a number of people"),
        ("people:4..2", 7, "runs backwards"),
        ("people:2..", 7, "in the range '2..'"),
        ("width:-5", 6, "expected a whole number"),
        ("width:1e3", 6, "expected a whole number"),
        ("year:" + "9" * 5000, MAX_CHARACTERS, "4,000 characters"),
        ("taken:2024-13", 6, "there is no date 2024-13"),
        ("taken:2023-02-29", 6, "there is no date"),
        ("taken:yesterday", 6, "expected a date as 2024"),
        ("taken:2024-05..2024-04", 6, "runs backwards"),
        ("orientation:round", 12, "landscape, portrait, square"),
        ("has:legs", 4, "caption, text, faces, location"),
        ('text:"!?"', 5, "at least one word"),
        ("confidence:0.5", 11, "expected '>='"),
        ("confidence:<0.5", 11, "expected '>='"),
        ("confidence:>=1.5", 13, "a confidence of 0–1"),
        ("confidence:>=nan", 13, "a confidence of 0–1"),
        ("-confidence:>=0.5", 0, "cannot be negated"),
        ("confidence:>=0.5 object:dog confidence:>=0.6", 28, "may stand once"),
        ("count(object:dog)", 17, "expected ':'"),
        ("count(object:dog:2", 18, "expected ')'"),
        ("count(object:dog):", 18, "expected a value"),
        ("count(people:2):1", 6, "a field with labels"),
        ("count(shape:a):1", 6, "there is no field 'shape'"),
        ("object:dog\0", 10, "must not hold the character '\\x00'"),
        ("object:\ud800", 7, "must not hold the character"),
        ("object:a " * 64 + "object:b", 9 * 64, "64 terms"),
        ("object:" + "|".join(map(str, range(65))), 189, "64 values"),
    ],
)  # fmt: skip
def test_an_error_names_the_position_and_what_was_expected(expression: str, position: int, message: str) -> None:
    place, text = failure(expression)
    assert message in text
    assert place == position


@given(all_filters)
def test_printing_and_parsing_are_inverse(filter: Filter) -> None:
    assert parse(str(filter)) == filter


pieces = st.sampled_from(
    ["object:", "people:", "taken:", "count(", "dog", '"', "|", "@", "0.5", "..", ">=", "2", "-", ")", " ", ":", "\\"]
)


def outcome(read: Callable[[str], Filter], text: str) -> Filter | InvalidQuery:
    try:
        return read(text)
    except InvalidQuery as error:
        return error


@given(st.text() | st.lists(pieces).map("".join))
@example("count(object:dog")
def test_any_text_parses_to_what_prints_and_parses_again_or_is_an_error_inside_the_text(text: str) -> None:
    for read in (parse, lambda text: split(text)[1]):
        read_as = outcome(read, text)
        if isinstance(read_as, InvalidQuery):
            assert read_as.position is not None
            assert 0 <= read_as.position <= len(text)
        else:
            assert parse(str(read_as)) == read_as


@pytest.mark.parametrize(
    ("text", "free", "filter"),
    [
        ("two dogs playing -object:person", "two dogs playing", "-object:person"),
        ('object:dog running color:red|"dark blue" fast', "running fast", 'object:dog color:red|"dark blue"'),
        ("count(object:dog):>=2 dogs", "dogs", "count(object:dog):>=2"),
        ("meet at 10:30", "meet at 10:30", ""),
        ("see https://example.org/a:b", "see https://example.org/a:b", ""),
        ("shirt: blue", "shirt: blue", ""),
        ("well-known a -b", "well-known a -b", ""),
        ('"object:dog" text', '"object:dog" text', ""),
        ('a 5" screen object:tv', 'a 5" screen', "object:tv"),
        ("", "", ""),
    ],
)
def test_free_text_and_terms_mix_in_a_search_box(text: str, free: str, filter: str) -> None:
    assert split(text) == (free, parse(filter))


@pytest.mark.parametrize(("text", "position"), [("a dog objct:dog", 6), ("dogs object:", 12), ("x people:>=y", 11)])
def test_a_bad_term_in_a_search_box_is_an_error_at_its_place(text: str, position: int) -> None:
    with pytest.raises(InvalidQuery) as caught:
        split(text)
    assert caught.value.position == position


def test_an_unknown_field_in_a_search_box_suggests_the_nearest() -> None:
    with pytest.raises(InvalidQuery, match=r"did you mean scene: or source:\?"):
        split("mountains scen:alps")


def test_filters_are_joined_with_each_term_once() -> None:
    assert str(joined(parse("object:dog people:2"), parse("people:2 scene:park"))) == "object:dog people:2 scene:park"
    with pytest.raises(InvalidQuery, match="once"):
        joined(parse("confidence:>=0.5"), parse("confidence:>=0.6"))


def test_a_facet_value_is_turned_on_as_an_alternative_and_off_again() -> None:
    dog = with_value(parse("-object:bus"), "object", "dog")
    both = toggled(dog, "object", "traffic light")
    assert str(both) == '-object:bus object:dog|"traffic light"'
    assert selected_values(both, "object") == ("dog", "traffic light")
    assert toggled(both, "object", "DOG") == parse('-object:bus object:"traffic light"')
    assert without_value(dog, "object", "dog") == parse("-object:bus")
    assert with_value(dog, "object", "Dog") == dog


def test_negated_counted_and_compared_terms_are_no_selected_values() -> None:
    filter = parse("-object:dog count(object:cat):2 people:>=2 people:0")
    assert selected_values(filter, "object") == ()
    assert selected_values(filter, "people") == ("0",)


def test_terms_are_taken_out_by_field_by_selection_or_one_by_one() -> None:
    filter = parse("object:dog -object:cat count(object:dog):2 people:>=2")
    assert str(without_field(filter, "object")) == "people:>=2"
    assert str(without_selection(filter, "object")) == "-object:cat count(object:dog):2 people:>=2"
    assert str(without_selection(filter, "people")) == "object:dog -object:cat count(object:dog):2"
    assert str(without_term(filter, filter.terms[1])) == "object:dog count(object:dog):2 people:>=2"


def test_a_value_is_quoted_only_where_it_needs_to_be() -> None:
    assert [quoted(v) for v in ("dog", "3-5", "a b", 'a"b', "a@b")] == ["dog", "3-5", '"a b"', '"a\\"b"', '"a@b"']


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("taken:>2024-05-17", False),
        ("taken:>=2024-05-17", True),
        ("taken:<2024-05-17", False),
        ("taken:<=2024-05-17", True),
        ("taken:2024", True),
        ("taken:2024-05-17..2024-05-17", True),
        ("taken:2024-04|2024-06", False),
        ("year:>2024", False),
        ("year:>2023", True),
        ("people:>2", False),
        ("people:<2", False),
        ("people:<3", True),
        ("people:<=2", True),
        ("people:2..4", True),
        ("people:3-5", False),
        ("width:1023..1024", True),
        ("count(object:person):>1", True),
        ("object:person@0.9", True),
        ("object:person confidence:>0.9", False),
        ("-object:dog", True),
        ("path:*A.JPG", True),
    ],
)
def test_ends_of_comparisons_lie_where_they_are_said_to(expression: str, holds: bool) -> None:
    record = an_image(
        objects=["person", "person"], taken_at=datetime(2024, 5, 17, 23, 59, 59, 999999), files=["x/a.jpg"]
    )
    assert matches(parse(expression), record) is holds


def test_a_filter_on_a_field_that_does_not_exist_matches_nothing_silently_never() -> None:
    with pytest.raises(InvalidQuery, match="'shape'"):
        matches(Filter((Term("shape", Op.EQ, ("round",)),)), an_image())


def test_confidences_compare_as_32_bit_floats() -> None:
    from_a_model = 0.699999988079071  # float32 of 0.7
    assert matches(parse("confidence:>=0.7 object:dog"), an_image(objects=[("dog", from_a_model)]))
    assert not matches(parse("confidence:>0.7 object:dog"), an_image(objects=[("dog", from_a_model)]))
