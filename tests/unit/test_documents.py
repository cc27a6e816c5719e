"""Documents and code say the same."""

import re
from pathlib import Path

from search.config import Config
from search.facets import FACETS
from search.filters import FIELDS, parse
from search.types import DEFAULT_CONFIDENCE, TagKind

ROOT = Path(__file__).parents[2]


def test_every_option_is_documented_with_its_default() -> None:
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| `\w+` \| (.+?) \|", (ROOT / "docs/config.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    defaults = {name: _as_in_toml(field.default) for name, field in Config.model_fields.items()}
    assert rows == {name: f"`{value}`" if value else "(empty)" for name, value in defaults.items()}


def _as_in_toml(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_field_of_the_filter_language_is_documented() -> None:
    text = (ROOT / "docs/filters.md").read_text(encoding="utf-8")
    for field in FIELDS:
        assert re.search(rf"`-?{field}:|`{field}`", text), field


def test_every_example_of_a_filter_parses() -> None:
    text = (ROOT / "docs/filters.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| (`.+?) \| ", text, re.MULTILINE):
        for example in re.findall(r"`([^`]+)`", row):
            parse(example.replace("\\|", "|"))


def test_every_kind_of_tag_has_a_default_confidence() -> None:
    assert DEFAULT_CONFIDENCE.keys() == set(TagKind)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https:") or (page.parent / target).exists(), (page.name, target)


def test_every_facet_selects_by_a_field_that_exists() -> None:
    assert all(spec.field in FIELDS for spec in FACETS.values())


def test_the_readme_names_every_command() -> None:
    from api.cli import main

    text = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs/models.md").read_text(encoding="utf-8")
    for name in main.commands:
        assert re.search(rf"\b{name}\b", text), name
