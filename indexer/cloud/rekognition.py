"""Amazon Rekognition: https://docs.aws.amazon.com/rekognition/latest/dg/images.html

Keys and region come from where the AWS client looks for them: variables, files, roles.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, ReadTimeoutError

from indexer.cloud.service import Asked, CloudUnavailable, PictureRefused, Raw, seconds
from search.boxes import corners
from search.profile_file import ModelSpec
from search.types import Box, Tag, TagKind

LEAST_ASKED = 20.0
"""Percent from which labels are asked for: what is kept of them is chosen when they are read, at no further cost."""
REFUSED = ("ImageTooLargeException", "InvalidImageFormatException", "InvalidParameterException")
PASSING = ("ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError")
LABELS = {
    "explicit": "adult",
    "explicit nudity": "adult",
    "non-explicit nudity of intimate parts and kissing": "adult",
    "violence": "violence",
    "visually disturbing": "disturbing",
    "hate symbols": "hate",
    "drugs & tobacco": "drugs",
    "alcohol": "alcohol",
    "gambling": "gambling",
    "rude gestures": "rude",
}
"""Our categories by the first level of its own: https://docs.aws.amazon.com/rekognition/latest/dg/moderation-api.html"""


class Rekognition:
    """Satisfies `indexer.cloud.service.Service`."""

    name = "rekognition"
    source = "rekognition"
    side = 1600
    least = 0.55
    fingerprint = f"rekognition 1 {LEAST_ASKED:g}"

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    @cached_property
    def _client(self) -> Any:
        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=30, connect_timeout=10)
        try:
            client = boto3.client("rekognition", endpoint_url=self._spec.endpoint or None, config=config)
        except BotoCoreError as error:
            raise CloudUnavailable(f"Rekognition cannot be asked: {error}") from error
        weakref.finalize(self, client.close)
        return client

    def requests(self, tasks: Sequence[str]) -> Sequence[Sequence[str]]:
        labels = [task for task in tasks if task in ("objects", "classes")]
        return [one for one in (labels, *([task] for task in ("text", "moderation") if task in tasks)) if one]

    def charged(self, tasks: Sequence[str]) -> Sequence[str]:
        return tasks[:1]  # objects and classes are one answer

    def ask(self, jpeg: bytes, tasks: Sequence[str]) -> Asked:
        image = {"Bytes": jpeg}
        if "moderation" in tasks:
            said = self._call(self._client.detect_moderation_labels, Image=image, MinConfidence=LEAST_ASKED)
            return Asked({"moderation": said["ModerationLabels"]})
        if "text" in tasks:
            return Asked({"text": self._call(self._client.detect_text, Image=image)["TextDetections"]})
        labels = self._call(self._client.detect_labels, Image=image, MinConfidence=LEAST_ASKED)["Labels"]
        return Asked(dict.fromkeys(tasks, labels))

    def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return method(**arguments)
        except ClientError as error:
            answer = error.response
            code, told = answer["Error"].get("Code", ""), answer["Error"].get("Message", "")
            if code in REFUSED:
                raise PictureRefused(f"Rekognition refused it: {told or code}") from error
            status = answer["ResponseMetadata"].get("HTTPStatusCode", 0)
            raise CloudUnavailable(
                f"Rekognition: {error}",
                passing=code in PASSING or status == 429 or status >= 500,
                wait_s=seconds(answer["ResponseMetadata"].get("HTTPHeaders")),
            ) from error
        except ReadTimeoutError as error:
            raise CloudUnavailable("Rekognition did not answer in time", passing=True, charged=True) from error
        except NoCredentialsError as error:
            raise CloudUnavailable("Rekognition needs the keys of AWS, in variables, files or a role") from error
        except BotoCoreError as error:
            raise CloudUnavailable(
                f"Rekognition cannot be asked: {error}", passing=isinstance(error, HTTPClientError)
            ) from error

    def tags(self, task: str, answer: Raw, least: float) -> list[Tag]:
        return [tag for tag in _READERS[task](self, answer) if tag.confidence >= least]

    def _objects(self, labels: Raw) -> list[Tag]:
        return [
            self._tag(TagKind.OBJECT, label["Name"], instance.get("Confidence", label["Confidence"]), _box(instance))
            for label in labels
            for instance in label.get("Instances", ())
        ]

    def _classes(self, labels: Raw) -> list[Tag]:
        """Return labels and their parents: a parent is as sure as its surest child."""
        found: dict[str, float] = {}
        for label in labels:
            for name in (label["Name"], *(parent["Name"] for parent in label.get("Parents", ()))):
                found[name] = max(found.get(name, 0.0), label["Confidence"])
        return [self._tag(TagKind.CLASS, name, confidence) for name, confidence in _surest(found)]

    def _moderation(self, labels: Raw) -> list[Tag]:
        parents = {label["Name"]: label.get("ParentName", "") for label in labels}
        found: dict[str, float] = {}
        for label in labels:
            name = label["Name"]
            while parents.get(name):
                name = parents[name]
            category = LABELS.get(name.lower(), name.lower())
            found[category] = max(found.get(category, 0.0), label["Confidence"])
        return [self._tag(TagKind.MODERATION, name, confidence) for name, confidence in _surest(found)]

    def _text(self, lines: Raw) -> list[Tag]:
        return [
            self._tag(
                TagKind.TEXT, line["DetectedText"], line["Confidence"], _box(line.get("Geometry", {})), fold=False
            )
            for line in lines
            if line.get("Type") == "LINE" and line["DetectedText"].strip()
        ]

    def _tag(self, kind: TagKind, label: str, percent: float, box: Box | None = None, *, fold: bool = True) -> Tag:
        return Tag(kind, label.lower() if fold else label.strip(), min(1.0, percent / 100), self.source, box)


def _surest(found: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda one: -one[1])


def _box(holder: Raw) -> Box | None:
    given = holder.get("BoundingBox")
    if not given:
        return None
    return corners(given["Left"], given["Top"], given["Left"] + given["Width"], given["Top"] + given["Height"])


_READERS: dict[str, Callable[[Rekognition, Raw], list[Tag]]] = {
    "objects": Rekognition._objects,
    "classes": Rekognition._classes,
    "moderation": Rekognition._moderation,
    "text": Rekognition._text,
}
