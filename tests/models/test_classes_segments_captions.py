"""What the adapters that name pictures refuse; that they agree with their libraries is in test_families.py."""

from __future__ import annotations

import pytest
import tiny_models
from references import NOTHING, spec

from indexer.taggers.transformers_classes import TransformersScenes
from search.errors import ModelUnavailable


def test_a_classifier_of_something_else_is_no_scene_model(made, pictures) -> None:
    with pytest.raises(ModelUnavailable, match="Places365"):
        TransformersScenes(made(tiny_models.classifier, "resnet"), spec()).tag(pictures[:1], NOTHING)
