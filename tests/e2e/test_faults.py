"""Processes that are told to stop, and processes that are killed. The long run is `tests/bench/fault_run.py`."""

from pathlib import Path

from bench.fault_run import fault_run
from libraries import index, quick_profile
from pictures import save
from processes import of_library, serving, wait_for


def test_a_server_that_is_told_to_stop_ends_its_workers_first(tmp_path: Path) -> None:
    data = tmp_path / "library"
    save(tmp_path / "photos" / "a.png")
    index(data, tmp_path / "photos", profile=quick_profile(tmp_path))
    with serving(data, tmp_path / "log", "--workers", "1") as server:
        wait_for("a worker", lambda: "worker" in {one.role for one in of_library(data)}, 60)
        assert server.stop() == 0, server.log.read_text(encoding="utf-8")
        assert [one for one in of_library(data) if one.role != "tracker"] == []


def test_kills_at_random_moments_of_ingest_lose_and_double_nothing(tmp_path: Path) -> None:
    report = fault_run(tmp_path, kills=2, seed=5)
    assert report["problems"] == []
    assert report["kills"] == 2
