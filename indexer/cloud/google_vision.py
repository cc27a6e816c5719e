"""Google Cloud Vision: https://cloud.google.com/vision/docs/features-list

The credentials are those that Google's client finds: GOOGLE_APPLICATION_CREDENTIALS, or the machine's own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import requests
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import vision

from indexer.cloud.service import Asked, CloudUnavailable, PictureRefused, Raw, seconds
from search.boxes import corners
from search.profile_file import ModelSpec
from search.types import Tag, TagKind

FEATURES = {
    "objects": "OBJECT_LOCALIZATION",
    "classes": "LABEL_DETECTION",
    "text": "TEXT_DETECTION",
    "moderation": "SAFE_SEARCH_DETECTION",
}
LIKELIHOOD = {"VERY_UNLIKELY": 0.05, "UNLIKELY": 0.2, "POSSIBLE": 0.5, "LIKELY": 0.8, "VERY_LIKELY": 0.95}
"""Google tells words, not numbers; these are ours, evenly apart, so that `LIKELY` is flagged and `POSSIBLE` is not."""
CATEGORIES = {"adult": "adult", "racy": "racy", "violence": "violence", "medical": "medical"}
REFUSED = {3, 9, 11}
"""Codes of an answer to one picture: bad argument, failed precondition, out of range."""
PASSING_CODES = {4, 8, 13, 14}
"""Deadline exceeded, resource exhausted, internal, unavailable."""
PASSING = (
    exceptions.TooManyRequests,
    exceptions.ServiceUnavailable,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.GatewayTimeout,
)


class GoogleVision:
    """Satisfies `indexer.cloud.service.Service`."""

    name = "google-vision"
    source = "google-vision"
    side = 1600
    least = 0.5
    fingerprint = "google-vision 1"

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    @cached_property
    def _client(self) -> vision.ImageAnnotatorClient:
        endpoint = self._spec.endpoint
        options = ClientOptions(api_endpoint=endpoint) if endpoint else None
        # An endpoint of one's own without encryption takes no credentials.
        credentials = AnonymousCredentials() if endpoint.startswith("http://") else None  # type: ignore[no-untyped-call]
        try:
            client = vision.ImageAnnotatorClient(transport="rest", client_options=options, credentials=credentials)
        except GoogleAuthError as error:
            raise CloudUnavailable(f"Google Cloud Vision cannot be asked: {error}") from error
        weakref.finalize(self, client.transport.close)
        return client

    def requests(self, tasks: Sequence[str]) -> Sequence[Sequence[str]]:
        return [tasks] if tasks else []

    def charged(self, tasks: Sequence[str]) -> Sequence[str]:
        return tasks

    def ask(self, jpeg: bytes, tasks: Sequence[str]) -> Asked:
        features = [vision.Feature(type_=FEATURES[task], max_results=50) for task in tasks]
        request = vision.AnnotateImageRequest(image=vision.Image(content=jpeg), features=features)
        try:
            (answer,) = self._client.batch_annotate_images(requests=[request], retry=None, timeout=30).responses
        except exceptions.BadRequest as error:
            raise PictureRefused(f"Google Cloud Vision refused it: {error.message}") from error
        except (exceptions.DeadlineExceeded, requests.ReadTimeout) as error:
            raise CloudUnavailable("Google Cloud Vision did not answer in time", passing=True, charged=True) from error
        except (exceptions.GoogleAPIError, GoogleAuthError, ValueError, OSError) as error:
            raise CloudUnavailable(
                f"Google Cloud Vision: {error}",
                passing=isinstance(error, (*PASSING, requests.ConnectionError)),
                wait_s=seconds(getattr(getattr(error, "response", None), "headers", None)),
            ) from error
        if answer.error.code:
            told = f"Google Cloud Vision: {answer.error.message}"
            if answer.error.code in REFUSED:
                raise PictureRefused(told)
            raise CloudUnavailable(told, passing=answer.error.code in PASSING_CODES)
        said: dict[str, Any] = type(answer).to_dict(answer, use_integers_for_enums=False)
        parts = {
            "objects": "localized_object_annotations",
            "classes": "label_annotations",
            "text": "full_text_annotation",
            "moderation": "safe_search_annotation",
        }
        return Asked({task: said[parts[task]] for task in tasks})

    def tags(self, task: str, answer: Raw, least: float) -> list[Tag]:
        # Words for likelihoods are no measure that a threshold was meant for.
        return [tag for tag in _READERS[task](self, answer) if tag.confidence >= least or task == "moderation"]

    def _objects(self, found: Raw) -> list[Tag]:
        tags = []
        for one in found:
            ends = one["bounding_poly"]["normalized_vertices"]
            across, down = [end["x"] for end in ends], [end["y"] for end in ends]
            box = corners(min(across), min(down), max(across), max(down)) if ends else None
            tags.append(Tag(TagKind.OBJECT, one["name"].lower(), min(1.0, one["score"]), self.source, box))
        return tags

    def _classes(self, found: Raw) -> list[Tag]:
        return [Tag(TagKind.CLASS, one["description"].lower(), min(1.0, one["score"]), self.source) for one in found]

    def _moderation(self, found: Raw) -> list[Tag]:
        return [
            Tag(TagKind.MODERATION, ours, LIKELIHOOD[found[theirs]], self.source)
            for theirs, ours in CATEGORIES.items()
            if LIKELIHOOD.get(found[theirs], 0.0) >= LIKELIHOOD["UNLIKELY"]
        ]

    def _text(self, found: Raw) -> list[Tag]:
        """Return a tag a line: words are joined up to where the service saw a line's end."""
        tags = []
        for page in found["pages"]:
            width, height = page["width"] or 1, page["height"] or 1
            words = (w for block in page["blocks"] for one in block["paragraphs"] for w in one["words"])
            line: list[str] = []
            ends: list[tuple[float, float]] = []
            sure: list[float] = []
            for word in words:
                line.append("".join(symbol["text"] for symbol in word["symbols"]))
                ends += [(end["x"] / width, end["y"] / height) for end in word["bounding_box"]["vertices"]]
                sure.append(word["confidence"])
                if _ends_line(word):
                    tags.append(_line(line, ends, sure, self.source))
                    line, ends, sure = [], [], []
            if line:
                tags.append(_line(line, ends, sure, self.source))
        return tags


def _ends_line(word: Raw) -> bool:
    symbols = word["symbols"]
    kind = symbols[-1].get("property", {}).get("detected_break", {}).get("type_", "") if symbols else ""
    return kind in ("LINE_BREAK", "EOL_SURE_SPACE")


def _line(words: list[str], ends: list[tuple[float, float]], sure: list[float], source: str) -> Tag:
    across, down = [x for x, _ in ends], [y for _, y in ends]
    box = corners(min(across), min(down), max(across), max(down)) if ends else None
    return Tag(TagKind.TEXT, " ".join(words), min(1.0, sum(sure) / len(sure)), source, box)


_READERS: dict[str, Callable[[GoogleVision, Raw], list[Tag]]] = {
    "objects": GoogleVision._objects,
    "classes": GoogleVision._classes,
    "moderation": GoogleVision._moderation,
    "text": GoogleVision._text,
}
