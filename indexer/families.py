"""Families of models that a profile may name, each by one adapter for its library and task."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Family:
    """Models that one adapter takes, with one of them as an example."""

    task: str
    name: str
    library: str
    model: str
    """As a profile names it."""
    size: str
    """Of the example's weights, as its publisher states it."""
    licence: str
    source: str
    adapter: str
    note: str = ""

    as_dict = asdict


@cache
def families() -> tuple[Family, ...]:
    """Return the families by task, as `indexer/data/families.toml` lists them."""
    tables = tomllib.loads(files("indexer").joinpath("data/families.toml").read_text(encoding="utf-8"))
    return tuple(Family(**table) for table in tables["family"])
