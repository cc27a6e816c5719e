"""How often moderation flags harmless photos, and what its nets cost beside an embedding.

    python tests/bench/moderation.py DATA [--limit N] [--json]

DATA has photos in `objects`, `retrieval` and `scenes`, all of them harmless: whatever is flagged is a false positive.
There are no true ones, so what share of adult pictures is found is not measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.profiles import open_profile
from indexer.taggers.packaged_moderation import NudeNet, OpenNsfw
from search.moderation import DEFAULT_POLICY
from search.profile_file import ModelSpec

BATCH = 32
FOLDERS = ("objects", "retrieval", "scenes")


def photos(data: Path, limit: int) -> list[Path]:
    """Return the photos, each name once, at most ``limit`` a folder."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted((data / folder).rglob("*.jpg"))[:limit]:
            found.setdefault(path.name, path)
    return list(found.values())


def batches(paths: list[Path]) -> Iterator[list[Image.Image]]:
    for at in range(0, len(paths), BATCH):
        yield [Image.open(path).convert("RGB") for path in paths[at : at + BATCH]]


def flags(data: Path, limit: int) -> dict[str, Any]:
    """Return, for each tagger and category, the share of harmless photos at or above its default threshold."""
    encoder = open_profile("lite").encoder
    taggers = [
        OpenNsfw(ModelSpec(library="opennsfw", threshold=0)),
        NudeNet(ModelSpec(library="nudenet", threshold=0)),
    ]
    paths = photos(data, limit)
    seconds = dict.fromkeys((tagger.source for tagger in taggers), 0.0)
    scores: dict[tuple[str, str], list[float]] = {}
    for tagger in taggers:  # nets load before the clock runs
        tagger.tag([Image.new("RGB", (320, 240))], np.zeros((1, encoder.space.dim), np.float32))
    began = time.monotonic()
    spent = 0.0
    for images in batches(paths):
        start = time.monotonic()
        vectors = encoder.encode_images(images)
        spent += time.monotonic() - start
        for tagger in taggers:
            start = time.monotonic()
            for tags in tagger.tag(images, vectors):
                for tag in tags:
                    scores.setdefault((tagger.source, tag.label), []).append(tag.confidence)
            seconds[tagger.source] += time.monotonic() - start
    rows = []
    for (source, label), found in scores.items():
        least = DEFAULT_POLICY.threshold(label)
        flagged = sum(one >= least for one in found)
        rows.append(
            {"source": source, "category": label, "threshold": least, "photos": len(paths), "flagged": flagged,
             "share": round(flagged / len(paths), 4)}
        )  # fmt: skip
    return {
        "flags": rows,
        "ms a picture": {"embedding of lite": round(1000 * spent / len(paths), 1)}
        | {source: round(1000 * took / len(paths), 1) for source, took in seconds.items()},
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=10_000, help="photos of each folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = flags(options.data, options.limit)
    print(json.dumps(found, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
