"""`snapseek eval` on real photos with captions and boxes of our own, and over a space that means nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from libraries import Quiet, index, photos

from api.cli import main
from indexer.quality import results
from indexer.quality.measure import MEASURES
from indexer.quality.results import Report
from indexer.quality.run import evaluate
from search.config import load_config
from search.errors import ConfigError
from search.facets import FACETS
from search.services import open_services
from search.types import Mode, Query, Sort

CAPTIONS = {
    "pets/chelsea.png": ["a ginger cat looks into the camera", "the face of a cat", "a tabby cat with green eyes"],
    "people/astronaut.png": ["a smiling woman in an orange space suit", "an astronaut before a flag"],
    "people/camera.png": ["a man with a camera on a tripod", "a photographer in a long coat"],
    "rocket.jpg": ["a rocket takes off", "a rocket on its launch pad at night"],
    "motorcycle_left.png": ["a motorcycle in a garage", "a motorbike indoors"],
    "textures/brick.png": ["a wall of bricks"],
    "textures/grass.png": ["a lawn of grass"],
    "textures/gravel.png": ["gravel, seen from above"],
    "hubble_deep_field.jpg": ["galaxies in the night sky", "many galaxies and stars"],
    "page.png": ["a page of printed text"],
    "coins.png": ["old coins in rows"],
}
LABELS = {
    "chelsea.png": {"boxes": [["cat", 0, 0, 1, 1]]},
    "astronaut.png": {"boxes": [["person", 0, 0, 1, 1]]},
    "camera.png": {"boxes": [["person", 0, 0, 1, 1]], "crowd": ["tripod"]},
    "motorcycle_left.png": {"boxes": [["motorcycle", 0, 0, 1, 1]]},
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos with what they show; the photos of scenes lie in one beside it."""
    folder = tmp_path_factory.mktemp("described")
    shown = photos(folder / "shown")
    flat = {Path(name).name: texts for name, texts in CAPTIONS.items()}
    for path in sorted(shown.rglob("*.*")):
        if path.is_file() and path.parent != shown:
            path.rename(shown / path.name)
    (shown / "captions.json").write_text(json.dumps(flat), encoding="utf-8")
    (shown / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")
    places = folder / "places"
    (places / "garage").mkdir(parents=True)
    (places / "garage" / "motorcycle.png").write_bytes((shown / "motorcycle_left.png").read_bytes())
    scenes = {"garage": {"places365": ["garage/indoor"], "indoor": True}}
    (places / "scenes.json").write_text(json.dumps({"scenes": scenes}), encoding="utf-8")
    return folder


def run(*args: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == status, (done.output, done.exception)
    return done.stdout


def figures(report: Report) -> dict[tuple[str, str, str], float]:
    return {(one.part, one.system, one.metric): one.estimate.value for one in report.figures}


def test_a_folder_is_measured_kept_shown_and_compared(described: Path, tmp_path: Path) -> None:
    page, kept = tmp_path / "quality.md", tmp_path / "quality.json"
    page.write_text(f"{results.BEGIN}\n{results.END}\n", encoding="utf-8")
    text = run("eval", described, "--profile", "lite", "--questions", 8, "--keep", kept, "--page", page)
    report = results.read(kept)
    assert [(one.name, one.pictures) for one in report.sets] == [("places", 1), ("shown", 11)]
    found = figures(report)
    assert found["captions", "blend", "R@5"] >= 0.5
    assert found["objects", "all", "precision"] >= 0.5
    assert found["facets", "all", "lists equal to brute force"] == 1
    assert found["facets", "all", "results equal to brute force"] == 1
    assert found["duplicates", "all copies", "found"] >= 0.9
    assert ("scenes", "all", "top-5") in found
    assert ("latency", "blend", "p95 ms") in found
    assert {(row.label, row.there) for row in report.labels} >= {("cat", 1), ("person", 2), ("tripod", 1)}
    assert {row.other for row in report.comparisons} == {"vector", "keyword"}
    assert results.tables(report) in page.read_text(encoding="utf-8")
    assert results.tables(report) in text
    assert "ginger" not in kept.read_text(encoding="utf-8")
    assert "chelsea" not in kept.read_text(encoding="utf-8")

    report.figures = [
        replace(one, estimate=replace(one.estimate, value=0.0, low=0.0, high=0.0)) if one.part == "objects" else one
        for one in report.figures
    ]
    results.keep(report, kept)
    again = json.loads(
        run(
            "eval",
            described / "shown",
            "--profile",
            "lite",
            "--only",
            "objects",
            "--questions",
            8,
            "--against",
            kept,
            "--json",
        )
    )
    assert {change["part"] for change in again["changes"]} == {"objects"}
    assert all(change["is_better"] for change in again["changes"])
    assert again["not_compared"] == []


def test_a_library_that_is_there_is_asked_and_not_written_to(described: Path, tmp_path: Path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for name in ("chelsea.png", "coins.png"):
        (some / name).write_bytes((described / "shown" / name).read_bytes())
    index(tmp_path / "library", some, profile="lite")
    config = load_config(data=tmp_path / "library")
    report = evaluate(config, described, only=["captions"], progress=Quiet())
    assert [(one.name, one.pictures, one.missing) for one in report.sets] == [("shown", 2, 9)]
    assert figures(report)["captions", "blend", "R@1"] == 1
    with open_services(config) as services:
        assert services.catalog.counts()["images"] == 2


def test_what_cannot_be_measured_is_said(described: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are captions, short"):
        evaluate(None, described, only=["speed"], progress=Quiet())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "page.png").write_bytes((described / "shown" / "page.png").read_bytes())
    (tmp_path / "other" / "captions.json").write_text('{"page.png": ["a page"]}', encoding="utf-8")
    index(tmp_path / "library", described / "places", profile="lite")
    with pytest.raises(ConfigError, match="none of the pictures"):
        evaluate(load_config(data=tmp_path / "library"), tmp_path / "other", progress=Quiet())
    assert "captions.json" in CliRunner().invoke(main, ["eval", str(described / "places" / "garage")]).output


# A space that means nothing


@pytest.fixture(scope="module")
def random_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A profile whose embedding is a CLIP of random weights."""
    tiny_models = pytest.importorskip("tiny_models", reason="needs all extras: make setup", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("random")
    tiny_models.clip(folder / "clip", tiny_models.CLIP)
    profile = folder / "random.toml"
    profile.write_text(
        '[embedding]\nlibrary = "open_clip"\nmodel = "clip"\nruntime = "torch"\n'
        '[objects]\nlibrary = "lite"\n[scenes]\nlibrary = "zero-shot"\n[colors]\nlibrary = "palette"\n'
        '[captions]\nlibrary = "composed"\n',
        encoding="utf-8",
    )
    return str(profile)


def test_the_machinery_holds_over_random_weights(described: Path, random_clip: str) -> None:
    report = evaluate(None, described, profile=random_clip, most=8, progress=Quiet())
    found = figures(report)
    shares = {key: value for key, value in found.items() if not key[2].endswith(" ms")}
    assert all(0 <= value <= 1 for value in shares.values())
    assert found["facets", "all", "lists equal to brute force"] == 1
    assert found["facets", "all", "results equal to brute force"] == 1
    assert {one.part.partition(":")[0] for one in report.figures} >= set(MEASURES) - {"absent", "without"} - {"short"}


def test_relevance_is_fitted_to_a_library(described: Path, random_clip: str, tmp_path: Path) -> None:
    index(tmp_path / "library", described / "shown", profile=random_clip)
    captions = {Path(name).name: texts for name, texts in CAPTIONS.items()}
    more = ("{}", "a photo of {}", "{}, seen by someone", "here is {}")
    said = {name: [form.format(text) for text in texts for form in more] for name, texts in captions.items()}
    shown = tmp_path / "said"
    shown.mkdir()
    for name in said:
        (shown / name).symlink_to(described / "shown" / name)
    (shown / "captions.json").write_text(json.dumps(said), encoding="utf-8")
    queries = [(text, name) for name, texts in said.items() for text in texts]

    with open_services(load_config(data=tmp_path / "library")) as services:

        def kept() -> float:
            """Return the share of the right pictures among the first ten that are said to answer."""
            right = []
            for text, name in queries:
                hits = services.engine.search(Query(texts=(text,), mode=Mode.VECTOR, cutoff="none", k=10)).hits
                right += [hit.relevance >= 0.5 for hit in hits if hit.image.files[0].endswith(name)]
            assert len(right) >= 50
            return sum(right) / len(right)

        before = kept()
        report = json.loads(run("calibrate", shown, "--data", tmp_path / "library", "--json"))
        assert (report["pictures"], report["texts"]) == (len(said), len(queries))
        services.refresh()
        assert kept() >= 0.95
        assert report["kept_before"] == pytest.approx(before, abs=0.02)
        run("calibrate", "--forget", "--data", tmp_path / "library")
        services.refresh()
        assert kept() == before
    (shown / "captions.json").write_text(json.dumps({"coins.png": ["old coins"]}), encoding="utf-8")
    assert (
        "at least 50 are needed"
        in CliRunner().invoke(main, ["calibrate", str(shown), "--data", str(tmp_path / "library")]).output
    )


@pytest.mark.parametrize("text", ["a cat", "an ultrasound scan of a kidney", "night sky"])
def test_pages_cut_offs_and_counts_agree_over_random_weights(
    described: Path, random_clip: str, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    data = tmp_path_factory.getbasetemp() / "random-library"
    if not data.exists():
        index(data, described / "shown", profile=random_clip)
    with open_services(load_config(data=data)) as services:
        engine = services.engine
        for cutoff in ("auto", "none", 0.5):
            for sort in Sort:
                query = Query(texts=(text,), cutoff=cutoff, sort=sort, seed=7, facets=tuple(FACETS))
                whole = engine.search(replace(query, k=200))
                assert whole.cutoff is None or 0 <= whole.cutoff <= 1
                assert all(0 <= hit.relevance <= 1 for hit in whole.hits if hit.relevance is not None)
                pages, cursor = [], None
                while True:
                    page = engine.search(replace(query, k=4, cursor=cursor))
                    assert (page.total, page.facets) == (whole.total, whole.facets)
                    pages += [hit.image.id for hit in page.hits]
                    cursor = page.next
                    if cursor is None:
                        break
                assert pages == [hit.image.id for hit in whole.hits]
                assert len(pages) == whole.total
                if cutoff == "none":
                    assert whole.total == 12
