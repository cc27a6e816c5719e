"""The 365 scenes of Places365, with what `data/places365.tsv` says of each."""

from __future__ import annotations

import functools
from importlib.resources import files


@functools.cache
def place_rows() -> tuple[tuple[str, str, str], ...]:
    """Return name, "indoor" or "outdoor", and coarse group of each scene."""
    text = files("search.encoders").joinpath("data/places365.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return tuple((name, where, group) for name, where, group in rows)


def place_names() -> tuple[str, ...]:
    return tuple(name for name, _, _ in place_rows())
