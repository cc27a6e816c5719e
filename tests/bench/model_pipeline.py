"""Measure indexing with models of the size of ViT-B-32 and YOLO11n: python tests/bench/model_pipeline.py [--json]

The weights are random (speed does not depend on them) and made in a temporary folder; so are the photos, unless a
folder is named. One run measures the bare forward passes of both models in torch, as their libraries run them on
prepared tensors, the same in the runtimes that the profile takes, and then `indexer.pipeline.index_paths` from files to
library in a process of its own: its steady pace from the second batch on, and its peak memory with that of the decoding
processes beside it. With `--fp32` the embedding stays in single precision; else `models bench` chooses first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

VIT_B_32 = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
}
BATCH = 8
PROFILE = """
embedding = {{library = "open_clip", model = "{folder}/clip", batch_size = 8{precision}}}
objects = {{library = "ultralytics", model = "{folder}/yolo11n.pt", batch_size = 8, threshold = 0.9}}
"""


class Pace:
    """Satisfies `indexer.pipeline.Progress`, and notes when each batch was done."""

    def __init__(self) -> None:
        self.times: list[tuple[float, int]] = []

    def found(self, more: int) -> None: ...
    def say(self, message: str) -> None: ...

    def done(self, count: int) -> None:
        self.times.append((time.perf_counter(), count))

    @property
    def images_per_second(self) -> float:
        (first, _), *rest = self.times
        return sum(count for _, count in rest) / (rest[-1][0] - first)


def per_second(call: Callable[[], object], images: int, seconds: float) -> float:
    call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return images / median(times)


def make_photos(folder: Path, count: int) -> Path:
    from search.encoders.examples import dead_leaves

    folder.mkdir()
    for number, picture in enumerate(dead_leaves(count, seed=7, width=640, height=480)):
        picture.save(folder / f"{number}.jpg", quality=85)
    return folder


def bare(folder: Path, profile: Path, seconds: float) -> dict[str, float]:
    """Return images a second of the forward passes alone, on tensors that are ready."""
    import torch
    from ultralytics import YOLO

    from indexer.profiles import open_profile
    from search.encoders.open_clip_encoder import OpenClipEncoder
    from search.profile_file import ModelSpec

    spec = ModelSpec(library="open_clip", model=str(folder / "clip"), device="cpu", runtime="torch")
    clip = OpenClipEncoder(folder / "clip", spec)
    pixels = torch.rand(BATCH, 3, 224, 224)
    yolo = YOLO(folder / "yolo11n.pt").model.eval().fuse(verbose=False)
    frames = torch.rand(BATCH, 3, 480, 640)
    own = open_profile(str(profile))
    encoder, detector = own.encoder, own.taggers["objects"]
    photos = [Image.fromarray(np.uint8(np.random.default_rng(n).integers(0, 255, (480, 640, 3)))) for n in range(BATCH)]
    ready = np.stack([encoder._preprocess(photo).numpy() for photo in photos])
    with torch.inference_mode():
        return {
            "ViT-B-32, torch": per_second(lambda: clip._model.encode_image(pixels), BATCH, seconds),
            "YOLO11n, torch": per_second(lambda: yolo(frames), BATCH, seconds),
            "ViT-B-32, as the profile runs it": per_second(lambda: encoder._image_tower(ready), BATCH, seconds),
            "YOLO11n, as the profile runs it": per_second(lambda: detector.tag(photos, ready), BATCH, seconds),
        }


def pipeline(profile: str, photos: str, library: str, result: Any) -> None:
    """Index in this process, which is new, and send its pace and peak memory."""
    from indexer.pipeline import index_paths
    from search.config import load_config

    pace = Pace()
    report = index_paths(load_config(data=Path(library), profile=profile), [Path(photos)], progress=pace)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result.send(
        {"images": report.indexed, "images_per_second": pace.images_per_second, "peak_mb": [kb / 1024 for kb in peak]}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photos, instead of made ones")
    parser.add_argument("--count", type=int, default=256, help="photos to make")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each bare pass")
    parser.add_argument("--fp32", action="store_true", help="keep the embedding in single precision")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    import tiny_models

    from indexer.model_bench import bench

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        photos = args.photos or make_photos(folder / "photos", args.count)
        tiny_models.clip(folder / "clip", VIT_B_32)
        tiny_models.yolo(folder / "yolo11n.pt")
        profile = folder / "profile.toml"
        profile.write_text(
            PROFILE.format(folder=folder, precision=', precision = "fp32"' if args.fp32 else ""), encoding="utf-8"
        )
        chosen = None if args.fp32 else bench(str(profile), seconds=args.seconds / 2)
        figures = bare(folder, profile, args.seconds)
        receiver, sender = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("spawn")
        child = context.Process(target=pipeline, args=(str(profile), str(photos), str(folder / "library"), sender))
        child.start()
        run = receiver.recv()
        child.join()
    slowest = min(value for name, value in figures.items() if name.endswith("torch"))
    together = 1 / sum(1 / value for name, value in figures.items() if not name.endswith("torch"))
    report = {
        "bare_images_per_second": {name: round(value, 1) for name, value in figures.items()},
        "chosen": chosen and {"image": chosen.image, "text": chosen.text},
        "pipeline": {key: np.round(value, 1).tolist() for key, value in run.items()},
        "share_of_slowest_in_torch": round(run["images_per_second"] / slowest, 2),
        "share_of_both_in_turn_as_run": round(run["images_per_second"] / together, 2),
    }
    if args.json:
        print(json.dumps(report, indent=1))
        return
    for name, value in report["bare_images_per_second"].items():
        print(f"{name:36} {value:7.1f} images/s")
    print(f"{'the pipeline, files to library':36} {run['images_per_second']:7.1f} images/s")
    print(f"peak memory {run['peak_mb'][0]:.0f} MB, and {run['peak_mb'][1]:.0f} MB of the largest decoding process")
    print(f"chosen: {report['chosen']}")
    print(f"{report['share_of_slowest_in_torch']:.0%} of the slowest model's bare pace in torch")
    print(f"{report['share_of_both_in_turn_as_run']:.0%} of both models in turn, bare, in the profile's runtimes")


if __name__ == "__main__":
    main()
