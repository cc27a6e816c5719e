"""What every tagger and captioner does; here the lite profile's, with real weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from libraries import photos
from pictures import a_picture
from PIL import Image

from indexer.profiles import Profile, open_profile
from search.calibration import Calibration, Curve
from search.errors import ConfigError
from search.types import Tag, TagKind

ODD = [a_picture(1, (1, 1)), a_picture(2, (1, 3000)), Image.new("RGB", (50, 50), "white")]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return open_profile("lite")


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    return Image.open(photos(tmp_path_factory.mktemp("photos")) / "pets" / "chelsea.png").convert("RGB")


def test_every_tagger_answers_for_every_picture_with_its_own_kinds_and_name(profile: Profile, cat: Image.Image) -> None:
    pictures = [cat, *ODD]
    vectors = profile.encoder.encode_images(pictures)
    for tagger in profile.taggers.values():
        tags = tagger.tag(pictures, vectors)
        assert len(tags) == len(pictures)
        assert {tag.kind for found in tags for tag in found} <= tagger.kinds
        assert {tag.source for found in tags for tag in found} <= {tagger.source}
        assert tagger.tag([], vectors[:0]) == []


def test_tags_do_not_depend_on_the_rest_of_the_batch(profile: Profile, cat: Image.Image) -> None:
    together, alone = profile.annotate([*ODD, cat])[-1], profile.annotate([cat])[0]
    assert [(t.kind, t.label) for t in together.all_tags] == [(t.kind, t.label) for t in alone.all_tags]
    assert np.allclose(together.vector, alone.vector, atol=1e-5)
    assert together.caption == alone.caption


def test_a_cat_is_seen_as_one(profile: Profile, cat: Image.Image) -> None:
    found = profile.annotate([cat])[0]
    best = {tag.label: tag for tag in found.all_tags if tag.kind is TagKind.OBJECT}
    assert best["cat"].confidence > 0.8
    assert best["cat"].box is not None
    assert any("cat" in tag.label for tag in found.all_tags if tag.kind is TagKind.CLASS)
    assert found.caption is not None
    assert found.caption_source == "composed"


def test_scenes_are_the_five_likeliest_of_365(profile: Profile, cat: Image.Image) -> None:
    scenes = [tag for tag in profile.annotate([cat])[0].all_tags if tag.kind is TagKind.SCENE]
    assert len(scenes) == 5
    confidences = [tag.confidence for tag in scenes]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) <= 1 + 1e-6


def test_a_caption_claims_nothing_of_a_white_page(profile: Profile) -> None:
    (annotation,) = profile.annotate([Image.new("RGB", (300, 200), "white")])
    assert not [tag for tag in annotation.all_tags if tag.kind is TagKind.OBJECT and tag.confidence >= 0.5]
    assert [tag.label for tag in annotation.all_tags if tag.kind is TagKind.COLOR] == ["white"]


def test_a_captioner_answers_for_every_picture(profile: Profile) -> None:
    tags = [[Tag(TagKind.OBJECT, "dog", 0.9, "test")], []]
    assert profile.captioner.caption([ODD[0], ODD[1]], tags) == ["A dog", ""]


def test_a_profile_of_one_s_own_takes_another_adapter(profile: Profile, tmp_path: Path) -> None:
    from search.encoders import adapter

    (tmp_path / "mine.toml").write_text(
        'base = "lite"\nembedding = {library = "lite", model = "mine.npz"}\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"mine\.npz"):
        open_profile(str(tmp_path / "mine.toml"))
    changed = adapter.load()
    adapter.save(tmp_path / "mine.npz", replace(changed, calibration=Calibration(Curve(0.5, 1.0), Curve(0.5, 1.0))))
    judged_otherwise = open_profile(str(tmp_path / "mine.toml"))
    assert judged_otherwise.encoder.space == profile.encoder.space
    assert judged_otherwise.encoder.calibration.image.middle == 0.5
    adapter.save(tmp_path / "mine.npz", replace(changed, weights=changed.weights * np.float32(1.5)))
    mine = open_profile(str(tmp_path / "mine.toml"))
    assert mine.fingerprint != profile.fingerprint
    assert mine.encoder.space != profile.encoder.space


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "base = 'other'",
        "base = 'lite'\n[other]\nlibrary = 'lite'",
        "base = 'lite'\n[objects]\nlibrary = 'magic'",
        "base = 'lite'\n[objects]\nlibrary = 'transformers'",
        "base = 'lite'\n[objects]\nlibrary = 'lite'\nspeed = 3",
        "base = 'lite'\n[vocabulary]\nlibrary = 'transformers'\nmodel = 'a/b'",
        "base = 'lite'\n[captions]\nlibrary = 'transformers'\nmodel = 'a/b'\nprecision = 'int8'",
    ],
)
def test_a_file_that_is_no_profile_is_refused_with_the_reason(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.toml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        open_profile(str(tmp_path / "bad.toml"))
    with pytest.raises(ConfigError, match="no profile"):
        open_profile("magic")
