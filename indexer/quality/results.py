"""What an evaluation found: figures with intervals, kept as numbers alone, shown as tables, held against others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from search.errors import ConfigError
from search.evaluation import Difference, Estimate

BEGIN, END = "<!-- figures: written by `snapseek eval` -->", "<!-- end of figures -->"
DIGITS = 4
LEAST_PICTURES = 15
"""Pictures with a label from which a row of its own says something."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: of which pictures, of what, by which system. ``better``: "higher", "lower" or "" for neither."""

    pictures: str
    part: str
    system: str
    metric: str
    estimate: Estimate
    better: str = "higher"

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.pictures, self.part, self.system, self.metric


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one system is ahead of another on the same questions."""

    pictures: str
    part: str
    metric: str
    system: str
    other: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label: pictures that show it, that it was said of, and those of them that it was rightly said of."""

    pictures: str
    label: str
    there: int
    said: int
    right: int


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Which pictures were asked about, among how many, by how many questions of a measure at most.

    ``digest`` tells whether the pictures, and what is said of them, are the same; ``missing`` are not in the library.
    """

    name: str
    pictures: int
    digest: str
    missing: int
    among: int
    questions: int


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that lies beyond the interval of an earlier one."""

    figure: Figure
    before: Estimate
    is_better: bool

    def as_dict(self) -> dict[str, Any]:
        return {**_flat(self.figure, "estimate"), "before": asdict(self.before), "is_better": self.is_better}


@dataclass(slots=True)
class Report:
    """One evaluation."""

    profile: str
    space: str
    sets: list[PictureSet] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    labels: list[LabelRow] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the document of the report: numbers, and no word of any caption or name of a file."""
        return {
            "profile": self.profile,
            "space": self.space,
            "sets": [asdict(one) for one in self.sets],
            "figures": [_flat(one, "estimate") for one in self.figures],
            "comparisons": [_flat(one, "difference") for one in self.comparisons],
            "labels": [asdict(one) for one in self.labels],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Report:
        return cls(
            document["profile"],
            document["space"],
            [PictureSet(**one) for one in document["sets"]],
            [Figure(**_nested(one, "estimate", Estimate)) for one in document["figures"]],
            [Comparison(**_nested(one, "difference", Difference)) for one in document["comparisons"]],
            [LabelRow(**one) for one in document["labels"]],
        )

    def rounded(self) -> Report:
        """Return the report as it is when it was written and read again."""
        return Report.from_dict(self.as_dict())


def _flat(row: Figure | Comparison, part: str) -> dict[str, Any]:
    values = asdict(row)
    inner = {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values[part].items()}
    return {**{name: value for name, value in values.items() if name != part}, **inner}


def _nested(row: Mapping[str, Any], part: str, kind: type[Estimate | Difference]) -> dict[str, Any]:
    inner = {name: row[name] for name in kind.__dataclass_fields__}
    return {**{name: value for name, value in row.items() if name not in inner}, part: kind(**inner)}


def read(path: Path) -> Report:
    """Return a report that was kept. Raises ConfigError where the file is none."""
    try:
        return Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no result of `snapseek eval --keep`: {error!r}") from error


def keep(report: Report, path: Path) -> None:
    path.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_page(report: Report, path: Path) -> None:
    """Put the tables between the markers of a page. Raises ConfigError where it has none."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if BEGIN not in text or END not in text:
        raise ConfigError(f"{path} needs the lines {BEGIN} and {END}, for the tables to stand between")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{BEGIN}\n\n{tables(report.rounded())}\n{END}{after}", encoding="utf-8")


def changes(now: Report, before: Report) -> tuple[list[Change], list[str]]:
    """Return the figures that lie beyond the earlier interval, and the sets of pictures that cannot be compared."""
    same = {one.name for one in now.sets if one in before.sets}
    earlier = {figure.key: figure.estimate for figure in before.figures}
    found = []
    for figure in now.figures:
        was = earlier.get(figure.key)
        if was is None or figure.pictures not in same or not figure.better:
            continue
        value = round(figure.estimate.value, DIGITS)
        if not was.low <= value <= was.high:
            found.append(Change(figure, was, (value > was.high) is (figure.better == "higher")))
    return found, [one.name for one in now.sets if one.name not in same]


def named(pictures: str, measured_rows: Iterable[Figure | Comparison | LabelRow]) -> Iterator[Any]:
    """Yield rows with the name of the pictures that they are about."""
    return (replace(row, pictures=pictures) for row in measured_rows)


# Tables


def tables(report: Report) -> str:
    """Return the report as Markdown: one table for each set of pictures and part, then what was compared."""
    blocks = [f"Profile `{report.profile}`, space `{report.space}`. In brackets: 95 % intervals."]
    for one in report.sets:
        missing = f", {one.missing} more are not in the library" if one.missing else ""
        blocks.append(f"### {one.name}: {one.pictures:,} pictures{missing}")
        figures = [figure for figure in report.figures if figure.pictures == one.name]
        blocks += [_block(part, figures) for part in dict.fromkeys(figure.part for figure in figures)]
        blocks += _compared([row for row in report.comparisons if row.pictures == one.name])
        blocks += _labelled([row for row in report.labels if row.pictures == one.name])
    return "\n\n".join(blocks) + "\n"


def _block(part: str, figures: list[Figure]) -> str:
    rows = [figure for figure in figures if figure.part == part]
    metrics = list(dict.fromkeys(figure.metric for figure in rows))
    cells = {(figure.system, figure.metric): _cell(figure) for figure in rows}
    counts = {figure.system: figure.estimate.count for figure in reversed(rows)}
    lines = [
        [system, f"{counts[system]:,}", *(cells.get((system, metric), "") for metric in metrics)]
        for system in dict.fromkeys(figure.system for figure in rows)
    ]
    return _markdown([part, "of", *metrics], lines)


def _cell(figure: Figure) -> str:
    one = figure.estimate
    digits = 1 if figure.metric.endswith(" ms") else 3
    return f"{one.value:.{digits}f} ({one.low:.{digits}f}–{one.high:.{digits}f})"


def _compared(rows: list[Comparison]) -> list[str]:
    if not rows:
        return []
    lines = [
        [
            f"{row.part}, {row.metric}",
            f"{row.system} over {row.other}",
            f"{row.difference.value:+.3f} ({row.difference.low:+.3f} to {row.difference.high:+.3f})",
            f"{row.difference.p:.4f}",
        ]
        for row in rows
    ]
    return [_markdown(["paired", "systems", "difference", "p"], lines)]


def _labelled(rows: list[LabelRow]) -> list[str]:
    lines = [
        [row.label, str(row.there), str(row.said), _share(row.right, row.said), _share(row.right, row.there)]
        for row in sorted(rows, key=lambda row: (-row.there, row.label))
        if row.there >= LEAST_PICTURES
    ]
    return [_markdown(["label", "pictures", "said of", "precision", "recall"], lines)] if lines else []


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "–"


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def said(found: list[Change], other_pictures: list[str]) -> str:
    """Return what changed, for people: a line for each figure that is beyond the earlier interval."""
    lines = [
        f"{'better' if change.is_better else 'WORSE '}  {', '.join(filter(None, change.figure.key))}:"
        f" {change.figure.estimate.value:.3f}, was {change.before.value:.3f}"
        f" ({change.before.low:.3f}–{change.before.high:.3f})"
        for change in sorted(found, key=lambda change: change.is_better)
    ]
    lines += [
        f"not compared, since pictures, words or numbers of them are other ones: {name}" for name in other_pictures
    ]
    return "\n".join(lines or ["no figure is beyond the earlier interval"])
