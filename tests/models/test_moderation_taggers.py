"""The moderation taggers with their real weights: held against the nets themselves, calm on photos, end to end."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from libraries import index, photos
from PIL import Image
from references import NOTHING
from starlette.testclient import TestClient

from api.app import create_app
from indexer.profiles import open_profile
from indexer.taggers.packaged_moderation import NudeNet, OpenNsfw
from indexer.taggers.zero_shot import ModerationTagger
from search.config import load_config
from search.errors import ModelUnavailable
from search.moderation import DEFAULT_POLICY
from search.profile_file import ModelSpec
from search.services import open_services
from search.types import TagKind
from search.weights.packaged import NUDENET, OPEN_NSFW, Weights

NETS = [(OpenNsfw, "opennsfw"), (NudeNet, "nudenet")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return [Image.open(path).convert("RGB") for path in sorted(folder.rglob("*")) if path.suffix in (".png", ".jpg")]


@pytest.mark.parametrize(("net", "library"), NETS)
def test_scores_are_those_of_the_net_in_onnx_runtime(net, library: str, pictures) -> None:
    tagger = net(ModelSpec(library=library, threshold=0))
    session = onnxruntime.InferenceSession(str(net.weights.verified()))
    some = pictures[:5]
    for image, tags in zip(some, tagger.tag(some, NOTHING), strict=True):
        output = session.run(None, {session.get_inputs()[0].name: tagger.pixels(image)[None]})[0][0]
        assert [(tag.kind, tag.label) for tag in tags] == [(TagKind.MODERATION, "adult")]
        assert tags[0].confidence == pytest.approx(tagger.score(output), abs=0.01)


@pytest.mark.parametrize(("net", "library"), NETS)
def test_the_sample_photos_are_not_flagged_and_do_not_depend_on_the_batch(net, library: str, pictures) -> None:
    tagger = net(ModelSpec(library=library))
    together = tagger.tag(pictures, NOTHING)
    assert all(tag.confidence < DEFAULT_POLICY.threshold("adult") for tags in together for tag in tags)
    assert tagger.tag(pictures[1:2], NOTHING)[0] == together[1]
    assert tagger.tag([], NOTHING) == []
    assert len(tagger.tag([Image.new("RGB", (1, 900), "pink"), Image.new("RGB", (1, 1))], NOTHING)) == 2


def test_an_exposed_part_counts_and_others_do_not() -> None:
    tagger = NudeNet(ModelSpec(library="nudenet"))
    output = np.zeros((22, 2100), np.float32)
    output[NudeNet.BOXES + 1, 7] = output[NudeNet.BOXES + 12, 9] = 0.9  # faces
    assert tagger.score(output) == 0
    output[NudeNet.BOXES + 3, 11] = 0.8
    assert tagger.score(output) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("weights", "task", "extra"), [(OPEN_NSFW, "adult", "moderation"), (NUDENET, "nudity", "nudenet")]
)
def test_a_missing_package_is_named_with_what_to_install(
    weights: Weights, task: str, extra: str, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Weights, "path", property(lambda self: None))
    library = {"adult": "opennsfw", "nudity": "nudenet"}[task]
    profile = tmp_path / "own.toml"
    profile.write_text(f'base = "lite"\n[{task}]\nlibrary = "{library}"\n', encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=rf"{weights.name}.*snapseek\[{extra}\]"):
        open_profile(str(profile))


def test_what_reaches_the_threshold_is_in_the_queue_and_on_its_page(tmp_path: Path) -> None:
    """Profile, index, tag, threshold, queue and page; the threshold is lowered to what harmless photos reach."""
    profile = tmp_path / "own.toml"
    tables = '[adult]\nlibrary = "opennsfw"\nthreshold = 0.0\n[nudity]\nlibrary = "nudenet"\nthreshold = 0.0\n'
    profile.write_text(f'base = "lite"\n{tables}', encoding="utf-8")
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(next(path for path in photos(tmp_path / "all").rglob("astronaut.png")), folder)
    index(tmp_path / "library", folder, profile=str(profile))
    for least, flagged in ((0.0, 1), (0.95, 0)):
        config = load_config(data=tmp_path / "library", moderation_thresholds={"adult": least})
        with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
            queue = client.get("/v1/moderation?state=flagged").json()
            assert queue["total"] == flagged
            sources = {tag["source"] for image in queue["images"] for tag in image["reasons"]}
            assert sources == ({"open-nsfw", "nudenet-320n"} if flagged else set())
            page = client.get("/moderation").text
            assert all(image["id"] in page for image in queue["images"])


def test_a_category_of_ones_own_flags_what_its_words_say_until_a_person_decides(tmp_path: Path) -> None:
    profile = tmp_path / "own.toml"
    profile.write_text(
        'base = "lite"\n[moderation]\nlibrary = "zero-shot"\nlabels = ["cats", "violence", "hate"]\n', encoding="utf-8"
    )
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos(tmp_path / "all").rglob("*"):
        if path.name in ("chelsea.png", "rocket.jpg", "astronaut.png"):
            shutil.copy(path, folder)
    index(tmp_path / "library", folder, profile=str(profile))
    config = load_config(data=tmp_path / "library")
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        (flagged,) = client.get("/v1/moderation?state=flagged").json()["images"]
        assert flagged["files"] == ["chelsea.png"]
        (reason,) = flagged["reasons"]
        assert (reason["label"], reason["source"]) == ("cats", "moderation-zero-shot")
        assert reason["confidence"] >= 0.5
        assert client.get("/v1/search").json()["total"] == 3, "nothing is blocked by itself"
        client.post(f"/v1/moderation/{flagged['id']}", json={"decision": "reject"})
        assert client.get("/v1/search").json()["total"] == 2
    index(tmp_path / "library", folder, profile=str(profile))
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        assert client.get("/v1/search").json()["total"] == 2


def test_categories_by_words_do_not_depend_on_each_other_or_on_the_batch() -> None:
    encoder = open_profile("lite").encoder
    vectors = np.random.default_rng(3).normal(size=(5, encoder.space.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def said(labels: tuple[str, ...], rows: slice) -> list[dict[str, float]]:
        tagger = ModerationTagger(encoder, ModelSpec(library="zero-shot", threshold=0, labels=labels))
        return [{tag.label: tag.confidence for tag in tags} for tags in tagger.tag([], vectors[rows])]

    both = said(("violence", "flying saucers"), slice(None))
    assert [set(row) for row in both] == [{"violence", "flying saucers"}] * 5
    assert said(("violence", "flying saucers"), slice(2, 3))[0] == pytest.approx(both[2], abs=1e-5)
    assert said(("violence",), slice(None))[2]["violence"] == pytest.approx(both[2]["violence"], abs=1e-5)
    assert ModerationTagger(encoder, ModelSpec(library="zero-shot")).tag([], vectors[:0]) == []
