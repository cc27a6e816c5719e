"""Measure what memory a long index run takes: python tests/bench/memory.py [--images N] [--json FILE]

Generated photos, all different, go through `snapseek index` with a small embedding net and colours: nets are small so
that the run is short, and what grows with the number of pictures, if anything does, is the pipeline. Every few seconds
all processes of the run are asked for their memory: their own (anonymous), and pages of files that they have mapped,
which the system takes back when it needs them. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
import tiny_models  # noqa: E402
from PIL import Image  # noqa: E402
from processes import Command, of_library  # noqa: E402

A_FOLDER = 1_000
SIZE = (320, 240)
EVERY_S = 2.0
MEBI = 1024


def make_photos(folder: Path, images: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(images):
        if number % A_FOLDER == 0:
            (folder / f"{number // A_FOLDER:03}").mkdir(parents=True)
        drawn = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
        drawn.save(folder / f"{number // A_FOLDER:03}" / f"{number:06}.jpg", quality=80)


def memory_of(pid: int) -> dict[str, int]:
    """Return the KiB of a process: its own, and of files."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return {kind: int(told.get(name, "0 kB").split()[0]) for kind, name in (("own", "RssAnon"), ("files", "RssFile"))}


def samples(command: Command, data: Path) -> Iterator[dict[str, Any]]:
    """Yield how many images the library has, and the memory of the run then, in MiB."""
    began = time.perf_counter()
    while command.runs:
        time.sleep(EVERY_S)
        sums = {"own": 0, "files": 0}
        for one in of_library(data):
            try:
                for kind, size in memory_of(one.pid).items():
                    sums[kind] += size
            except OSError:
                continue  # it has ended
        try:
            with closing(sqlite3.connect(f"file:{data / 'catalog.sqlite'}?mode=ro", uri=True)) as catalog:
                (images,) = catalog.execute("SELECT count(*) FROM image").fetchone()
        except sqlite3.Error:
            continue  # not there yet
        told = {kind: size // MEBI for kind, size in sums.items()}
        yield {"images": images, "seconds": round(time.perf_counter() - began), **told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--work", type=Path, help="where the photos are made, for a folder that is kept")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        photos, data = work / "photos", Path(temporary) / "library"
        if not photos.exists():
            make_photos(photos, options.images)
        net = tiny_models.clip(Path(temporary) / "net", tiny_models.clip_config(embed_dim=512))
        profile = Path(temporary) / "small.toml"
        embedding = f'[embedding]\nlibrary = "open_clip"\nmodel = "{net}"\nruntime = "torch"\n'
        profile.write_text(f'{embedding}\n[colors]\nlibrary = "palette"\n', encoding="utf-8")
        log = Path(temporary) / "log"
        command = Command(data, log, "index", str(photos), "--profile", str(profile))
        found = []
        for one in samples(command, data):
            found.append(one)
            if len(found) % 15 == 1:
                print(one, file=sys.stderr, flush=True)
        assert command.wait() == 0, log.read_text(encoding="utf-8")[-2000:]
    half = [one["own"] for one in found if one["images"] >= found[-1]["images"] / 2]
    early = [one["own"] for one in found if one["images"] < found[-1]["images"] / 2 and one["images"] > 1000]
    report = {
        "images": found[-1]["images"],
        "seconds": found[-1]["seconds"],
        "own MiB, median of the first half": float(np.median(early)),
        "own MiB, median of the second half": float(np.median(half)),
        "own MiB at most": max(one["own"] for one in found),
        "samples": found[:: max(1, len(found) // 50)],
    }
    text = json.dumps(report, indent=1)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
