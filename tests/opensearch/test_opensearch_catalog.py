"""What only a catalogue in a cluster has to do: several write at once, none with a transaction, any may be killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catalogs import OTHER, REJECTED, SPACE, WRITTEN, a_file, all_that_is_told, an_id, an_image, take_over, write
from opensearchpy import OpenSearch
from pyroaring import BitMap

from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow, Root
from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import Config, load_config
from search.errors import ConfigError, NotFound, Unavailable
from search.opensearch import schema
from search.opensearch.catalog import OpenSearchCatalog
from search.opensearch.client import Client, connect
from search.opensearch.images import EVERY
from search.opensearch.rewriting import pages, rewrite
from search.opensearch.stored import path_to_text, text_to_path
from search.types import Tag, TagKind, Verdict

PHOTOS = Path("/photos")
Disk = Mapping[str, int]
"""What a folder has: the number of the picture in each file; -1 for one that cannot be read."""


@pytest.fixture
def config(opensearch_url: str, prefix: str) -> Config:
    return load_config(
        store="opensearch-knn", opensearch_url=opensearch_url, opensearch_prefix=prefix, opensearch_write_wait_s=20
    )


@pytest.fixture
def raw(opensearch_url: str) -> Iterable[OpenSearch]:
    with OpenSearch(opensearch_url) as raw:
        yield raw


def a_row(path: str, number: int) -> FileRow:
    """Return a file whose time tells its content."""
    return FileRow(path, 1234, number, 0)


def bring_up_to(catalog: Catalog, disk: Disk, models: str = "models-1", *, size: int = 4) -> None:
    """Do what an index run does: write the files that are new or changed in batches, then forget those that are gone.

    A file that was renamed has the picture of one that is gone and is the only one with it.
    """
    root = catalog.root(PHOTOS)
    known = catalog.known_files(root)
    gone = [path for path in known if path not in disk]
    renamed = {known[path].mtime_ns: path for path in gone if known[path].models == models}
    moved = [
        (renamed.pop(number), a_row(path, number))
        for path, number in disk.items()
        if path not in known and number in renamed
    ]
    catalog.move(root, moved)
    here = {row.path for _, row in moved}
    gone = [path for path in gone if path not in {old for old, _ in moved}]
    changed = [
        path for path, number in disk.items() if path not in here and not _is_current(known.get(path), number, models)
    ]
    for start in range(0, len(changed), size):
        _write_batch(catalog, root, {path: disk[path] for path in changed[start : start + size]}, models)
    catalog.remove_files(root, gone)


def _is_current(known: Any, number: int, models: str) -> bool:
    if known is None or (known.size, known.mtime_ns) != (1234, number):
        return False
    return known.ordinal is None or known.models == models


def _write_batch(catalog: Catalog, root: Root, disk: Disk, models: str) -> None:
    batch = Batch(SPACE)
    current = {id for id, by in catalog.models_of(an_id(n) for n in disk.values() if n > 0).items() if by == models}
    hidden = catalog.hidden(map(an_id, filter(lambda number: number > 0, disk.values())))
    for path, number in disk.items():
        if number < 0 or an_id(number) in hidden:
            batch.rejected.append((a_row(path, number), "broken" if number < 0 else None))
            continue
        if an_id(number) not in current | {image.id for image in batch.images}:
            batch.images.append(an_image(number, models=models))
        batch.files.append((a_row(path, number), an_id(number)))
    catalog.write(root, batch)


def told(catalog: Catalog) -> dict[str, object]:
    """Return what a catalogue tells but for numbers and times, which a run of its own gives anew."""
    everything = all_that_is_told(catalog)
    known = catalog.known_files(catalog.root(PHOTOS))
    records = catalog.records(list(catalog.ordinals()))
    return {
        **{key: everything[key] for key in ("counts", "rejected", "hidden", "models", "places", "problems", "remains")},
        "files": {path: replace(file, ordinal=None) for path, file in known.items()},
        "records": {record.id: replace(record, ordinal=0, indexed_at=record.indexed_at.min) for record in records},
    }


class KilledError(Exception):
    """The process ends here."""


class Mortal:
    """A client that ends its process at some request, or in the middle of some write."""

    def __init__(self, client: Client, lives: int, *, halfway: bool) -> None:
        self._client = client
        self._lives = lives
        self._halfway = halfway

    @property
    def is_dead(self) -> bool:
        return self._lives < 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def bulk(self, actions: Iterable[Mapping[str, Any]], **options: Any) -> list[dict[str, Any]]:
        actions = list(actions)
        if not actions:
            return []
        self._lives -= 1
        if self.is_dead:
            if self._halfway:
                self._client.bulk(actions[: len(actions) // 2], refresh=True)
            raise KilledError
        return self._client.bulk(actions, **options)


BEFORE: Disk = {"a.jpg": 1, "b.jpg": 1, "c.jpg": 2, "d.jpg": 3, "old.jpg": 6, "bad.jpg": -1, "good.jpg": 7}
AFTER: Disk = {"a.jpg": 2, "b.jpg": 1, "e.jpg": 4, "c.jpg": 5, "new.jpg": 6, "bad.jpg": 8, "good.jpg": -1, "f.jpg": 5}
"""One of everything: changed, a copy, a new one, one that is gone, renamed, mended, broken."""
LATER: Disk = {"b.jpg": 4, "c.jpg": 5, "d.jpg": 3, "old.jpg": 6, "bad.jpg": -1}


@pytest.mark.parametrize(("halfway", "models"), [(False, "models-2"), (True, "models-1")])
def test_a_run_that_is_killed_anywhere_is_made_good_by_the_next(
    config: Config, raw: OpenSearch, tmp_path: Path, halfway: bool, models: str
) -> None:
    with SqliteCatalog(tmp_path / "right", create=True) as right:
        _live(right)
        bring_up_to(right, AFTER, models)
        wanted = told(right)
        bring_up_to(right, LATER, models)
        wanted_later = told(right)
    for lives in range(100):
        # The next run finds the folder as the one that was killed did, or changed once more: each for half the places.
        disk, expected = [(AFTER, wanted), (LATER, wanted_later)][(lives + halfway) % 2]
        _make_empty(config, raw)
        client = _attempt(config, lives, lambda mortal: bring_up_to(mortal, AFTER, models), halfway=halfway)
        with OpenSearchCatalog(config) as catalog:
            bring_up_to(catalog, disk, models)
            assert told(catalog) == expected, f"killed at write {lives}"
        if not client.is_dead:
            break
    assert lives > 5


@pytest.mark.parametrize("act", ["write", "move", "remove", "delete", "edit", "take over"])
def test_what_was_cut_off_is_ended_by_doing_it_again(config: Config, raw: OpenSearch, tmp_path: Path, act: str) -> None:
    with SqliteCatalog(tmp_path / "right", create=True) as right:
        _live(right)
        _do(act, right, right)
        wanted = _after_a_run(right) if act == "delete" else told(right)
        for lives in range(100):
            _make_empty(config, raw)
            client = _attempt(config, lives, lambda mortal: _do(act, mortal, right))
            with OpenSearchCatalog(config) as catalog:
                with suppress(NotFound):  # what was to be deleted is, but for the rest
                    _do(act, catalog, right)
                # A second delete finds nothing to end: that is left to the next run.
                assert (_after_a_run(catalog) if act == "delete" else told(catalog)) == wanted, f"killed at {lives}"
            if not client.is_dead:
                break
        assert lives > 0


def _make_empty(config: Config, raw: OpenSearch) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        indices = [catalog._images.index, catalog._files.index, catalog._state.index]
    raw.delete_by_query(index=indices, body={"query": EVERY}, refresh=True, conflicts="proceed")


def _attempt(config: Config, lives: int, act: Callable[[Catalog], object], *, halfway: bool = True) -> Mortal:
    """Do something in a library that is lived in, by a process that may be killed."""
    with OpenSearchCatalog(config) as catalog:
        _live(catalog)
    client = Mortal(connect(config), lives, halfway=halfway)
    with OpenSearchCatalog(config, client=client) as mortal:  # type: ignore[arg-type]
        try:
            act(mortal)
        except KilledError:
            assert client.is_dead
        else:
            assert not client.is_dead
    return client


def _after_a_run(catalog: Catalog) -> dict[str, object]:
    bring_up_to(catalog, BEFORE)
    return told(catalog)


def _live(catalog: Catalog) -> None:
    bring_up_to(catalog, BEFORE, size=len(BEFORE))
    catalog.edit(an_id(1), alt_text="One", add=[(TagKind.USER, "Rex")])
    catalog.edit(an_id(3), alt_text="Three")


def _do(act: str, catalog: Catalog, source: Catalog) -> None:
    root = catalog.root(PHOTOS)
    match act:
        case "write":
            files = [(a_row(path, number), an_id(number)) for path, number in {"a.jpg": 2, "d.jpg": 4, "x": 4}.items()]
            rejected = [(a_row("old.jpg", -1), "broken"), (a_row("bad.jpg", -1), None)]
            catalog.write(root, Batch(SPACE, [an_image(4), an_image(2, models="models-2")], files, rejected))
        case "move":
            catalog.move(root, [("a.jpg", a_row("sub/a.jpg", 1)), ("d.jpg", a_row("good.jpg", 3))])
        case "remove":
            catalog.remove_files(root, ["a.jpg", "d.jpg", "bad.jpg", "no such file"])
        case "delete":
            catalog.delete(an_id(1))
        case "edit":
            catalog.edit(an_id(1), add=[(TagKind.USER, "Max")], remove=[(TagKind.OBJECT, "dog")], caption="A cat")
        case "take over":
            if catalog is source:
                write(catalog, root, 11)
            else:
                take_over(source, catalog, limit=3)


def test_several_write_the_same_and_other_images_at_once(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        catalog.root(PHOTOS)
    failed: list[BaseException] = []

    def run(worker: int) -> None:
        shared = {f"shared/{number}.jpg": number for number in range(1, 21)}
        copies = {f"{worker}/{number}.jpg": number for number in range(1, 11)}
        own = {f"{worker}/own/{number}.jpg": number for number in range(100 * worker, 100 * worker + 10)}
        try:
            with OpenSearchCatalog(config) as catalog:
                for disk in (shared, {**copies, **own}):
                    _write_batches(catalog, disk)
        except BaseException as error:
            failed.append(error)

    _at_once([lambda worker=worker: run(worker) for worker in (1, 2, 3)])
    assert not failed
    with OpenSearchCatalog(config) as catalog:
        assert catalog.check() == []
        assert catalog.counts() == {"images": 20 + 30, "files": 20 + 3 * 20, "rejected": 0}
        assert len(catalog.ordinals()) == 50
        assert catalog.record(an_id(1)).files == ("1/1.jpg", "2/1.jpg", "3/1.jpg", "shared/1.jpg")


def _write_batches(catalog: Catalog, disk: Disk) -> None:
    paths = list(disk)
    for start in range(0, len(paths), 5):
        _write_batch(catalog, catalog.root(PHOTOS), {path: disk[path] for path in paths[start : start + 5]}, "models-1")


def _at_once(functions: Iterable[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_no_ordinal_is_given_out_twice(config: Config) -> None:
    given: list[int] = []
    with OpenSearchCatalog(config, create=True) as catalog:

        def take() -> None:
            for count in (1, 3, 2, 5, 1, 4):
                first = catalog._state.give_out(count)
                given.extend(range(first, first + count))

        _at_once([take] * 6)
        assert len(given) == len(set(given)) == 6 * 16
        assert catalog._state.give_out(1, least=1000) == 1000
        assert catalog._state.give_out(1) == 1001


def test_a_counter_that_is_older_than_the_images_is_not_believed(config: Config, raw: OpenSearch) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        write(catalog, catalog.root(PHOTOS), *range(1, 6))
    raw.delete(index=schema.state(schema.library(config)), id="counter:ordinal")
    with OpenSearchCatalog(config) as catalog:
        write(catalog, catalog.root(PHOTOS), *range(6, 9))
        assert len(catalog.ordinals()) == 8
        doubled = {"script": {"source": "ctx._source.ordinal = 1"}, "query": {"term": {"ordinal": 2}}}
        raw.update_by_query(index=catalog._images.index, body=doubled, refresh=True)
        assert "1 images share their number with another" in [problem.what for problem in catalog.check()]


def test_nobody_s_edit_gets_lost(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        write(catalog, catalog.root(PHOTOS), 1)

        def tag(name: str) -> None:
            for number in range(4):
                catalog.edit(an_id(1), add=[(TagKind.USER, f"{name}{number}")])

        _at_once([lambda name=name: tag(name) for name in "abc"])
        labels = {tag.label for tag in catalog.record(an_id(1)).tags if tag.kind is TagKind.USER}
        assert labels == {f"{name}{number}" for name in "abc" for number in range(4)}


def test_an_edit_of_an_image_that_went_and_came_again_is_the_last_one(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        root = catalog.root(PHOTOS)
        for text in ("first", "second", ""):
            write(catalog, root, 1, caption="A dog")
            catalog.edit(an_id(1), alt_text=text)
            catalog.remove_files(root, ["1.jpg"])
            assert catalog.remains().edits[an_id(1)].alt_text == text
        write(catalog, root, 1)
        assert catalog.record(an_id(1)).alt_text is None


def test_an_image_that_a_person_takes_out_while_it_is_written_stays_out(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        root = catalog.root(PHOTOS)
        write(catalog, root, 1)
        catalog.delete(an_id(1))
        write(catalog, root, 1)  # by a worker that had asked who is hidden before
        assert catalog.find(an_id(1)) is None
        assert catalog.known_files(root)["1.jpg"].size == -1


def test_a_run_waits_for_a_cluster_that_is_away_and_goes_on(config: Config) -> None:
    class Away(Mortal):
        def bulk(self, actions: Iterable[Mapping[str, Any]], **options: Any) -> list[dict[str, Any]]:
            self._lives -= 1
            if self._lives in (1, 3):
                raise Unavailable("away")
            return self._client.bulk(actions, **options)

    with OpenSearchCatalog(config, create=True, client=Away(connect(config), 5, halfway=False)) as catalog:  # type: ignore[arg-type]
        write(catalog, catalog.root(PHOTOS), 1, 2)
        assert catalog.counts() == {"images": 2, "files": 2, "rejected": 0}
        assert catalog.check() == []


def test_what_is_asked_for_can_be_away(config: Config) -> None:
    nowhere = config.model_copy(update={"opensearch_url": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable, match="cannot be reached"):
        OpenSearchCatalog(nowhere)


def test_without_a_library_one_is_told_what_to_run(config: Config, raw: OpenSearch) -> None:
    with pytest.raises(ConfigError, match=f"no library with prefix {schema.library(config)} at .*snapseek index"):
        OpenSearchCatalog(config)
    assert not raw.indices.exists(index=schema.files(schema.library(config)))


def test_a_prefix_with_the_tags_of_another_library_is_refused(config: Config, raw: OpenSearch) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        write(catalog, catalog.root(PHOTOS), 1)
    raw.indices.delete(index=schema.files(schema.library(config)))
    with pytest.raises(ConfigError, match="lacks its index of files"):
        OpenSearchCatalog(config, create=True)


def test_a_library_of_the_version_before_takes_decisions(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema.images_mapping()
    del before["properties"]["verdict"]
    with monkeypatch.context() as older:
        older.setattr(schema, "VERSION", 1)
        older.setattr(schema, "images_mapping", lambda: {**before, "_meta": {"snapseek": 1}})
        with OpenSearchCatalog(config, create=True) as catalog:
            write(catalog, catalog.root(PHOTOS), 1, 2)
    with OpenSearchCatalog(config) as catalog:
        assert catalog.decided(Verdict.REJECTED) == BitMap()
        ordinal = catalog.decide(an_id(1), REJECTED).ordinal
        assert catalog.decided(Verdict.REJECTED) == BitMap([ordinal])


def test_files_of_a_library_of_before_take_what_is_written(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema.files_mapping()
    for name in ("sidecars", "written"):
        del before["properties"][name]
    with monkeypatch.context() as older:
        older.setattr(schema, "files_mapping", lambda: before)
        older.setattr(schema, "_upgrade_files", lambda *_: None)
        OpenSearchCatalog(config, create=True).close()
    with OpenSearchCatalog(config) as catalog:
        root = catalog.root(PHOTOS)
        catalog.write(root, Batch(SPACE, [an_image(1)], [(replace(a_row("a.jpg", 1), written=WRITTEN), an_id(1))]))
        assert catalog.record(an_id(1)).caption == "Written"


def test_a_library_of_a_newer_version_is_refused(config: Config, raw: OpenSearch) -> None:
    OpenSearchCatalog(config, create=True).close()
    newer = {"_meta": {"snapseek": schema.VERSION + 1}}
    raw.indices.put_mapping(index=schema.images(schema.library(config)), body=newer)
    with pytest.raises(ConfigError, match="newer Snapseek"):
        OpenSearchCatalog(config)


def test_two_processes_may_make_a_library_at_once(config: Config) -> None:
    made: list[Catalog] = []
    _at_once([lambda: made.append(OpenSearchCatalog(config, create=True))] * 3)
    assert len(made) == 3
    for number, catalog in enumerate(made, start=1):
        write(catalog, catalog.root(Path(f"/{number}")), number)
    assert [root.path for root in OpenSearchCatalog(config).roots()] == [Path("/1"), Path("/2"), Path("/3")]
    assert made[2].counts()["images"] == 3


def test_damage_is_found(config: Config, raw: OpenSearch) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        root = catalog.root(PHOTOS)
        write(catalog, root, *range(1, 7))
        catalog.activate("lite", SPACE)
        assert catalog.check() == []
        images, files = catalog._images.index, catalog._files.index
        lost = {"script": {"source": f"ctx._source.remove('{schema.vector_field(SPACE)}')"}}
        raw.update(index=images, id=an_id(1), body=lost)
        raw.delete(index=images, id=an_id(2))
        raw.delete_by_query(index=files, body={"query": {"term": {"path": "3.jpg"}}})
        raw.update(index=images, id=an_id(4), body={"script": {"source": "ctx._source.record.files = []"}})
        catalog._state.hide([an_id(5)])
        unfinished = {"query": {"term": {"path": "6.jpg"}}, "script": {"source": "ctx._source.size = -1"}}
        raw.update_by_query(index=files, body=unfinished)
        raw.indices.refresh(index=[images, files])
        assert sorted((problem.what, problem.where.lstrip("0")) for problem in catalog.check()) == [
            ("a file of an image that is not known as its own", "/photos/3.jpg"),
            ("a file of an image that is not there, or has it not", "/photos/2.jpg"),
            ("a file of an image that is not there, or has it not", "/photos/4.jpg"),
            ("a file that was left unfinished; `snapseek index` goes on with it", "/photos/6.jpg"),
            ("an image that was taken out and is there", "5"),
            ("an image without a file", "4"),
            ("an image without a vector", "1"),
        ]


def test_vectors_of_a_space_that_was_left_do_not_count(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        root = catalog.root(PHOTOS)
        write(catalog, root, 1, 2)
        catalog.activate("lite", SPACE)
        vector = np.array([0, 0, 0.6, 0.8], np.float32)
        catalog.write(root, Batch(OTHER, [an_image(1, vector=vector), an_image(2, vector=vector)]))
        catalog.activate("clip", OTHER)
        assert catalog.missing_in(SPACE) == 2
        assert catalog.said([an_id(1)], SPACE)[an_id(1)].vector is None
        assert [stored.other_vectors for stored in catalog.stored_images(0, 10)] == [(), ()]
        assert catalog.stored_images(0, 1)[0].space == OTHER


def test_what_is_asked_for_need_not_be_an_id(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        for odd in ("", "*", "meta", "\udcff", "x" * 5000, "A" * 32):
            assert catalog.find(odd) is None
            assert catalog.resolve(odd) is None
            for call in (catalog.record, catalog.edit, catalog.delete):
                with pytest.raises(NotFound):
                    call(odd)


def test_a_library_that_is_deleted_under_way_is_unavailable(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        schema.delete_all(connect(config), schema.library(config))
        for call in (catalog.counts, catalog.ordinals, lambda: catalog.records([1]), lambda: catalog.find(an_id(1))):
            with pytest.raises(Unavailable):
                call()


def test_all_documents_are_gone_over_however_many_fit_a_page(config: Config) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        write(catalog, catalog.root(PHOTOS), *range(1, 8))
        for size in (1, 2, 3, 6, 7, 8):
            found = [
                hit["_id"]
                for page in pages(catalog._client, catalog._images.index, EVERY, by=["ordinal"], size=size)
                for hit in page
            ]
            assert found == [an_id(number) for number in range(1, 8)]
        assert [stored.ordinal for stored in catalog.stored_images(2, 3)] == [3, 4, 5]


def test_a_rewrite_gives_up_where_others_never_let_it_through(
    config: Config, raw: OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.opensearch.rewriting.LONGEST_PAUSE_S", 0.01)
    with OpenSearchCatalog(config, create=True) as catalog:
        index = catalog._state.index

        def change(old: Mapping[str, Any]) -> Mapping[str, Any]:
            raw.index(index=index, id="x", body={"kind": "theirs"})
            return {id: {"kind": "ours"} for id in old}

        with pytest.raises(Unavailable, match="changed by others all the time"):
            rewrite(catalog._client, index, ["x"], change)


def test_what_is_searched_is_what_is_recorded(config: Config, raw: OpenSearch) -> None:
    with OpenSearchCatalog(config, create=True) as catalog:
        root = catalog.root(PHOTOS)
        write(catalog, root, 1, caption="A dog")
        catalog.edit(an_id(1), add=[(TagKind.USER, "Rex")], remove=[(TagKind.OBJECT, "dog")])
        catalog.move(root, [("1.jpg", a_file("Beach/Rex.jpg"))])
        document = raw.get(index=catalog._images.index, id=an_id(1))["_source"]
        assert document["value"]["user"] == ["rex"]
        assert "object" not in document["value"]
        assert document["path"] == ["beach/rex.jpg"]
        write(catalog, root, 1, tags={"objects": (Tag(TagKind.OBJECT, "cat", 0.9, "detector"),)})
        document = raw.get(index=catalog._images.index, id=an_id(1))["_source"]
        assert (document["value"]["object"], document["value"]["user"]) == (["cat"], ["rex"])
        assert document["path"] == ["1.jpg", "beach/rex.jpg"]


@pytest.mark.parametrize("path", ["a/b.jpg", "caf\udce9.jpg", "\udcff", "ä\udc80/\udcfe 00.jpg"])
def test_any_path_can_be_written_as_text_and_read_again(path: str) -> None:
    text = path_to_text(path)
    assert text.encode()
    assert text_to_path(text) == path
    assert text.startswith(path_to_text(path.partition("/")[0]))
