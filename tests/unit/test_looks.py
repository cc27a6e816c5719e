"""Looks: whether two pictures overlap, and in what versions of one differ."""

import io
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from search.differences import Version, differences
from search.looks import look_of, looks_in, overlap, thumbnail_path
from search.types import ImageId


def a_scene(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Return coarse coloured noise, as smooth as a photo: what it shows is the same at every size."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


SCENE = a_scene(1)
PART = SCENE.crop((40, 30, 340, 270))
"""0.75 of the width and 0.8 of the height."""


@pytest.mark.parametrize(
    "version",
    [
        SCENE.resize((100, 75)),
        SCENE.convert("L").convert("RGB"),
        Image.open(io.BytesIO(encoded(SCENE, "JPEG", quality=20))),
        SCENE.point(lambda level: min(255, level * 1.2)),
    ],
    ids=["small", "grey", "jpeg", "bright"],
)
def test_versions_of_a_picture_agree_as_a_whole(version: Image.Image) -> None:
    found = overlap(look_of(version), look_of(SCENE))
    assert found.agreement > 0.95
    assert found.area > 0.95


def test_a_part_is_found_where_it_is_from_either_side() -> None:
    inside, around = overlap(look_of(PART), look_of(SCENE)), overlap(look_of(SCENE), look_of(PART))
    assert (inside.inside, around.inside) == (True, False)
    for found in (inside, around):
        assert found.agreement > 0.95
        assert found.area == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("seed", range(2, 12))
def test_other_pictures_do_not_agree(seed: int) -> None:
    assert overlap(look_of(a_scene(seed)), look_of(SCENE)).agreement < 0.85


def test_flat_pictures_say_nothing() -> None:
    white, black = (look_of(Image.new("RGB", (40, 30), color)) for color in ("white", "black"))
    assert overlap(white, black).agreement == 0
    assert overlap(white, white).agreement == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_pictures_of_any_shape_are_compared(size: tuple[int, int]) -> None:
    assert -1 <= overlap(look_of(Image.new("RGB", size)), look_of(SCENE)).agreement <= 1


def test_thumbnails_are_looked_at_and_may_be_missing(tmp_path: Path) -> None:
    there, missing, broken = (ImageId(digit * 32) for digit in "abc")
    for id, data in ((there, encoded(SCENE, "WEBP")), (broken, b"nothing")):
        thumbnail_path(tmp_path, id).parent.mkdir()
        thumbnail_path(tmp_path, id).write_bytes(data)
    look = looks_in(tmp_path)
    found = look(there)
    assert found is not None
    assert overlap(found, look_of(SCENE)).agreement > 0.95
    assert (look(missing), look(broken)) == (None, None)


def a_version(
    image: Image.Image | None, *, number: int = 2, size: tuple[int, int] | None = None, **changes: object
) -> Version:
    width, height = size or (image.size if image else SCENE.size)
    values: dict = {"mime_type": "image/jpeg", "bytes": 120_000, "look": look_of(image) if image else None}
    return Version(ImageId(f"{number:032x}"), width, height, **{**values, **changes})


ORIGINAL = a_version(SCENE, number=1)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (a_version(SCENE.resize((200, 150))), ("smaller: 200×150 of 400×300",)),
        (a_version(SCENE.resize((800, 600))), ("larger: 800×600, not 400×300",)),
        (a_version(PART), ("crop: about 60 % of the picture",)),
        (a_version(PART, size=(150, 120)), ("crop: about 60 % of the picture", "smaller: 150×120 of 400×300")),
        (a_version(SCENE.convert("L").convert("RGB")), ("colour: grey",)),
        (a_version(SCENE, mime_type="image/png"), ("format: PNG, not JPEG",)),
        (a_version(SCENE, bytes=31_000), ("compression: 31.0 kB, not 120.0 kB",)),
        (a_version(SCENE, bytes=120_300), ("bytes: others for the same picture, such as its metadata",)),
        (a_version(SCENE, number=1, files=("a.jpg", "b.jpg")), ("bytes: the same", "files: 2 with the same bytes")),
        (
            a_version(SCENE.resize((200, 150)).convert("L").convert("RGB"), mime_type="image/webp", bytes=9),
            ("smaller: 200×150 of 400×300", "colour: grey", "format: WEBP, not JPEG"),
        ),
        (a_version(None, size=(300, 300)), ("proportions: 300×300, not 400×300",)),
        (a_version(None, size=(200, 150)), ("smaller: 200×150 of 400×300",)),
    ],
)
def test_differences_are_named(version: Version, expected: tuple[str, ...]) -> None:
    assert differences(version, ORIGINAL) == expected


def test_differences_are_named_from_the_other_side() -> None:
    assert differences(ORIGINAL, a_version(PART)) == ("wider view: the other is about 60 % of it",)
    assert differences(ORIGINAL, a_version(SCENE.convert("L").convert("RGB"))) == ("colour: not grey",)
