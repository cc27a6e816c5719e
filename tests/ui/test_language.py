"""The catalogues of texts: the same keys in every language, each used, each filled in."""

import re
import string
from itertools import product
from pathlib import Path

import pytest

from ui.language import LANGUAGES, Words, language_of, words_of

UI = Path(__file__).parents[2] / "ui"
LABELS = ("value.", "places.")
"""Texts of labels, which only some languages need."""


def forms(words: Words, key: str) -> list[str]:
    text = words._texts[key]
    return [text] if isinstance(text, str) else list(text.values())


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_with_the_same_values(language: str) -> None:
    reference, words = words_of("en"), words_of(language)
    wanted = {key for key in reference if not key.startswith(LABELS)}
    assert {key for key in words if not key.startswith(LABELS)} == wanted
    for key in wanted:
        allowed = set().union(*map(fields, forms(reference, key)))
        assert all(fields(form) <= allowed and form for form in forms(words, key)), key


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    known = set(words_of("en"))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (*UI.glob("*.py"), *UI.glob("templates/*")))
    named = set(re.findall(r"""["']([a-z]+\.[a-z-]+)["']""", sources)) & known
    prefixes = {match[1] for match in re.finditer(r"""["']([a-z]+\.(?:[a-z]+-)?)["'] ~|f"([a-z]+\.)\{""", sources)}
    prefixes |= set(re.findall(r'f"([a-z]+\.)\{', sources))
    used = {
        key for key in known if key in named or key.startswith(tuple(filter(None, prefixes))) or key.endswith("-about")
    }
    assert known - used - {key for key in known if key.startswith(("format.", *LABELS))} == set()
    called = re.findall(r"""(?:\bt|\bwords)\(["']([a-z]+\.[a-z-]*[a-z])["']""", sources)
    assert set(called) - known == set()


def test_no_template_holds_a_text_of_its_own() -> None:
    for path in UI.glob("templates/*"):
        plain = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        bare = re.sub(r"<[^>]*>", " ", plain)
        words = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"&[a-z]+;", " ", bare))) - {
            "Snapseek",
            "snapseek",
            "index",
            "models",
            "browser",
            "openapi",
            "json",
        }
        assert words - {"Pictures"} == set(), path.name


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "fr,en;q=0.5,de;q=0.7", "de"),
        ("", "fr-FR", "en"),
        ("", "de;q=0,en", "en"),
        ("", "de;q=x, *", "en"),
        ("en", "de", "en"),
        ("xx", "de", "de"),
    ],
)
def test_a_language_is_chosen(chosen: str, accepted: str, language: str) -> None:
    assert language_of(chosen, accepted) == language


def test_numbers_and_dates_are_written_as_the_language_has_them() -> None:
    from datetime import date

    english, german = words_of("en"), words_of("de")
    assert english("search.pictures", count=1234) == "1,234 pictures"
    assert german("search.pictures", count=1234) == "1.234 Bilder"
    assert english("search.pictures", count=1) == "1 picture"
    assert german.date(date(2024, 3, 5)) == "5. März 2024"
    assert (english.decimal(1.25), german.decimal(1.25, 2)) == ("1.2", "1,25")


def test_every_bit_of_a_kind_has_a_title() -> None:
    from search.facets import FACETS, RANGES
    from search.types import Sort, TagKind

    for language, (prefix, names) in product(
        LANGUAGES, (("facet", FACETS), ("range", RANGES), ("sort", Sort), ("kind", TagKind))
    ):
        for name in names:
            assert words_of(language)(f"{prefix}.{name}")
