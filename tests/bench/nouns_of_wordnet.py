"""Make `search/data` from the database files of WordNet 3.0 (Debian: wordnet-base, /usr/share/wordnet).

    python tests/bench/nouns_of_wordnet.py /usr/share/wordnet search/data

Left out: proper names, fourth and further senses, and what cannot be seen (feelings, relations, quantities …), by
WordNet's lexicographer files (lexnames(5WN)).
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SEEN = frozenset({3, 4, 5, 6, 8, 10, 11, 13, 14, 15, 17, 18, 19, 20, 27, 28})
"""Tops, act, animal, artifact, body, communication, event, food, group, location, object, person, phenomenon, plant,
substance, time."""
SENSES = 3


class Synset(NamedTuple):
    names: list[str]
    above: list[str]


def main(wordnet: Path, target: Path) -> None:
    synsets = dict(read(wordnet))
    order = top_down(synsets)
    place = {offset: number for number, offset in enumerate(order)}
    lines = [
        f"{' '.join(str(place[one] - place[up]) for up in synsets[one].above if up in place)}\t{'|'.join(names)}\n"
        for one in order
        for names in [synsets[one].names]
    ]
    head = (
        "# Nouns of WordNet 3.0, read by `search/nouns.py`. A line is a synset: how many lines above it its hypernyms\n"
        "# stand, a tab, its words; @n is sense n + 1 of the word.\n"
    )
    packed = gzip.compress((head + "".join(lines)).encode(), 9, mtime=0)
    (target / "nouns.txt.gz").write_bytes(packed)
    known = {name.partition("@")[0] for one in order for name in synsets[one].names}
    plurals = sorted({*irregular(wordnet, known), "people person"})
    head = "# Plurals that no rule gives, of WordNet 3.0 (noun.exc), and people: plural, singular.\n"
    (target / "irregular_plurals.txt").write_text(head + "".join(f"{line}\n" for line in plurals), encoding="utf-8")


def lines_of(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line but for the licence at the beginning."""
    with path.open(encoding="ascii") as lines:
        yield from (line.split(" | ", 1)[0].split() for line in lines if not line.startswith("  "))


def read(wordnet: Path) -> Iterator[tuple[str, Synset]]:
    rank = {
        (fields[0], offset): number
        for fields in lines_of(wordnet / "index.noun")
        for number, offset in enumerate(fields[-int(fields[2]) :])
    }
    for offset, category, _, count, *rest in lines_of(wordnet / "data.noun"):
        words, pointers = rest[: 2 * int(count, 16) : 2], rest[2 * int(count, 16) + 1 :]
        kinds, targets = pointers[0::4], pointers[1::4]
        if int(category) not in SEEN or "@i" in kinds:
            continue
        senses = [(word, rank[word.lower(), offset]) for word in words if word == word.lower()]
        names = [f"{word.replace('_', ' ')}{f'@{sense}' if sense else ''}" for word, sense in senses if sense < SENSES]
        yield offset, Synset(names, [up for kind, up in zip(kinds, targets, strict=False) if kind == "@"])


def top_down(synsets: dict[str, Synset]) -> list[str]:
    """Return the synsets that have words and all that are above those, what is above first."""
    order: dict[str, None] = {}

    def put(offset: str) -> None:
        if offset in synsets and offset not in order:
            for up in synsets[offset].above:
                put(up)
            order[offset] = None

    for offset in sorted(synsets):
        if synsets[offset].names:
            put(offset)
    return list(order)


def irregular(wordnet: Path, known: set[str]) -> Iterator[str]:
    for plural, singular, *_ in lines_of(wordnet / "noun.exc"):
        if plural.isalpha() and singular in known and plural not in known:
            yield f"{plural} {singular}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
