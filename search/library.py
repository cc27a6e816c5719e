"""A library for Python programs: what the command and the HTTP API do, in a few calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search import filters
from search.config import load_config
from search.errors import InvalidQuery
from search.recommend.events import LOCAL, EventType, expect_type, person_of
from search.recommend.recommender import Recommendations
from search.services import Services, open_services
from search.types import ImageRecord, Query, SearchResults, SimilarBy, Sort, TagKind

MAX_LABEL = 100
"""Characters."""


class Library:
    """An open library. It may be used from several threads, and sees what other processes write to it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        """The parts it is made of, for what is not here: the engine takes any `Query`."""

    def search(
        self, text: str = "", *, filter: str = "", not_text: str = "", k: int = 24, sort: Sort | str = Sort.RELEVANCE
    ) -> SearchResults:
        """Return the pictures that fit, best first. Filter terms may stand in ``text``, as in the search box.

        Raises InvalidQuery, with the position where a filter cannot be read.
        """
        if sort not in list(Sort):
            raise InvalidQuery(f"sort must be one of {', '.join(Sort)}, got {sort!r}")
        words, inline = filters.split(text)
        query = Query(
            texts=(words,) if words else (),
            not_texts=(not_text,) if not_text else (),
            filter=filters.joined(inline, filters.parse(filter)),
            k=k,
            sort=Sort(sort),
        )
        self.services.refresh()
        return self.services.engine.search(query)

    def similar(
        self, picture: str | Path, *, by: SimilarBy | str = SimilarBy.IMAGE, filter: str = "", k: int = 24
    ) -> SearchResults:
        """Return the pictures most like one of the library, named by id or path. Raises NotFound, InvalidQuery."""
        if by not in list(SimilarBy):
            raise InvalidQuery(f"by must be one of {', '.join(SimilarBy)}, got {by!r}")
        self.services.refresh()
        id = self.services.catalog.expect(str(picture))
        return self.services.engine.similar(id, by=SimilarBy(by), filter=filters.parse(filter), k=k)

    def show(self, picture: str | Path) -> ImageRecord:
        """Return everything known of an image, named by its id or a path. Raises NotFound."""
        return self.services.catalog.record(self.services.catalog.expect(str(picture)))

    def tag(
        self,
        picture: str | Path,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        caption: str | None = None,
        alt_text: str | None = None,
    ) -> ImageRecord:
        """Overrule the models as a person does, and return the record as it is now.

        A label is one of kind `user`, or names its kind as `object:cat`. An empty text takes a caption or alt text
        away. Raises NotFound, InvalidQuery.
        """
        added, removed = [_label(text) for text in add], [_label(text) for text in remove]
        id = self.services.catalog.expect(str(picture))
        record = self.services.catalog.edit(id, add=added, remove=removed, caption=caption, alt_text=alt_text)
        self.services.noted()
        return record

    def event(self, user: str, picture: str | Path, type: EventType | str) -> None:
        """Keep that a user viewed, likes (``like``) or hides a picture, or takes that back (``unlike``).

        Users are those of a server without keys. Raises NotFound, InvalidQuery.
        """
        said = expect_type(type)
        self.services.note_event(person_of(LOCAL, user), self.services.catalog.expect(str(picture)), said)

    def recommend(self, user: str, *, filter: str = "", k: int = 24) -> Recommendations:
        """Return pictures that a user may like, and why. Raises InvalidQuery."""
        self.services.refresh()
        return self.services.recommender.recommend(person_of(LOCAL, user), filter=filters.parse(filter), k=k)


def _label(text: str) -> tuple[TagKind, str]:
    """Return kind and label of `Rex` or `object:cat`; before a colon, what is no kind belongs to the label."""
    kind, colon, rest = text.partition(":")
    named = bool(colon) and kind in list(TagKind)
    label = (rest if named else text).strip()
    if not 1 <= len(label) <= MAX_LABEL:
        raise InvalidQuery(f"a label has 1–{MAX_LABEL} characters, got {text!r}")
    return (TagKind(kind) if named else TagKind.USER), label


@contextmanager
def open_library(data: str | Path | None = None, **options: Any) -> Iterator[Library]:
    """Open the library in a data folder, with options as in docs/config.md; without a folder, as the command does.

    Raises ConfigError where there is none, ModelUnavailable, SpaceMismatch or Unavailable where it cannot be searched.
    """
    config = load_config(data=None if data is None else Path(data), **options)
    with open_services(config) as services:
        yield Library(services)
