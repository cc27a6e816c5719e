"""Measure an embedding model in each runtime and precision on this machine: `snapseek models bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from PIL import Image

from indexer.samples import sample_photos
from search.encoders.opening import open_clip_encoder
from search.errors import ConfigError, SnapseekError
from search.profile_file import read_profile
from search.protocols import Encoder

VARIANTS = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)
TEXTS = ("a dog on a beach", "two people riding bicycles through a city at night", "red", "an old church in the snow")


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


def bench(profile: str, *, seconds: float = 5.0) -> Iterator[Row]:
    """Yield a row for each way to run a profile's embedding model. Raises ConfigError for one that has one way only."""
    choice = read_profile(profile)
    spec = choice.tasks.embedding
    if spec.library != "open_clip":
        raise ConfigError(f"the embedding of {profile} runs in one way only; there is nothing to choose")
    photos = [Image.open(path).convert("RGB") for path in sample_photos()[:8]] or [Image.new("RGB", (320, 240))]
    reference: tuple[np.ndarray, np.ndarray] | None = None
    for runtime, precision in VARIANTS:
        variant = spec.model_copy(update={"runtime": runtime, "precision": precision, "device": "cpu"})
        try:
            encoder = open_clip_encoder(choice, variant, task="embedding")
            vectors = encoder.encode_images(photos), encoder.encode_texts(TEXTS)
            reference = reference or vectors
            yield Row(
                runtime,
                precision,
                len(photos) * _per_second(lambda: _images(encoder, photos), seconds),  # noqa: B023 (called at once)
                1000 / _per_second(lambda: _texts(encoder), seconds),  # noqa: B023
                min(_least_cosine(a, b) for a, b in zip(vectors, reference, strict=True)),
            )
        except (SnapseekError, RuntimeError) as error:
            yield Row(runtime, precision, refused=str(error).splitlines()[0])


def _images(encoder: Encoder, photos: Sequence[Image.Image]) -> None:
    encoder.encode_images(photos)


def _texts(encoder: Encoder) -> None:
    encoder.encode_texts(TEXTS[:1])


def _per_second(call: Callable[[], None], seconds: float) -> float:
    """Return how often a call can be made in a second: the median of calls for some seconds, after one."""
    call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1 / median(times)


def _least_cosine(vectors: np.ndarray, reference: np.ndarray) -> float:
    return float((vectors * reference).sum(axis=1).min())
