"""The labels that a library has, and which of them other words mean; read from its tags now and then."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from search.nouns import singulars
from search.protocols import TagStore
from search.thesaurus import Thesaurus
from search.types import TagKind
from search.words import STOP_WORDS, fold, words

KINDS = frozenset({TagKind.OBJECT, TagKind.USER, TagKind.SCENE, TagKind.CLASS, TagKind.ATTRIBUTE, TagKind.SEGMENT})
"""Whose labels are nouns."""
MOST_LABELS = 2_000
"""The commonest; what nothing but a rare label is called by is found by its own name."""
KEPT_S = 60.0
"""So long labels are taken to be what they were: new ones are found by other words a minute later."""
LEAST_CLOSENESS = 0.6
MOST_RELATED = 8
"""Labels looked for in place of a word. With sixteen, or with those that are further off, short queries get worse."""
LONGEST_PHRASE = 3
"""Words."""
MOST_WORDS = 32
"""Of a text that are looked at."""


@dataclass(frozen=True, slots=True)
class _State:
    kinds: Mapping[str, tuple[TagKind, ...]]
    images: Mapping[str, int]
    """How many carry each label."""
    thesaurus: Thesaurus


class Vocabulary:
    """Safe for threads."""

    def __init__(self, tags: TagStore) -> None:
        self._tags = tags
        self._lock = threading.Lock()
        self._state = _State({}, {}, Thesaurus(()))
        self._good_until = float("-inf")

    def related(self, phrase: str) -> Mapping[str, float]:
        """Return labels, folded, that a word or phrase may mean, if it is no label itself.

        The closest first; of equally close ones the commonest.
        """
        state = self._current()
        if state.thesaurus.knows(phrase):
            return {}
        close = [(label, near) for label, near in state.thesaurus.related(phrase).items() if near >= LEAST_CLOSENESS]
        return dict(sorted(close, key=lambda item: (-item[1], -state.images[item[0]], item[0])))

    def kinds(self, label: str) -> tuple[TagKind, ...]:
        """Return of which kinds a folded label is."""
        return self._current().kinds.get(label, ())

    def other_labels(self, text: str) -> tuple[str, ...]:
        """Return labels, folded, that words of a text may mean and that are not in it."""
        each = (list(self.related(phrase))[:MOST_RELATED] for phrase in self._phrases(text))
        return tuple(dict.fromkeys(label for labels in each for label in labels))

    def named(self, text: str) -> frozenset[str]:
        """Return what labels, folded, the words of a text name or may mean, be they in the library or not."""
        names = {form for phrase in self._phrases(text) for form in singulars(phrase)}
        return frozenset(names.union(self.other_labels(text)))

    def is_phrase(self, words: str) -> bool:
        """Return whether several words are one noun or label."""
        return self._current().thesaurus.is_phrase(words)

    def _phrases(self, text: str) -> Iterator[str]:
        """Yield the longest phrases that mean something, from left to right."""
        asked = words(text)[:MOST_WORDS]
        at = 0
        while at < len(asked):
            for length in range(min(LONGEST_PHRASE, len(asked) - at), 0, -1):
                phrase = " ".join(asked[at : at + length])
                if length == 1 or self.is_phrase(phrase):
                    break
            if phrase not in STOP_WORDS:
                yield phrase
            at += length

    def _current(self) -> _State:
        if time.monotonic() >= self._good_until:
            with self._lock:
                if time.monotonic() >= self._good_until:
                    self._state = self._read()
                    self._good_until = time.monotonic() + KEPT_S
        return self._state

    def _read(self) -> _State:
        kinds: dict[str, list[TagKind]] = defaultdict(list)
        images: dict[str, int] = {}
        for kind, label, count in self._tags.labels("", k=MOST_LABELS):
            kinds[fold(label)].append(TagKind(kind))
            images.setdefault(fold(label), count)
        known = {label: tuple(of) for label, of in sorted(kinds.items())}
        if known == self._state.kinds:
            return _State(known, images, self._state.thesaurus)
        nouns = [label for label, of in known.items() if not KINDS.isdisjoint(of)]
        return _State(known, images, Thesaurus(nouns, other_labels=known))
