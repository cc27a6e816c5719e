"""Pages of rankings that change between them, with a small window."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import paging
from search.cursor import Position


def pages(ranking_at: Callable[[int], list[int]], k: int) -> list[list[int]]:
    """Return the pages of a ranking that is another at every page."""
    position, shown = Position(), []
    while True:
        ranked = np.array(ranking_at(len(shown)), np.uint32)
        page = ranked[paging.remaining(ranked, position)[:k]]
        if not len(page):
            return shown
        shown.append(page.tolist())
        position = paging.onward(ranked, position, page)


@given(
    st.lists(st.permutations(range(12)), min_size=13, max_size=13),
    st.sets(st.integers(0, 11)),
    st.lists(st.sets(st.integers(0, 11)), min_size=13, max_size=13),
    st.integers(1, 5),
)
def test_what_stays_is_shown_once_however_all_are_ranked_anew(
    orders: list[list[int]], coming_and_going: set[int], away: list[set[int]], k: int
) -> None:
    def ranking(page: int) -> list[int]:
        gone = coming_and_going & away[page]
        return [image for image in orders[page] if image not in gone]

    shown = [image for page in pages(ranking, k) for image in page]
    assert len(set(shown)) == len(shown)
    assert set(range(12)) - coming_and_going <= set(shown)


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(paging, "WINDOW", 10)
    return 10


def test_past_the_window_pages_of_a_ranking_that_rests_are_its_slices(small_window: int) -> None:
    ranking = np.random.default_rng(2).permutation(97).tolist()
    assert pages(lambda _: ranking, 7) == [ranking[start : start + 7] for start in range(0, 97, 7)]
    assert len(paging.onward(np.arange(50, dtype=np.uint32), Position(), np.arange(50)).seen) == small_window


def test_past_the_window_images_may_move_by_half_of_it_and_be_removed_and_added(small_window: int) -> None:
    def ranking(page: int) -> list[int]:
        moved = np.arange(100) + np.random.default_rng(page).uniform(0, small_window / 2 - 1, 100)
        order = [image for image in np.argsort(moved).tolist() if image % 7 or image // 7 > page]
        return [1000 + page, *order] if page % 2 else order

    shown = [image for page in pages(ranking, 4) for image in page]
    assert len(set(shown)) == len(shown)
    assert {image for image in range(100) if image % 7} <= set(shown)


def test_where_all_that_a_cursor_names_is_gone_it_goes_on_by_number() -> None:
    position = Position(seen=np.array([200, 201], np.uint32), shown=5)
    assert paging.remaining(np.arange(8, dtype=np.uint32), position).tolist() == [5, 6, 7]
