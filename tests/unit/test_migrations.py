"""A catalogue of every older schema comes to the newest, and is kept beside as it was."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from search.catalog.migrations import APPLICATION_ID, STEPS
from search.catalog.sqlite_catalog import FILE, SqliteCatalog
from search.errors import ConfigError


def of_version(folder: Path, version: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / FILE
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript("".join(STEPS[:version]))
        old.execute(f"PRAGMA user_version = {version}")
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("INSERT INTO hidden VALUES ('it was there')")
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as one:
        assert one.execute("SELECT id FROM hidden").fetchall() == [("it was there",)]
        return one.execute("PRAGMA user_version").fetchone()[0]


@pytest.mark.parametrize("version", range(1, len(STEPS)))
def test_an_older_catalogue_is_kept_as_it_was_before_it_is_changed(tmp_path: Path, version: int) -> None:
    path = of_version(tmp_path / "library", version)
    for _ in range(2):
        with SqliteCatalog(path.parent) as catalog:
            assert catalog.counts()["images"] == 0
        assert version_of(path) == len(STEPS)
        assert version_of(path.with_name(f"{FILE}.schema-{version}")) == version
    assert not [one for one in path.parent.iterdir() if one.name.count(".") > 2]


def test_a_new_catalogue_has_nothing_to_keep(tmp_path: Path) -> None:
    with SqliteCatalog(tmp_path / "library", create=True):
        assert not list((tmp_path / "library").glob("*.schema-*"))


def test_what_cannot_be_kept_is_not_changed(tmp_path: Path) -> None:
    path = of_version(tmp_path / "library", 1)
    path.with_name(f"{FILE}.schema-1").mkdir()
    (path.with_name(f"{FILE}.schema-1") / "in the way").touch()
    with pytest.raises(ConfigError, match="cannot be kept as it is"):
        SqliteCatalog(path.parent)
    assert version_of(path) == 1


def test_a_step_that_fails_leaves_the_older_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = of_version(tmp_path / "library", 2)
    monkeypatch.setattr("search.catalog.migrations.STEPS", (*STEPS, "CREATE TABLE image (id);"))
    with pytest.raises(Exception, match="image"):
        SqliteCatalog(path.parent)
    assert version_of(path) == 2


def test_of_many_who_come_at_once_one_changes_it(tmp_path: Path) -> None:
    path = of_version(tmp_path / "library", 1)
    failed: list[BaseException] = []

    def come() -> None:
        try:
            SqliteCatalog(path.parent).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert version_of(path) == len(STEPS)
    assert version_of(path.with_name(f"{FILE}.schema-1")) == 1
