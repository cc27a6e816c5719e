import numpy as np
import pytest
from PIL import Image

from indexer.taggers.colors import PALETTE, ColorTagger, oklab

NOTHING = np.empty((1, 0), np.float32)
TAGGER = ColorTagger()


def colors(image: Image.Image) -> dict[str, float]:
    return {tag.label: tag.confidence for tag in TAGGER.tag([image], NOTHING)[0]}


@pytest.mark.parametrize(
    ("name", "rgb"),
    [
        ("red", (255, 0, 0)), ("orange", (255, 140, 0)), ("yellow", (255, 230, 0)), ("green", (0, 160, 0)),
        ("blue", (0, 0, 255)), ("blue", (135, 206, 235)), ("purple", (128, 0, 128)), ("pink", (255, 150, 190)),
        ("brown", (110, 65, 30)), ("black", (0, 0, 0)), ("grey", (128, 128, 128)), ("white", (255, 255, 255)),
        ("beige", (225, 205, 170)), ("teal", (0, 128, 128)),
    ],
)  # fmt: skip
def test_a_plain_colour_has_its_everyday_name(name: str, rgb: tuple[int, int, int]) -> None:
    assert colors(Image.new("RGB", (20, 20), rgb)) == {name: 1.0}


def test_the_confidence_is_the_share_of_the_area_and_the_largest_comes_first() -> None:
    image = Image.new("RGB", (100, 100), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 100, 25))
    found = colors(image)
    assert list(found) == ["blue", "red"]
    assert found["red"] == pytest.approx(0.25, abs=0.02)


def test_small_spots_are_left_out() -> None:
    image = Image.new("RGB", (100, 100), (255, 255, 255))
    image.paste((255, 0, 0), (0, 0, 20, 20))
    assert list(colors(image)) == ["white"]


def test_oklab_is_the_published_one() -> None:
    white, red = oklab(np.array([[255, 255, 255], [255, 0, 0]], np.uint8))
    assert white == pytest.approx([1, 0, 0], abs=1e-3)
    assert red == pytest.approx([0.628, 0.2249, 0.1258], abs=1e-3)


def test_every_example_of_the_palette_has_its_own_name() -> None:
    for name, examples in PALETTE.items():
        for rgb in examples:
            assert list(colors(Image.new("RGB", (4, 4), rgb))) == [name]
