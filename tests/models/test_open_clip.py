"""The adapter of open_clip; that its vectors are those of open_clip is in test_families.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import references
import tiny_models
from pictures import encoded
from PIL import Image

from indexer.decode import Limits, decode
from search.encoders import towers
from search.encoders.open_clip_encoder import OpenClipEncoder
from search.errors import ConfigError, ModelUnavailable
from search.profile_file import ModelSpec

KINDS = {
    "CLIP": tiny_models.CLIP,
    "SigLIP": tiny_models.SIGLIP,
    "MobileCLIP": tiny_models.MOBILE,
    "multilingual": tiny_models.MULTILINGUAL,
}


def spec(**options: object) -> ModelSpec:
    return references.spec("open_clip", **options)


@pytest.fixture(scope="module", params=list(KINDS))
def folder(request, made) -> Path:
    return made(tiny_models.clip, KINDS[request.param])


def test_what_auto_takes_here_is_a_runtime_that_was_tested(folder: Path, pictures) -> None:
    auto = OpenClipEncoder(folder, spec()).encode_images(pictures)
    torch_one = OpenClipEncoder(folder, spec(runtime="torch")).encode_images(pictures)
    assert (auto * torch_one).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize("config", [tiny_models.SIGLIP, tiny_models.SIGLIP2], ids=["SigLIP", "SigLIP 2"])
def test_siglip_pads_texts_to_its_whole_context_and_reads_them_in_small_letters(made, config: dict) -> None:
    ids = OpenClipEncoder(made(tiny_models.clip, config), spec()).tokens(["a dog", "A Dog!", "a cat"])
    assert ids.shape == (3, 64)
    assert (ids[:, 3:] == 0).all()
    assert (ids[0] == ids[1]).all()
    assert (ids[0] != ids[2]).any()


def test_clip_cuts_texts_at_77_tokens_and_leaves_the_padding_out(made) -> None:
    encoder = OpenClipEncoder(made(tiny_models.clip, tiny_models.CLIP), spec())
    assert encoder.tokens(["a dog"]).shape == (1, 4)  # start, two words, end
    assert encoder.tokens(["dog " * 500]).shape == (1, 77)
    long, longer = encoder.encode_texts(["dog " * 100, "dog " * 500])
    assert np.allclose(long, longer, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "format", "options"),
    [
        ("RGBA", "PNG", {}),
        ("CMYK", "JPEG", {}),
        ("I;16", "PNG", {}),
        ("L", "JPEG", {}),
        ("RGB", "JPEG", {"rotated": True}),
    ],
    ids=["alpha", "CMYK", "16-bit", "greyscale", "EXIF rotation"],
)
def test_odd_pictures_mean_what_they_show(made, mode: str, format: str, options: dict) -> None:
    """A file in an odd mode has the vector of the plain picture that it shows."""
    rng = np.random.default_rng(1)
    plain = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).resize((180, 120), Image.Resampling.BICUBIC)
    if mode in ("L", "I;16"):
        plain = plain.convert("L").convert("RGB")
    stored = {"RGBA": over_white, "I;16": sixteen_bit}.get(mode, lambda image: image.convert(mode))(plain)
    extra = {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
    if options.get("rotated"):
        stored = stored.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned 90 degrees clockwise
        extra["exif"] = exif
    shown = plain.convert("CMYK").convert("RGB") if mode == "CMYK" else plain
    seen = decode(encoded(stored, format, **extra), 640, Limits(10**7, 10**7)).image()
    encoder = OpenClipEncoder(made(tiny_models.clip, tiny_models.CLIP), spec())
    one, other = encoder.encode_images([seen, shown])
    assert seen.size == shown.size
    assert float(one @ other) > 0.9995


def over_white(plain: Image.Image) -> Image.Image:
    """Return a transparent picture that shows ``plain`` on white: its left half, the rest see-through."""
    half = plain.convert("RGBA")
    half.putalpha(255)
    return half


def sixteen_bit(plain: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(plain.convert("L"), np.uint16) * 257)


def test_transparency_is_white(made) -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    seen = decode(encoded(clear, "PNG"), 640, Limits(10**7, 10**7)).image()
    encoder = OpenClipEncoder(made(tiny_models.clip, tiny_models.CLIP), spec())
    one, other = encoder.encode_images([seen, Image.new("RGB", (64, 64), "white")])
    assert float(one @ other) > 0.9999


def test_the_space_changes_with_weights_and_not_with_the_runtime(made, tmp_path: Path) -> None:
    one = made(tiny_models.clip, tiny_models.CLIP)
    other = tiny_models.clip(tmp_path / "other", tiny_models.CLIP, mean=0.4)
    spaces = {OpenClipEncoder(one, spec(runtime=r)).space for r in ("torch", "openvino")}
    assert len(spaces) == 1
    assert OpenClipEncoder(other, spec()).space not in spaces


def test_labels_are_the_mean_of_their_prompts(folder: Path) -> None:
    encoder = OpenClipEncoder(folder, spec())
    vectors = encoder.label_vectors([["a dog", "a photo of a dog"], ["a red car"]])
    dog = encoder.encode_texts(["a dog", "a photo of a dog"]).mean(axis=0)
    assert np.allclose(vectors[0], dog / np.linalg.norm(dog), atol=1e-4)
    assert np.allclose(vectors[1], encoder.encode_texts(["a red car"])[0], atol=1e-4)


@pytest.mark.parametrize("runtime", ["openvino", "onnx"])
def test_int8_is_near_enough_or_refused(
    made, pictures, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tiny_models.clip, tiny_models.CLIP)
    exact = OpenClipEncoder(folder, spec(precision="fp32", runtime="openvino")).encode_texts(references.TEXTS[:2])
    reduced = OpenClipEncoder(folder, spec(precision="int8", runtime=runtime)).encode_texts(references.TEXTS[:2])
    assert (reduced * exact).sum(axis=1).min() >= towers.LEAST_COSINE
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nothing is converted there yet
    monkeypatch.setattr(towers, "LEAST_COSINE", 1.01)
    with pytest.raises(ModelUnavailable, match="too much"):
        OpenClipEncoder(folder, spec(precision="int8", runtime=runtime)).encode_texts(references.TEXTS)
    assert not [path for path in tmp_path.rglob("*") if "int8" in path.name]


def test_a_folder_without_a_whole_model_is_said(made, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no model of open_clip"):
        OpenClipEncoder(tmp_path, spec())
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": tiny_models.CLIP}), encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        OpenClipEncoder(tmp_path, spec()).encode_texts(["a dog"])
    with pytest.raises(ConfigError, match="CUDA"):
        OpenClipEncoder(
            made(tiny_models.clip, tiny_models.CLIP), ModelSpec(library="open_clip", device="cuda")
        ).encode_texts(["a dog"])
