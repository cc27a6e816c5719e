"""The tag store's snapshot: read instead of the rows, and never for something else than it is of."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers import an_image

from search.filters import parse
from search.tags import sqlite_store
from search.tags.projection import Projection
from search.tags.sqlite_store import SqliteTagStore, snapshot_path

RECORDS = [an_image(ordinal=n, objects=[["dog", "cat"][n % 2]], taken_at="2024-05-01") for n in range(1, 60)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store's file with its snapshot."""
    path = tmp_path / "tags.sqlite"
    with closing(SqliteTagStore(path)) as store:
        store.upsert(RECORDS)
        store.save()
    return path


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were read, each time that a store looked."""
    read: list[int] = []
    apply = Projection.apply

    def counted(self: Projection, entries: list[object]) -> None:
        read.append(len(entries))
        apply(self, entries)

    monkeypatch.setattr(Projection, "apply", counted)
    return read


def dogs(path: Path) -> int:
    with closing(SqliteTagStore(path)) as store:
        (facet,) = store.facets(["object"], parse(""), within=None, size=5)
        counted = {value.value: value.count for value in facet.values}
        assert counted["dog"] == store.count(parse("object:dog"))
        return counted["dog"]


def test_a_store_is_opened_by_its_snapshot_and_what_came_after(file: Path, rows_read: list[int]) -> None:
    with closing(SqliteTagStore(file)) as store:
        assert sum(rows_read) == 0
        store.upsert([an_image(ordinal=3, objects=["dog"]), an_image(ordinal=70, objects=["dog"], width=9)])
        store.delete(store.match(parse("object:cat"))[:1])
    rows_read.clear()
    with closing(SqliteTagStore(file)) as store:
        assert sum(rows_read) == 3
        assert (store.count(parse("object:dog")), store.count(parse("object:cat"))) == (31, 28)
        assert store.count(parse("width:<=9")) == 1


def test_what_changed_is_found_without_going_over_all_images(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {sqlite_store.CHANGED_ROWS}", (0,)).fetchall()
    assert not any(str(what).startswith("SCAN") for *_, what in steps), steps


def test_a_snapshot_is_written_again_only_when_much_has_changed(file: Path) -> None:
    before = sorted(snapshot_path(file).iterdir())
    with closing(SqliteTagStore(file)) as store:
        store.upsert([an_image(ordinal=100)])
        store.save()
        assert sorted(snapshot_path(file).iterdir()) == before
        store.upsert([an_image(ordinal=n) for n in range(101, 110)])
        store.save()
        assert sorted(snapshot_path(file).iterdir()) != before


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "state", "empty state"])
def test_a_damaged_snapshot_is_passed_over(file: Path, rows_read: list[int], damage: str) -> None:
    folder = snapshot_path(file)
    (data,) = folder.glob("projection-*")
    if damage == "cut":
        data.write_bytes(data.read_bytes()[:-200])
    elif damage == "changed":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 255
        data.write_bytes(content)
    elif damage == "gone":
        data.unlink()
    else:
        (folder / "state.json").write_text("{" if damage == "state" else "", encoding="utf-8")
    assert dogs(file) == 29
    assert rows_read[0] == len(RECORDS)


def test_a_file_that_was_put_back_is_not_answered_by_a_later_snapshot(tmp_path: Path, file: Path) -> None:
    with closing(SqliteTagStore(file)) as store:
        store._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(file, tmp_path / "earlier")
    with closing(SqliteTagStore(file)) as store:
        store.upsert([an_image(ordinal=n, objects=["dog"]) for n in range(200, 220)])
        store.save()
    for part in tmp_path.glob("tags.sqlite*"):
        part.unlink()
    shutil.copy(tmp_path / "earlier", file)
    assert dogs(file) == 29


def test_a_snapshot_that_cannot_be_written_is_no_loss(
    file: Path, monkeypatch: pytest.MonkeyPatch, rows_read: list[int]
) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(sqlite_store.snapshot, "write", full)
    with closing(SqliteTagStore(file)) as store:
        store.upsert([an_image(ordinal=n, objects=["dog"]) for n in range(200, 220)])
        with pytest.raises(OSError, match="full"):
            store.save()
    assert dogs(file) == 49
