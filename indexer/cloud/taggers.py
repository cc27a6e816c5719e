"""Tasks of a profile that a cloud service does, as taggers and a captioner like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image

from indexer.cloud.asking import Asker
from indexer.cloud.ledger import MICRO, Ledger
from indexer.cloud.service import Service
from search.errors import ConfigError, ModelUnavailable
from search.profile_file import CLOUD, CloudOptions, ModelSpec, ProfileChoice
from search.types import Matrix, Tag, TagKind

KINDS = {
    "objects": frozenset({TagKind.OBJECT}),
    "classes": frozenset({TagKind.CLASS}),
    "text": frozenset({TagKind.TEXT}),
    "moderation": frozenset({TagKind.MODERATION}),
}


class CloudTagger:
    """Satisfies `search.protocols.Tagger`."""

    def __init__(self, asker: Asker, task: str) -> None:
        self._asker = asker
        self._task = task
        self.source = asker.service.source
        self.kinds = KINDS[task]
        self.fingerprint = f"{asker.service.fingerprint} {task}"
        self.side = asker.service.side

    def tag(self, images: Sequence[Image.Image], vectors: Matrix) -> list[list[Tag]]:  # noqa: ARG002
        return [self._asker.service.tags(self._task, answer) for answer in self._asker.answers(images, self._task)]


class CloudCaptioner:
    """Satisfies `search.protocols.Captioner`."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.source = asker.service.source
        self.fingerprint = f"{asker.service.fingerprint} captions"
        self.side = asker.service.side

    def caption(self, images: Sequence[Image.Image], tags: Sequence[Sequence[Tag]]) -> list[str]:  # noqa: ARG002
        return [self._asker.service.caption(answer) for answer in self._asker.answers(images, "captions")]


class Clouds:
    """The services of one profile: each is asked once for all the tasks that it has there."""

    def __init__(self, choice: ProfileChoice) -> None:
        self._choice = choice
        self._askers: dict[ModelSpec, Asker] = {}

    def tagger(self, task: str, spec: ModelSpec) -> CloudTagger:
        return CloudTagger(self.asker(spec), task)

    def captioner(self, spec: ModelSpec) -> CloudCaptioner:
        return CloudCaptioner(self.asker(spec))

    def asker(self, spec: ModelSpec) -> Asker:
        """Return who asks the service that a task names. Raises ModelUnavailable where its client is not installed."""
        group = spec.library, spec.model, spec.endpoint
        for known, asker in self._askers.items():
            if (known.library, known.model, known.endpoint) == group:
                return asker
        tasks = [
            task for task, other in self._choice.tasks.items() if (other.library, other.model, other.endpoint) == group
        ]
        asker = self._askers[spec] = Asker(_service(spec), tasks, self.ledger, self.options)
        return asker

    @property
    def options(self) -> CloudOptions:
        if self._choice.tasks.cloud is None:
            raise ConfigError("cloud services are for profiles with a table [cloud]")
        return self._choice.tasks.cloud

    @cached_property
    def ledger(self) -> Ledger:
        budget = round(self.options.budget * MICRO)
        return Ledger(ledger_path(self._choice), budget=budget, currency=self.options.currency)

    def askers(self) -> list[Asker]:
        """Return who asks each service of the profile."""
        for _, spec in self._choice.tasks.items():
            if is_cloud(spec):
                self.asker(spec)
        return list(self._askers.values())


def ledger_path(choice: ProfileChoice) -> Path:
    """Return the file that knows what a profile has spent: beside it, so that whoever uses it shares the budget."""
    return (choice.folder or Path()) / f"{Path(choice.name).stem}.cloud.sqlite"


def is_cloud(spec: ModelSpec) -> bool:
    return spec.library in CLOUD


def _service(spec: ModelSpec) -> Service:
    try:
        return _SERVICES[spec.library](spec)
    except ImportError as error:
        raise ModelUnavailable(f"{spec.library} needs its client: run `pip install 'snapseek[cloud]'`") from error


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
