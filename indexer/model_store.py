"""What each profile needs, whether it is here, and how it gets here: `snapseek models list|pull`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from indexer.cloud.taggers import is_cloud
from search.config import Config
from search.encoders import adapter
from search.errors import ModelUnavailable, Unavailable
from search.profile_file import NAMES, ModelSpec, ProfileChoice, read_profile
from search.weights import hub, packaged
from search.weights.packaged import Weights

HUB_TIMEOUT_S = 3.0

LITE_WEIGHTS = {
    "embedding": (packaged.MINILM, packaged.MINILM_TOKENIZER),
    "objects": (packaged.SSD_MOBILENET,),
    "classes": (packaged.EFFICIENTNET,),
}
MODERATION_WEIGHTS = {"opennsfw": packaged.OPEN_NSFW, "nudenet": packaged.NUDENET}
"""By library."""
MODULES = {
    "open_clip": ("open_clip", "models"),
    "transformers": ("transformers", "models"),
    "ultralytics": ("ultralytics", "ultralytics"),
    "rapidocr": ("rapidocr", "ocr"),
}
"""The module that a library is imported as, and the extra that installs it."""

CLIENTS = {
    "rekognition": "boto3",
    "google-vision": "google.cloud.vision",
    "azure-vision": "azure.ai.vision.imageanalysis",
    "openai": "openai",
}
"""The module of each cloud service's client; all are in the extra `cloud`."""

LICENCES = {
    "timm/ViT-B-16-SigLIP2-256": "Apache-2.0",
    "timm/vit_base_patch32_clip_224.openai": "MIT",
    "Ultralytics/YOLO11/yolo11s.pt": "AGPL-3.0",
    "Salesforce/blip-image-captioning-base": "BSD-3-Clause",
}
"""Of the models that built-in profiles name."""


@dataclass(frozen=True, slots=True)
class Card:
    """One model of a profile."""

    profile: str
    task: str
    name: str
    licence: str
    source: str
    bytes: int
    path: str | None
    present: bool

    as_dict = asdict


def cards(name: str | None = None) -> list[Card]:
    """Return the models of a profile, or of all built-in ones: task, licence, source, size, and whether it is here."""
    return [card for profile in ([name] if name else NAMES) for card in _cards(read_profile(profile))]


def _cards(choice: ProfileChoice) -> Iterator[Card]:
    for task, spec in choice.tasks.items():
        if spec.library == "lite":
            yield from _lite_cards(choice, task, spec)
        elif spec.library in MODERATION_WEIGHTS:
            yield _packaged_card(choice, task, MODERATION_WEIGHTS[spec.library])
        elif spec.library == "rapidocr":
            present = _installed("rapidocr")
            yield Card(choice.name, task, "PP-OCR", "Apache-2.0", "rapidocr: inside the package", 0, None, present)
        elif is_cloud(spec):
            present = _installed(CLIENTS[spec.library])
            yield Card(
                choice.name, task, spec.model or spec.library, "the service's terms", "sent away", 0, None, present
            )
        elif spec.model:
            for model in _models(task, spec):
                yield _hub_card(choice, task, spec, model)


def _lite_cards(choice: ProfileChoice, task: str, spec: ModelSpec) -> Iterator[Card]:
    for weights in LITE_WEIGHTS[task]:
        yield _packaged_card(choice, task, weights)
    if task == "embedding":
        path = choice.path_of(spec.model) if spec.model else adapter.BUILT_IN
        source = "`snapseek adapt`" if spec.model else "this package: `snapseek adapt` on 326 photos of COCO 2017"
        licence = "your own" if spec.model else "Apache-2.0; trained on captions under CC BY 4.0"
        size = path.stat().st_size if path.is_file() else 0
        yield Card(choice.name, "adapter", "image–text adapter", licence, source, size, str(path), path.is_file())


def _packaged_card(choice: ProfileChoice, task: str, weights: Weights) -> Card:
    path = weights.path
    present = path is not None and path.is_file()
    size = path.stat().st_size if path is not None and present else 0
    source = f"{weights.distribution}: {weights.origin}"
    return Card(choice.name, task, weights.name, weights.licence, source, size, str(path) if path else None, present)


def _hub_card(choice: ProfileChoice, task: str, spec: ModelSpec, model: str) -> Card:
    licence = LICENCES.get(model, "see its model card")
    try:
        path = hub.locate(choice, spec, task=task, model=model if model != spec.model else None)
    except ModelUnavailable:
        return Card(choice.name, task, model, licence, f"hub, revision {spec.revision}", 0, None, present=False)
    source = "local" if choice.local(model) else f"hub, commit {hub.commit_of(path)}"
    return Card(choice.name, task, model, licence, source, hub.size_of(path), str(path), present=True)


def _models(task: str, spec: ModelSpec) -> tuple[str, ...]:
    """Return the models that a task loads: YOLO-World takes its words from a text tower of open_clip."""
    from indexer.profiles import OPENAI_TEXT

    if task == "vocabulary" and spec.library == "ultralytics":
        return spec.model, spec.text_model or OPENAI_TEXT
    return (spec.model,)


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that was fetched and checked. Naming ``commit`` as its revision in a profile file pins it."""

    task: str
    model: str
    commit: str
    bytes: int
    path: str


def pull(name: str) -> Iterator[Pulled]:
    """Fetch and check every model of a profile that comes from the hub, yielding each when it is here.

    Raises ModelUnavailable for one that the hub does not have, Unavailable when the hub cannot be reached.
    """
    choice = read_profile(name)
    for task, spec in choice.tasks.items():
        if not spec.model or spec.library == "lite" or is_cloud(spec):
            continue
        for model in _models(task, spec):
            if choice.local(model):
                hub.locate(choice, spec, task=task, model=model if model != spec.model else None)
                continue
            wanted = hub.repository(spec, model if model != spec.model else None)
            path = hub.pull(wanted)
            yield Pulled(task, model, hub.commit_of(path), hub.size_of(path), str(path))


def choose_profile(config: Config) -> tuple[str, str]:
    """Return the profile for a new library, and why: clip where its weights are here or can be fetched, else lite."""
    lacking = [extra for module, extra in MODULES.values() if not _installed(module)]
    if lacking:
        return (
            "lite",
            f"its weights come with the installed packages; clip needs snapseek[{','.join(sorted(set(lacking)))}]",
        )
    missing = [card for card in cards("clip") if not card.present]
    if not missing:
        return "clip", "its weights are on this machine"
    if config.offline:
        return "lite", "the weights of clip are not here, and the network is not to be asked"
    if not hub_answers():
        return "lite", "the weights of clip are not here, and the hub does not answer"
    try:
        for _ in pull("clip"):
            pass
    except (ModelUnavailable, Unavailable) as error:
        return "lite", f"the weights of clip could not be fetched: {error}"
    return "clip", "its weights were fetched from the hub"


def hub_answers() -> bool:
    """Tell whether the hub answers within three seconds; False where the environment says to stay offline."""
    import httpx2
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        return httpx2.head(constants.ENDPOINT, timeout=HUB_TIMEOUT_S).status_code < 500
    except httpx2.HTTPError:
        return False


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it would be in
        return False
