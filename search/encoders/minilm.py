"""Sentence embeddings by all-MiniLM-L6-v2 (Reimers and Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from search.encoders.openvino_runtime import LATENCY, core, ov
from search.types import Matrix
from search.weights.packaged import MINILM, MINILM_TOKENIZER

DIM = 384
MAX_TOKENS = 128


class MiniLM:
    """Texts to unit vectors of 384 dimensions. Loaded at the first text; safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Return one unit vector for each text: shape (len(texts), 384). Texts past 128 tokens are cut.

        Raises ModelUnavailable if the weights are missing.
        """
        with self._lock:
            vectors = [self._one(text) for text in texts]
        return np.array(vectors, dtype=np.float32).reshape(-1, DIM)

    def _one(self, text: str) -> Matrix:
        """Embed one text: without padding, so that the result does not depend on the others of a batch."""
        tokens = self._tokenizer.encode(text)
        output = self._net(
            {
                "input_ids": np.array([tokens.ids]),
                "attention_mask": np.array([tokens.attention_mask]),
                "token_type_ids": np.array([tokens.type_ids]),
            }
        )[0]
        mean = output[0].mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER.verified()))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    @functools.cached_property
    def _net(self) -> ov.CompiledModel:
        return core().compile_model(str(MINILM.verified()), "CPU", LATENCY)
