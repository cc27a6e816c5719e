"""Which models a profile is made of: a built-in one by name, or a TOML file of one's own."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from search.errors import ConfigError

NAMES = ("lite", "clip")

LIBRARIES: dict[str, tuple[str, ...]] = {
    "embedding": ("lite", "open_clip"),
    "objects": ("lite", "ultralytics", "transformers", "rekognition", "google-vision", "azure-vision"),
    "vocabulary": ("ultralytics", "transformers"),
    "classes": ("lite", "transformers", "zero-shot", "rekognition", "google-vision", "azure-vision", "openai"),
    "scenes": ("zero-shot", "transformers"),
    "attributes": ("zero-shot",),
    "styles": ("zero-shot",),
    "segments": ("transformers",),
    "colors": ("palette",),
    "text": ("rapidocr", "rekognition", "google-vision", "azure-vision", "openai"),
    "adult": ("opennsfw",),
    "nudity": ("nudenet",),
    "moderation": ("zero-shot", "rekognition", "google-vision", "openai"),
    "captions": ("composed", "transformers", "azure-vision", "openai"),
}
"""The tasks of a profile in the order that they run in, and the libraries that can do each."""

RUNTIMES: dict[str, tuple[str, ...]] = {
    "open_clip": ("torch", "openvino", "onnx"),
    "ultralytics": ("torch", "openvino"),
    "transformers": ("torch",),
}
"""Where a library's models can run; the others have one runtime, which a profile does not name."""

ANSWER_TOKENS = 600
CLOUD = ("rekognition", "google-vision", "azure-vision", "openai")
"""Services that pictures are sent to: indexer/cloud."""

WITHOUT_WEIGHTS = (
    *("lite", "zero-shot", "palette", "composed", "rapidocr", "opennsfw", "nudenet"),
    *("rekognition", "google-vision", "azure-vision"),
)
"""Libraries whose weights, if they need any here, come inside installed packages: no model is named for them."""


class ModelSpec(BaseModel):
    """One task's model, as a table of a profile says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: str
    model: str = Field("", description="Repository of the hub, `owner/name` or `owner/name/file`; or a local path")
    revision: str = Field("main", description="Commit, tag or branch of the repository")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    runtime: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    batch_size: int = Field(
        0,
        ge=0,
        le=512,
        description="Pictures in one pass; 0 is 8 on a processor and 32 elsewhere; halved where memory is short",
    )
    threshold: float | None = Field(None, ge=0, le=1, description="Least confidence that is kept")
    labels: tuple[str, ...] = Field((), description="What to look for, where the model takes words")
    text_model: str = Field("", description="The open_clip model that turns `labels` into vectors, for YOLO-World")
    prompt: str | None = Field(None, description="What to ask, where the model takes an instruction")
    max_tokens: int = Field(40, ge=1, le=1000, description="Longest caption, in tokens")
    endpoint: str = Field("", description="Address of a cloud service, where it is not the usual one")
    attempts: int = Field(5, ge=1, le=20, description="Of a request to a cloud service that fails in passing")
    pause_s: float = Field(1.0, ge=0, le=60, description="Before the second of these; later ones wait longer")

    @property
    def answer_tokens(self) -> int:
        """Longest answer of a cloud service that is paid by tokens: JSON for all of its tasks."""
        return max(ANSWER_TOKENS, self.max_tokens)


class Price(BaseModel):
    """What a cloud service takes: for 1,000 requests, or for a million tokens that go in and come out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_1000: float | None = Field(None, ge=0)
    input: float | None = Field(None, ge=0, description="Of a million tokens")
    output: float | None = Field(None, ge=0, description="Of a million tokens")
    most_input: int = Field(3_000, ge=1, description="Tokens that a request may have, the picture's among them")
    most_output: int = Field(1_000, ge=1)

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Price:
        if (self.per_1000 is None) == (self.input is None or self.output is None):
            raise ValueError("a price is per_1000, or input and output")
        return self

    @property
    def by_tokens(self) -> bool:
        return self.per_1000 is None

    @property
    def most(self) -> int:
        """The most that one request costs, in millionths of the currency."""
        return (
            math.ceil((self.per_1000 or 0) * 1000) if not self.by_tokens else self.of(self.most_input, self.most_output)
        )

    def of(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of the currency, rounded up."""
        return math.ceil(tokens_in * (self.input or 0) + tokens_out * (self.output or 0))


class CloudOptions(BaseModel):
    """What a profile allows its cloud services. Nothing is sent anywhere without this table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: float = Field(ge=0, description="In all, until it is raised")
    currency: str = Field("USD", max_length=8)
    prices_as_of: date
    prices: dict[str, Price] = Field(description="By library, or by library.task where tasks differ")
    per_second: int = Field(5, ge=1, le=1000, description="Requests to each service")
    parallel: int = Field(4, ge=1, le=64, description="Requests at a time to each service")


class Tasks(BaseModel):
    """The tables of a profile file. A task without a table is not done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedding: ModelSpec
    objects: ModelSpec | None = None
    vocabulary: ModelSpec | None = None
    classes: ModelSpec | None = None
    scenes: ModelSpec | None = None
    attributes: ModelSpec | None = None
    styles: ModelSpec | None = None
    segments: ModelSpec | None = None
    colors: ModelSpec | None = None
    text: ModelSpec | None = None
    adult: ModelSpec | None = None
    nudity: ModelSpec | None = None
    moderation: ModelSpec | None = None
    captions: ModelSpec | None = None
    cloud: CloudOptions | None = None

    @model_validator(mode="after")
    def _libraries_can(self) -> Tasks:
        for task, spec in self.items():
            if spec.library not in LIBRARIES[task]:
                raise ValueError(f"{task}: library must be one of {', '.join(LIBRARIES[task])}, got {spec.library!r}")
            if not spec.model and spec.library not in WITHOUT_WEIGHTS:
                raise ValueError(f"{task}: library {spec.library} needs a model")
            if spec.precision == "int8" and spec.library != "open_clip":
                raise ValueError(f"{task}: int8 is there for embeddings by open_clip only")
            if spec.runtime not in ("auto", *RUNTIMES.get(spec.library, ())):
                known = ", ".join(RUNTIMES.get(spec.library, ()))
                raise ValueError(f"{task}: {spec.library} runs in {known or 'one runtime only'}, not {spec.runtime}")
            if spec.library in CLOUD:
                self._may_be_asked(task, spec)
        if self.vocabulary is not None and not self.vocabulary.labels:
            raise ValueError("vocabulary: labels must say what to look for")
        return self

    def _may_be_asked(self, task: str, spec: ModelSpec) -> None:
        library = spec.library
        if self.cloud is None:
            raise ValueError(f"{task}: {library} gets your pictures and takes money: say so by a table [cloud]")
        price = self.cloud.prices.get(f"{library}.{task}") or self.cloud.prices.get(library)
        if price is None:
            raise ValueError(f"{task}: [cloud.prices] needs the price of {library}")
        if price.by_tokens and price.most_output < spec.answer_tokens:
            raise ValueError(
                f"{task}: most_output of the price must be {spec.answer_tokens} or more: so long it may be"
            )

    def items(self) -> Iterator[tuple[str, ModelSpec]]:
        """Yield the tasks that are to be done, in the order that they run in."""
        for task in LIBRARIES:
            spec = getattr(self, task)
            if spec is not None:
                yield task, spec


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """A profile: its name as the library stores it, its models, and the folder that its relative paths start from."""

    name: str
    tasks: Tasks
    folder: Path | None = None

    def path_of(self, model: str) -> Path:
        """Return the path that a model's name is, if it is one: relative ones start at the profile's file."""
        return (self.folder or Path()) / Path(model).expanduser()

    def local(self, model: str) -> Path | None:
        """Return the path that a model's name is; None where it means a repository of the hub."""
        path = self.path_of(model)
        named_as_path = Path(model).expanduser().is_absolute() or "/" not in model or model.startswith(("./", "../"))
        is_path = named_as_path or (self.folder is not None and path.exists())
        return path if is_path else None


def stored_name(name: str) -> str:
    """Return a profile's name as the library stores it: a file by its absolute path."""
    return str(Path(name).resolve()) if name.endswith(".toml") else name


def read_profile(name: str) -> ProfileChoice:
    """Return the profile of a name or TOML file. Raises ConfigError for one that is neither."""
    if name in NAMES:
        text = files("search.profiles").joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return ProfileChoice(name, Tasks(**tomllib.loads(text)))
    if not name.endswith(".toml"):
        raise ConfigError(f"there is no profile {name!r}; there are auto, {', '.join(NAMES)}, and TOML files")
    path = Path(name)
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return ProfileChoice(name, Tasks(**_on_base(path, tables)), path.resolve().parent)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path} is no profile: {where}{': ' if where else ''}{first['msg']}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no profile: {error}") from error


def _on_base(path: Path, tables: dict[str, Any]) -> dict[str, Any]:
    """Return the tables on top of those of the profile that ``base`` names; ``task = false`` leaves one out."""
    base = tables.pop("base", None)
    if base is None:
        return tables
    if base not in NAMES:
        raise ConfigError(f"{path}: base must be one of {', '.join(NAMES)}, got {base!r}")
    joined = read_profile(base).tasks.model_dump(exclude_none=True) | tables
    return {task: table for task, table in joined.items() if table is not False}
