"""Ask a library what its pictures are known to answer, through the engine as users do, and say how good that was.

Each function measures one thing over one `Truth` and returns its figures; `MEASURES` lists them.
"""

from __future__ import annotations

import io
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from PIL import Image

from indexer.lookup import PictureLookup
from indexer.quality import oracle, questions
from indexer.quality.questions import SEED, Question
from indexer.quality.results import Comparison, Figure, LabelRow
from indexer.quality.truth import Truth, plain
from indexer.taggers.zero_shot import places, scene_groups
from search import evaluation as ev
from search.engine import SearchEngine
from search.facets import FACETS
from search.limits import FACET_VALUES, MAX_K
from search.matching import matches
from search.types import (
    DEFAULT_CONFIDENCE,
    Filter,
    ImageId,
    ImageRecord,
    Mode,
    Query,
    SearchResults,
    SimilarBy,
    Tag,
    TagKind,
)

K = 10
SYSTEMS = (Mode.VECTOR, Mode.KEYWORD, Mode.BLEND)
FILTERS_ASKED = 60
COPIED = 40
PAIRED = 200
DEEP = 20
"""How many hits `not=` is judged by."""
BANDS = (0.5, 0.7, 0.8, 0.9, 0.97, 1.01)

ALTERATIONS: Mapping[str, Callable[[Image.Image], tuple[Image.Image, int]]] = {
    "half the size": lambda image: (image.resize((max(1, image.width // 2), max(1, image.height // 2))), 85),
    "5 % cut off each side": lambda image: (image.crop(_inner(image.width, image.height)), 85),
    "grey": lambda image: (image.convert("L"), 85),
    "JPEG of quality 30": lambda image: (image, 30),
}
"""How copies are altered, each with the quality that it is saved at."""


def _inner(width: int, height: int) -> tuple[int, int, int, int]:
    return width // 20, height // 20, width - width // 20, height - height // 20


@dataclass(slots=True)
class Library:
    """An open library to ask, what it holds, and how long it took to answer."""

    engine: SearchEngine
    records: Mapping[ImageId, ImageRecord]
    lookup: PictureLookup
    asked: Callable[[], None]
    """Called for each question."""
    took_ms: list[float] = field(default_factory=list)

    def ask(self, query: Query, *, timed: bool = False) -> SearchResults:
        began = time.perf_counter()
        results = self.engine.search(query)
        if timed:
            self.took_ms.append((time.perf_counter() - began) * 1000)
            self.asked()
        return results

    def ranked(self, query: Query, *, timed: bool = False) -> list[ImageId]:
        return [hit.image.id for hit in self.ask(query, timed=timed).hits]

    def matched(self, query: Query) -> tuple[list[ImageId], SearchResults]:
        """Return all that a query matches, over as many pages as it takes, and the first page."""
        first = results = self.ask(replace(query, k=MAX_K))
        found = [hit.image.id for hit in results.hits]
        while results.next:
            results = self.ask(replace(query, k=MAX_K, cursor=results.next))
            found += [hit.image.id for hit in results.hits]
        return found, first


@dataclass(slots=True)
class Measured:
    """What was found out of one set of pictures."""

    figures: list[Figure] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    labels: list[LabelRow] = field(default_factory=list)


def captions(library: Library, truth: Truth, most: int) -> Measured:
    """What people wrote, asked of each system alone; and how many right answers the cut-off keeps."""
    asked = questions.captions(truth, most=most)
    if not asked:
        return Measured()
    scorers: dict[str, Scorer] = {
        **{f"R@{k}": _recall(k) for k in (1, 5, K)},
        "MRR@10": lambda ranked, one: ev.reciprocal_rank(ranked, one.gains),
        "nDCG@10": lambda ranked, one: ev.ndcg_at(ranked, one.gains, K),
    }
    found, measured = _by_system(library, "captions", asked, scorers, ("R@10", "nDCG@10"))
    kept, about = [], []
    for one, before in zip(asked, found[Mode.BLEND], strict=True):
        if right := set(before).intersection(one.gains):
            kept.append(float(not right.isdisjoint(library.ranked(Query(texts=(one.text,), k=K)))))
            about.append(one.about)
    if kept:
        measured.figures.append(_figure("cut-off", "auto", "kept", ev.mean(kept, about)))
    return measured


def short(library: Library, truth: Truth, most: int) -> Measured:
    """One to three words, asked of each system alone; and what the cut-off makes of them."""
    asked = questions.short(truth, most=most)
    if not asked:
        return Measured()
    scorers: dict[str, Scorer] = {
        "nDCG@10": lambda ranked, one: ev.ndcg_at(ranked, one.gains, K),
        "P@10": lambda ranked, one: ev.precision_at(ranked, one.gains, K),
    }
    found, measured = _by_system(library, "short", asked, scorers, ("nDCG@10", "P@10"))
    for kind in dict.fromkeys(one.kind for one in asked):
        places = [i for i, one in enumerate(asked) if one.kind == kind]
        for mode in SYSTEMS:
            values = [scorers["nDCG@10"](found[mode][i], asked[i]) for i in places]
            measured.figures.append(_figure(f"short: {kind}", mode, "nDCG@10", ev.mean(values)))
    right, shown, there = [], [], []
    for one in asked:
        matched = set(library.matched(Query(texts=(one.text,)))[0])
        right.append(len(matched.intersection(one.gains)))
        shown.append(len(matched))
        there.append(len(one.gains))
    per_question = [r / s for r, s in zip(right, shown, strict=True) if s]
    if per_question:
        measured.figures.append(_figure("cut-off", "short", "precision of all hits", ev.mean(per_question)))
    recalls = [r / t for r, t in zip(right, there, strict=True)]
    measured.figures.append(_figure("cut-off", "short", "recall of all hits", ev.mean(recalls)))
    return measured


Scorer = Callable[[Sequence[ImageId], Question], float]


def _recall(k: int) -> Scorer:
    return lambda ranked, one: ev.recall_at(ranked, one.gains, k)


def _by_system(
    library: Library,
    part: str,
    asked: Sequence[Question],
    scorers: Mapping[str, Scorer],
    compared: Sequence[str],
) -> tuple[dict[Mode, list[list[ImageId]]], Measured]:
    """Return what each system ranked first for each question, and the figures of each with the paired tests."""
    found: dict[Mode, list[list[ImageId]]] = {mode: [] for mode in SYSTEMS}
    for one in asked:
        # The blend first: it is what people ask, and the text is encoded in its time.
        for mode in reversed(SYSTEMS):
            query = Query(texts=(one.text,), k=K, mode=mode, cutoff="none")
            found[mode].append(library.ranked(query, timed=mode is Mode.BLEND))
    about = [one.about for one in asked]
    measured = Measured()
    for name, scorer in scorers.items():
        values = {mode: [scorer(r, one) for r, one in zip(found[mode], asked, strict=True)] for mode in SYSTEMS}
        measured.figures += [_figure(part, mode, name, ev.mean(values[mode], about)) for mode in SYSTEMS]
        if name in compared:
            for mode in (Mode.VECTOR, Mode.KEYWORD):
                difference = ev.paired(values[Mode.BLEND], values[mode], about)
                measured.comparisons.append(Comparison("", part, name, Mode.BLEND, mode, difference))
    return found, measured


def absent(library: Library, truth: Truth, most: int) -> Measured:
    """Questions that no picture answers: how many get hits."""
    if not (truth.absent and (truth.captions or truth.objects)):
        return Measured()
    answered = [float(bool(library.ranked(Query(texts=(text,), k=1), timed=True))) for text in truth.absent[:most]]
    return Measured([_figure("cut-off", "auto", "false answers", ev.mean(answered), better="lower")])


def without(library: Library, truth: Truth, most: int) -> Measured:
    """`not=`: how much less of the first hits show what is not wanted."""
    before: list[float] = []
    after: list[float] = []
    for word, unwanted in questions.pairs_apart(truth)[:most]:
        named = questions.mentions(truth, unwanted)
        plain_query = Query(texts=(word,), k=DEEP, cutoff="none")
        for shares, query in ((before, plain_query), (after, replace(plain_query, not_texts=(unwanted,)))):
            shares.append(ev.precision_at(library.ranked(query, timed=query is plain_query), named, DEEP))
    if not before:
        return Measured()
    shown = [
        _figure("not=", system, f"unwanted in the first {DEEP}", ev.mean(shares), better="lower")
        for system, shares in (("without", before), ("with", after))
    ]
    return Measured(shown)


def facets(library: Library, truth: Truth, most: int) -> Measured:
    """Counts and totals under random filters, with and without words, against brute force over all records."""
    records = library.records
    made = oracle.random_filters(list(records.values()), min(most, FILTERS_ASKED), seed=SEED)
    texts = [one.text for one in questions.captions(truth, most=10)] + list(truth.absent[:2])
    rng = random.Random(SEED)  # noqa: S311 (no secret)
    everything: dict[str, list[ImageRecord]] = {"": list(records.values())}
    counts, totals = [], []
    for number, filter in enumerate(made):
        text = rng.choice(texts) if texts and number % 2 else ""
        query = Query(texts=(text,) if text else (), filter=filter)
        if text not in everything:
            everything[text] = [records[id] for id in library.matched(Query(texts=(text,)))[0] if id in records]
        found, first = library.matched(replace(query, facets=tuple(FACETS)))
        if not first.total_is_exact:
            continue
        among = everything[text]
        right = {record.id for record in among if matches(filter, record)}
        totals.append(float(set(found) == right and len(found) == len(right) == first.total))
        counts += [float(oracle.agrees(facet, filter, among, size=FACET_VALUES)) for facet in first.facets]
        library.asked()
    if not totals:
        return Measured()
    return Measured(
        [
            _figure("facets", "all", "lists equal to brute force", ev.mean(counts)),
            _figure("facets", "all", "results equal to brute force", ev.mean(totals)),
        ]
    )


def objects(library: Library, truth: Truth, most: int) -> Measured:  # noqa: ARG001
    """Labels of objects against the boxes that people drew, picture by picture."""
    found = {id: _best(library.records[id], TagKind.OBJECT) for id in truth.objects}
    right = {id: set(found[id]) & truth.objects[id].labels for id in found}
    if not found:
        return Measured()
    ids = sorted(found)
    measured = Measured(
        [
            _ratio("objects", "all", "precision", [(len(right[id]), len(found[id])) for id in ids]),
            _ratio("objects", "all", "recall", [(len(right[id]), len(truth.objects[id].labels)) for id in ids]),
        ]
    )
    for low, high in pairwise(BANDS):
        within = [[label for label, sure in found[id].items() if low <= sure < high] for id in ids]
        pairs = [(len(right[id].intersection(some)), len(some)) for id, some in zip(ids, within, strict=True)]
        measured.figures.append(_ratio("objects", f"confidence {low:.2f}–{min(high, 1):.2f}", "precision", pairs))
    measured.figures = [figure for figure in measured.figures if figure.estimate.count]
    there = Counter(label for one in truth.objects.values() for label in one.labels)
    said = Counter(label for some in found.values() for label in some)
    agreed = Counter(label for some in right.values() for label in some)
    measured.labels = [LabelRow("", name, there[name], said[name], agreed[name]) for name in sorted({*there, *said})]
    return measured


def scenes(library: Library, truth: Truth, most: int) -> Measured:  # noqa: ARG001
    """The likeliest scenes against the folder that people put a picture in, strictly by name."""
    ids = sorted(truth.scenes)
    if not ids:
        return Measured()
    said = {id: [plain(tag.label) for tag in _of_kind(library.records[id], TagKind.SCENE)] for id in ids}
    accepted = {id: truth.scenes[id].accepted for id in ids}
    figures = [
        _figure("scenes", "all", f"top-{k}", ev.mean([float(not accepted[id].isdisjoint(said[id][:k])) for id in ids]))
        for k in (1, 5)
    ]
    where, told = [], []
    for id in ids:
        indoor = truth.scenes[id].indoor
        attributes = {tag.label for tag in _of_kind(library.records[id], TagKind.ATTRIBUTE)}
        if indoor is not None:
            told.append(float(bool(attributes & {"indoor", "outdoor"})))
            where.append(float(("indoor" if indoor else "outdoor") in attributes))
    if any(told):
        figures.append(_figure("scenes", "all", "indoor or outdoor said", ev.mean(told)))
        figures.append(_figure("scenes", "all", "and right", ev.ratio(where, told)))
    groups = _group_of_scene()
    in_group, grouped = [], []
    for id in ids:
        named = [tag.label for tag in _of_kind(library.records[id], TagKind.ATTRIBUTE) if tag.label in groups.values()]
        grouped.append(float(bool(named)))
        in_group.append(float(bool(named) and named[0] == groups.get(truth.scenes[id].closest)))
    if any(grouped):
        figures.append(_figure("scenes", "all", "group said", ev.mean(grouped)))
        figures.append(_figure("scenes", "all", "and the closest scene's", ev.ratio(in_group, grouped)))
    return Measured(figures)


def _group_of_scene() -> dict[str, str]:
    names, _ = places()
    return {plain(names[i]): group for group, members in scene_groups().items() for i in np.flatnonzero(members)}


def duplicates(library: Library, truth: Truth, most: int) -> Measured:
    """Altered copies, looked up as files are; and photos of the library that are called copies of each other."""
    rng = random.Random(SEED)  # noqa: S311 (no secret)
    ids = sorted(truth.pictures)
    chosen = rng.sample(ids, min(len(ids), COPIED, most))
    found: dict[str, list[float]] = {name: [] for name in ALTERATIONS}
    hits: list[tuple[int, int]] = []
    for id in chosen:
        with Image.open(truth.pictures[id]) as opened:
            image = opened.convert("RGB")
        for name, alter in ALTERATIONS.items():
            alike = _copies(library, *alter(image))
            found[name].append(float(id in alike))
            hits.append((int(id in alike), len(alike)))
        library.asked()
    figures = [_figure("duplicates", name, "found", ev.mean(values)) for name, values in found.items()]
    about = [id for id in chosen for _ in ALTERATIONS]
    every = [value for values in zip(*found.values(), strict=True) for value in values]
    figures.append(_figure("duplicates", "all copies", "found", ev.mean(every, about)))
    if any(count for _, count in hits):
        precision = ev.ratio([own for own, _ in hits], [count for _, count in hits], about)
        figures.append(_figure("duplicates", "all copies", "precision", precision))
    among = rng.sample(ids, min(len(ids), PAIRED, most))
    paired = [
        float(bool(library.engine.similar(id, by=SimilarBy.DUPLICATE, filter=Filter(), k=1).hits)) for id in among
    ]
    figures.append(_figure("duplicates", "photos", "called a copy of another", ev.mean(paired), better="lower"))
    return Measured(figures)


def _copies(library: Library, image: Image.Image, quality: int) -> list[ImageId]:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    file.seek(0)
    results = library.engine.similar_to(library.lookup.picture(file), by=SimilarBy.DUPLICATE, filter=Filter(), k=K)
    return [hit.image.id for hit in results.hits]


def latency(library: Library, truth: Truth, most: int) -> Measured:  # noqa: ARG001
    """How long the engine took for a text that it had not seen, from the query to hits with their records."""
    if not library.took_ms:
        return Measured()
    return Measured(
        [
            _figure("latency", "blend", f"p{share} ms", ev.percentile(library.took_ms, share / 100), better="")
            for share in (50, 95, 99)
        ]
    )


MEASURES: Mapping[str, Callable[[Library, Truth, int], Measured]] = {
    measure.__name__: measure
    for measure in (captions, short, absent, without, facets, objects, scenes, duplicates, latency)
}
"""What can be measured, in the order of the report."""


def _of_kind(record: ImageRecord, kind: TagKind) -> list[Tag]:
    """Return all tags of a kind, the surest first, below the confidence from which they count as well."""
    return sorted((tag for tag in record.tags if tag.kind is kind), key=lambda tag: -tag.confidence)


def _best(record: ImageRecord, kind: TagKind) -> dict[str, float]:
    """Return the labels of a kind that count, with the best confidence of each."""
    best: dict[str, float] = {}
    for tag in _of_kind(record, kind):
        if tag.confidence >= DEFAULT_CONFIDENCE[kind]:
            best.setdefault(tag.label, tag.confidence)
    return best


def _figure(part: str, system: str, metric: str, estimate: ev.Estimate, *, better: str = "higher") -> Figure:
    return Figure("", part, str(system), metric, estimate, better)


def _ratio(part: str, system: str, metric: str, pairs: Sequence[tuple[int, int]]) -> Figure:
    wholes = [whole for _, whole in pairs]
    if not sum(wholes):
        return _figure(part, system, metric, ev.Estimate(0.0, 0.0, 1.0, 0))
    return _figure(part, system, metric, ev.ratio([own for own, _ in pairs], wholes))
