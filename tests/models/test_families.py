"""Every family of docs/models.md against its library's own pipeline."""

from __future__ import annotations

import pytest
import references

from indexer.families import families


def test_every_family_is_measured() -> None:
    assert list(references.FAMILIES) == [family.name for family in families()]


@pytest.mark.parametrize("name", references.FAMILIES)
def test_the_adapter_gives_what_the_library_gives(models, pictures, name: str) -> None:
    measured = references.FAMILIES[name](models, pictures)
    assert not measured.too_much, f"{name}: {measured}"
