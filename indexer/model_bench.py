"""Measure an embedding model in each runtime and precision on this machine: `snapseek models bench`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from PIL import Image

from indexer.samples import sample_photos
from search.encoders import runtime_choice
from search.encoders.opening import open_clip_encoder
from search.encoders.runtime_choice import Choice
from search.encoders.towers import LEAST_COSINE, least_cosine
from search.errors import ConfigError, ModelUnavailable, SnapseekError
from search.profile_file import ModelSpec, ProfileChoice, read_profile
from search.types import Matrix

VARIANTS: tuple[Choice, ...] = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("onnx", "fp32"),
    ("onnx", "int8"),
)
"""The first is what the others are held against."""
TEXTS = ("a dog on a beach", "two people riding bicycles through a city at night", "red", "an old church in the snow")
WORTH_IT = 1.1
"""A reduced precision must be this much faster than the best in single precision to be chosen."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to run the model. ``refused`` says why it cannot be had; the figures are 0 then."""

    runtime: str
    precision: str
    images_per_second: float = 0.0
    text_ms: float = 0.0
    least_cosine: float = 0.0
    """Of any picture's or text's vector to the one by torch in single precision."""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured, and what each tower takes from now on where a profile leaves runtime and precision open."""

    rows: list[Row]
    image: Choice
    text: Choice


def bench(profile: str, *, seconds: float = 5.0, seen: Callable[[Row], None] = lambda _: None) -> Bench:
    """Measure each way to run a profile's embedding model on the processor, and keep the fastest for this machine.

    ``seen`` is called with each row. Raises ConfigError for a model that has one way only.
    """
    choice = read_profile(profile)
    spec = choice.tasks.embedding
    if spec.library != "open_clip":
        raise ConfigError(f"the embedding of {profile} runs in one way only; there is nothing to choose")
    rows: list[Row] = []
    for row in _rows(choice, spec, seconds):
        rows.append(row)
        seen(row)
    found = [row for row in rows if not row.refused]
    if not found:
        raise ModelUnavailable(rows[0].refused)
    image = _fastest(found, lambda row: row.images_per_second)
    text = _fastest(found, lambda row: 1 / row.text_ms)
    fingerprint = open_clip_encoder(choice, spec, task="embedding").space.fingerprint
    runtime_choice.keep(fingerprint, {"image": image, "text": text})
    return Bench(rows, image, text)


def _rows(choice: ProfileChoice, spec: ModelSpec, seconds: float) -> Iterator[Row]:
    photos = [Image.open(path).convert("RGB") for path in sample_photos()[:8]] or [Image.new("RGB", (320, 240))]
    reference: tuple[Matrix, Matrix] | None = None
    for runtime, precision in VARIANTS:
        variant = spec.model_copy(update={"runtime": runtime, "precision": precision, "device": "cpu"})
        try:
            encoder = open_clip_encoder(choice, variant, task="embedding")
            vectors = encoder.encode_images(photos), encoder.encode_texts(TEXTS)
            reference = reference or vectors
            cosine = min(least_cosine(mine, theirs) for mine, theirs in zip(vectors, reference, strict=True))
            if not cosine >= LEAST_COSINE:
                yield Row(runtime, precision, refused=f"a cosine of {cosine:.4f} to single precision is too little")
                continue
            yield Row(
                runtime,
                precision,
                len(photos) * _per_second(functools.partial(encoder.encode_images, photos), seconds),
                1000 / _per_second(functools.partial(encoder.encode_texts, TEXTS[:1]), seconds),
                cosine,
            )
        except (SnapseekError, RuntimeError) as error:
            yield Row(runtime, precision, refused=str(error).splitlines()[0])


def _fastest(rows: Sequence[Row], speed: Callable[[Row], float]) -> Choice:
    best = max(rows, key=lambda row: speed(row) * (WORTH_IT if row.precision == "fp32" else 1.0))
    return best.runtime, best.precision


def _per_second(call: Callable[[], object], seconds: float) -> float:
    """Return how often a call can be made in a second: the median of calls for some seconds, after one."""
    call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1 / median(times)
