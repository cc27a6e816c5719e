"""A progress bar on stderr, with rate and time left; silent where nobody watches."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Never

from tqdm import tqdm


class Bar:
    """Shows the progress of an index run. Satisfies `indexer.pipeline.Progress`."""

    def __init__(self, unit: str = " images") -> None:
        self._unit = unit

    def __enter__(self) -> Bar:
        self._bar: tqdm[Never] = tqdm(unit=self._unit, disable=None, dynamic_ncols=True, smoothing=0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def found(self, more: int) -> None:
        """Add to the number of files to index."""
        self._bar.total = (self._bar.total or 0) + more
        self._bar.refresh()

    def done(self, count: int) -> None:
        self._bar.update(count)

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._bar.write(message, file=sys.stderr)
