"""Tasks of a profile that a cloud service does, as taggers and a captioner like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from indexer.cloud.ledger import MICRO, Ledger
from indexer.cloud.service import Captions, PictureRefused, Service
from search.errors import ConfigError, ModelUnavailable
from search.profile_file import CLOUD, CloudOptions, ModelSpec, ProfileChoice
from search.types import Matrix, Tag, TagKind

if TYPE_CHECKING:
    from indexer.cloud.asking import Asker

Read = TypeVar("Read")
CAPTIONS = "captions"
KINDS = {
    "objects": frozenset({TagKind.OBJECT}),
    "classes": frozenset({TagKind.CLASS}),
    "text": frozenset({TagKind.TEXT}),
    "moderation": frozenset({TagKind.MODERATION}),
}


class CloudTask:
    """A task of one service."""

    def __init__(self, asker: Asker, task: str, threshold: float | None) -> None:
        self.asker = asker
        self._task = task
        self._least = asker.service.least if threshold is None else threshold
        self.source = asker.service.source
        self.fingerprint = f"{asker.service.fingerprint} {task} {self._least:g}"
        self.side = asker.service.side
        self.refused: dict[int, str] = {}
        """Of the last call: why the service said nothing, by the picture's place."""

    def _read(self, images: Sequence[Image.Image], read: Callable[[Any], Read], nothing: Read) -> list[Read]:
        """Return what is read in the answer to each picture; ``nothing`` where the service gave none."""
        answers = self.asker.answers(images, self._task)
        self.refused = {i: str(answer) for i, answer in enumerate(answers) if isinstance(answer, PictureRefused)}
        return [nothing if i in self.refused else read(answer) for i, answer in enumerate(answers)]


class CloudTagger(CloudTask):
    """Satisfies `search.protocols.Tagger`."""

    def __init__(self, asker: Asker, task: str, threshold: float | None) -> None:
        super().__init__(asker, task, threshold)
        self.kinds = KINDS[task]

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        service = self.asker.service
        return self._read(images, lambda answer: service.tags(self._task, answer, self._least), [])


class CloudCaptioner(CloudTask):
    """Satisfies `search.protocols.Captioner`."""

    def __init__(self, asker: Asker, threshold: float | None) -> None:
        super().__init__(asker, CAPTIONS, threshold)
        if not isinstance(asker.service, Captions):
            raise ConfigError(f"{asker.service.name} makes no captions")
        self._service: Captions = asker.service

    def caption(self, images: Sequence[Image.Image], tags: Sequence[Sequence[Tag]]) -> list[str]:  # noqa: ARG002
        return self._read(images, lambda answer: self._service.caption(answer, self._least), "")


class Clouds:
    """The services of one profile: each is asked once for all the tasks that it has there."""

    def __init__(self, choice: ProfileChoice) -> None:
        self._choice = choice
        self._askers: dict[ModelSpec, Asker] = {}

    def tagger(self, task: str, spec: ModelSpec) -> CloudTagger:
        return CloudTagger(self._asker(spec), task, spec.threshold)

    def captioner(self, spec: ModelSpec) -> CloudCaptioner:
        return CloudCaptioner(self._asker(spec), spec.threshold)

    def _asker(self, spec: ModelSpec) -> Asker:
        """Return who asks the service that a task names. Raises ModelUnavailable where its client is not installed."""
        for known, asker in self._askers.items():
            if _group(known) == _group(spec):
                return asker
        tasks = [task for task, other in self._choice.tasks.items() if _group(other) == _group(spec)]
        try:
            from indexer.cloud.asking import Asker

            service = _SERVICES[spec.library](spec)
        except ImportError as error:
            raise ModelUnavailable(f"{spec.library} needs its client: run `pip install 'snapseek[cloud]'`") from error
        asker = self._askers[spec] = Asker(
            service, tasks, self._ledger, self._options, attempts=spec.attempts, pause_s=spec.pause_s
        )
        return asker

    @cached_property
    def _options(self) -> CloudOptions:
        if self._choice.tasks.cloud is None:
            raise ConfigError("cloud services are for profiles with a table [cloud]")
        return self._choice.tasks.cloud

    @cached_property
    def _ledger(self) -> Ledger:
        budget = round(self._options.budget * MICRO)
        return Ledger(ledger_path(self._choice), budget=budget, currency=self._options.currency)


def ledger_path(choice: ProfileChoice) -> Path:
    """Return the file that knows what a profile has spent: beside it, so that whoever uses it shares the budget."""
    return (choice.folder or Path()) / f"{Path(choice.name).stem}.cloud.sqlite"


def _group(spec: ModelSpec) -> tuple[object, ...]:
    """Return what tasks must have in common to be asked together: all but the threshold, which is for reading."""
    return spec.library, spec.model, spec.endpoint, spec.prompt, spec.max_tokens, spec.attempts, spec.pause_s


def is_cloud(spec: ModelSpec) -> bool:
    return spec.library in CLOUD


def _rekognition(spec: ModelSpec) -> Service:
    from indexer.cloud.rekognition import Rekognition

    return Rekognition(spec)


def _google(spec: ModelSpec) -> Service:
    from indexer.cloud.google_vision import GoogleVision

    return GoogleVision(spec)


def _azure(spec: ModelSpec) -> Service:
    from indexer.cloud.azure_vision import AzureVision

    return AzureVision(spec)


def _openai(spec: ModelSpec) -> Service:
    from indexer.cloud.openai_vision import OpenAiVision

    return OpenAiVision(spec)


_SERVICES: dict[str, Callable[[ModelSpec], Service]] = {
    "rekognition": _rekognition,
    "google-vision": _google,
    "azure-vision": _azure,
    "openai": _openai,
}
