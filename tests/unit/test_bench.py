"""The benchmark of the stores runs, and its library is what it says, and the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench import stores
from bench.synthetic_library import SHARES, SyntheticLibrary

from search.types import TagKind


def test_the_same_number_of_images_is_the_same_library() -> None:
    one, other = SyntheticLibrary(1_200), SyntheticLibrary(1_200)
    for left, right in zip(one.batches(), other.batches(), strict=True):
        assert left.files == right.files
        for ours, theirs in zip(left.images, right.images, strict=True):
            assert (ours.vector == theirs.vector).all()
            assert (ours.id, ours.tags, ours.caption, ours.taken_at) == (
                theirs.id, theirs.tags, theirs.caption, theirs.taken_at,
            )  # fmt: skip
    asked = one.asked(9, seed=3)
    assert [text.text for text in asked] == [text.text for text in other.asked(9, seed=3)]
    assert one.filters(asked, seed=3) == other.filters(asked, seed=3)
    assert (one.vectors() != SyntheticLibrary(1_200, seed=1).vectors()).any()


def test_vectors_are_of_unit_length_and_those_of_the_images() -> None:
    library = SyntheticLibrary(1_200)
    vectors = library.vectors()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    written = [image.vector for batch in library.batches() for image in batch.images]
    assert (np.array(written) == vectors).all()


def test_planted_labels_are_on_an_exact_share_of_the_images() -> None:
    library = SyntheticLibrary(1_200)
    found: dict[str, int] = {}
    for batch in library.batches():
        for image in batch.images:
            for tag in image.tags["planted"]:
                assert tag.kind is TagKind.USER
                found[tag.label] = found.get(tag.label, 0) + 1
    near = {f"near-{share:g}": max(1, round(12 * share)) for share in SHARES if share < 100}
    assert found == {f"random-{share:g}": max(1, round(12 * share)) for share in SHARES} | near


def test_no_text_is_given_out_twice() -> None:
    library = SyntheticLibrary(100)
    texts = [one.text for seed in range(4) for one in library.asked(50, seed=seed)]
    assert len(set(texts)) == 200


def test_the_benchmark_runs_and_the_embedded_store_finds_the_nearest(tmp_path: Path) -> None:
    report = stores.measure(
        stores.options_of(
            ["--images=300", "--stores=embedded", "--queries=4", "--warm-up=1", "--recall-queries=4",
             "--exact-limit=1000,50", f"--data={tmp_path}"]
        )
    )  # fmt: skip
    assert {row["store"] for row in report["latency"]} == {"embedded, scans to 1,000", "embedded, scans to 50"}
    assert all(row["recall"] >= 0.95 for row in report["recall"])
    assert "| no filter | 1.000, " in stores.tables(report)
