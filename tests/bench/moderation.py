"""How often moderation flags harmless photos, what words find of stand-ins, and what nets cost beside an embedding.

    python tests/bench/moderation.py DATA [--limit N] [--json]

DATA has photos in `objects`, `retrieval` and `scenes`, all of them harmless: whatever is flagged is a false positive.
There are no true ones, so what share of adult or violent pictures is found is not measured. In their place stand things
that people do have in their photos and that were marked by hand: how many of these does a category of their name find?
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
from indexer.taggers.zero_shot import ModerationTagger
from search.moderation import DEFAULT_POLICY
from search.profile_file import ModelSpec

BATCH = 32
FOLDERS = ("objects", "retrieval", "scenes")
CATEGORIES = ("violence", "hate", "weapons", "drugs", "self-harm", "alcohol", "smoking")
STAND_INS = {
    "dogs": "dog",
    "pizza": "pizza",
    "bicycles": "bicycle",
    "trains": "train",
    "cakes": "cake",
    "elephants": "elephant",
}
"""A category as a person may name it, and what COCO calls it."""


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
        ModerationTagger(encoder, ModelSpec(library="zero-shot", threshold=0, labels=CATEGORIES)),
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


def stand_ins(data: Path) -> list[dict[str, Any]]:
    """Return how many photos with a thing a category of its name finds at the usual threshold, and how many others."""
    encoder = open_profile("lite").encoder
    tagger = ModerationTagger(encoder, ModelSpec(library="zero-shot", threshold=0, labels=tuple(STAND_INS)))
    marked = json.loads((data / "objects" / "labels.json").read_text(encoding="utf-8"))
    there = {name: {box[0] for box in photo["boxes"]} | set(photo.get("crowd", ())) for name, photo in marked.items()}
    names = sorted(there)
    said: dict[str, set[str]] = {category: set() for category in STAND_INS}
    for at in range(0, len(names), BATCH):
        part = names[at : at + BATCH]
        images = [Image.open(data / "objects" / name).convert("RGB") for name in part]
        for name, tags in zip(part, tagger.tag(images, encoder.encode_images(images)), strict=True):
            for tag in tags:
                if tag.confidence >= DEFAULT_POLICY.threshold(tag.label):
                    said[tag.label].add(name)
    rows = []
    for category, thing in STAND_INS.items():
        right = {name for name in names if thing in there[name]}
        rows.append(
            {"category": category, "has it": len(right), "found": len(right & said[category]),
             "has it not": len(names) - len(right), "flagged all the same": len(said[category] - right)}
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=10_000, help="photos of each folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = flags(options.data, options.limit) | {"stand-ins": stand_ins(options.data)}
    print(json.dumps(found, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
