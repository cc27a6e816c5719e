"""What is kept of a person after each thing that they do."""

from datetime import UTC, datetime, timedelta

import pytest
from helpers import image_id
from hypothesis import given
from hypothesis import strategies as st

from search.errors import InvalidQuery
from search.recommend import events
from search.recommend.events import SAID, EventType, Kept, after, expect_name, of_json, stance, to_json

START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
LIKE, UNLIKE, VIEW, HIDE = EventType.LIKE, EventType.UNLIKE, EventType.VIEW, EventType.HIDE


def done(*did: tuple[int, EventType], kept: Kept = ()) -> Kept:
    for hours, (number, type) in enumerate(did, start=10 * bool(kept)):
        kept = after(kept, image_id(number), type, START + timedelta(hours=hours), kept_for=YEAR)
    return kept


def told(kept: Kept) -> list[tuple[str, str, int]]:
    return [(one.image[:4], one.type.value, one.times) for one in kept]


def test_views_are_counted_and_likes_are_not() -> None:
    first = image_id(1)[:4]
    kept = done((1, VIEW), (1, LIKE), (1, VIEW), (1, LIKE))
    assert told(kept) == [(first, "view", 2), (first, "like", 1)]
    assert kept[1].at == START + timedelta(hours=1), "since when it is liked, not when that was said again"


@pytest.mark.parametrize(
    ("did", "holds"),
    [
        ((LIKE,), LIKE),
        ((LIKE, HIDE), HIDE),
        ((HIDE, LIKE), LIKE),
        ((LIKE, UNLIKE), None),
        ((HIDE, UNLIKE), None),
        ((VIEW,), None),
    ],
)
def test_what_was_said_last_holds(did: tuple[EventType, ...], holds: EventType | None) -> None:
    assert stance(done(*((1, type) for type in did)), image_id(1)) is holds


def test_old_views_go_and_what_was_said_stays() -> None:
    kept = done((1, VIEW), (2, LIKE), (3, HIDE))
    later = after(kept, image_id(4), VIEW, START + timedelta(days=10), kept_for=timedelta(days=5))
    assert [one.type for one in later] == [VIEW, HIDE, LIKE]


def test_beyond_the_bound_old_views_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_KEPT", 3)
    kept = done((1, LIKE), (2, VIEW), (3, VIEW), (4, HIDE), (5, VIEW))
    assert told(kept) == [(image_id(n)[:4], type, 1) for n, type in ((5, "view"), (4, "hide"), (1, "like"))]
    assert [one.image for one in done((6, LIKE), (7, LIKE), kept=kept)] == [image_id(7), image_id(6), image_id(4)]


@given(did=st.lists(st.tuples(st.integers(1, 5), st.sampled_from(EventType)), max_size=40))
def test_one_entry_for_each_image_and_kind_and_nothing_said_twice(did: list[tuple[int, EventType]]) -> None:
    kept = done(*did)
    assert len({(one.image, one.type) for one in kept}) == len(kept)
    assert all(sum(one.image == image_id(n) and one.type in SAID for one in kept) <= 1 for n in range(1, 6))
    assert [one.at for one in kept] == sorted((one.at for one in kept), reverse=True)
    assert of_json(to_json(kept)) == kept
    views = {image_id(n): sum(pair == (n, VIEW) for pair in did) for n in range(1, 6)}
    assert {one.image: one.times for one in kept if one.type is VIEW} == {i: n for i, n in views.items() if n}


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "a\x00"])
def test_nobody_is_called_so(name: str) -> None:
    with pytest.raises(InvalidQuery, match="printable"):
        expect_name(name)
