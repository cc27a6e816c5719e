"""Any endpoint that speaks OpenAI's chat completions with pictures: OpenAI's own, vLLM, Ollama, llama.cpp and others.

https://platform.openai.com/docs/guides/images-vision – the key is in OPENAI_API_KEY.
"""

from __future__ import annotations

import base64
import hashlib
import os
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import openai
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.cloud.service import Asked, CloudUnavailable, PictureRefused, Raw, seconds
from search.profile_file import ModelSpec
from search.types import Tag, TagKind

PROMPT = (
    "You describe pictures for a search engine. Look at the picture and fill in the fields that are asked for, in"
    " English, saying only what is to be seen. Labels are single nouns or short noun phrases in lower case and in the"
    " singular. A confidence is a number from 0 to 1."
)
TASKS = {
    "captions": "caption: one sentence of at most 30 words, without 'a photo of'.",
    "classes": "labels: up to 15 things, places and activities in the picture, each with its confidence.",
    "text": "text: the lines of text in the picture, as they are written.",
    "moderation": "moderation: confidences that the picture shows adult content, violence, or symbols of hate.",
}
FIELDS = {"captions": "caption", "classes": "labels", "text": "text", "moderation": "moderation"}
TIMEOUT_S = 60.0
WRONG_CALL = ("unsupported_parameter", "unsupported_value", "invalid_api_key", "model_not_found")
"""Codes of errors that every picture would get."""
Share = Annotated[float, Field(ge=0, le=1)]


class _Label(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=100)
    confidence: Share


class _Moderation(BaseModel):
    model_config = ConfigDict(extra="ignore")

    adult: Share
    violence: Share
    hate: Share


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore")

    caption: str | None = Field(None, max_length=1000)
    labels: list[_Label] | None = Field(None, max_length=100)
    text: list[Annotated[str, Field(max_length=1000)]] | None = Field(None, max_length=500)
    moderation: _Moderation | None = None


class OpenAiVision:
    """Satisfies `indexer.cloud.service.Service`."""

    name = "openai"
    side = 1024
    least = 0.5

    def __init__(self, spec: ModelSpec) -> None:
        self._model = spec.model
        self._max_tokens = spec.answer_tokens
        self._prompt = spec.prompt or PROMPT
        self.source = spec.model
        told = hashlib.sha256(repr((self._prompt, TASKS)).encode()).hexdigest()[:12]
        self.fingerprint = f"openai 1 {spec.endpoint} {spec.model} {told}"
        self._spec = spec

    @cached_property
    def _client(self) -> openai.OpenAI:
        key, spec = os.environ.get("OPENAI_API_KEY", ""), self._spec
        if not key and not spec.endpoint:
            raise CloudUnavailable("OpenAI needs its key in OPENAI_API_KEY")
        client = openai.OpenAI(api_key=key or "none", base_url=spec.endpoint or None, max_retries=0, timeout=TIMEOUT_S)
        weakref.finalize(self, client.close)
        return client

    def requests(self, tasks: Sequence[str]) -> Sequence[Sequence[str]]:
        return [tasks] if tasks else []

    def charged(self, tasks: Sequence[str]) -> Sequence[str]:
        return tasks[:1]  # one request, paid by its tokens

    def ask(self, jpeg: bytes, tasks: Sequence[str]) -> Asked:
        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                max_tokens=self._max_tokens,
                temperature=0,
                response_format={"type": "json_schema", "json_schema": _schema(tasks)},
                messages=[
                    {"role": "system", "content": self._prompt},
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "\n".join(TASKS[task] for task in tasks)},
                            {
                                "type": "image_url",
                                "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"},
                            },
                        ],
                    },
                ],
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if error.code in WRONG_CALL:
                raise CloudUnavailable(f"{self._model} cannot be asked: {error.message}") from error
            raise PictureRefused(f"{self._model} refused it: {error.message}") from error
        except openai.APITimeoutError as error:
            told = f"{self._model} did not answer in time"
            raise CloudUnavailable(told, passing=True, charged=True) from error
        except openai.APIStatusError as error:
            # A quota that is used up has the status of too many requests, but does not pass.
            passing = error.status_code >= 500 or (error.status_code == 429 and error.code != "insufficient_quota")
            raise CloudUnavailable(
                f"{self._model} cannot be asked: {error.message}",
                passing=passing,
                wait_s=seconds(error.response.headers),
            ) from error
        except openai.APIConnectionError as error:
            raise CloudUnavailable(f"{self._model} cannot be asked: {error.message}", passing=True) from error
        except openai.OpenAIError as error:
            raise CloudUnavailable(f"{self._model} cannot be asked: {error}") from error
        tokens = (answer.usage.prompt_tokens, answer.usage.completion_tokens) if answer.usage else None
        message = answer.choices[0].message if answer.choices else None
        if message is None or message.refusal or not message.content:
            refusal = (message.refusal if message else "") or "no answer"
            raise PictureRefused(f"{self._model} refused it: {refusal}", charged=True, tokens=tokens)
        try:
            said = _Said.model_validate_json(message.content)
        except ValidationError as error:
            reason = f"{self._model} gave no usable answer: {error.errors()[0]['msg']}"
            raise PictureRefused(reason, charged=True, tokens=tokens) from error
        answers = said.model_dump()
        return Asked({task: answers[FIELDS[task]] for task in tasks if answers[FIELDS[task]] is not None}, tokens)

    def tags(self, task: str, answer: Raw, least: float) -> list[Tag]:
        if task == "text":
            return [Tag(TagKind.TEXT, line.strip(), 0.9, self.source) for line in answer if line.strip()]
        if task == "moderation":
            return [Tag(TagKind.MODERATION, name, share, self.source) for name, share in answer.items() if share >= 0.1]
        labels = sorted(answer, key=lambda one: -one["confidence"])
        return [
            Tag(TagKind.CLASS, one["name"].strip().lower(), one["confidence"], self.source)
            for one in labels
            if one["confidence"] >= least and one["name"].strip()
        ]

    def caption(self, answer: Raw, least: float) -> str:  # noqa: ARG002
        return " ".join(str(answer).split())


def _schema(tasks: Sequence[str]) -> Any:
    share = {"type": "number"}
    label = _object({"name": {"type": "string"}, "confidence": share})
    fields = {
        "captions": {"type": "string"},
        "classes": {"type": "array", "items": label},
        "text": {"type": "array", "items": {"type": "string"}},
        "moderation": _object({"adult": share, "violence": share, "hate": share}),
    }
    return {"name": "picture", "strict": True, "schema": _object({FIELDS[task]: fields[task] for task in tasks})}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
