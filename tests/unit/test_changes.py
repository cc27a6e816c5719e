from indexer.changes import compare
from indexer.scan import Found
from search.catalog.rows import KnownFile
from search.types import Rejected

NOW = "models-1"


def found(path: str, *, size: int = 10, mtime_ns: int = 5, inode: int = 1) -> Found:
    return Found(path, size, mtime_ns, inode)


def known(*, size: int = 10, mtime_ns: int = 5, inode: int = 1, ordinal: int | None = 1, reason: str | None = None,
          models: str | None = NOW) -> KnownFile:  # fmt: skip
    return KnownFile(size=size, mtime_ns=mtime_ns, inode=inode, ordinal=ordinal, reason=reason, models=models)


def test_a_file_with_its_size_and_time_is_unchanged() -> None:
    changes = compare([found("a.jpg")], {"a.jpg": known()}, models=NOW)
    assert (changes.unchanged, changes.to_read, changes.gone) == (1, [], [])


def test_a_new_file_an_edited_one_and_one_of_other_models_are_read() -> None:
    files = [found("new.jpg", inode=9), found("bigger.jpg", size=11), found("later.jpg", mtime_ns=6), found("old.jpg")]
    before = {"bigger.jpg": known(), "later.jpg": known(), "old.jpg": known(models="models-0")}
    assert compare(files, before, models=NOW).to_read == [files[1], files[2], files[3], files[0]]


def test_a_renamed_file_is_moved_and_not_read() -> None:
    file = found("b/new.jpg", inode=7)
    changes = compare([file], {"a/old.jpg": known(inode=7)}, models=NOW)
    assert changes.moved == [("a/old.jpg", file)]
    assert (changes.to_read, changes.gone) == ([], [])


def test_a_reused_inode_with_another_time_is_no_rename() -> None:
    file = found("new.jpg", inode=7, mtime_ns=6)
    changes = compare([file], {"old.jpg": known(inode=7)}, models=NOW)
    assert (changes.to_read, changes.gone, changes.moved) == ([file], ["old.jpg"], [])


def test_a_copy_beside_its_original_is_read() -> None:
    copy = found("copy.jpg", inode=2)
    assert compare([found("a.jpg"), copy], {"a.jpg": known()}, models=NOW).to_read == [copy]


def test_a_broken_file_that_did_not_change_is_named_again_without_being_read() -> None:
    before = {"bad.jpg": known(ordinal=None, reason="the file is empty", models=None)}
    changes = compare([found("bad.jpg")], before, models=NOW)
    assert changes.rejected == [Rejected("bad.jpg", "the file is empty")]
    assert changes.to_read == []


def test_files_below_a_folder_that_cannot_be_read_are_not_gone() -> None:
    before = {"a/1.jpg": known(), "b/2.jpg": known(inode=2)}
    assert compare([Rejected("a", "cannot be read")], before, models=NOW).gone == ["b/2.jpg"]
    assert compare([Rejected(".", "cannot be read")], before, models=NOW).gone == []
