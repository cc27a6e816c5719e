import io

import numpy as np
from pictures import a_picture, encoded
from PIL import Image

from search.phash import distances, perceptual_hash


def distance(a: Image.Image, b: Image.Image) -> int:
    return int(distances(np.array([perceptual_hash(a)], dtype=np.uint64), perceptual_hash(b))[0])


def test_versions_of_a_picture_are_near() -> None:
    picture = a_picture(1, (400, 300))
    jpeg = Image.open(io.BytesIO(encoded(picture, "JPEG", quality=30)))
    for version in (picture.resize((133, 100)), picture.convert("L").convert("RGB"), jpeg):
        assert distance(picture, version) <= 6


def test_different_pictures_are_far() -> None:
    assert min(distance(a_picture(0), a_picture(seed)) for seed in range(1, 30)) > 16


def test_a_flat_picture_has_a_hash() -> None:
    assert 0 <= perceptual_hash(Image.new("RGB", (5, 5), "white")) < 2**64
