"""Filters to offer for what was typed, with how many images each leaves: `search.understanding` over a library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from search.filters import MAX_TERMS
from search.protocols import TagStore
from search.types import Filter, SuggestedFilter, TagKind
from search.understanding import KINDS, compatible, ideas, label_forms, without
from search.vocabulary import Vocabulary
from search.words import fold

MOST_COUNTED = 16
"""Ideas that are counted, the most useful; no more than six are offered."""


class Suggester:
    """Safe for threads."""

    def __init__(self, tags: TagStore, vocabulary: Vocabulary) -> None:
        self._tags = tags
        self._vocabulary = vocabulary

    def suggest(self, text: str, filter: Filter) -> tuple[SuggestedFilter, ...]:
        """Return filters that words of a text stand for and some image that matches the filter meets, the most useful
        first. All of them can be taken at once."""
        if len(filter.terms) >= MAX_TERMS:
            return ()
        found = [idea for idea in ideas(text, self._labels(text), self._related) if idea.term not in filter.terms]
        found = found[:MOST_COUNTED]
        if not found:
            return ()
        counted = self._tags.counts([Filter((*filter.terms, idea.term)) for idea in found])
        counts = dict(zip(found, counted, strict=True))
        return tuple(
            SuggestedFilter(idea.term, text[idea.start : idea.end], without(text, idea), counts[idea])
            for idea in compatible(idea for idea in found if counts[idea])
        )

    def _labels(self, text: str) -> Mapping[str, Mapping[TagKind, str]]:
        forms = label_forms(text)
        found: dict[str, dict[TagKind, str]] = defaultdict(dict)
        for kind, label, _ in self._tags.labels_named(forms) if forms else ():
            if kind in KINDS:
                found[fold(label)].setdefault(TagKind(kind), label)
        return found

    def _related(self, phrase: str) -> Mapping[TagKind, Sequence[str]] | None:
        """Return labels of the one kind, the most useful of those there are, that a phrase may mean."""
        labels = self._vocabulary.related(phrase)
        if not labels and not self._vocabulary.is_phrase(phrase):
            return None
        by_kind: dict[TagKind, list[str]] = defaultdict(list)
        for label in labels:
            for kind in self._vocabulary.kinds(label):
                by_kind[kind].append(label)
        first = next((kind for kind in KINDS if kind in by_kind), None)
        return {} if first is None else {first: by_kind[first]}
