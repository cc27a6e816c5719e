"""Captions by transformers: BLIP, BLIP-2, LLaVA and other vision models with a chat template, Florence-2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from indexer.transformers_model import TransformersModel
from search.profile_file import ModelSpec
from search.types import Tag

VERSION = "1"
QUESTION = "Describe this picture in one sentence."
FLORENCE_TASK = "<CAPTION>"


class TransformersCaptions:
    """Satisfies `search.protocols.Captioner`. Greedy decoding: the same picture gets the same words."""

    side = 768

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self._net = TransformersModel(folder, spec, "AutoModelForImageTextToText", processor="AutoProcessor")
        self.source = self._net.name
        self.fingerprint = self._net.fingerprint(VERSION, spec.prompt, spec.max_tokens)

    def caption(self, images: Sequence[Image.Image], tags: Sequence[Sequence[Tag]]) -> list[str]:  # noqa: ARG002
        with self._net.lock:
            return [" ".join(self._one(image).split()) for image in images]

    def _one(self, image: Image.Image) -> str:
        import torch

        net, processor = self._net, self._net.processor
        florence = net.config.model_type == "florence2"
        inputs = net.moved(self._inputs(image, florence))
        with torch.inference_mode():
            ids = net.model.generate(**inputs, max_new_tokens=net.spec.max_tokens, do_sample=False)
        if florence:
            task = net.spec.prompt or FLORENCE_TASK
            text = processor.batch_decode(ids, skip_special_tokens=False)[0]
            return str(processor.post_process_generation(text, task=task, image_size=image.size)[task])
        prompt = inputs.get("input_ids")
        if prompt is not None and not net.config.is_encoder_decoder and _echoes(ids, prompt):
            ids = ids[:, prompt.shape[1] :]
        return str(processor.batch_decode(ids, skip_special_tokens=True)[0])

    def _inputs(self, image: Image.Image, florence: bool) -> Any:
        processor, prompt = self._net.processor, self._net.spec.prompt
        if florence:
            return processor(text=prompt or FLORENCE_TASK, images=image, return_tensors="pt")
        if getattr(processor, "chat_template", None):
            question = [{"type": "image", "image": image}, {"type": "text", "text": prompt or QUESTION}]
            return processor.apply_chat_template(
                [{"role": "user", "content": question}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        if prompt is not None:
            return processor(text=prompt, images=image, return_tensors="pt")
        return processor(images=image, return_tensors="pt")


def _echoes(ids: Any, prompt: Any) -> bool:
    """Tell whether generated ids begin with the prompt's."""
    length = prompt.shape[1]
    return ids.shape[1] >= length and bool((ids[:, :length] == prompt).all())
