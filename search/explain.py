"""Why an image was found: the labels and words that it shares with the query, each with its confidence."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Sequence

from pyroaring import BitMap

from search import literals
from search.protocols import TagStore
from search.types import DEFAULT_CONFIDENCE, Filter, ImageRecord, Op, Query, Tag, TagKind, Term
from search.words import fold

LABEL_KINDS = (TagKind.OBJECT, TagKind.SCENE, TagKind.ATTRIBUTE, TagKind.COLOR, TagKind.COMPOUND, TagKind.USER)
MOST_REASONS = 5
LABELS_REMEMBERED = 16_384
_WORD = re.compile(r"\w+")
_COMMON = frozenset(
    "a an and are at by for from has in is it its of on or the to two three with".split()  # noqa: SIM905
)


def words(text: str) -> set[str]:
    """Return the words of a text that say something, in lower case, without a plural's s."""
    found = (word.casefold() for word in _WORD.findall(text))
    return {singular(word) for word in found if word not in _COMMON}


def singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def labelled_as(tags: TagStore, texts: Sequence[str], among: BitMap) -> BitMap:
    """Return which images carry each of the texts, as a whole, as a label ("dog", "dogs", "living room")."""
    found = among if texts else BitMap()
    for text in texts:
        label = " ".join(literals.parted(text)[0].casefold().split())
        if not label or len(label) > 60:
            return BitMap()
        names = tuple(dict.fromkeys((label, singular(label))))
        found = tags.among([Filter((Term(kind.value, Op.EQ, names),)) for kind in LABEL_KINDS], found)
    return found


def what_is_near(query: Query) -> str:
    """Return the name of what a query's vector stands for."""
    has_picture = bool(query.images) or query.vector is not None
    if query.texts and has_picture:
        return "text and image"
    return "image" if has_picture else "text"


def why(
    record: ImageRecord,
    query: Query,
    *,
    relevance: float | None,
    similarity: float | None,
    meant: Collection[str] = (),
) -> tuple[str, ...]:
    """Return up to five reasons, the strongest first, in the form of the filter language where there is one.

    ``meant``: labels, folded, that the words may mean besides those that they name.
    """
    reasons = []
    if query.texts and relevance is not None and not (query.images or query.vector):
        reasons.append(f"text {relevance:.2f}")
    if (query.images or query.vector) and similarity is not None:
        reasons.append(f"picture {similarity:.2f}")
    asked = _asked(query)
    reasons += [f"{tag.kind}:{tag.label} {tag.confidence:.2f}" for tag in _shared(record, asked, query.filter, meant)]
    caption = asked & words(record.caption or "")
    if caption:
        reasons.append(f"caption: {', '.join(repr(word) for word in sorted(caption))}")
    reasons = [*quoted_reasons(record, query.texts), *reasons]
    names = [path for path in record.files if asked & words(path.replace("_", " "))]
    if names:
        reasons.append(f"file name: {names[0]}")
    return tuple(reasons[:MOST_REASONS])


def matched(record: ImageRecord, query: Query) -> frozenset[tuple[TagKind, str]]:
    """Return the labels of an image that the words or the filter of a query name."""
    return frozenset((tag.kind, tag.label) for tag in _shared(record, _asked(query), query.filter))


@functools.lru_cache(maxsize=LABELS_REMEMBERED)
def _of_label(label: str) -> tuple[str, frozenset[str]]:
    """Return a label as it is compared, and its words: a page of hits has the same few labels again and again."""
    return fold(label), frozenset(words(label))


def _asked(query: Query) -> set[str]:
    return {word for text in query.texts for word in words(text)}


def quoted_reasons(record: ImageRecord, texts: Sequence[str]) -> Iterator[str]:
    """Yield where each quoted phrase stands."""
    for phrase in literals.phrases_of(texts):
        where = ", ".join(literals.places(record, phrase))
        if where:
            yield f'"{phrase}" in {where}'


def _shared(record: ImageRecord, asked: set[str], filter: Filter, meant: Collection[str] = ()) -> Iterator[Tag]:
    """Yield each label once, with its best confidence, that the words or the filter name or mean."""
    named = {(term.field, fold(value)) for term in filter.terms if not term.negated for value in term.values}
    best: dict[tuple[TagKind, str], Tag] = {}
    for tag in record.tags:
        folded, said = _of_label(tag.label)
        in_words = folded in meant or (bool(said) and said <= asked)
        if in_words and tag.confidence < DEFAULT_CONFIDENCE[tag.kind]:
            in_words = False
        if in_words or (tag.kind.value, folded) in named:
            known = best.get((tag.kind, tag.label))
            if known is None or tag.confidence > known.confidence:
                best[tag.kind, tag.label] = tag
    yield from sorted(best.values(), key=lambda tag: -tag.confidence)
