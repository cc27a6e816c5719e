"""Folders that are watched: real events, real files, the real command beside a server."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from libraries import Quiet, quick_profile
from pictures import a_picture, encoded, save
from processes import SNAPSEEK, environment, wait_for
from watchfiles import Change

from indexer.profiles import open_profile
from indexer.report import IndexReport
from indexer.watching import FLOOD, Waiting, Watch, is_remote
from search.catalog.opening import open_catalog
from search.config import Config, load_config
from search.errors import ConfigError


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return quick_profile(tmp_path_factory.mktemp("profile"))


@pytest.fixture
def config(tmp_path: Path, profile: str) -> Config:
    return load_config(data=tmp_path / "photos" / "library", profile=profile, decoders=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    save(tmp_path / "photos" / "first.png")
    return tmp_path / "photos"


@pytest.fixture(scope="module", autouse=True)
def _one_profile() -> Iterator[None]:
    """Open the models once for all tests of this file: the first picture waits for vectors of a thousand labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.pipeline.open_profile", cache(open_profile))
        yield


@contextmanager
def watching(config: Config, *folders: Path) -> Iterator[list[IndexReport]]:
    stopping, reports = threading.Event(), list[IndexReport]()
    failures: list[BaseException] = []
    watch = Watch(config, folders, progress=Quiet(), stopping=stopping, seen=reports.append)

    def run() -> None:
        try:
            watch.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_for("the first run", lambda: bool(reports or failures), 90)
        yield reports
    finally:
        stopping.set()
        thread.join()
        assert not failures, failures


def files(config: Config) -> dict[str, str]:
    """Return the id of each file that the library has an image of, by path."""
    with open_catalog(config) as catalog:
        found = {}
        for root in catalog.roots():
            for path, known in catalog.known_files(root).items():
                if known.ordinal is not None:
                    id = catalog.resolve(str(root.path / path))
                    found[path] = str(id)
        return found


def becomes(config: Config, *paths: str) -> None:
    wait_for(f"the library to have {paths}", lambda: set(files(config)) == set(paths), 60)


def test_what_comes_changes_moves_and_goes_is_seen(config: Config, photos: Path) -> None:
    with watching(config, photos) as reports:
        becomes(config, "first.png")
        first = files(config)["first.png"]
        for number in range(12):
            save(photos / "burst" / f"{number}.png", a_picture(number))
        save(photos / ".hidden" / "no.png")
        (photos / "notes.txt").write_text("no picture", encoding="utf-8")
        burst = {f"burst/{number}.png" for number in range(12)}
        becomes(config, "first.png", *burst)
        # A run tells of what it wrote when all of it is to be found as well.
        wait_for("what was told", lambda: sum(report.indexed for report in reports) == 13, 60)
        assert len(reports) <= 4, "a burst is put together"

        (photos / "burst").rename(photos / "renamed")
        (photos / "first.png").rename(photos / "renamed" / "moved.png")
        renamed = {f"renamed/{number}.png" for number in range(12)}
        becomes(config, "renamed/moved.png", *renamed)
        assert files(config)["renamed/moved.png"] == first
        wait_for("what was told", lambda: sum(report.moved for report in reports) == 13, 60)
        assert sum(report.indexed for report in reports) == 13, "no model ran for what was only moved"

        save(photos / "renamed" / "moved.png", a_picture(99))
        wait_for("the new picture", lambda: files(config).get("renamed/moved.png") not in (None, first), 60)
        for number in range(10):
            (photos / "renamed" / f"{number}.png").unlink()
        becomes(config, "renamed/10.png", "renamed/11.png", "renamed/moved.png")
        shutil.rmtree(photos / "renamed")
        save(photos / "last.png")
        becomes(config, "last.png")
        (photos / "last.xmp").write_text("no XMP", encoding="utf-8")
        wait_for("the sidecar", lambda: [report.told_anew for report in reports if report.unread] == [1], 60)


def test_a_file_is_left_alone_while_it_is_written_and_others_do_not_wait(config: Config, photos: Path) -> None:
    data = encoded(a_picture(5, (640, 480)), "PNG")
    with watching(config, photos) as reports:
        with (photos / "slow.png").open("wb") as file:
            for number, begin in enumerate(range(0, len(data), len(data) // 6 + 1)):
                file.write(data[begin : begin + len(data) // 6 + 1])
                file.flush()
                if number == 1:
                    os.utime(save(photos / "quick.png"), (1, 1))
                time.sleep(0.8)
            assert "slow.png" not in files(config)
            assert "quick.png" in files(config)
        becomes(config, "first.png", "quick.png", "slow.png")
        assert [one for report in reports for one in report.rejected] == []


def test_a_folder_that_goes_loses_nothing_and_is_watched_again_when_it_is_back(config: Config, photos: Path) -> None:
    album = photos.parent / "album"
    save(album / "a.png", a_picture(1))
    with watching(config, photos, album):
        becomes(config, "first.png", "a.png")
        album.rename(photos.parent / "away")
        time.sleep(2)
        assert set(files(config)) == {"first.png", "a.png"}
        (photos.parent / "away").rename(album)
        save(album / "b.png", a_picture(2))
        becomes(config, "first.png", "a.png", "b.png")


def test_folders_without_events_are_gone_over(config: Config, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.watching.is_remote", lambda _folder: True)
    monkeypatch.setattr("indexer.watching.POLL_MS", 200)
    with watching(config, photos):
        save(photos / "polled.png")
        becomes(config, "first.png", "polled.png")


def test_lost_events_are_made_good_by_a_whole_scan(
    config: Config, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Waiting, "note", lambda *_: None)
    config = config.model_copy(update={"watch_rescan_s": 1.0})
    with watching(config, photos):
        save(photos / "unseen.png")
        becomes(config, "first.png", "unseen.png")


def test_a_flood_of_events_is_a_reason_to_look_at_everything() -> None:
    waiting = Waiting()
    waiting.note([(Change.deleted, Path(f"/x/{number}.png")) for number in range(FLOOD)], 0)
    assert not waiting.everything
    waiting.note([(Change.deleted, Path(f"/x/{number}.png")) for number in range(FLOOD + 1)], 0)
    assert waiting.everything


def test_what_is_no_folder_is_not_watched(config: Config, photos: Path) -> None:
    with pytest.raises(ConfigError, match="is none"):
        Watch(config, [photos / "first.png"], progress=Quiet(), stopping=threading.Event(), seen=print)


def test_file_systems_of_other_machines_are_known(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nnas:/p /mnt/my\\040nas nfs4 rw 0 0\n//x /mnt/my\\040nas/in cifs rw 0 0\n",
        encoding="utf-8",
    )
    assert [is_remote(Path(path), mounts) for path in ("/mnt/my nas/a", "/mnt/my nas/in/b", "/mnt", "/home")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_the_command_ends_well_when_it_is_told_to(config: Config, photos: Path) -> None:
    command = subprocess.Popen(
        [SNAPSEEK, "index", photos, "--watch", "--json"],
        env=environment(config.data, profile=config.profile, decoders=1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for("the first run", lambda: _is_there(config, "first.png"), 90)
        save(photos / "second.png")
        wait_for("the second", lambda: _is_there(config, "second.png"), 60)
        command.send_signal(signal.SIGTERM)
        printed, said = command.communicate(timeout=60)
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 0, said
    assert json.loads(printed)["indexed"] == 2


def _is_there(config: Config, path: str) -> bool:
    try:
        return path in files(config)
    except ConfigError:
        return False
