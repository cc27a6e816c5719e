"""Line charts as SVG, without a library: few lines, logarithmic axes, told apart by colour, dashes and marks alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 210, 50, 50
COLOURS = ("#0b6e99", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be123c", "#475569", "#0f766e")
DASHES = ("", "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; points without a value are left out."""

    name: str
    points: Sequence[tuple[float, float | None]]
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What is along a side, and the places that are named there."""

    title: str
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool = True

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the first tick and 1 at the last."""
        scale = math.log10 if self.logarithmic else float
        first, last = scale(self.ticks[0][0]), scale(self.ticks[-1][0])
        return (scale(value) - first) / (last - first)


def chart(title: str, across: Axis, up: Axis, lines: Sequence[Line]) -> str:
    """Return an SVG document; lines are named at the right, in their order."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    for value, name in across.ticks:
        x = _x(across, value)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(name)}</text>')
    for value, name in up.ticks:
        y = _y(up, value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across.title)}</text>')
    height = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(16 {height}) rotate(-90)" text-anchor="middle">{escape(up.title)}</text>')
    for number, line in enumerate(lines):
        parts += _drawn(line, number, across, up)
    return "\n".join([*parts, "</svg>", ""])


def _drawn(line: Line, number: int, across: Axis, up: Axis) -> list[str]:
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    style = f'stroke="{colour}" fill="none" stroke-width="{3 if line.bold else 1.6}"'
    style += f' stroke-dasharray="{dash}"' if dash else ""
    placed = [(_x(across, x), _y(up, y)) for x, y in line.points if y is not None]
    parts = []
    if placed:
        parts.append(f'<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in placed)}" {style}/>')
    parts += [_mark(x, y, number, colour) for x, y in placed]
    x, y = WIDTH - RIGHT + 16, TOP + 8 + 22 * number
    weight = ' font-weight="600"' if line.bold else ""
    parts.append(f'<path d="M{x} {y}H{x + 26}" {style}/>')
    parts.append(_mark(x + 13, y, number, colour))
    parts.append(f'<text x="{x + 34}" y="{y + 4}"{weight}>{escape(line.name)}</text>')
    return parts


def _mark(x: float, y: float, number: int, colour: str) -> str:
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>',
        f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}"/>',
        f'<path d="M{x:.1f} {y - 4:.1f}l4 7h-8z" fill="{colour}"/>',
        f'<path d="M{x:.1f} {y - 4:.1f}l4 4-4 4-4-4z" fill="{colour}"/>',
    )
    return shapes[number % len(shapes)]


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - RIGHT - LEFT)


def _y(axis: Axis, value: float) -> float:
    """Return the height of a value; what is off the axis lies at its end."""
    return HEIGHT - BOTTOM - min(1.0, max(0.0, axis.place(value))) * (HEIGHT - BOTTOM - TOP)
