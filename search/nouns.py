"""English nouns with their meanings, and what each meaning is a kind of: the noun graph of WordNet 3.0, cut down.

Of WordNet (Fellbaum 1998) the data hold what can be seen in a picture: nouns of things, beings, places, substances and
doings, without proper names, with up to three senses of each, the commonest first. Made by
`tests/bench/nouns_of_wordnet.py`.
"""

from __future__ import annotations

import functools
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.resources import files

from search.words import fold

MOST_SENSES = 2
"""Senses of a word that count. The third of a common word is a surprise more often than what was meant."""

_RULES = (
    (r"men$", "man"),
    (r"ies$", "y"),
    (r"(s|x|z|ch|sh)es$", r"\1"),
    (r"([^s])s$", r"\1"),
)
"""How a plural is made, as in WordNet's Morphy."""
_LONGEST_WORD = 60


class Nouns:
    """Synsets (sets of words with one meaning) by number; 0 is "entity", which all others are kinds of."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._above: list[tuple[int, ...]] = []
        senses: dict[str, dict[int, int]] = defaultdict(dict)
        for number, line in enumerate(lines):
            higher, names = line.rstrip("\n").split("\t")
            self._above.append(tuple(number - int(step) for step in higher.split()))
            for name in filter(None, names.split("|")):
                word, _, rank = name.partition("@")
                senses[word][int(rank or 0)] = number
        self._senses = {word: tuple(ranked[rank] for rank in sorted(ranked)) for word, ranked in senses.items()}

    def senses(self, phrase: str) -> tuple[int, ...]:
        """Return the synsets of a noun in the singular or plural, the commonest first; none if it is unknown."""
        for form in singulars(phrase):
            if form in self._senses:
                return self._senses[form][:MOST_SENSES]
        return ()

    def higher(self, synset: int) -> Mapping[int, int]:
        """Return the synset and all that it is a kind of, each with the number of steps to it."""
        steps = {synset: 0}
        nearest = [synset]
        for one in nearest:
            for above in self._above[one]:
                if above not in steps:
                    steps[above] = steps[one] + 1
                    nearest.append(above)
        return steps

    def depth(self, synset: int) -> int:
        """Return the number of steps to the top: small for what is general."""
        return self.higher(synset).get(0, 0)


@functools.cache
def nouns() -> Nouns:
    """Return the nouns that come with the package; read once, in half a second."""
    packed = files("search.data").joinpath("nouns.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    return Nouns(line for line in lines if not line.startswith("#"))


def singulars(phrase: str) -> list[str]:
    """Return the folded phrase, and what its last word may be the plural of; the likeliest first."""
    whole = fold(phrase)
    *before, last = whole.split(" ")
    if len(last) > _LONGEST_WORD:
        return [whole]
    forms = [irregular_plurals()[last]] if last in irregular_plurals() else []
    forms.append(last)
    forms += [re.sub(ending, singular, last) for ending, singular in _RULES if re.search(ending, last)]
    return list(dict.fromkeys(" ".join([*before, form]) for form in forms if len(form) > 1 or form == last))


@functools.cache
def irregular_plurals() -> Mapping[str, str]:
    """Return the singular of each plural that no rule gives."""
    text = files("search.data").joinpath("irregular_plurals.txt").read_text(encoding="utf-8")
    return dict(line.split() for line in text.splitlines() if not line.startswith("#"))
