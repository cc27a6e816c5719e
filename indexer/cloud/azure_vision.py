"""Azure AI Vision, Image Analysis 4.0: https://learn.microsoft.com/azure/ai-services/computer-vision/

The key is in AZURE_VISION_KEY; the resource's address is the profile's `endpoint`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from azure.ai.vision.imageanalysis import ImageAnalysisClient
from azure.ai.vision.imageanalysis.models import VisualFeatures
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError, ServiceResponseError

from indexer.cloud.service import Asked, CloudUnavailable, PictureRefused, Raw, seconds
from search.boxes import corners
from search.profile_file import ModelSpec
from search.types import Tag, TagKind

KEY = "AZURE_VISION_KEY"
FEATURES = {
    "objects": VisualFeatures.OBJECTS,
    "classes": VisualFeatures.TAGS,
    "text": VisualFeatures.READ,
    "captions": VisualFeatures.CAPTION,
}
PARTS = {"objects": "objectsResult", "classes": "tagsResult", "text": "readResult", "captions": "captionResult"}
REFUSED = (400, 413, 415, 422)


class AzureVision:
    """Satisfies `indexer.cloud.service.Service`."""

    name = "azure-vision"
    source = "azure-vision"
    side = 1600
    least = 0.5
    fingerprint = "azure-vision 1"

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    @cached_property
    def _client(self) -> ImageAnalysisClient:
        key, spec = os.environ.get(KEY, ""), self._spec
        if not key or not spec.endpoint:
            raise CloudUnavailable(f"Azure AI Vision needs its key in {KEY} and the resource's address as `endpoint`")
        client = ImageAnalysisClient(
            spec.endpoint,
            AzureKeyCredential(key),
            retry_total=0,
            connection_timeout=10,
            read_timeout=30,
        )
        weakref.finalize(self, client.close)
        return client

    def requests(self, tasks: Sequence[str]) -> Sequence[Sequence[str]]:
        return [tasks] if tasks else []

    def charged(self, tasks: Sequence[str]) -> Sequence[str]:
        return tasks

    def ask(self, jpeg: bytes, tasks: Sequence[str]) -> Asked:
        try:
            answer: Any = self._client.analyze(jpeg, [FEATURES[task] for task in tasks]).as_dict()
        except HttpResponseError as error:
            told = "Azure AI Vision: " + error.message.partition("\n")[0]
            if error.status_code in REFUSED:
                raise PictureRefused(told) from error
            status, headers = error.status_code or 0, getattr(error.response, "headers", None)
            raise CloudUnavailable(told, passing=status == 429 or status >= 500, wait_s=seconds(headers)) from error
        except ServiceResponseError as error:  # it was sent
            raise CloudUnavailable("Azure AI Vision did not answer", passing=True, charged=True) from error
        except AzureError as error:
            raise CloudUnavailable(
                f"Azure AI Vision cannot be asked: {error}", passing=isinstance(error, ServiceRequestError)
            ) from error
        size = answer["metadata"]
        return Asked({task: {"size": size, "said": answer.get(PARTS[task])} for task in tasks})

    def tags(self, task: str, answer: Raw, least: float) -> list[Tag]:
        tags = _READERS[task](self, answer["size"], answer["said"] or {})
        return [tag for tag in tags if tag.confidence >= least]

    def caption(self, answer: Raw, least: float) -> str:
        said = answer["said"] or {}
        text = str(said.get("text", "")) if said.get("confidence", 0.0) >= least else ""
        return text[:1].upper() + text[1:]

    def _objects(self, size: Raw, said: Raw) -> list[Tag]:
        tags = []
        for one in said.get("values", ()):
            place = one["boundingBox"]
            box = corners(
                place["x"] / size["width"],
                place["y"] / size["height"],
                (place["x"] + place["w"]) / size["width"],
                (place["y"] + place["h"]) / size["height"],
            )
            tags += [
                Tag(TagKind.OBJECT, tag["name"].lower(), min(1.0, tag["confidence"]), self.source, box)
                for tag in one["tags"][:1]
            ]
        return tags

    def _classes(self, size: Raw, said: Raw) -> list[Tag]:  # noqa: ARG002
        return [
            Tag(TagKind.CLASS, one["name"].lower(), min(1.0, one["confidence"]), self.source)
            for one in said.get("values", ())
        ]

    def _text(self, size: Raw, said: Raw) -> list[Tag]:
        tags = []
        for block in said.get("blocks", ()):
            for line in block["lines"]:
                across = [end["x"] / size["width"] for end in line["boundingPolygon"]]
                down = [end["y"] / size["height"] for end in line["boundingPolygon"]]
                sure = [word["confidence"] for word in line["words"]] or [1.0]
                box = corners(min(across), min(down), max(across), max(down)) if across else None
                if line["text"].strip():
                    tags.append(
                        Tag(TagKind.TEXT, line["text"].strip(), min(1.0, sum(sure) / len(sure)), self.source, box)
                    )
        return tags


_READERS: dict[str, Callable[[AzureVision, Raw, Raw], list[Tag]]] = {
    "objects": AzureVision._objects,
    "classes": AzureVision._classes,
    "text": AzureVision._text,
}
