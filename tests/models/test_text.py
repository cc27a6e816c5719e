"""Text in pictures by RapidOCR, with its real weights."""

from __future__ import annotations

import pytest
from libraries import photos
from PIL import Image
from references import NOTHING, page

from indexer.taggers.rapid_ocr import RapidOcr
from search.profile_file import ModelSpec
from search.types import TagKind


@pytest.fixture(scope="module")
def ocr() -> RapidOcr:
    return RapidOcr(ModelSpec(library="rapidocr"))


def test_rendered_lines_are_read_with_their_places(ocr: RapidOcr) -> None:
    tags = ocr.tag([page("Happy Birthday", "Room 42")], NOTHING)[0]
    assert [(tag.kind, tag.label) for tag in tags] == [
        (TagKind.TEXT, "Happy Birthday"),
        (TagKind.TEXT, "Room 42"),
    ]
    first, second = (tag.box for tag in tags)
    assert 0.04 < first.x < 0.09
    assert first.y + first.height <= second.y + 0.02
    assert all(tag.confidence > 0.8 for tag in tags)


def test_a_photographed_page_is_read(ocr: RapidOcr, tmp_path) -> None:
    image = Image.open(photos(tmp_path) / "page.png").convert("RGB")
    text = " ".join(tag.label for tag in ocr.tag([image], NOTHING)[0]).lower()
    assert "segmentation" in text
    assert "markers" in text


def test_pictures_without_text_have_none(ocr: RapidOcr) -> None:
    plain = [Image.new("RGB", (200, 200), "teal"), Image.new("RGB", (3, 3), "red"), Image.new("RGB", (1, 900), "red")]
    assert ocr.tag(plain, NOTHING) == [[], [], []]
    assert ocr.tag([], NOTHING) == []


def test_a_result_does_not_depend_on_the_rest_of_the_batch(ocr: RapidOcr) -> None:
    alone = ocr.tag([page("Exit")], NOTHING)[0]
    assert ocr.tag([page("Two", "Lines"), page("Exit")], NOTHING)[1] == alone
