"""The texts of the pages in each language: `locales/*.toml`, one catalogue a language, English the reference."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.resources import files
from typing import Any

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
"""Codes, and how each language names itself."""
REFERENCE = "en"

Text = str | Mapping[str, str]
"""A text, or its forms for one and for another number of what ``count`` counts."""


class Words:
    """The texts of one language: ``words("search.pictures", count=3)``."""

    def __init__(self, language: str, texts: Mapping[str, Text]) -> None:
        self.language = language
        self._texts = texts

    def __call__(self, key: str, /, **values: Any) -> str:
        """Return a text with its values put in, whole numbers grouped. Raises KeyError for a key that is not there."""
        text = self._texts[key]
        if not isinstance(text, str):
            text = text["one" if values["count"] == 1 else "other"]
        if not values:
            return text
        shown = {name: self.number(value) if isinstance(value, int) else value for name, value in values.items()}
        return text.format(**shown)

    def number(self, number: int) -> str:
        return f"{number:,}".replace(",", str(self._texts["format.thousands"]))

    def decimal(self, number: float, digits: int = 1) -> str:
        return f"{number:.{digits}f}".replace(".", str(self._texts["format.point"]))

    def date(self, day: date) -> str:
        months = str(self._texts["format.months"]).split()
        return str(self._texts["format.date"]).format(day=day.day, month=months[day.month - 1], year=day.year)

    def named(self, key: str, otherwise: str) -> str:
        """Return the text of a key where there is one: labels come from models, and only some are translated."""
        text = self._texts.get(key, otherwise)
        return text if isinstance(text, str) else otherwise

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


@functools.cache
def words_of(language: str) -> Words:
    """Return the texts of one of `LANGUAGES`."""
    document = tomllib.loads((files("ui") / "locales" / f"{language}.toml").read_text(encoding="utf-8"))
    return Words(language, dict(_flat("", document)))


def language_of(chosen: str, accepted: str) -> str:
    """Return the language to answer in: the one that was chosen, else the best of an Accept-Language header."""
    if chosen in LANGUAGES:
        return chosen
    wishes = []
    for place, part in enumerate(accepted.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        code = name.strip().partition("-")[0].casefold()
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        if code in LANGUAGES and quality > 0:
            wishes.append((-quality, place, code))
    return min(wishes)[2] if wishes else REFERENCE


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    for name, value in table.items():
        if isinstance(value, dict) and value.keys() != {"one", "other"}:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
