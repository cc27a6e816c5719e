"""The benchmarks of vectors run, their data is what it says, and a regression is seen."""

from __future__ import annotations

import importlib
import json
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bench import vectors, vectors_check, vectors_costs, vectors_page, vectors_peers
from bench.charts import Axis, Line, chart
from bench.vectors_data import FILTERS, VectorData, recall

from search.planner import COSTS, Costs, Lookup, Task, cheapest

ROWS = 3_000


@pytest.fixture(scope="module")
def data() -> VectorData:
    return VectorData(ROWS, 64, clusters=30)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def test_rows_are_the_same_every_time_and_of_unit_length(data: VectorData, work: Path) -> None:
    rows = data.rows(work)
    assert (np.concatenate([some for _, some in VectorData(ROWS, 64, clusters=30).blocks()]) == rows).all()
    assert np.linalg.norm(rows.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)


def test_filters_let_their_share_through_and_the_answers_are_right(data: VectorData, work: Path) -> None:
    rows = data.rows(work).astype(np.float32)
    for one in data.filtered(FILTERS, 8, work):
        kind, _, share = one.name.partition("-")
        assert len(one.places) == (ROWS if kind == "all" else max(10, round(ROWS * float(share) / 100)))
        scores = one.queries @ rows[one.places].T
        best = np.sort(scores, axis=1)[:, ::-1][:, :10]
        found = np.take_along_axis(one.queries @ rows.T, one.nearest, 1)
        assert found == pytest.approx(best, abs=1e-5)
        again = data.filtered([one.name], 8, None)[0]
        assert (again.nearest == one.nearest).all()


def test_near_filters_are_of_few_clusters_and_random_ones_of_all(data: VectorData) -> None:
    near, random = (set(data.clusters[one.places]) for one in data.filtered(["near-10", "random-10"], 2))
    assert len(near) < 8 < len(random)


def test_the_index_is_measured_and_the_page_written(
    data: VectorData, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "SECONDS", 0.2)
    report = {
        "machine": {**vectors.machine(), "load_after": 0.0},
        "rows": ROWS,
        "index": vectors.opened(data, work)[1],
        "lookups": [asdict(one) for one in vectors.by_filter(data, work, FILTERS, 8)],
        "changes": vectors.changing(data, work),
        "clients": vectors.together(data, work, clients=(1, 2)),
    }
    plans = [one for one in report["lookups"] if one["way"] == "plan"]
    assert [one["filter"] for one in plans] == list(FILTERS)
    assert min(one["recall"] for one in report["lookups"]) >= 0.95
    assert min(one["recall"] for one in report["changes"]) >= 0.95
    peers = {
        "machine": report["machine"],
        "rows": ROWS,
        "peers": [vectors_peers.measured_by("numpy", _numpy, data, work, data.filtered(FILTERS, 8, work), 1.0)],
    }
    results = work / "results"
    results.mkdir()
    (results / f"vectors-{ROWS}.json").write_text(json.dumps(report), encoding="utf-8")
    (results / f"peers-{ROWS}.json").write_text(json.dumps(peers), encoding="utf-8")
    page = work / "performance.md"
    page.write_text(vectors_page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    vectors_page.write(results, page, work / "charts")
    text = page.read_text(encoding="utf-8")
    assert "| numpy, scan |" in text
    assert "| **plan** |" in text
    for drawn in (work / "charts").glob("*.svg"):
        assert ET.fromstring(drawn.read_text(encoding="utf-8")).tag.endswith("svg")  # noqa: S314 (it is ours)


def _numpy(library: vectors_peers.Library) -> dict[str, vectors_peers.Ask]:
    rows = library.rows.astype(np.float32)

    def ask(query: np.ndarray, filtered: vectors_peers.Filtered) -> np.ndarray:
        places: np.ndarray = filtered.places[np.argsort(-(rows[filtered.places] @ query))[:10]]
        return places

    return {"scan": ask}


def test_costs_are_found_again_from_what_they_say() -> None:
    tasks = [Task(allowed, 3e5, False, allowed / 1e6) for allowed in (500, 4_000, 32_000, 250_000, 500_000)]
    tasks += [Task(10**6, 2.6e5, True), Task(200_000, 5e4, True), Task(100_000, 8e4, False, 0.5)]
    found = [vectors_costs.Timing(one, 10**6, task, COSTS.of(one, task)) for task in tasks for one in Lookup]
    fitted = vectors_costs.fitted(found)
    for task in tasks:
        assert cheapest(task, fitted) is cheapest(task)
        assert all(fitted.of(one, task) == pytest.approx(COSTS.of(one, task), rel=0.01) for one in Lookup)
    assert "| 1,000,000 | 500 |" in vectors_costs.table(found, fitted)


def test_fitted_costs_take_their_place_in_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Costs(**dict.fromkeys(asdict(COSTS), 7.0))
    source = vectors_costs.written(vectors_costs.PLANNER.read_text(encoding="utf-8"), other)
    (tmp_path / "another_planner.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert asdict(importlib.import_module("another_planner").COSTS) == asdict(other)


def test_a_regression_is_what_grew_beside_the_yardstick() -> None:
    kept = {"all: cells / sum by NumPy": 2.0, "all: plan / sum by NumPy": 2.0}
    assert vectors_check.grown({"all: cells / sum by NumPy": 3.0, "all: plan / sum by NumPy": 1.0}, kept) == []
    slow = vectors_check.grown({"all: cells / sum by NumPy": 5.0, "all: plan / sum by NumPy": 2.0}, kept)
    assert slow == ["all: cells / sum by NumPy is 5.00, 2.5 times what it was"]
    assert "not measured" in vectors_check.grown({"all: cells / sum by NumPy": 2.0}, kept)[0]


def test_the_check_finds_what_is_slow_inexact_or_large(data: VectorData, work: Path) -> None:
    ratios, wrong = vectors_check.measured(data, work)
    assert set(ratios) >= {"all: plan / sum by NumPy", "random-1: exact / sum by NumPy"}
    assert all(ratio > 0 for ratio in ratios.values())
    assert not [one for one in wrong if "recall" in one]


def test_a_chart_keeps_its_lines_inside() -> None:
    axis = Axis("x", [(1, "1"), (100, "100")])
    drawn = chart(
        "a < b", axis, Axis("y", [(0.1, "0.1"), (10, "10")]), [Line("one", [(1, 0.001), (10, None), (100, 5)])]
    )
    root = ET.fromstring(drawn)  # noqa: S314 (it is ours)
    assert "a < b" in "".join(root.itertext())
    marks = [
        SimpleNamespace(x=float(m.attrib["cx"]), y=float(m.attrib["cy"])) for m in root if m.tag.endswith("circle")
    ]
    assert all(0 <= mark.x <= 760 and 0 <= mark.y <= 400 for mark in marks)


def test_recall_is_the_share_that_was_found() -> None:
    assert recall([np.array([1, 2, 3])], np.array([[3, 4]])) == 0.5
