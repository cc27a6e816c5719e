"""A caption put together from tags: "Two people and a dog on a beach". It claims nothing that the tags do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image

from indexer.settings import setting_of
from search.types import DEFAULT_CONFIDENCE, Tag, TagKind

NUMBERS = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MOST_THINGS = 4
CLASS_LEAST = 0.6
"""Where no object was found, the class of the picture is named from this probability on."""

IRREGULAR = {
    "person": "people",
    "sheep": "sheep",
    "knife": "knives",
    "mouse": "mice",
    "scissors": "scissors",
    "skis": "skis",
    "toothbrush": "toothbrushes",
    "broccoli": "broccoli",
}
PAIRED = frozenset({"scissors", "skis"})
UNCOUNTED = frozenset({"broccoli"})


class ComposedCaptioner:
    """Satisfies `search.protocols.Captioner`."""

    source = "composed"
    fingerprint = f"{source} 1"
    side = 0

    def caption(self, images: Sequence[Image.Image], tags: Sequence[Sequence[Tag]]) -> list[str]:  # noqa: ARG002
        return [compose(found) for found in tags]


def compose(tags: Sequence[Tag]) -> str:
    """Return a sentence of the objects that count by default and the setting, or "" where nothing is certain."""
    things = _things(tags)
    found = setting_of(tags)
    where = found[0].phrase if found else ""
    if not things and found:
        where = found[0].label.capitalize()
    sentence = " ".join(part for part in (_listed(things), where) if part)
    return sentence[:1].upper() + sentence[1:]


def _things(tags: Sequence[Tag]) -> list[str]:
    least = DEFAULT_CONFIDENCE[TagKind.OBJECT]
    counts = Counter(tag.label for tag in tags if tag.kind is TagKind.OBJECT and tag.confidence >= least)
    if counts:
        people_first = sorted(counts, key=lambda label: (label != "person", -counts[label]))
        return [counted(label, counts[label]) for label in people_first[:MOST_THINGS]]
    classes = [tag for tag in tags if tag.kind is TagKind.CLASS and tag.confidence >= CLASS_LEAST]
    return [counted(max(classes, key=lambda tag: tag.confidence).label, 1)] if classes else []


def counted(label: str, count: int) -> str:
    """Return a label with its number in words: "a dog", "an umbrella", "two buses", "12 people", "a pair of skis"."""
    if label in UNCOUNTED:
        return label
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    if label in PAIRED:
        return f"a pair of {label}" if count == 1 else f"{number} pairs of {label}"
    if count == 1:
        return f"{'an' if label[0].lower() in 'aeiou' else 'a'} {label}"
    return f"{number} {plural(label)}"


def plural(label: str) -> str:
    first, _, last = label.rpartition(" ")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{first} {last}".strip()


def _listed(things: list[str]) -> str:
    if len(things) < 2:
        return "".join(things)
    return f"{', '.join(things[:-1])} and {things[-1]}"
