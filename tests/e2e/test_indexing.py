"""From folders of real files to a library, and what changes there do to it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from libraries import index, photos
from pictures import a_picture, save
from PIL import Image

from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import load_config
from search.errors import ConfigError, Conflict, SpaceMismatch
from search.filters import parse
from search.services import open_services
from search.types import Query, Rejected, TagKind
from search.verify import verify_library


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and the library made of them; tests work on copies."""
    folder = tmp_path_factory.mktemp("indexed")
    report = index(folder / "library", photos(folder / "photos"))
    assert report.indexed == 12
    return folder


def paths(library: Path, expression: str = "") -> list[str]:
    with open_services(load_config(data=library)) as services:
        hits = services.engine.search(Query(filter=parse(expression), k=200)).hits
        return sorted(path for hit in hits for path in hit.image.files)


def is_sound(library: Path) -> bool:
    with SqliteCatalog(library) as catalog:
        problems, _ = verify_library(load_config(data=library), catalog, repair=False)
    return not [p for p in problems if "not there" not in p.what]


def test_an_unchanged_folder_is_not_read_again(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    assert index(tmp_path / "library", tmp_path / "photos").indexed == 12
    for file in (tmp_path / "photos").rglob("*.*"):
        file.chmod(0)  # nobody but root could open it now
    report = index(tmp_path / "library", tmp_path / "photos")
    assert (report.unchanged, report.indexed) == (12, 0)


def test_copies_renames_edits_and_deletions_are_recognised(tmp_path: Path) -> None:
    library, source = tmp_path / "library", photos(tmp_path / "photos")
    index(library, source)
    shutil.copy2(source / "coins.png", source / "copy.png")
    (source / "rocket.jpg").rename(source / "renamed.jpg")
    Image.open(source / "page.png").convert("RGB").rotate(90).save(source / "page.png")
    (source / "pets" / "chelsea.png").unlink()

    report = index(library, source)

    assert (report.duplicates, report.moved, report.indexed, report.removed) == (1, 1, 1, 1)
    assert report.unchanged == 9
    with SqliteCatalog(library) as catalog:
        assert catalog.counts() == {"images": 11, "files": 12, "rejected": 0}
        assert catalog.record(catalog.expect(str(source / "copy.png"))).files == ("coins.png", "copy.png")
        assert catalog.resolve(str(source / "renamed.jpg"))
        assert catalog.resolve(str(source / "rocket.jpg")) is None
    assert "pets/chelsea.png" not in paths(library)
    assert is_sound(library)


def test_an_image_lives_as_long_as_one_of_its_copies(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "a.jpg", a_picture(1))
    shutil.copy(source / "a.jpg", source / "b.jpg")
    save(source / "c.jpg", a_picture(2))
    index(library, source)
    (source / "a.jpg").unlink()
    index(library, source)
    assert paths(library) == ["b.jpg", "c.jpg"]
    (source / "b.jpg").unlink()
    assert index(library, source).removed == 1
    assert paths(library) == ["c.jpg"]


def test_broken_files_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = tmp_path / "photos"
    save(source / "good.jpg")
    whole = save(source / "cut.jpg", a_picture(3, (400, 300))).read_bytes()
    (source / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (source / "empty.png").write_bytes(b"")
    (source / "text.jpg").write_text("no picture", encoding="utf-8")
    (source / "drawing.svg").write_text("<svg/>", encoding="utf-8")
    (source / "notes.txt").write_text("passed over", encoding="utf-8")

    for _ in range(2):  # the second run knows them, and names them again
        report = index(tmp_path / "library", source)
        assert sorted(r.path for r in report.rejected) == ["cut.jpg", "drawing.svg", "empty.png", "text.jpg"]
        assert all(len(r.reason) > 8 for r in report.rejected)
    assert paths(tmp_path / "library") == ["good.jpg"]
    (source / "text.jpg").unlink()
    save(source / "empty.png")
    assert index(tmp_path / "library", source).indexed == 1


def test_a_file_name_that_is_no_text_is_indexed_like_any_other(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.jpg").rename(os.fsdecode(os.fsencode(tmp_path / "photos") + b"/caf\xe9.jpg"))
    assert index(tmp_path / "library", tmp_path / "photos").indexed == 1
    (shown,) = paths(tmp_path / "library")
    assert shown == "caf?.jpg" or "\ufffd" in shown
    assert index(tmp_path / "library", tmp_path / "photos").unchanged == 1


def test_folders_inside_one_another_do_not_list_a_file_twice(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "inner" / "a.jpg", a_picture(1))
    save(source / "b.jpg", a_picture(2))
    index(library, source / "inner")
    index(library, source)
    index(library, source / "inner")
    with SqliteCatalog(library) as catalog:
        assert catalog.counts()["files"] == 2


def test_a_library_inside_its_folder_does_not_index_its_own_thumbnails(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.jpg")
    index(tmp_path / "photos" / "library", tmp_path / "photos")
    assert index(tmp_path / "photos" / "library", tmp_path / "photos").unchanged == 1


def test_a_folder_that_is_suddenly_empty_changes_nothing(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "a.jpg")
    index(library, source)
    (source / "a.jpg").rename(tmp_path / "elsewhere.jpg")  # as if a disk were not mounted
    with pytest.raises(ConfigError, match="not mounted"):
        index(library, source)
    assert paths(library) == ["a.jpg"]


def test_an_image_taken_out_stays_out_until_its_file_is_named(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "a.jpg", a_picture(1))
    save(source / "b.jpg", a_picture(2))
    index(library, source)
    with SqliteCatalog(library) as catalog:
        catalog.delete(catalog.expect(str(source / "a.jpg")))
    for _ in range(2):
        report = index(library, source)
        assert (report.hidden, report.indexed) == (1, 0)
    assert paths(library) == ["b.jpg"]
    assert index(library, source / "a.jpg").indexed == 1
    assert paths(library) == ["a.jpg", "b.jpg"]


def test_what_people_said_outlives_a_new_run_of_the_models(tmp_path: Path) -> None:
    library, source = tmp_path / "library", photos(tmp_path / "photos")
    index(library, source)
    with SqliteCatalog(library) as catalog:
        id = catalog.expect(str(source / "pets" / "chelsea.png"))
        catalog.edit(id, add=[(TagKind.USER, "Chelsea")], remove=[(TagKind.OBJECT, "cat")], alt_text="A cat")
        catalog._connection.execute("UPDATE image SET models = 'older'")  # as after an update of the models
    assert index(library, source).indexed == 12
    with SqliteCatalog(library) as catalog:
        record = catalog.record(id)
    assert ("user", "Chelsea") in {(tag.kind, tag.label) for tag in record.tags}
    assert ("object", "cat") not in {(tag.kind, tag.label) for tag in record.tags}
    assert record.alt_text == "A cat"
    assert paths(library, "object:cat") == []


def test_real_photos_are_tagged_captioned_and_found(indexed: Path) -> None:
    with open_services(load_config(data=indexed / "library")) as services:
        (cat,) = services.engine.search(Query(filter=parse("object:cat"))).hits
        assert cat.image.caption is not None
        assert "cat" in cat.image.caption
        assert "pets/chelsea.png" in cat.image.files
        for text, file in (
            ("a cup of coffee", "coffee"),
            ("a rocket launch", "rocket"),
            ("a motorcycle", "motorcycle"),
        ):
            best = services.engine.search(Query(texts=(text,), cutoff="none")).hits[0]
            assert file in best.image.files[0], text


def test_a_new_image_is_seen_by_a_server_that_is_open_already(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "a.jpg", a_picture(1))
    index(library, source)
    with open_services(load_config(data=library)) as services:
        save(source / "b.jpg", a_picture(2))
        index(library, source)
        services.refresh()
        assert len(services.engine.search(Query(k=10)).hits) == 2
        assert services.engine.search(Query(texts=("dog",), cutoff="none")).total == 2


def test_a_damaged_projection_is_found_and_made_again(tmp_path: Path) -> None:
    library, source = tmp_path / "library", photos(tmp_path / "photos")
    index(library, source)
    (library / "vectors" / "state.json").write_bytes(b"damage")
    with open_services(load_config(data=library)) as services:  # a library opens all the same
        assert services.engine.search(Query(texts=("dog",), cutoff="none")).total == 12
        services.tags.delete(services.tags.match(parse("object:cat")))
    with SqliteCatalog(library) as catalog:
        config = load_config(data=library)
        problems, _ = verify_library(config, catalog, repair=False)
        assert [p.where for p in problems] == ["tags"]
        assert verify_library(config, catalog, repair=True) == ([], 1)
        assert verify_library(config, catalog, repair=False) == ([], 0)
    assert paths(library, "object:cat") == ["pets/chelsea.png"]


def test_a_library_of_other_models_is_not_searched_until_it_is_brought_up_to_date(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "a.jpg")
    index(library, source)
    with closing(sqlite3.connect(library / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE space SET fingerprint = 'of last year'")
        catalog.execute("UPDATE meta SET value = 'of last year' WHERE key = 'space'")
        catalog.execute("UPDATE image SET models = 'of last year'")
    with pytest.raises(SpaceMismatch, match="snapseek index"), open_services(load_config(data=library)):
        pass
    command = [str(Path(sys.executable).with_name("snapseek")), "search", "dog", "--data", str(library)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
    assert index(library, source).indexed == 1
    assert paths(library) == ["a.jpg"]
    assert is_sound(library)


def test_a_second_writer_is_refused_at_once(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    save(source / "a.jpg")
    index(library, source)
    with SqliteCatalog(library) as catalog, catalog.write_lock(), pytest.raises(Conflict, match="another process"):
        index(library, source)


def test_a_run_that_is_killed_anywhere_loses_at_most_its_batch(tmp_path: Path) -> None:
    library, source = tmp_path / "library", tmp_path / "photos"
    for number in range(160):
        save(source / f"{number}.jpg", a_picture(number, (300, 200)))
    command = [str(Path(sys.executable).with_name("snapseek")), "index", str(source), "--data", str(library), "--json"]
    environment = {**os.environ, "SNAPSEEK_BATCH_SIZE": "8"}
    kept = killed = 0
    for _ in range(3):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=environment
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and images(library) < kept + 8 and process.poll() is None:
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        lost, kept = kept, images(library)
        # A run's first batch is half as large, so that it is written soon.
        assert kept == 160 or (kept - lost) % 8 in (0, 4)
        assert is_sound(library)
    assert killed, "each run had ended before it was killed"
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, encoding="utf-8")
    report = json.loads(done.stdout)
    assert report["unchanged"] == kept > 0
    assert report["indexed"] == 160 - kept
    assert is_sound(library)


def images(library: Path) -> int:
    """Return how many images are in the catalogue; looked at again and again, so without taking part in its writing."""
    try:
        with closing(sqlite3.connect(f"{(library / 'catalog.sqlite').as_uri()}?mode=ro", uri=True)) as catalog:
            return int(catalog.execute("SELECT count(*) FROM image").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_the_reasons_of_rejected_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "empty.jpg").write_bytes(b"")
    index(tmp_path / "library", tmp_path / "photos")
    with SqliteCatalog(tmp_path / "library") as catalog:
        assert catalog.rejected() == [Rejected(str(tmp_path / "photos" / "empty.jpg"), "the file is empty")]
