"""What a library is asked, and the pictures that are right: captions, and short questions of one to three words."""

from __future__ import annotations

import functools
import itertools
import random
import tomllib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from indexer.quality.truth import Truth
from search.explain import singular
from search.limits import MAX_TEXT
from search.types import ImageId
from search.words import STOP_WORDS, words

SEED = 20
LEAST_PICTURES = 3
"""Pictures that a short question needs: below, whether they come first is luck."""
MOST_SHARE = 0.5
"""Share of the pictures that show it, above which a question is answered by any order."""
MOST_WORDS = 60
MOST_PAIRS = 60
MOST_SHARE_OF_A_WORD = 0.2

EMPTY_WORDS = frozenset(
    """
    one two three four five several some another other others front back side top next near background foreground
    large small big little long group pair couple wearing wears dressed standing stands stand sitting sits sit looking
    looks look holding holds hold taking takes take getting making make going goes go being something someone up down
    out over under behind through around about off above below across along against between past towards toward away
    together while during both all many few each very not no what how also like just do does doing have having has had
    been can get who whose where when there here than then after before
    """.split()  # noqa: SIM905
)
"""Words of captions that nobody types alone; with the stop words of the search."""
PEOPLE = frozenset(
    "person people man men woman women boy girl child children kid lady guy player baby adult toddler".split()  # noqa: SIM905
)
"""Words that name each other's pictures, so that "a man, but no person" has no answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text, and how good an answer each picture is; those that are not named are none. ``about``: what it is one
    question of several about."""

    text: str
    gains: Mapping[ImageId, float]
    kind: str
    about: Hashable


def captions(truth: Truth, *, most: int) -> list[Question]:
    """Return the captions, each to be answered by the pictures that have it; a seeded choice of them if there are more
    than ``most``."""
    of_text: dict[str, dict[ImageId, float]] = {}
    every = [(id, text) for id, texts in truth.captions.items() for text in texts if _can_be_asked(text)]
    for id, text in every:
        of_text.setdefault(text.casefold(), {})[id] = 1.0
    return _some([Question(text, of_text[text.casefold()], "caption", id) for id, text in every], most)


def short(truth: Truth, *, most: int) -> list[Question]:
    """Return short questions: labels, what else people call them, pairs of labels; and words and pairs of captions."""
    return _some([*_by_labels(truth), *_by_words(truth)], most)


def _some(asked: list[Question], most: int) -> list[Question]:
    return asked if len(asked) <= most else random.Random(SEED).sample(asked, most)  # noqa: S311 (no secret)


def _by_labels(truth: Truth) -> Iterator[Question]:
    shown = {id: one.labels for id, one in truth.objects.items()}
    having = _inverted(shown)
    for label, ids in sorted(having.items()):
        if _telling(ids, truth):
            yield _question(label, ids, "label")
            for word in asked_words().get(label, ()):
                yield _question(word, ids, "synonym")
    common = [label for label, ids in having.items() if len(ids) <= MOST_SHARE * len(shown)]
    for (one, other), both in _pairs(shown, frozenset(common)):
        yield _question(f"{one} {other}", both, "pair")


def _by_words(truth: Truth) -> Iterator[Question]:
    said = {id: _said(texts) for id, texts in truth.captions.items()}
    having = _inverted(said)
    yield from _words_for_labels(truth, having)
    most = MOST_SHARE_OF_A_WORD * len(said)
    common = Counter({word: len(ids) for word, ids in having.items() if LEAST_PICTURES <= len(ids) <= most})
    chosen = sorted(common, key=lambda word: (-common[word], word))[:MOST_WORDS]
    for word in chosen:
        yield _question(word, having[word], "word")
    for (one, other), ids in _pairs(said, frozenset(chosen)):
        yield _question(f"{one} {other}", ids, "pair of words")


def _words_for_labels(truth: Truth, having: Mapping[str, set[ImageId]]) -> Iterator[Question]:
    """Yield what people call a thing, to be answered by pictures whose captions name it in any of these ways."""
    for label, others in asked_words().items():
        names = [name for name in (label, *others) if " " not in name]
        ids = set().union(*(having.get(singular(name), set()) for name in names)) if names else set()
        if _telling(ids, truth):
            yield _question(label, ids, "label")
            for name in others:
                yield _question(name, ids, "synonym")


def pairs_apart(truth: Truth) -> list[tuple[str, str]]:
    """Return pairs of words such that the first is of many pictures, and the other of some of those and not of most."""
    said = {id: _said(texts) for id, texts in truth.captions.items()} or {
        id: one.labels for id, one in truth.objects.items()
    }
    having = _inverted(said)
    found: Counter[tuple[str, str]] = Counter()
    for (one, other), ids in _pairs(said, frozenset(having), most=10 * MOST_PAIRS):
        for word, unwanted in ((one, other), (other, one)):
            if unwanted not in PEOPLE and len(having[word]) >= 40 and 0.1 <= len(ids) / len(having[word]) <= 0.5:
                found[word, unwanted] = len(ids)
    return [pair for pair, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))[:MOST_PAIRS]]


def mentions(truth: Truth, word: str) -> set[ImageId]:
    """Return the pictures whose captions, or else boxes, name a word."""
    if truth.captions:
        return {id for id, texts in truth.captions.items() if word in _said(texts)}
    return {id for id, one in truth.objects.items() if word in one.labels}


@functools.cache
def asked_words() -> Mapping[str, tuple[str, ...]]:
    """Return what else people type for a label of COCO."""
    text = files("indexer").joinpath("data/asked_words.toml").read_text(encoding="utf-8")
    return {label: tuple(others) for label, others in tomllib.loads(text).items()}


def _question(text: str, ids: Iterable[ImageId], kind: str) -> Question:
    return Question(text, dict.fromkeys(ids, 1.0), kind, (kind, text))


def _telling(ids: Iterable[ImageId], truth: Truth) -> bool:
    return LEAST_PICTURES <= len(set(ids)) <= MOST_SHARE * len(truth.pictures)


def _said(texts: Sequence[str]) -> frozenset[str]:
    found = {singular(word) for text in texts for word in words(text) if word not in STOP_WORDS | EMPTY_WORDS}
    return frozenset(word for word in found if len(word) >= 3 and word not in EMPTY_WORDS)


def _inverted(said: Mapping[ImageId, Iterable[str]]) -> dict[str, set[ImageId]]:
    having: dict[str, set[ImageId]] = {}
    for id, some in said.items():
        for word in some:
            having.setdefault(word, set()).add(id)
    return having


def _pairs(
    said: Mapping[ImageId, Iterable[str]], among: frozenset[str], *, most: int = MOST_PAIRS
) -> Iterator[tuple[tuple[str, str], list[ImageId]]]:
    """Yield the commonest pairs of words that enough pictures have together, with those pictures."""
    together: dict[tuple[str, str], list[ImageId]] = {}
    for id, some in said.items():
        for pair in itertools.combinations(sorted(among.intersection(some)), 2):
            together.setdefault(pair, []).append(id)
    enough = [(pair, ids) for pair, ids in together.items() if len(ids) >= LEAST_PICTURES]
    yield from sorted(enough, key=lambda item: (-len(item[1]), item[0]))[:most]


def _can_be_asked(text: str) -> bool:
    return len(text) <= MAX_TEXT and text.isprintable()
