import os
from pathlib import Path, PurePosixPath

import pytest
from pictures import save

from indexer.scan import Found, scan
from search.types import Rejected

HERE = PurePosixPath(".")


def paths(root: Path, within: PurePosixPath = HERE, **options: frozenset[Path]) -> list[str]:
    return [found.path for found in scan(root, within, **options)]


def test_pictures_are_found_in_order_below_all_folders(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/2.png", "a/1.JPG", "c/d/e.webp"):
        save(tmp_path / name)
    assert paths(tmp_path) == ["b.jpg", "a/1.JPG", "a/2.png", "c/d/e.webp"]


def test_size_time_and_inode_come_with_a_file(tmp_path: Path) -> None:
    status = save(tmp_path / "a.jpg").stat()
    assert list(scan(tmp_path, HERE)) == [Found("a.jpg", status.st_size, status.st_mtime_ns, status.st_ino)]


def test_other_files_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    for name in ("notes.txt", "data.json", ".hidden.jpg", ".thumbs/x.jpg", "README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    assert paths(tmp_path) == []


def test_a_picture_without_an_extension_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg").rename(tmp_path / "scan0001")
    assert paths(tmp_path) == ["scan0001"]


@pytest.mark.parametrize(("name", "reason"), [("drawing.svg", "SVG"), ("IMG_1.CR2", "RAW")])
def test_pictures_that_no_reader_takes_are_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(b"..")
    (found,) = scan(tmp_path, HERE)
    assert isinstance(found, Rejected)
    assert found.path == name
    assert reason in found.reason


def test_one_file_can_be_scanned_alone(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.jpg")
    save(tmp_path / "a" / "2.jpg")
    assert paths(tmp_path, PurePosixPath("a/2.jpg")) == ["a/2.jpg"]


def test_a_folder_can_be_left_out(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.jpg")
    save(tmp_path / "b" / "2.jpg")
    assert paths(tmp_path, skip=frozenset({tmp_path / "a"})) == ["b/2.jpg"]


def test_links_to_folders_do_not_make_loops(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "a" / "1.jpg")
    assert paths(tmp_path) == ["linked.jpg", "a/1.jpg"]


def test_a_dangling_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (found,) = scan(tmp_path, HERE)
    assert isinstance(found, Rejected)


def test_pipes_named_like_pictures_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert paths(tmp_path) == []


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path, monkeypatch) -> None:
    save(tmp_path / "b" / "1.jpg")
    (tmp_path / "a").mkdir()
    real = os.scandir

    def scandir(path: Path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # tests run as root too, whom no permission stops
    rejected, found = scan(tmp_path, HERE)
    assert rejected == Rejected("a", "the folder cannot be read: Permission denied")
    assert found.path == "b/1.jpg"


def test_a_part_of_a_root_is_named_from_the_root_and_may_leave_out_a_folder_in_it(tmp_path: Path) -> None:
    for path in ("trips/b.jpg", "trips/2023/a.jpg", "trips/skipped/c.jpg", "other/d.jpg", "trips/no picture."):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    found = scan(tmp_path, PurePosixPath("trips"), skip=frozenset({tmp_path / "trips" / "skipped"}))
    assert [one.path for one in found] == ["trips/b.jpg", "trips/2023/a.jpg"]
