"""Measure what a second worker adds: python tests/bench/workers.py PHOTOS [--count N] [--json]

The photos are uploaded to a new library, and then workers begin, each held to a core of its own as if it were a machine
of its own: first one, then, over another new library, two. They share nothing but the library. What counts is the pace
from when a tenth of the photos is done until all are, so that loading models is not in it. A last run has one worker on
all cores, which is what one gets without asking.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from processes import Command, Server, waiting  # noqa: E402

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
AN_UPLOAD = 20


def upload(server: Server, photos: Sequence[Path]) -> int:
    """Return how many of the photos wait for a worker then."""
    queued = 0
    for start in range(0, len(photos), AN_UPLOAD):
        with ExitStack() as stack:
            files = [("file", stack.enter_context(path.open("rb"))) for path in photos[start : start + AN_UPLOAD]]
            answer = server.client.post("/v1/images", files=files)
        answer.raise_for_status()
        queued += sum(one["status"] == "queued" for one in answer.json()["images"])
    return queued


def pace(photos: Sequence[Path], cores: Sequence[set[int]]) -> dict[str, Any]:
    """Return how fast workers on such cores go through the photos."""
    with tempfile.TemporaryDirectory() as work:
        folder, empty = Path(work), Path(work) / "empty"
        empty.mkdir()
        data = folder / "library"
        indexed = Command(data, folder / "index.log", "index", str(empty))
        assert indexed.wait() in (0, 1), indexed.log.read_text(encoding="utf-8")
        server = Server(data, folder / "serve.log", "--workers", "0", max_queue=len(photos) + 1).wait_until_up()
        workers: list[Command] = []
        try:
            queued = upload(server, photos)
            began = time.perf_counter()
            for number, held in enumerate(cores):
                os.sched_setaffinity(0, held)
                workers.append(Command(data, folder / f"worker{number}.log", "worker"))
            os.sched_setaffinity(0, set().union(*cores))
            passed: tuple[float, int] | None = None
            while left := waiting(server.client):
                if passed is None and left <= 0.9 * queued:
                    passed = (time.perf_counter(), left)
                time.sleep(0.05)
                assert all(one.runs for one in workers)
            ended = time.perf_counter()
            assert passed is not None
            return {
                "cores": [sorted(held) for held in cores],
                "photos": queued,
                "seconds": round(ended - began, 1),
                "a_second": round(passed[1] / (ended - passed[0]), 2),
            }
        finally:
            for one in (*workers, server):
                one.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = sorted(path for path in options.photos.rglob("*") if path.suffix.lower() in SUFFIXES)[: options.count]
    first, second = sorted(os.sched_getaffinity(0))[:2]
    runs = {"one": [{first}], "two": [{first}, {second}], "one on both cores": [{first, second}]}
    report: dict[str, Any] = {name: pace(photos, cores) for name, cores in runs.items()}
    report["two over one"] = round(report["two"]["a_second"] / report["one"]["a_second"], 2)
    report["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(report, indent=1) if options.json else "\n".join(f"{name}: {one}" for name, one in report.items()))


if __name__ == "__main__":
    main()
