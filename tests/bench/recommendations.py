"""How good recommendations are: python tests/bench/recommendations.py [--images N | --data LIBRARY] [--time] [--json F]

Persons with planted tastes: each has three to six *themes*, some more than others, out of the twelve of one of twenty
circles of persons; likes and views are of images of those themes (some images of a theme are liked by more persons than
others, by Zipf), and one in ten of anything. A theme is a cluster of generated vectors like CLIP's
(tests/bench/synthetic_library.py), or with --data a label (object, scene, class) of a library of real pictures. Ten
likes of each person are held back; the rest is what recommendations are made from. The hit rate is the share of persons
of whom at least one such like is among the k shown; nDCG counts all of them, the first ones more, ± is its interval of
95 % over persons; coverage is the share of the library's images that anybody was shown. All systems see the same.

--time measures how long one recommendation takes. The tables go to stdout as Markdown, the figures to --json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
from bench.synthetic_library import SyntheticLibrary  # noqa: E402

from search.catalog.opening import open_catalog  # noqa: E402
from search.catalog.protocol import Catalog  # noqa: E402
from search.config import load_config  # noqa: E402
from search.recommend import factors, recommender, taste  # noqa: E402
from search.recommend.crowd import Crowd  # noqa: E402
from search.recommend.events import EventType, Kept, after  # noqa: E402
from search.recommend.keeper import crowd_of  # noqa: E402
from search.recommend.recommender import Recommender  # noqa: E402
from search.stores import Stores, open_stores  # noqa: E402
from search.types import DEFAULT_CONFIDENCE, EmbeddingSpace, Filter, ImageId, TagKind  # noqa: E402

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CIRCLES, THEMES_OF_CIRCLE = 20, 12
LIKES, VIEWS, HELD_BACK = 30, 30, 10
STRAY = 0.1
DAYS = 150
ZIPF = 1.0
LEAST_OF_LABEL = 12
KINDS = (TagKind.OBJECT, TagKind.SCENE, TagKind.CLASS)
KEPT_FOR = timedelta(days=365)


@dataclass(frozen=True)
class Person:
    name: str
    kept: Kept
    held_back: frozenset[ImageId]


class Planted:
    """Satisfies `search.recommend.events.Events` as far as it is read."""

    def __init__(self, persons: Sequence[Person]) -> None:
        self._kept = {person.name: person.kept for person in persons}

    def of(self, person: str) -> Kept:
        return self._kept.get(person, ())

    def everyone(self) -> Iterator[tuple[str, Kept]]:
        yield from self._kept.items()


@dataclass
class Fixed:
    """In place of a `CrowdKeeper`: a crowd that stays as it is."""

    crowd: Crowd

    def current(self) -> Crowd:
        return self.crowd


@dataclass(frozen=True)
class Opened:
    catalog: Catalog
    stores: Stores
    space: EmbeddingSpace

    def recommender(self, events: Planted, crowd: Crowd) -> Recommender:
        return Recommender(
            records=self.catalog,
            tags=self.stores.tags,
            finder=self.stores.finder,
            space=self.space,
            events=events,  # type: ignore[arg-type]
            crowd=Fixed(crowd),  # type: ignore[arg-type]
        )


@contextmanager
def opened(data: Path) -> Iterator[Opened]:
    config = load_config(data=data)
    with open_catalog(config) as catalog:
        space = catalog.active_space()
        assert space is not None
        stores = open_stores(config, catalog, space)
        try:
            stores.catch_up()
            yield Opened(catalog, stores, space)
        finally:
            stores.close()


def generated(images: int, folder: Path) -> dict[str, list[ImageId]]:
    """Write a generated library, unless it is there, and return the images of each of its clusters."""
    library = SyntheticLibrary(images)
    if not (folder / "written").exists():
        with open_catalog(load_config(data=folder), create=True) as catalog:
            library.write_to(catalog)
        (folder / "written").touch()
    themes: dict[str, list[ImageId]] = {}
    for number, cluster in enumerate(library._clusters.tolist()):
        themes.setdefault(str(cluster), []).append(library.id(number))
    return {name: ids for name, ids in themes.items() if len(ids) >= LEAST_OF_LABEL}


def labelled(catalog: Catalog) -> dict[str, list[ImageId]]:
    """Return the images that carry each label that is neither rare nor everywhere."""
    themes: dict[str, list[ImageId]] = {}
    records = catalog.records(list(catalog.ordinals()))
    for record in records:
        for label in {
            f"{t.kind}:{t.label}" for t in record.tags if t.kind in KINDS and t.confidence >= DEFAULT_CONFIDENCE[t.kind]
        }:
            themes.setdefault(label, []).append(record.id)
    return {name: ids for name, ids in sorted(themes.items()) if LEAST_OF_LABEL <= len(ids) <= len(records) / 10}


def planted(themes: Mapping[str, Sequence[ImageId]], everything: Sequence[ImageId], count: int) -> list[Person]:
    rng = np.random.default_rng(5)
    names = list(themes)
    own = min(THEMES_OF_CIRCLE, len(names))
    circles = [rng.choice(names, own, replace=False) for _ in range(CIRCLES)]
    return [_person(f"p{n}", circles[n % CIRCLES], themes, everything, rng) for n in range(count)]


def _person(
    name: str,
    circle: Sequence[str],
    themes: Mapping[str, Sequence[ImageId]],
    everything: Sequence[ImageId],
    rng: np.random.Generator,
) -> Person:
    interests = list(rng.choice(circle, int(rng.integers(3, 7)), replace=False))
    shares = rng.dirichlet(np.full(len(interests), 2.0))

    def one_of(theme: str) -> ImageId:
        images = themes[theme]
        chances = np.arange(1, len(images) + 1) ** -ZIPF
        return images[int(rng.choice(len(images), p=chances / chances.sum()))]

    def drawn(number: int, taken: set[ImageId]) -> list[ImageId]:
        found: list[ImageId] = []
        for _ in range(50 * number):
            if len(found) == number:
                break
            stray = rng.random() < STRAY
            image = everything[int(rng.integers(len(everything)))] if stray else one_of(rng.choice(interests, p=shares))
            if image not in taken:
                taken.add(image)
                found.append(image)
        return found

    taken: set[ImageId] = set()
    likes, views = drawn(LIKES + HELD_BACK, taken), drawn(VIEWS, taken)
    at = sorted(NOW - timedelta(days=float(days)) for days in rng.uniform(0, DAYS, LIKES + VIEWS))
    done = [(image, EventType.LIKE) for image in likes[HELD_BACK:]] + [(image, EventType.VIEW) for image in views]
    rng.shuffle(done)
    kept: Kept = ()
    for (image, type), when in zip(done, at, strict=False):
        kept = after(kept, image, EventType(type), when, kept_for=KEPT_FOR)
    return Person(name, kept, frozenset(likes[:HELD_BACK]))


Ask = Callable[[Person, int], Sequence[ImageId]]


def systems(library: Opened, persons: Sequence[Person], everything: Sequence[ImageId]) -> dict[str, Ask]:
    events = Planted(persons)
    alone, together = Crowd({}), _crowd(events, factorised=False)
    rng = np.random.default_rng(9)
    popular = [one.image for one in together.popular(1_000)]

    def by(crowd: Crowd) -> Ask:
        recommends = library.recommender(events, crowd).recommend
        return lambda person, k: [
            one.hit.image.id for one in recommends(person.name, filter=Filter(), k=k, now=NOW).shown
        ]

    def by_others(crowd: Crowd) -> Ask:
        return lambda person, k: list(
            crowd.likes_of_others(person.name, taste.strengths(person.kept, NOW), k + len(person.kept))
        )[:k]

    def not_known(person: Person, ids: Sequence[ImageId]) -> list[ImageId]:
        known = {event.image for event in person.kept}
        return [id for id in ids if id not in known]

    def of_one_mean(person: Person, k: int) -> Sequence[ImageId]:
        several, recommender.taste.interests = taste.interests, partial(taste.interests, most=1)
        try:
            return by(alone)(person, k)
        finally:
            recommender.taste.interests = several

    found: dict[str, Ask] = {
        "random": lambda person, k: not_known(
            person, [everything[i] for i in rng.permutation(len(everything))[: k + 100]]
        )[:k],
        "popularity": lambda person, k: not_known(person, popular)[:k],
        "content, one mean of all": of_one_mean,
        "content, several interests": by(alone),
        "others alone, co-occurrence": by_others(together),
        "both, co-occurrence": by(together),
    }
    if factors.is_installed():
        learnt = _crowd(events, factorised=True)
        found |= {"others alone, factorisation": by_others(learnt), "both, factorisation": by(learnt)}
    return found


def _crowd(events: Planted, *, factorised: bool) -> Crowd:
    return Crowd({name: taste.strengths(kept, NOW) for name, kept in events.everyone()}, factorised=factorised)


def measured(ask: Ask, persons: Sequence[Person], images: int, k: int) -> dict[str, float]:
    hits, gains, shown = [], [], set()
    for person in persons:
        found = ask(person, k)
        right = np.array([id in person.held_back for id in found], float)
        best = np.sum(1 / np.log2(np.arange(2, 2 + min(k, len(person.held_back)))))
        hits.append(bool(right.any()))
        gains.append(float(np.sum(right / np.log2(np.arange(2, 2 + len(right)))) / best))
        shown.update(found)
    spread = 1.96 * float(np.std(gains)) / len(gains) ** 0.5
    return {
        "hit rate": float(np.mean(hits)),
        "nDCG": float(np.mean(gains)),
        "±": spread,
        "coverage": len(shown) / images,
    }


def timed(library: Opened, persons: Sequence[Person], k: int) -> dict[str, float]:
    """Return milliseconds of one recommendation, from events to records, one after the other."""
    events = Planted(persons)
    recommends = library.recommender(events, crowd_of(events, NOW)).recommend  # type: ignore[arg-type]
    took = []
    for person in persons:
        started, worked = time.perf_counter(), time.process_time()
        recommends(person.name, filter=Filter(), k=k, now=NOW)
        took.append(((time.perf_counter() - started) * 1000, (time.process_time() - worked) * 1000))
    warm = np.array(took[len(took) // 4 :])
    median, processor = np.median(warm, axis=0)
    return {
        "median ms": median,
        "p95 ms": float(np.quantile(warm[:, 0], 0.95)),
        "of the processor, median ms": processor,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--data", type=Path, help="a library of real pictures, in place of a generated one")
    parser.add_argument("--work", type=Path, help="keep the generated library there for the next run")
    parser.add_argument("--persons", type=int, default=400)
    parser.add_argument("-k", type=int, default=20)
    parser.add_argument("--time", action="store_true", help="how long it takes, not how good it is")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.work / f"tastes-{args.images}" if args.work else Path(temporary)
        themes = None if args.data else generated(args.images, folder)
        with opened(args.data or folder) as library:
            themes = themes or labelled(library.catalog)
            everything = [record.id for record in library.catalog.records(list(library.catalog.ordinals()))]
            persons = planted(themes, everything, args.persons)
            print(f"{len(everything):,} images, {len(themes):,} themes, {len(persons)} persons, k = {args.k}\n")
            if args.time:
                rows = {"recommend": timed(library, persons, args.k)}
            else:
                asked = systems(library, persons, everything)
                rows = {name: measured(ask, persons, len(everything), args.k) for name, ask in asked.items()}
    names = list(next(iter(rows.values())))
    print(f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in row.values())} |")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
