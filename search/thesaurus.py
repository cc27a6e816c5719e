"""Which labels of a library are meant by another word: synonyms, kinds of what is asked, and what it is a kind of."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping

from search.nouns import nouns, singulars
from search.words import fold

SAME, BELOW, ABOVE = 1.0, 0.9, 0.6
"""How close a label is that means the same ("sofa", couch), a kind of what is asked ("vehicle", car), and what the
thing asked for is a kind of ("puppy", dog), which not every picture with the label shows."""
RARER_SENSE = 0.65
"""Factor for a word in its second sense."""
LEAST = 0.5
MOST_STEPS_UP = 4
"""From a woman to a person it is two, from a spaniel to a dog three."""
MOST_STEPS_DOWN = 8
LEAST_DEPTH = 4
"""What lies nearer to the top, as "thing" and "object", would mean every label. "Food" has four steps to it."""


class Thesaurus:
    """From words to the labels of one library. Safe for threads."""

    def __init__(self, labels: Iterable[str], *, other_labels: Iterable[str] = ()) -> None:
        """Words are related to ``labels``; ``other_labels``, such as colours, are only known for what they are."""
        self._nouns = nouns()
        self._known = set(map(fold, other_labels))
        self._meaning: dict[int, dict[str, float]] = defaultdict(dict)
        self._under: dict[int, dict[str, float]] = defaultdict(dict)
        self._headed: dict[str, list[str]] = defaultdict(list)
        for label in map(fold, labels):
            self._known.add(label)
            if " and " not in label:
                self._headed[label.rpartition(" ")[2]].append(label)
            for rank, sense in enumerate(self._nouns.senses(label)):
                self._place(label, sense, RARER_SENSE**rank)
        self.related = functools.lru_cache(maxsize=4096)(self._related)

    def knows(self, phrase: str) -> bool:
        """Return whether a word or phrase, in the singular or plural, is a label itself."""
        return not self._known.isdisjoint((*singulars(phrase), f"{fold(phrase)}s"))

    def is_phrase(self, words: str) -> bool:
        """Return whether several words are one noun or label: of a living room it is not asked for living and room."""
        return " " in words and (self.knows(words) or bool(self._nouns.senses(words)))

    def _place(self, label: str, sense: int, weight: float) -> None:
        for above, steps in self._nouns.higher(sense).items():
            if steps == 0:
                _raise(self._meaning[above], label, weight)
            elif steps <= MOST_STEPS_DOWN:
                _raise(self._under[above], label, weight)

    def _related(self, phrase: str) -> Mapping[str, float]:
        """Return other labels that a word or phrase may mean, folded, with a closeness of 0–1; the closest first."""
        found: dict[str, float] = {}
        named = set(singulars(phrase))
        for form in named:
            for label in self._headed.get(form, ()):  # a cell phone is a phone, known to WordNet or not
                _raise(found, label, BELOW)
        for rank, sense in enumerate(self._nouns.senses(phrase)):
            weight = RARER_SENSE**rank
            for label, likely in self._meaning[sense].items() if sense in self._meaning else ():
                _raise(found, label, SAME * weight * likely)
            if sense in self._under and self._nouns.depth(sense) >= LEAST_DEPTH:
                for label, likely in self._under[sense].items():
                    _raise(found, label, BELOW * weight * likely)
            if not named & self._known:
                for label, likely in self._nearest_above(sense).items():
                    _raise(found, label, ABOVE * weight * likely)
        close = {label: weight for label, weight in found.items() if weight >= LEAST and label not in named}
        return dict(sorted(close.items(), key=lambda item: (-item[1], item[0])))

    def _nearest_above(self, sense: int) -> Mapping[str, float]:
        """Return the labels of the nearest thing that a meaning is a kind of and that labels name."""
        for above, steps in self._nouns.higher(sense).items():
            if 0 < steps <= MOST_STEPS_UP and above in self._meaning and self._nouns.depth(above) >= LEAST_DEPTH - 1:
                return self._meaning[above]
        return {}


def _raise(weights: dict[str, float], label: str, weight: float) -> None:
    weights[label] = max(weights.get(label, 0.0), weight)
