"""Sidecars of other programs, and what an export may do to them."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pictures import a_picture, save
from test_xmp import BOMB, IMMICH, LIGHTROOM

from indexer import xmp
from indexer.xmp import Unreadable, read, values
from indexer.xmp_editing import Edited, Wanted, edited
from indexer.xmp_export import _replace as replace_file
from indexer.xmp_export import sidecar_of, wanted_of
from search.types import ImageId, ImageRecord, Tag, TagKind
from search.written import Text

DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="5" darktable:raw_params="0&#10;1">
   <!-- a comment -->
   <darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:params="gz02eJxjZ"/></rdf:Seq></darktable:history>
   <dc:subject><rdf:Seq><rdf:li>Oslo</rdf:li></rdf:Seq></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def subject(data: bytes | None) -> list[str]:
    assert data is not None
    return values(xmp.parsed(data), xmp.SUBJECT)


def flat(*words: str) -> tuple[tuple[str, ...], ...]:
    return tuple((word,) for word in words)


def everything(data: bytes) -> set[tuple[str, str]]:
    """Return each text and attribute in a document with its name."""
    found: set[tuple[str, str]] = set()
    for element in xmp.parsed(data).iter():
        found |= {(str(element.tag), (element.text or "").strip()), *element.attrib.items()}
    return found


def test_a_new_sidecar_says_what_is_wanted_and_tells_models_from_people() -> None:
    wanted = Wanted(flat("Rex"), (), ("dog", "beach"), "Rex at the sea", "A dog in the waves")
    result = edited(None, wanted)
    assert result.added == ("Rex", "dog", "beach", "Rex at the sea", "A dog in the waves")
    assert subject(result.data) == ["Rex", "dog", "beach"]
    written = read(result.data or b"")
    assert [word.text for word in written.keywords] == ["Rex"]
    assert written.caption == Text("Rex at the sea", "xmp")
    assert written.alt_text == Text("A dog in the waves", "xmp")
    assert edited(result.data, wanted) == Edited(None)


@pytest.mark.parametrize("before", [DARKTABLE, LIGHTROOM, IMMICH], ids=["darktable", "lightroom", "immich"])
def test_all_that_others_wrote_stays(before: str) -> None:
    result = edited(before.encode(), Wanted(flat("Rex"), flat("elsewhere"), ("dog",), "Mine", "For the blind"))
    assert result.data is not None
    assert everything(before.encode()) <= everything(result.data)
    was, now = read(before.encode()), read(result.data)
    assert set(was.keywords) < set(now.keywords)
    assert "elsewhere" not in {word.text for word in now.keywords}
    assert (now.caption or was.caption) == (was.caption or now.caption)
    assert now.stars == was.stars
    assert edited(result.data, Wanted(flat("Rex"), flat("elsewhere"), ("dog",), "Mine", "For the blind")).data is None
    text = result.data.decode()
    head = before[: before.index("<x:xmpmeta")]
    assert text.startswith(head)
    assert "ns0:" not in text
    if before == DARKTABLE:
        assert "<!-- a comment -->" in text
        assert 'darktable:raw_params="0&#10;1"' in text


def test_a_keyword_of_ours_is_taken_back_and_one_that_somebody_deleted_stays_away() -> None:
    first = edited(DARKTABLE.encode(), Wanted(models=("dog", "cat", "Oslo"))).data
    assert subject(first) == ["Oslo", "dog", "cat"]
    assert first is not None
    deleted = first.replace(b"<rdf:li>cat</rdf:li>", b"", 1)
    noted = edited(deleted, Wanted(models=("dog", "cat")))
    assert (noted.added, noted.withdrawn, subject(noted.data)) == ((), (), ["Oslo", "dog"])
    assert edited(noted.data, Wanted(models=("dog", "cat"))) == Edited(None)
    assert noted.data is not None
    put_back = noted.data.replace(b"<rdf:li>Oslo</rdf:li>", b"<rdf:li>Oslo</rdf:li><rdf:li>cat</rdf:li>", 1)
    assert [word.text for word in read(put_back).keywords] == ["Oslo", "cat"]
    assert subject(edited(put_back, Wanted(models=("dog",))).data) == ["Oslo", "cat", "dog"]
    after = edited(deleted, Wanted(models=("cat", "bird")))
    assert (subject(after.data), after.added, after.withdrawn) == (["Oslo", "bird"], ("bird",), ("dog",))
    # What a person says as well is a person's from then on.
    said = edited(first, Wanted(flat("dog"), models=("cat",)))
    assert said.data is not None
    assert [word.text for word in read(said.data).keywords] == ["Oslo", "dog"]
    assert subject(edited(said.data, Wanted()).data) == ["Oslo", "dog"]


def test_lists_that_a_program_reads_alone_are_complete() -> None:
    result = edited(DARKTABLE.encode(), Wanted((("Animals", "Dogs", "Rex"),), models=("beach",)))
    assert result.data is not None
    root = xmp.parsed(result.data)
    assert subject(result.data) == ["Oslo", "Rex", "beach"]
    for name, separator in xmp.HIERARCHIES.items():
        assert sorted(values(root, name)) == sorted([f"Animals{separator}Dogs{separator}Rex", "Oslo", "beach"])
    assert [word.text for word in read(result.data).keywords] == ["Animals", "Dogs", "Rex", "Animals/Dogs/Rex", "Oslo"]
    digikam = edited(IMMICH.encode(), Wanted(flat("boat"), models=("lake",))).data
    assert digikam is not None
    assert values(xmp.parsed(digikam), "{http://www.digikam.org/ns/1.0/}TagsList") == ["People/Grandma", "boat", "lake"]


def test_a_text_of_ours_is_renewed_and_one_of_others_never() -> None:
    ours = edited(None, Wanted(caption="One", alt_text="Eins")).data
    newer = edited(ours, Wanted(caption="Two", alt_text="Eins"))
    assert newer.added == ("Two",)
    assert newer.data is not None
    assert read(newer.data).caption == Text("Two", "xmp")
    changed = newer.data.replace(b">Two</rdf:li>", b">Theirs</rdf:li>", 1)
    assert edited(changed, Wanted(caption="Three")) == Edited(None)


def test_where_a_sidecar_has_no_keywords_those_of_the_file_are_said_again() -> None:
    assert subject(edited(None, Wanted(elsewhere=flat("Oslo"), models=("dog",))).data) == ["Oslo", "dog"]


@pytest.mark.parametrize("data", [BOMB.encode(), b"no xml", b"<html/>"])
def test_what_cannot_be_read_is_not_written_over(data: bytes) -> None:
    with pytest.raises(Unreadable):
        edited(data, Wanted(models=("dog",)))


def test_the_sidecar_that_is_there_is_used_unless_it_may_be_another_picture_s(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.jpg", a_picture())
    assert sidecar_of(picture).name == "a.jpg.xmp"
    (tmp_path / "a.XMP").touch()
    assert sidecar_of(picture).name == "a.XMP"
    (tmp_path / "a.cr2").touch()
    assert sidecar_of(picture).name == "a.jpg.xmp"
    (tmp_path / "a.jpg.xmp").touch()
    (tmp_path / "a.cr2").unlink()
    assert sidecar_of(picture).name == "a.jpg.xmp"


def test_a_sidecar_that_changes_meanwhile_is_left_alone_and_its_rights_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_text("theirs", encoding="utf-8")
    path.chmod(0o640)
    status = path.stat()
    with pytest.raises(Unreadable, match="meanwhile"):
        replace_file(path, b"ours", (status.st_size, status.st_mtime_ns - 1))
    assert path.read_text(encoding="utf-8") == "theirs"
    replace_file(path, b"ours", (status.st_size, status.st_mtime_ns))
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"ours", 0o640)
    assert os.listdir(tmp_path) == ["a.xmp"]


def test_models_count_from_a_confidence_and_people_always() -> None:
    tags = (
        Tag(TagKind.OBJECT, "dog", 0.85, "ssd"), Tag(TagKind.OBJECT, "cat", 0.79, "ssd"),
        Tag(TagKind.COLOR, "red", 0.9, "palette"), Tag(TagKind.USER, "Rex", 1.0, "person"),
        *(Tag(TagKind.USER, label, 1.0, "xmp") for label in ("A", "B", "A/B", "AC/DC", "4 stars")),
    )  # fmt: skip
    record = ImageRecord(ImageId("0" * 32), 1, ("a.jpg",), 1, 1, "image/jpeg", 1, datetime.now(UTC), tags=tags)
    wanted = wanted_of(replace(record, caption="by a model", caption_source="blip"), 0.8, [TagKind.OBJECT])
    assert wanted == Wanted((("Rex",),), (("A", "B"), ("AC/DC",)), ("dog",), None, None)
