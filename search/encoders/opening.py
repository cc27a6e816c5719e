"""Open the encoder of a profile."""

from __future__ import annotations

from search.encoders import adapter
from search.encoders.lite import LiteEncoder
from search.encoders.lite_vision import LiteVision
from search.errors import ModelUnavailable
from search.profile_file import ModelSpec, ProfileChoice
from search.protocols import Encoder
from search.weights import hub


def open_encoder(choice: ProfileChoice, vision: LiteVision | None = None) -> Encoder:
    """Return a profile's encoder: nets load when they are first used.

    ``vision`` is shared with the taggers of the lite profile. Raises ModelUnavailable where weights are missing.
    """
    spec = choice.tasks.embedding
    if spec.library == "lite":
        path = choice.path_of(spec.model) if spec.model else adapter.BUILT_IN
        return LiteEncoder(vision, adapter.load(path))
    return open_clip_encoder(choice, spec, task="embedding")


def open_clip_encoder(choice: ProfileChoice, spec: ModelSpec, *, task: str, model: str | None = None) -> Encoder:
    """Return a model of open_clip; ``model`` names another than the spec's own."""
    try:
        from search.encoders.open_clip_encoder import OpenClipEncoder
    except ImportError as error:
        raise ModelUnavailable("this profile needs open_clip: run `pip install 'snapseek[models]'`") from error
    named = spec.model_copy(update={"model": model}) if model else spec
    return OpenClipEncoder(hub.locate(choice, spec, task=task, model=model), named)
