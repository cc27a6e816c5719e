"""What the catalogue promises: nothing lost, nothing twice, and what people said has the last word."""

import functools
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from catalogs import (
    APPROVED,
    DOG,
    REJECTED,
    SPACE,
    WRITTEN,
    a_file,
    a_lived_in_library,
    all_that_is_told,
    an_id,
    an_image,
    take_over,
    write,
)
from pyroaring import BitMap

from search.calibration import Calibration, Curve
from search.catalog.migrations import STEPS
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, KnownFile, Migrating, Root
from search.catalog.sqlite_catalog import FILE, SqliteCatalog
from search.config import Config, load_config
from search.errors import ConfigError, Conflict, InvalidQuery, NotFound, Unavailable
from search.moderation import Policy
from search.opensearch.catalog import OpenSearchCatalog
from search.saved import SavedSearch, with_search, without_search
from search.types import EmbeddingSpace, Location, Rejected, Shot, Tag, TagKind, Verdict
from search.written import UNREAD


@pytest.fixture(params=["sqlite", "opensearch"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    yield from a_catalog(request, tmp_path / "library", "")


@pytest.fixture(params=["sqlite", "opensearch"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    yield from a_catalog(request, tmp_path / "another", "-another")


def a_catalog(request: pytest.FixtureRequest, data: Path, suffix: str) -> Iterator[Catalog]:
    if request.param == "sqlite":
        with SqliteCatalog(data, create=True) as catalog:
            yield catalog
        return
    with OpenSearchCatalog(on_server(request, suffix), create=True) as catalog:
        yield catalog


def on_server(request: pytest.FixtureRequest, suffix: str = "") -> Config:
    """Return the options of a library in OpenSearch that is deleted after the test."""
    prefix = request.getfixturevalue("prefix") + suffix
    url = request.getfixturevalue("opensearch_url")
    return load_config(store="opensearch-knn", opensearch_url=url, opensearch_prefix=prefix)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteCatalog]:
    with SqliteCatalog(tmp_path / "library", create=True) as catalog:
        yield catalog


@pytest.fixture
def root(catalog: Catalog) -> Root:
    return catalog.root(Path("/photos"))


def test_a_record_comes_back_with_all_its_fields(catalog: Catalog, root: Root) -> None:
    taken, place = datetime(2024, 5, 17, 18, 30), Location(-33.5, 151.25)
    details = {
        "taken_at": taken,
        "camera": "Canon",
        "shot": Shot("RF50mm", 0.004, 2.8, 200, 50.0),
        "location": place,
        "caption": "A dog",
        "caption_source": "composed",
    }
    write(catalog, root, 1, **details)
    record = catalog.record(an_id(1))
    assert (record.width, record.height, record.mime_type, record.bytes) == (640, 480, "image/jpeg", 1234)
    assert (record.taken_at, record.camera, record.location) == (taken, "Canon", place)
    assert record.shot == details["shot"]
    assert (record.caption, record.caption_source, record.alt_text) == ("A dog", "composed", None)
    assert record.tags == (DOG,)
    assert record.files == ("1.jpg",)
    ordinals, hashes = catalog.phashes(np.array([record.ordinal, 999], np.uint32))
    assert (ordinals.tolist(), hashes.tolist()) == ([record.ordinal], [2**63 + 5])
    vector = catalog.embedding(record.ordinal, SPACE)
    assert vector is not None
    assert vector.tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_hashes_are_found_by_how_many_bits_differ(catalog: Catalog, root: Root) -> None:
    for number, phash in ((1, 0), (2, 0b111), (3, 2**63 | 1), (4, 2**64 - 1)):
        write(catalog, root, number, phash=phash)
    one, two, three, four = (catalog.find(an_id(n)) for n in (1, 2, 3, 4))
    everything = catalog.phashes()
    assert dict(zip(*(column.tolist() for column in everything), strict=True)) == {
        one: 0, two: 0b111, three: 2**63 | 1, four: 2**64 - 1,
    }  # fmt: skip
    assert everything[0].tolist() == sorted(everything[0].tolist())
    for phash, most, expected in (
        (0, 0, {one}),
        (0, 2, {one, three}),
        (0, 3, {one, two, three}),
        (2**63, 1, {one, three}),
    ):
        ordinals, hashes = catalog.near_phashes(phash, most)
        assert set(ordinals.tolist()) == expected
        assert all((int(found) ^ phash).bit_count() <= most for found in hashes)


def test_records_come_in_the_order_asked_without_those_that_are_gone(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, 2, 3)
    one, two, three = (catalog.find(an_id(n)) for n in (1, 2, 3))
    assert [r.id for r in catalog.records([three, 999, one, two])] == [an_id(3), an_id(1), an_id(2)]
    with pytest.raises(NotFound):
        catalog.record(an_id(9))


def test_an_image_that_is_annotated_anew_keeps_its_ordinal(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1)
    before = catalog.record(an_id(1))
    cat = Tag(TagKind.OBJECT, "cat", 0.8, "detector")
    write(catalog, root, 1, tags={"objects": (cat,)}, models="models-2")
    after = catalog.record(an_id(1))
    assert after.ordinal == before.ordinal
    assert after.tags == (cat,)
    assert catalog.models_of([an_id(1), an_id(2)]) == {an_id(1): "models-2"}


def test_what_models_said_is_kept_by_task_without_what_people_changed(catalog: Catalog, root: Root) -> None:
    dawn = Tag(TagKind.ATTRIBUTE, "sunrise or sunset", 0.7, "zero-shot")
    done = {"objects": "detector-1", "attributes": "zero-shot-1"}
    write(catalog, root, 1, tags={"objects": (DOG,), "attributes": (dawn,)}, done=done, caption="A dog")
    catalog.edit(an_id(1), add=[(TagKind.USER, "Rex")], remove=[(TagKind.OBJECT, "dog")], caption="Rex at dawn")
    said = catalog.said([an_id(1), an_id(2)], SPACE)
    assert list(said) == [an_id(1)]
    assert said[an_id(1)].tags == {"objects": (DOG,), "attributes": (dawn,)}
    assert said[an_id(1)].done == done
    assert said[an_id(1)].caption == "A dog"
    assert said[an_id(1)].vector is not None
    assert catalog.said([an_id(1)], EmbeddingSpace("other", 8, "0" * 32))[an_id(1)].vector is None


def test_a_library_is_on_its_way_to_a_profile_until_it_is_activated(catalog: SqliteCatalog) -> None:
    catalog.note_profile("lite")
    assert (catalog.profile, catalog.coming_profile) == (None, "lite")
    catalog.activate("lite", SPACE)
    assert (catalog.profile, catalog.coming_profile) == ("lite", None)


def test_ordinals_are_never_given_again(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, 2)
    last = catalog.find(an_id(2))
    catalog.delete(an_id(2))
    write(catalog, root, 3)
    assert catalog.find(an_id(3)) == last + 1


def test_two_files_of_one_image_and_the_loss_of_each(catalog: Catalog, root: Root) -> None:
    image = an_image(1)
    catalog.write(root, Batch(SPACE, [image], [(a_file("b.jpg"), image.id), (a_file("a.jpg", 2), image.id)]))
    assert catalog.record(image.id).files == ("a.jpg", "b.jpg")
    assert catalog.locate(image.id) == [Path("/photos/a.jpg"), Path("/photos/b.jpg")]
    catalog.remove_files(root, ["b.jpg"])
    assert catalog.record(image.id).files == ("a.jpg",)
    catalog.remove_files(root, ["a.jpg"])
    assert catalog.find(image.id) is None
    assert catalog.counts() == {"images": 0, "files": 0, "rejected": 0}


def test_a_file_that_holds_another_picture_now_takes_the_old_one_along(catalog: Catalog, root: Root) -> None:
    catalog.write(root, Batch(SPACE, [an_image(1)], [(a_file(), an_id(1))]))
    catalog.write(root, Batch(SPACE, [an_image(2)], [(a_file(), an_id(2))]))
    assert catalog.find(an_id(1)) is None
    assert catalog.record(an_id(2)).files == ("a.jpg",)
    catalog.write(root, Batch(SPACE, rejected=[(a_file(), "the file is empty")]))
    assert catalog.counts() == {"images": 0, "files": 0, "rejected": 1}


def test_moved_files_keep_their_image(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1)
    catalog.move(root, [("1.jpg", a_file("new/1.jpg"))])
    assert catalog.record(an_id(1)).files == ("new/1.jpg",)
    assert catalog.resolve("/photos/new/1.jpg") == an_id(1)
    assert catalog.resolve("/photos/1.jpg") is None
    assert catalog.resolve("/elsewhere/1.jpg") is None


def test_a_file_that_moves_over_another_takes_its_place(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, 2)
    catalog.move(root, [("1.jpg", a_file("2.jpg")), ("3.jpg", a_file("4.jpg"))])
    assert catalog.record(an_id(1)).files == ("2.jpg",)
    assert catalog.find(an_id(2)) is None
    assert list(catalog.known_files(root)) == ["2.jpg"]
    assert catalog.check() == []


def test_what_is_known_of_files_is_told_for_a_part_of_the_root(catalog: Catalog, root: Root) -> None:
    image = an_image(1)
    files = [
        (a_file(path, inode), image.id) for inode, path in enumerate(["a/1.jpg", "a/b/2.jpg", "ab/3.jpg", "a.jpg"])
    ]
    catalog.write(root, Batch(SPACE, [image], files, [(a_file("a/bad.jpg"), "broken")]))
    assert set(catalog.known_files(root, PurePosixPath("a"))) == {"a/1.jpg", "a/b/2.jpg", "a/bad.jpg"}
    assert set(catalog.known_files(root, PurePosixPath("a.jpg"))) == {"a.jpg"}
    assert len(catalog.known_files(root)) == 5
    ordinal = catalog.find(image.id)
    assert catalog.known_files(root)["a/1.jpg"] == KnownFile(1234, 5, 0, ordinal, None, "models-1")
    assert catalog.known_files(root)["a/bad.jpg"].reason == "broken"
    assert catalog.rejected() == [Rejected("/photos/a/bad.jpg", "broken")]


def test_file_names_that_are_no_text_are_kept_as_they_are(catalog: Catalog, root: Root) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    catalog.write(root, Batch(SPACE, [an_image(1)], [(a_file(name), an_id(1))]))
    assert list(catalog.known_files(root)) == [name]
    assert catalog.locate(an_id(1)) == [Path("/photos") / name]
    catalog.record(an_id(1)).files[0].encode("utf-8")


def test_people_overrule_models_now_and_later(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, caption="A dog", caption_source="composed")
    edited = catalog.edit(
        an_id(1), add=[(TagKind.USER, "Rex")], remove=[(TagKind.OBJECT, "Dog")], caption="Rex", alt_text="Rex runs"
    )
    assert edited.tags == (Tag(TagKind.USER, "Rex", 1.0, "person"),)
    assert (edited.caption, edited.caption_source, edited.alt_text) == ("Rex", "person", "Rex runs")
    write(catalog, root, 1, caption="A cat", caption_source="composed")
    assert replace(catalog.record(an_id(1)), indexed_at=edited.indexed_at) == edited
    catalog.remove_files(root, ["1.jpg"])
    write(catalog, root, 1)
    again = catalog.record(an_id(1))
    assert (again.tags, again.caption) == (edited.tags, "Rex")


def test_what_is_written_in_files_is_said_by_people_and_overruled_only_here(catalog: Catalog, root: Root) -> None:
    told = replace(a_file("1.jpg"), sidecars="[]", written=WRITTEN)
    image = an_image(1, caption="A dog", caption_source="composed")
    catalog.write(root, Batch(SPACE, [image], [(told, an_id(1))]))
    record = catalog.record(an_id(1))
    assert {(tag.label, tag.source, tag.kind) for tag in record.tags if tag != DOG} == {
        ("Places", "xmp", TagKind.USER),
        ("Oslo", "iptc", TagKind.USER),
        ("4 stars", "photoprism", TagKind.USER),
    }
    assert (record.caption, record.caption_source, record.alt_text) == ("Written", "xmp", "For the blind")
    assert catalog.known_files(root)["1.jpg"].sidecars == "[]"

    catalog.write(root, Batch(SPACE, [replace(image, caption="A cat", models="models-2")]))  # other models, no new file
    catalog.move(root, [("1.jpg", replace(a_file("2.jpg"), sidecars="[]"))])
    assert set(catalog.record(an_id(1)).tags) == set(record.tags)
    assert catalog.record(an_id(1)).caption == "Written"

    edited = catalog.edit(an_id(1), add=[(TagKind.USER, "Oslo")], remove=[(TagKind.USER, "places")], caption="Mine")
    assert [tag.label for tag in edited.tags if tag.source != DOG.source] == ["Oslo", "4 stars"]
    assert (edited.caption, edited.alt_text) == ("Mine", "For the blind")
    assert catalog.edit(an_id(1), alt_text="").alt_text is None

    catalog.write(root, Batch(SPACE, files=[(replace(told, path="2.jpg", written=None), an_id(1))]))
    assert [tag.label for tag in catalog.record(an_id(1)).tags] == ["dog", "Oslo"]


def test_copies_of_an_image_say_what_is_written_about_any(catalog: Catalog, root: Root) -> None:
    copies = [(a_file("a.jpg"), an_id(1)), (replace(a_file("b.jpg", 2), written=WRITTEN), an_id(1))]
    catalog.write(root, Batch(SPACE, [an_image(1)], copies))
    assert catalog.record(an_id(1)).caption == "Written"
    catalog.remove_files(root, ["b.jpg"])
    assert catalog.record(an_id(1)).tags == (DOG,)


def test_files_of_a_library_of_before_are_looked_at_for_sidecars(tmp_path: Path) -> None:
    with SqliteCatalog(tmp_path, create=True) as catalog:
        write(catalog, catalog.root(Path("/photos")), 1)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        for column in ("sidecars", "written"):
            connection.execute(f"ALTER TABLE file DROP COLUMN {column}")
        connection.execute("DROP TABLE person")
        connection.execute("PRAGMA user_version = 5")
    with SqliteCatalog(tmp_path) as catalog:
        known = catalog.known_files(catalog.root(Path("/photos")))
        assert known["1.jpg"].sidecars == UNREAD
        assert catalog.record(an_id(1)).tags == (DOG,)


def test_an_edit_can_be_taken_back_and_an_empty_text_takes_away(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, caption="A dog", caption_source="composed")
    catalog.edit(an_id(1), remove=[(TagKind.OBJECT, "dog")], add=[(TagKind.USER, "x")])
    back = catalog.edit(an_id(1), add=[(TagKind.OBJECT, "dog")], remove=[(TagKind.USER, "X")], caption="")
    assert back.tags == (DOG,)
    assert back.caption is None
    with pytest.raises(NotFound):
        catalog.edit(an_id(9), caption="nothing")


def test_an_image_that_was_taken_out_is_remembered_as_such(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, 2)
    catalog.delete(an_id(1))
    assert catalog.find(an_id(1)) is None
    assert catalog.hidden([an_id(1), an_id(2)]) == {an_id(1)}
    assert "1.jpg" not in catalog.known_files(root)
    catalog.restore([an_id(1)])
    assert catalog.hidden([an_id(1)]) == set()
    with pytest.raises(NotFound):
        catalog.delete(an_id(1))


def test_sqlite_tells_changes_from_any_point_on(sqlite: SqliteCatalog) -> None:
    root = sqlite.root(Path("/photos"))
    write(sqlite, root, 1, 2, 3)
    one, two, three = (sqlite.find(an_id(n)) for n in (1, 2, 3))
    start = sqlite.change
    assert sqlite.changes_since(0).upserted == [one, two, three]
    assert sqlite.changes_since(start) == sqlite.changes_since(start)
    assert not sqlite.changes_since(start).upserted
    sqlite.edit(an_id(2), caption="new")
    sqlite.delete(an_id(3))
    changed = sqlite.changes_since(start)
    assert (changed.upserted, changed.deleted, changed.upto) == ([two], BitMap([three]), sqlite.change)
    sqlite.move(root, [("1.jpg", a_file("moved.jpg"))])
    assert sqlite.changes_since(changed.upto).upserted == [one]


def test_a_space_is_switched_when_every_image_is_in_it(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1, 2)
    assert catalog.active_space() is None
    catalog.activate("lite", SPACE)
    assert catalog.active_space() == SPACE
    other = EmbeddingSpace("other", 8, "0" * 32)
    assert catalog.missing_in(other) == 2
    catalog.write(root, Batch(other, [an_image(1), an_image(2)]))
    assert catalog.missing_in(other) == 0
    catalog.activate("lite", other)
    assert list(catalog.embeddings(SPACE)) == []
    assert sum(len(ordinals) for ordinals, _ in catalog.embeddings(other)) == 2


def test_a_calibration_belongs_to_the_space_that_is_searched(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1)
    catalog.activate("lite", SPACE)
    assert catalog.calibration() is None
    fitted = Calibration(Curve(-0.25, 0.1), Curve(-0.3, 0.05))
    catalog.note_calibration(fitted)
    catalog.activate("other profile", SPACE)
    assert catalog.calibration() == fitted
    catalog.activate("lite", EmbeddingSpace("other", 8, "0" * 32))
    assert catalog.calibration() is None
    catalog.note_calibration(fitted)
    catalog.note_calibration(None)
    assert catalog.calibration() is None


def test_sqlite_refuses_a_second_process_that_would_write(sqlite: SqliteCatalog) -> None:
    code = f"from search.catalog.sqlite_catalog import SqliteCatalog\nfrom pathlib import Path\nwith SqliteCatalog(Path({str(sqlite.data)!r})).write_lock(): pass"  # fmt: skip  # noqa: E501
    with sqlite.write_lock():
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, encoding="utf-8"
        )
        assert "Conflict" in done.stderr
        with pytest.raises(Conflict), sqlite.write_lock():
            pass
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("limit", [1, 100])
def test_a_library_moves_to_another_catalogue_as_it_is(catalog: Catalog, another: Catalog, limit: int) -> None:
    a_lived_in_library(catalog)
    told = all_that_is_told(catalog)
    for _ in range(2):  # broken off and begun again, it ends the same
        take_over(catalog, another, limit=limit)
        assert all_that_is_told(another) == told
    write(another, another.root(Path("/photos")), 6)
    assert another.find(an_id(6)) > max(catalog.ordinals())
    write(another, another.root(Path("/photos")), 3)
    assert another.record(an_id(3)).alt_text == "Three"


def test_what_is_here_already_is_replaced_by_what_is_taken_over(catalog: Catalog, another: Catalog) -> None:
    a_lived_in_library(catalog)
    root = another.root(Path("/photos"))
    write(another, root, 1, 9, 8, 4, camera="another")  # their ordinals are those of other images there
    another.write(root, Batch(SPACE, rejected=[(a_file("3.jpg"), "broken"), (a_file("2.jpg"), None)]))
    write(another, root, 5, 2, 7)
    another.edit(an_id(5), caption="not there")
    another.edit(an_id(7), caption="not there")
    another.delete(an_id(1))
    take_over(catalog, another, limit=2)
    another.drop_images(another.ordinals() - catalog.ordinals())
    assert all_that_is_told(another) == all_that_is_told(catalog)


def test_it_is_noted_how_far_a_migration_is(catalog: Catalog, root: Root) -> None:
    assert catalog.migration() is None
    catalog.note_migration(Migrating("x", 7))
    assert catalog.migration() == Migrating("x", 7)
    catalog.note_migration(None)
    assert catalog.migration() is None


def test_the_version_tells_whether_anything_changed(catalog: Catalog, root: Root) -> None:
    changes: list[Callable[[], object]] = [
        lambda: write(catalog, root, 1, 2, 3),
        lambda: catalog.write(root, Batch(SPACE, rejected=[(a_file("bad.jpg"), "broken")])),
        lambda: catalog.edit(an_id(1), caption="new"),
        lambda: catalog.move(root, [("1.jpg", a_file("moved.jpg"))]),
        lambda: catalog.delete(an_id(2)),
        lambda: catalog.restore([an_id(2)]),
        lambda: catalog.remove_files(root, ["3.jpg"]),
        lambda: catalog.activate("lite", SPACE),
        lambda: catalog.drop_images(catalog.ordinals()),
    ]
    for change in changes:
        before = catalog.version()
        all_that_is_told(catalog)
        assert catalog.version() == before
        change()
        assert catalog.version() != before
    assert catalog.counts() == {"images": 0, "files": 0, "rejected": 1}


def test_projections_of_sqlite_learn_of_what_was_taken_over(tmp_path: Path, sqlite: SqliteCatalog) -> None:
    a_lived_in_library(sqlite)
    with SqliteCatalog(tmp_path / "another", create=True) as another:
        write(another, another.root(Path("/photos")), 9)
        another.delete(an_id(9))
        start = another.change
        take_over(sqlite, another, limit=100)
        changed = another.changes_since(start)
        assert (changed.upserted, changed.deleted) == (list(sqlite.ordinals()), BitMap())


def test_it_is_told_what_the_catalogue_takes(catalog: Catalog, root: Root) -> None:
    write(catalog, root, *range(1, 100))
    assert sum(catalog.sizes().values()) > 10_000


@pytest.mark.parametrize("kind", ["text", "foreign", "newer"])
def test_sqlite_refuses_a_file_that_is_no_catalogue_of_ours_and_leaves_it_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE
    if kind == "text":
        path.write_text("These are my notes. " * 300, encoding="utf-8")
    elif kind == "foreign":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        SqliteCatalog(tmp_path, create=True).close()
        with sqlite3.connect(path) as newer:
            newer.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
        newer.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        SqliteCatalog(tmp_path, create=True)
    assert path.read_bytes() == before


def test_sqlite_says_what_to_run_where_there_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="snapseek index"):
        SqliteCatalog(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_full_disk_changes_nothing_in_sqlite(sqlite: SqliteCatalog) -> None:
    root = sqlite.root(Path("/photos"))
    write(sqlite, root, 1)
    (pages,) = sqlite._connection.execute("PRAGMA page_count").fetchone()
    sqlite._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(Unavailable, match="disk is full"):
        write(sqlite, root, *range(100, 400))
    assert sqlite.counts()["images"] == 1
    assert sqlite.check() == []
    sqlite._connection.execute("PRAGMA max_page_count = 1000000")
    write(sqlite, root, *range(100, 400))
    assert sqlite.counts()["images"] == 301


def test_damage_of_sqlite_is_found(sqlite: SqliteCatalog) -> None:
    root = sqlite.root(Path("/photos"))
    write(sqlite, root, 1, 2, 3)
    sqlite.activate("lite", SPACE)
    assert sqlite.check() == []
    one, two = sqlite.find(an_id(1)), sqlite.find(an_id(2))
    sqlite._connection.execute("UPDATE embedding SET vector = x'00' WHERE ordinal = ?", (one,))
    sqlite._connection.execute("DELETE FROM embedding WHERE ordinal = ?", (two,))
    sqlite._connection.execute("DELETE FROM file WHERE path = ?", (b"3.jpg",))
    assert {problem.what for problem in sqlite.check()} == {
        "a vector that is not of unit length", "an image without a vector", "an image without a file",
    }  # fmt: skip


def test_threads_read_while_one_writes(catalog: Catalog, root: Root) -> None:
    write(catalog, root, 1)
    failed: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(60):
                for record in catalog.records(list(catalog.ordinals())):
                    assert record.files
                    assert record.tags == (DOG,)
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(2, 42):
        write(catalog, root, number)
    for reader in readers:
        reader.join()
    assert not failed


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from catalogs import SPACE, a_file, an_image
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch
from search.catalog.sqlite_catalog import SqliteCatalog
catalog = SqliteCatalog(Path(sys.argv[1]), create=True)
root = catalog.root(Path("/photos"))
number = int(sys.argv[3])
while True:
    images = [an_image(number + i) for i in range(10)]
    catalog.write(root, Batch(SPACE, images, [(a_file(f"{i.id}.jpg"), i.id) for i in images]))
    number += 10
    print(number, flush=True)
"""


def test_a_writer_to_sqlite_that_is_killed_leaves_whole_batches_only(tmp_path: Path) -> None:
    for attempt in range(3):
        here = str(Path(__file__).parents[1])
        start = str(1 + attempt * 100_000)
        command = [sys.executable, "-c", WRITER, str(tmp_path), here, start]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.15)
            writer.kill()
        with SqliteCatalog(tmp_path) as catalog:
            counts = catalog.counts()
            assert counts["images"] % 10 == 0
            assert counts["images"] == counts["files"] > 0
            assert catalog.check() == []
            assert len(catalog.changes_since(0).upserted) == counts["images"]


def test_saved_searches_are_kept_by_name_and_forgotten(catalog: Catalog) -> None:
    assert catalog.saved_searches() == ()
    for search in (SavedSearch("Sea", "q=sea"), SavedSearch("dogs", "q=dog"), SavedSearch("DOGS", "q=two+dogs")):
        catalog.change_saved_searches(functools.partial(_kept, search=search))
    assert catalog.saved_searches() == (SavedSearch("DOGS", "q=two+dogs"), SavedSearch("Sea", "q=sea"))
    catalog.change_saved_searches(lambda known: without_search(known, "dogs"))
    assert catalog.saved_searches() == (SavedSearch("Sea", "q=sea"),)
    with pytest.raises(InvalidQuery, match="name"):
        catalog.change_saved_searches(lambda known: with_search(known, SavedSearch(" ", "q=sea")))
    assert catalog.saved_searches() == (SavedSearch("Sea", "q=sea"),)


def _kept(known: Sequence[SavedSearch], *, search: SavedSearch) -> tuple[SavedSearch, ...]:
    return with_search(known, search)


def test_decisions_are_a_log_and_the_last_one_holds_also_when_the_image_is_indexed_again(
    catalog: Catalog, root: Root
) -> None:
    write(catalog, root, 1, 2)
    before = catalog.version()
    assert catalog.decide(an_id(1), REJECTED).verdict is Verdict.REJECTED
    assert catalog.version() != before
    assert catalog.decided(Verdict.REJECTED) == BitMap([catalog.find(an_id(1))])
    catalog.decide(an_id(1), APPROVED)
    write(catalog, root, 1, models="models-2")
    record = catalog.record(an_id(1))
    assert record.decisions == (REJECTED, APPROVED)
    assert catalog.decided(Verdict.REJECTED) == BitMap()
    assert catalog.decided(Verdict.APPROVED) == BitMap([record.ordinal])
    assert catalog.edit(an_id(1), caption="Still decided").decisions == (REJECTED, APPROVED)
    catalog.remove_files(root, ["1.jpg"])
    assert catalog.decided(Verdict.APPROVED) == BitMap()
    write(catalog, root, 1)
    assert catalog.record(an_id(1)).decisions == (REJECTED, APPROVED)
    with pytest.raises(NotFound):
        catalog.decide(an_id(9), APPROVED)


def test_images_are_flagged_by_the_threshold_of_their_category_and_by_people(catalog: Catalog, root: Root) -> None:
    def saying(*said: tuple[str, float]) -> dict[str, tuple[Tag, ...]]:
        return {"moderation": tuple(Tag(TagKind.MODERATION, label, sure, "a-model") for label, sure in said)}

    write(catalog, root, 1, tags=saying(("adult", 0.69)))
    write(catalog, root, 2, tags=saying(("Adult", 0.7)))
    write(catalog, root, 3, tags=saying(("adult", 0.1), ("weapons", 0.5)))
    write(catalog, root, 4, 5)
    write(catalog, root, 6, tags=saying(("adult", 0.99)))
    catalog.edit(an_id(4), add=[(TagKind.MODERATION, "hate")])
    catalog.edit(an_id(6), remove=[(TagKind.MODERATION, "adult")])
    policy = Policy({"adult": 0.7})
    ordinals = [catalog.find(an_id(number)) for number in (2, 3, 4)]
    assert catalog.flagged(policy) == BitMap(ordinals)
    assert catalog.flagged(Policy({"adult": 0.05, "weapons": 0.9}, other=1.0)) == BitMap(
        [catalog.find(an_id(number)) for number in (1, 2, 3, 4)]
    )
    policies = Policy({"adult": 0.7}), Policy({"adult": 0.05, "weapons": 0.9}, other=1.0)
    for one in policies:
        records = catalog.records(sorted(catalog.ordinals()))
        assert catalog.flagged(one) == BitMap(record.ordinal for record in records if one.reasons(record))
