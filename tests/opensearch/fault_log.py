"""What fault tests did to a server, what its clients saw and what was lost, as a table in Markdown."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SNAPSEEK_FAULT_LOG"
"""Names the file that the table of a run is written to; without it, the table is printed (`pytest -s` shows it)."""


@dataclass(frozen=True, slots=True)
class Entry:
    fault: str
    store: str
    seen: str
    lost: str


class FaultLog:
    """The entries of one run of the tests."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def note(self, fault: str, store: str, seen: str, lost: str) -> None:
        self._entries.append(Entry(fault, store, seen, lost))

    def table(self) -> str:
        rows = [f"| {e.fault} | {e.store} | {e.seen} | {e.lost} |\n" for e in self._entries]
        return "| what was done | store | what clients saw | lost |\n| --- | --- | --- | --- |\n" + "".join(rows)

    def publish(self) -> None:
        if not self._entries:
            return
        if path := os.environ.get(VARIABLE):
            Path(path).write_text(self.table(), encoding="utf-8")
        else:
            sys.stdout.write(f"\n{self.table()}")


def lost_of(missing: int, acknowledged: int) -> str:
    """Say how much of what was acknowledged is missing."""
    return f"{missing or 'nothing'} of {acknowledged} acknowledged"
