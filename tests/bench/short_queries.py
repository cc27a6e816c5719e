"""What other words for labels do to short queries: asked with and without them, of the same libraries.

    python tests/bench/short_queries.py LIBRARY FOLDER [LIBRARY FOLDER ...]

LIBRARY is a data directory (nothing is written to what it holds, but give it a copy), FOLDER what `snapseek eval` reads
of the same pictures. The queries are those of `indexer.quality.questions.short`: labels, what else people call them,
pairs of labels that are seen together, and words of captions, judged by boxes and captions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import patch

import search.engine
from indexer.quality.questions import Question, short
from indexer.quality.truth import read_truth
from search.config import load_config
from search.engine import SearchEngine
from search.evaluation import mean, ndcg_at, paired, precision_at
from search.services import open_services
from search.types import ImageId, Mode, Query
from search.vocabulary import Vocabulary

K = 10
MOST = 600
WEIGHTS = (0.3, 0.6, 1.0)

Values = dict[str, list[float]]


def main(places: Sequence[str]) -> None:
    for library, folder in zip(places[::2], places[1::2], strict=True):
        with open_services(load_config(data=Path(library))) as services:
            for truth in read_truth(Path(folder)):
                report(services.engine, truth.name, short(truth, most=MOST))


def report(engine: SearchEngine, name: str, asked: Sequence[Question]) -> None:
    ndcg, precision = measured(engine, asked, ndcg_at), measured(engine, asked, precision_at)
    kinds = {"all": asked, **{kind: [one for one in asked if one.kind == kind] for kind in sorted(kinds_of(asked))}}
    print(f"\n{name}: nDCG@{K} / P@{K}")
    print(f"{'':16}{'':>5}" + "".join(f"{system:>16}" for system in ndcg))
    for kind, members in kinds.items():
        places = [place for place, one in enumerate(asked) if one in members]
        row = (f"{mean(at(ndcg[s], places)).value:.3f} / {mean(at(precision[s], places)).value:.3f}" for s in ndcg)
        print(f"{kind:16}{len(places):5}" + "".join(f"{cell:>16}" for cell in row))
    for system in ("keyword", "blend"):
        for weight in WEIGHTS:
            gain = paired(ndcg[f"{system} +{weight}"], ndcg[system])
            print(f"{system} +{weight} against {system}, nDCG@{K}: {gain}")


def measured(engine: SearchEngine, asked: Sequence[Question], score: Callable[..., float]) -> Values:
    """Return for each system the score of each query."""
    return {
        name: [score(ranked(engine, one.text, mode), one.gains, K) for one in asked]
        for name, mode, setting in systems()
        for _ in entered(setting)
    }


def systems() -> Iterator[tuple[str, Mode, AbstractContextManager[object]]]:
    without = patch.object(Vocabulary, "other_labels", return_value=())
    for mode in (Mode.VECTOR, Mode.KEYWORD, Mode.BLEND):
        yield mode.value, mode, without
    for mode in (Mode.KEYWORD, Mode.BLEND):
        for weight in WEIGHTS:
            yield f"{mode} +{weight}", mode, patch.object(search.engine, "OTHER_WORDS", weight)


def entered(setting: AbstractContextManager[object]) -> Iterator[None]:
    with setting:
        yield


def ranked(engine: SearchEngine, text: str, mode: Mode) -> list[ImageId]:
    return [hit.image.id for hit in engine.search(Query(texts=(text,), mode=mode, k=K, cutoff="none")).hits]


def kinds_of(asked: Sequence[Question]) -> set[str]:
    return {one.kind for one in asked}


def at(values: Sequence[float], places: Sequence[int]) -> list[float]:
    return [values[place] for place in places]


if __name__ == "__main__":
    main(sys.argv[1:])
