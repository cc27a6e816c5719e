"""Measure the lite profile on photos with ground truth: python tests/bench/lite_quality.py FOLDER [--json]

FOLDER holds any of these: `retrieval/` (photos, captions.json: {file: [captions]}, sources.json: {file: {"dataset"}}),
`objects/` (photos, labels.json: {file: {"boxes": [[COCO label, x, y, w, h], …]}}), `scenes/` (one folder a scene,
scenes.json: {"scenes": {name: {"indoor": bool, "places365": [names]}}}). Figures are for the models alone, without the
engine's blend; photos that the adapter was trained on (those of COCO) are told apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.profiles import Annotation, Profile, open_profile
from indexer.taggers.zero_shot import places, scene_groups
from search.types import TagKind

BANDS = (0.5, 0.7, 0.8, 0.9, 0.97, 1.01)


def annotated(profile: Profile, paths: Sequence[Path], size: int = 32) -> list[Annotation]:
    """Return the annotations of pictures, in their order."""
    found: list[Annotation] = []
    for start in range(0, len(paths), size):
        found += profile.annotate([Image.open(path).convert("RGB") for path in paths[start : start + size]])
    return found


def retrieval(profile: Profile, folder: Path) -> dict[str, Any]:
    captions = json.loads((folder / "captions.json").read_text())
    sources = json.loads((folder / "sources.json").read_text())
    names = sorted(captions)
    began = time.perf_counter()
    vectors = np.array([a.vector for a in annotated(profile, [folder / name for name in names])])
    seconds = time.perf_counter() - began
    texts = [profile.encoder.encode_texts(captions[name]) for name in names]
    trained_on = np.array([sources[name]["dataset"].lower().startswith("coco") for name in names])
    parts = {"not trained on": ~trained_on, "all": np.ones(len(names), bool)}
    report: dict[str, Any] = {"images_per_second": round(len(names) / seconds, 1)}
    for part, chosen in parts.items():
        places = np.flatnonzero(chosen)
        ranks = np.concatenate([_ranks(texts[i], vectors[places], int(np.searchsorted(places, i))) for i in places])
        report[part] = {
            "photos": len(places),
            "captions": len(ranks),
            **{f"R@{k}": round(float((ranks < k).mean()), 3) for k in (1, 5, 10)},
        }
    return report


def _ranks(texts: np.ndarray, vectors: np.ndarray, own: int) -> np.ndarray:
    scores = texts @ vectors.T
    return (scores > scores[:, own : own + 1]).sum(axis=1)


def objects(profile: Profile, folder: Path) -> dict[str, Any]:
    truth = json.loads((folder / "labels.json").read_text())
    names = sorted(truth)
    right: list[bool] = []
    sure: list[float] = []
    real_total = 0
    for name, annotation in zip(names, annotated(profile, [folder / name for name in names]), strict=True):
        real = {box[0] for box in truth[name]["boxes"]}
        real_total += len(real)
        best: dict[str, float] = {}
        for tag in annotation.all_tags:
            if tag.kind is TagKind.OBJECT:
                best[tag.label] = max(tag.confidence, best.get(tag.label, 0.0))
        right += [label in real for label in best]
        sure += best.values()
    is_right, confidence = np.array(right), np.array(sure)
    counted = confidence >= 0.5
    bands = {
        f"{low:.2f}–{min(high, 1):.2f}": [int(within.sum()), round(float(is_right[within].mean()), 3)]
        for low, high in pairwise(BANDS)
        if (within := (confidence >= low) & (confidence < high)).any()
    }
    return {
        "photos": len(names),
        "precision": round(float(is_right[counted].mean()), 3),
        "recall": round(float(is_right[counted].sum() / real_total), 3),
        "right by confidence [findings, share]": bands,
    }


def scenes(profile: Profile, folder: Path) -> dict[str, Any]:
    known = json.loads((folder / "scenes.json").read_text())["scenes"]
    paths = sorted(folder.glob("*/*.jpg"))
    names, _ = places()
    groups = scene_groups()
    group_of = {names[i]: group for group, members in groups.items() for i in np.flatnonzero(members)}
    one = five = said = inside = told = in_group = 0
    for path, annotation in zip(paths, annotated(profile, paths), strict=True):
        truth = known[path.parent.name]
        right = {plain(name) for name in (*truth["places365"], path.parent.name)}
        labels = [plain(tag.label) for tag in annotation.all_tags if tag.kind is TagKind.SCENE]
        one += labels[0] in right
        five += bool(right & set(labels))
        attributes = [tag.label for tag in annotation.all_tags if tag.kind is TagKind.ATTRIBUTE]
        where = [label for label in attributes if label in ("indoor", "outdoor")]
        grouped = [label for label in attributes if label in groups]
        told += bool(grouped)
        in_group += grouped == [group_of[plain(truth["places365"][0])]]
        said += bool(where)
        inside += where == ["indoor" if truth["indoor"] else "outdoor"]
    count = len(paths)
    return {
        "photos": count,
        "top-1": round(one / count, 3),
        "top-5": round(five / count, 3),
        "indoor or outdoor said": round(said / count, 3),
        "and right": round(inside / max(1, said), 3),
        "coarse group said": round(told / count, 3),
        "and the closest scene's": round(in_group / max(1, told), 3),
    }


def plain(label: str) -> str:
    return label.removeprefix("/").replace("_", " ").replace("/", " ").lower().strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--profile", default="lite")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    profile = open_profile(args.profile)
    report = {
        part.__name__: part(profile, args.folder / part.__name__)
        for part in (retrieval, objects, scenes)
        if (args.folder / part.__name__).is_dir()
    }
    if args.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return
    for part, figures in report.items():
        print(part)
        for name, value in figures.items():
            print(f"  {name:40} {value}")


if __name__ == "__main__":
    main()
