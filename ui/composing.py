"""From what a page shows to what the engine is asked: words, filters and pictures, wanted and not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search.boxes import parse_box
from search.errors import InvalidQuery, NotFound
from search.types import ImageId, Query, Vector, Weights
from ui.addresses import at
from ui.backend import PageBackend
from ui.language import Words
from ui.parts import described, thumbnail
from ui.search_views import Pictures, PictureView, page_query
from ui.state import Like, SearchState


def composed(backend: PageBackend, words: Words, state: SearchState) -> tuple[Query, Pictures]:
    """Return what to ask for a state, and the pictures that are searched by. Raises NotFound, InvalidQuery."""
    found = {like: _picture(backend, words, like) for like in (*state.likes, *state.unlikes)}
    query = replace(
        page_query(state),
        weights=Weights(text=state.text_weight),
        not_vectors=tuple(tuple(found[like][0].tolist()) for like in state.unlikes),
    )
    if state.likes:
        whole = sum(like.weight * found[like][0] for like in state.likes)
        length = float(np.linalg.norm(whole))
        if length < 1e-6:
            raise InvalidQuery("these pictures take each other away: leave one of them out")
        # The engine scales a vector to unit length, so that what the pictures weigh together is told beside it.
        query = replace(
            query,
            vector=tuple(np.asarray(whole, np.float32).tolist()),
            weights=Weights(text=state.text_weight, image=length),
        )
    return query, {like: view for like, (_, view) in found.items()}


def _picture(backend: PageBackend, words: Words, like: Like) -> tuple[Vector, PictureView]:
    remembered = backend.remembered(like.key)
    if remembered is not None:
        if like.box:
            raise InvalidQuery("a part can be looked for of pictures in the library only")
        return remembered.vector, PictureView(words("search.your-picture"))
    if not is_id(like.key):
        raise NotFound(words("search.forgotten"))
    record = backend.record(ImageId(like.key))
    title, vector = described(words, record), None
    if like.box:
        title = words("search.part-of", title=title)
        vector = backend.part(record.id, parse_box(like.box)).vector
    if vector is None:
        vector = backend.vector(record.id)
    return vector, PictureView(title, thumbnail(record.id, 256), at(f"/images/{record.id}"))


def is_id(text: str) -> bool:
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)
