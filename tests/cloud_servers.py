"""Cloud services on this machine: real protocols, answers in the shapes that each documents, failures as told.

Shapes: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectModerationLabels.html,
https://cloud.google.com/vision/docs/reference/rest/v1/AnnotateImageResponse,
https://learn.microsoft.com/rest/api/computervision/image-analysis/analyze, https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

NUMBERS = {4: "LABEL_DETECTION", 5: "TEXT_DETECTION", 6: "SAFE_SEARCH_DETECTION", 19: "OBJECT_LOCALIZATION"}
"""Of Google's features, which its client sends instead of their names."""
REFUSED_WIDTH = 77
Answer = tuple[int, dict[str, str], Any]


class CloudServer:
    """A context manager. ``failures``: answers that are given first, each once."""

    def __init__(self, answer: Callable[[str, dict[str, str], bytes], Answer], port: int = 0) -> None:
        self.failures: list[Answer] = []
        self.refusal: Answer | None = None
        """The answer to a picture of `REFUSED_WIDTH`."""
        self.asked: list[tuple[str, Any]] = []
        """Paths, and the pictures that came with them."""
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with server._lock:
                    server.asked.append((self.path, body))
                    server._now += 1
                    server.most_at_once = max(server.most_at_once, server._now)
                    failure = server.failures.pop(0) if server.failures else None
                time.sleep(0.01)
                try:
                    status, headers, document = failure or answer(self.path, dict(self.headers), body)
                except _Refused:
                    status, headers, document = server.refusal or (500, {}, {})
                told = json.dumps(document).encode()
                with server._lock:
                    server._now -= 1
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> CloudServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def rekognition() -> CloudServer:
    box = {"Left": 0.1, "Top": 0.2, "Width": 0.5, "Height": 0.9}
    labels = [
        {"Name": "Dog", "Confidence": 97.5, "Instances": [{"BoundingBox": box, "Confidence": 96.0}],
         "Parents": [{"Name": "Animal"}, {"Name": "Pet"}]},
        {"Name": "Beach", "Confidence": 88.0, "Instances": [], "Parents": [{"Name": "Nature"}]},
    ]  # fmt: skip
    moderation = [
        {"Name": "Weapons", "ParentName": "Violence", "Confidence": 91.0, "TaxonomyLevel": 2},
        {"Name": "Violence", "ParentName": "", "Confidence": 91.0, "TaxonomyLevel": 1},
        {"Name": "Alcohol", "ParentName": "", "Confidence": 60.0, "TaxonomyLevel": 1},
    ]
    text = [
        {"DetectedText": "OPEN DAY", "Type": "LINE", "Id": 0, "Confidence": 99.0, "Geometry": {"BoundingBox": box}},
        {"DetectedText": "OPEN", "Type": "WORD", "Id": 1, "ParentId": 0, "Confidence": 99.0, "Geometry": {}},
    ]
    parts = {
        "DetectLabels": {"Labels": labels, "LabelModelVersion": "3.0"},
        "DetectModerationLabels": {"ModerationLabels": moderation, "ModerationModelVersion": "7.0"},
        "DetectText": {"TextDetections": text, "TextModelVersion": "3.0"},
    }

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        target = {name.lower(): value for name, value in headers.items()}["x-amz-target"].rpartition(".")[2]
        check(base64.b64decode(json.loads(body)["Image"]["Bytes"]))
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, parts[target]

    return CloudServer(answer)


def google() -> CloudServer:
    def word(text: str, kind: str, x: int) -> dict[str, Any]:
        symbols: list[dict[str, Any]] = [{"text": letter, "confidence": 0.9} for letter in text]
        symbols[-1]["property"] = {"detectedBreak": {"type": kind}}
        ends = [{"x": x, "y": 10}, {"x": x + 20, "y": 10}, {"x": x + 20, "y": 20}, {"x": x, "y": 20}]
        return {"symbols": symbols, "confidence": 0.9, "boundingBox": {"vertices": ends}}

    words = [
        word("OPEN", "SPACE", 10),
        word("DAY", "LINE_BREAK", 40),
        word("14", "SPACE", 10),
        word("May", "LINE_BREAK", 40),
    ]
    ends = [{"x": 0.1, "y": 0.2}, {"x": 0.6, "y": 0.2}, {"x": 0.6, "y": 0.9}, {"x": 0.1, "y": 0.9}]
    labels = [{"description": "Dog", "score": 0.97}, {"description": "Sky", "score": 0.3}]
    parts = {
        "LABEL_DETECTION": ("labelAnnotations", labels),
        "OBJECT_LOCALIZATION": (
            "localizedObjectAnnotations", [{"name": "Dog", "score": 0.9, "boundingPoly": {"normalizedVertices": ends}}],
        ),
        "SAFE_SEARCH_DETECTION": (
            "safeSearchAnnotation",
            {"adult": "VERY_UNLIKELY", "spoof": "LIKELY", "medical": "UNLIKELY", "violence": "LIKELY",
             "racy": "POSSIBLE"},
        ),
        "TEXT_DETECTION": (
            "fullTextAnnotation",
            {"text": "OPEN DAY\n14 May\n",
             "pages": [{"width": 100, "height": 50, "blocks": [{"paragraphs": [{"words": words}]}]}]},
        ),
    }  # fmt: skip

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        (request,) = json.loads(body)["requests"]
        check(base64.b64decode(request["image"]["content"]))
        return (
            200,
            {},
            {"responses": [dict(parts[NUMBERS.get(one["type"], one["type"])] for one in request["features"])]},
        )

    return CloudServer(answer)


def azure() -> CloudServer:
    place = {"x": 10, "y": 20, "w": 50, "h": 30}
    polygon = [{"x": 10, "y": 10}, {"x": 60, "y": 10}, {"x": 60, "y": 20}, {"x": 10, "y": 20}]
    line = {"text": "OPEN DAY", "boundingPolygon": polygon,
            "words": [{"text": "OPEN", "boundingPolygon": polygon, "confidence": 0.98}]}  # fmt: skip
    parts = {
        "tags": ("tagsResult", {"values": [{"name": "Dog", "confidence": 0.97}, {"name": "sky", "confidence": 0.2}]}),
        "objects": (
            "objectsResult", {"values": [{"boundingBox": place, "tags": [{"name": "dog", "confidence": 0.9}]}]},
        ),
        "read": ("readResult", {"blocks": [{"lines": [line]}]}),
        "caption": ("captionResult", {"text": "a dog on a beach", "confidence": 0.8}),
    }  # fmt: skip

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        wanted = path.partition("features=")[2].partition("&")[0].replace("%2C", ",").split(",")
        width, height = check(body)
        document = {"modelVersion": "2023-10-01", "metadata": {"width": width, "height": height}}
        return 200, {}, document | dict(parts[one] for one in wanted)

    return CloudServer(answer)


def openai(said: Callable[[], Any] | None = None, port: int = 0) -> CloudServer:
    picture = {
        "caption": "A dog on a beach",
        "labels": [
            {"name": "Dog", "confidence": 0.9},
            {"name": "beach", "confidence": 0.95},
            {"name": "ball", "confidence": 0.1},
        ],
        "text": ["OPEN DAY", " "],
        "moderation": {"adult": 0.01, "violence": 0.2, "hate": 0.0},
    }  # fmt: skip

    def answer(path: str, headers: dict[str, str], body: bytes) -> Answer:
        asked = json.loads(body)
        address = asked["messages"][1]["content"][1]["image_url"]["url"]
        check(base64.b64decode(address.removeprefix("data:image/jpeg;base64,")))
        wanted = asked["response_format"]["json_schema"]["schema"]["properties"]
        content = said() if said else json.dumps({name: picture[name] for name in wanted})
        message = content if isinstance(content, dict) else {"role": "assistant", "content": content, "refusal": None}
        return 200, {}, {
            "id": "1", "object": "chat.completion", "created": 1, "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }  # fmt: skip

    return CloudServer(answer, port)


def check(data: bytes) -> tuple[int, int]:
    """Assert that what was sent is a small picture that tells nothing but itself."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert max(image.size) <= 1600
        assert not image.getexif()
        if image.width == REFUSED_WIDTH:
            raise _Refused
        return image.size


class _Refused(Exception):
    pass
