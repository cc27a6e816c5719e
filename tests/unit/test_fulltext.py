"""Scores of common words that are kept, beside those that the table gives at each search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers import an_image
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from search.bitmaps import bitmap_of
from search.tags import fulltext
from search.tags.sqlite_store import SqliteTagStore
from search.types import Filter

TEXTS = ("dog", "dogs on beaches", "a running cat", "dog cat", "beach runner jpg", "zebra", "")


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "KEPT_FROM", 5)
    monkeypatch.setattr(fulltext, "OUTDATED", 0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tags.sqlite"
    with closing(SqliteTagStore(path)) as store:
        store.upsert(map(image, range(1, 120)))
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteTagStore]:
    with closing(SqliteTagStore(path)) as store:
        yield store


def image(number: int, more: str = "") -> object:
    captions = ("A dog runs on the beach", "Two cats", "Dogs and a cat, running", "A house")
    return an_image(
        ordinal=number, caption=f"{captions[number % 4]} {more * (number % 3)}", objects=["dog", "cat"][: number % 3]
    )


def from_table(store: SqliteTagStore, text: str, k: int) -> list[int]:
    """Return what a new process finds, which has kept nothing."""
    with closing(SqliteTagStore(store._path)) as other:
        other._words.forget()
        found, _ = other.search_text(text, filter=Filter(), k=k)
        return found.tolist()


@pytest.mark.parametrize("text", TEXTS)
def test_kept_scores_are_those_of_the_table(store: SqliteTagStore, text: str) -> None:
    first = store.search_text(text, filter=Filter(), k=200)
    again = store.search_text(text, filter=Filter(), k=200)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    query = " OR ".join(f'"{word}"' for word in fulltext.telling_words(text))
    whole = dict(
        store._connection()
        .execute(f"SELECT rowid, -{fulltext._BM25} FROM words WHERE words MATCH ?", (query,))
        .fetchall()
        if query
        else []
    )
    assert dict(zip(again[0].tolist(), again[1].tolist(), strict=True)) == pytest.approx(whole, rel=1e-5)
    assert (np.diff(again[1]) <= 0).all()


@pytest.mark.parametrize("within", [None, BitMap(range(0, 200, 7)), BitMap([3]), BitMap()])
def test_only_allowed_images_are_found_and_the_best_of_them(store: SqliteTagStore, within: BitMap | None) -> None:
    every, _ = store.search_text("dog beach", filter=Filter(), k=500)
    expected = [o for o in every.tolist() if within is None or o in within]
    for k in (1, 3, 500):
        found, _ = store.search_text("dog beach", filter=Filter(), within=within, k=k)
        assert found.tolist() == expected[:k]


def test_what_is_written_meanwhile_is_found_and_what_is_gone_is_not(store: SqliteTagStore, path: Path) -> None:
    for text in TEXTS:
        store.search_text(text, filter=Filter(), k=5)
    with closing(SqliteTagStore(path)) as other:
        other.upsert(
            [image(5, "zebra dog"), an_image(ordinal=500, caption="a dog"), an_image(ordinal=7, caption="a zebra")]
        )
        other.delete(BitMap([8, 12]))
    found = {text: store.search_text(text, filter=Filter(), k=500)[0].tolist() for text in TEXTS}
    for text in TEXTS:
        assert sorted(found[text]) == sorted(from_table(store, text, 500))
    assert 500 in found["dog"]
    assert 7 not in found["a running cat"]
    assert 12 not in found["dog"]


def test_much_that_changed_is_asked_for_anew(store: SqliteTagStore) -> None:
    store.search_text("dog", filter=Filter(), k=5)
    store.upsert([an_image(ordinal=n, caption="a dog and a dog") for n in range(1, 1000, 2)])
    found, scores = store.search_text("dog", filter=Filter(), k=2000)
    assert found.tolist() == from_table(store, "dog", 2000)
    assert (scores > 0).all()


def test_words_are_kept_for_the_next_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteTagStore(path)) as store:
        expected = store.search_text("runs on beaches", filter=Filter(), k=500)
        store.save()
        store.upsert([an_image(ordinal=900, caption="runs on beaches")])
    asked = []
    from_rows = fulltext.asked
    monkeypatch.setattr(fulltext, "asked", lambda *args: asked.append(args[1:]) or from_rows(*args))
    with closing(SqliteTagStore(path)) as store:
        found = store.search_text("runs on beaches", filter=Filter(), k=500)
        assert all(len(args) == 3 for args in asked), "only what is new is asked for"
        assert sorted(found[0].tolist()) == sorted([*expected[0].tolist(), 900])


def test_words_that_were_not_asked_for_longest_go_first(store: SqliteTagStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "KEPT_ROWS", 100)
    for word in ("dog", "cat", "jpg"):
        store.search_text(word, filter=Filter(), k=5)
    assert list(store._words._kept) == ["jpg"]


@given(
    seed=st.integers(0, 2**32 - 1),
    words=st.lists(st.tuples(st.floats(0.001, 1.0), st.sampled_from([0.5, 1.0, 9.0])), min_size=1, max_size=5),
    k=st.integers(1, 60),
    share=st.sampled_from([None, 0.0, 0.02, 0.5]),
)
def test_the_best_sums_are_found_without_adding_all_up(
    seed: int, words: list[tuple[float, float]], k: int, share: float | None
) -> None:
    rng = np.random.default_rng(seed)
    found, every = [], np.zeros(400)
    for often, most in words:
        ordinals = np.flatnonzero(rng.random(400) < often).astype(np.uint32)
        scores = (np.ceil(rng.random(len(ordinals)) * 3) / 3 * most).astype(np.float32)  # many are equal
        every[ordinals] += scores
        found += [(ordinals, scores)] if len(ordinals) else []
    allowed = None if share is None else bitmap_of(np.flatnonzero(rng.random(500) < share))
    if not found:
        return
    ordinals, scores = fulltext._best(*fulltext._summed(found, allowed, k), k)
    expected = [n for n in range(400) if every[n] > 0 and (allowed is None or n in allowed)]
    expected = sorted(expected, key=lambda n: (-round(every[n], 3), n))[:k]
    assert every[ordinals] == pytest.approx(every[expected], rel=1e-5)
    assert scores == pytest.approx(every[ordinals], rel=1e-5)
    assert len(set(ordinals.tolist())) == len(ordinals)


def test_what_was_asked_for_anew_is_kept(store: SqliteTagStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.search_text("dog", filter=Filter(), k=5)
    store.upsert([image(number, "dog") for number in range(120, 125)])
    asked = []
    from_rows = fulltext.asked
    monkeypatch.setattr(fulltext, "asked", lambda *args: asked.append(args[1:]) or from_rows(*args))
    for _ in range(2):
        found, _ = store.search_text("dog", filter=Filter(), k=500)
    assert sorted(found.tolist()) == sorted(from_table(store, "dog", 500))
    assert asked[0] == ("dog", 120, 124)
    assert len([args for args in asked if len(args) == 3]) == 1, "the second time nothing is"


def test_a_word_that_many_more_images_hold_is_asked_for_anew(
    store: SqliteTagStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulltext, "OUTDATED", 0.2)
    store.search_text("zebra", filter=Filter(), k=5)
    store.upsert([an_image(ordinal=n, caption="a zebra") for n in range(200, 210)])
    store.search_text("zebra", filter=Filter(), k=5)  # ten hold it: kept from here on
    store.upsert([an_image(ordinal=n, caption="a zebra") for n in range(210, 220)])
    asked = []
    from_rows = fulltext.asked
    monkeypatch.setattr(fulltext, "asked", lambda *args: asked.append(args[1:]) or from_rows(*args))
    found, scores = store.search_text("zebra", filter=Filter(), k=500)
    assert [args for args in asked if len(args) == 1] == [("zebra",)]
    assert len(found) == 20
    assert len(set(scores.tolist())) == 1, "all by how many hold the word now"
