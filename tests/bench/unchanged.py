"""Measure an index run over a folder in which nothing changed: python tests/bench/unchanged.py [--images N] [--json]

Files are made in folders of 500, and written to a library as if the profile `lite` had been through them; no picture is
decoded. Then `indexer.pipeline.index_paths` runs over them, each time in a new process, as `snapseek index` does.
The first run brings tags and vectors along; the others find everything unchanged, and are what is measured. Beside each
run a bare walk (`os.scandir` and `stat` of every file) says what the file system alone takes: read ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

A_FOLDER = 500
A_BATCH = 2_000


class Quiet:
    """Satisfies `indexer.pipeline.Progress` and says nothing."""

    def found(self, more: int) -> None: ...
    def done(self, count: int) -> None: ...
    def say(self, message: str) -> None: ...


def make_files(photos: Path, images: int) -> list[str]:
    """Make files that differ, and return their paths below the folder."""
    paths = []
    for number in range(images):
        folder = photos / f"album {number // A_FOLDER:04d}"
        if number % A_FOLDER == 0:
            folder.mkdir(parents=True)
        path = folder / f"IMG_{number:07d}.jpg"
        path.write_bytes(b"\xff\xd8\xff" + number.to_bytes(8, "big"))
        paths.append(path.relative_to(photos).as_posix())
    return paths


def fill(data: Path, photos: Path, paths: list[str]) -> None:
    """Write the files to a library, each as an image that the profile has been through."""
    from indexer.profiles import open_profile
    from search.catalog.rows import Batch, FileRow, NewImage
    from search.catalog.sqlite_catalog import SqliteCatalog
    from search.types import ImageId, Tag, TagKind

    profile = open_profile("lite")
    space = profile.encoder.space
    rng = np.random.default_rng(0)
    with SqliteCatalog(data, create=True) as catalog:
        root = catalog.root(photos)
        for start in range(0, len(paths), A_BATCH):
            batch = Batch(space)
            vectors = rng.standard_normal((A_BATCH, space.dim)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            for path, vector in zip(paths[start : start + A_BATCH], vectors, strict=False):
                status = (photos / path).stat()
                id = ImageId(hashlib.sha256(path.encode()).hexdigest()[:32])
                tags = {"objects": (Tag(TagKind.OBJECT, "dog", 0.9, "made"),)}
                batch.images.append(
                    NewImage(id, 4000, 3000, "image/jpeg", 3_000_000, 1, profile.fingerprint, vector, tags)
                )
                batch.files.append((FileRow(path, status.st_size, status.st_mtime_ns, status.st_ino), id))
            catalog.write(root, batch)
        catalog.activate("lite", space)


def walk(folder: Path) -> int:
    """Return how many files lie below a folder; each is asked for its size and time."""
    count = 0
    folders = [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    entry.stat()
                    count += 1
    return count


def run(data: Path, photos: Path, result: Any) -> None:
    """Walk, scan and index in this process, which is new, and send the seconds of each."""
    from indexer.changes import compare
    from indexer.pipeline import index_paths
    from indexer.scan import scan
    from search.catalog.rows import WHOLE
    from search.catalog.sqlite_catalog import SqliteCatalog
    from search.config import load_config

    began = time.perf_counter()
    walk(photos)
    walked = time.perf_counter()
    with SqliteCatalog(data) as catalog:
        compare(scan(photos, WHOLE), catalog.known_files(catalog.roots()[0]), models="")
    scanned = time.perf_counter()
    report = index_paths(load_config(data=data), [photos], progress=Quiet())
    ended = time.perf_counter()
    if report.indexed or report.removed:
        raise AssertionError(f"{report.indexed} images were indexed and {report.removed} removed; none should be")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result.send(
        {
            "walk_s": walked - began,
            "scan_s": scanned - walked,
            "index_s": ended - scanned,
            "peak_mb": peak,
            "unchanged": report.unchanged,
        }
    )


def in_new_process(data: Path, photos: Path) -> dict[str, float]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=run, args=(data, photos, sender))
    child.start()
    sender.close()
    found: dict[str, float] = receiver.recv()
    child.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        photos, data = Path(work) / "photos", Path(work) / "library"
        fill(data, photos, make_files(photos, args.images))
        first = in_new_process(data, photos)
        runs = [in_new_process(data, photos) for _ in range(args.runs)]
    report = {
        "images": args.images,
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "first": {key: round(value, 2) for key, value in first.items()},
        "unchanged": {key: round(median(run[key] for run in runs), 2) for key in runs[0]},
    }
    if args.json:
        print(json.dumps(report, indent=1))
        return
    found = report["unchanged"]
    print(f"{args.images:,} unchanged files, load {report['load_average'][0]}")
    print(f"bare walk {found['walk_s']} s, scan and comparison {found['scan_s']} s, whole run {found['index_s']} s")
    print(
        f"peak memory {found['peak_mb']:.0f} MB; the first run, which makes the projections, {first['index_s']:.1f} s"
    )


if __name__ == "__main__":
    main()
