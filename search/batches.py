"""Batches that fit memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from search.profile_file import ModelSpec
from search.torch_device import device_of

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

ON_PROCESSOR = 8
"""Larger batches were no faster on two cores (docs/models.md)."""
ELSEWHERE = 32
"""As many as the indexer hands over at once."""


class Batches:
    """Runs a net over items in batches. Whenever memory runs out the size is halved, for good, and the batch run again.

    A single item that does not fit is an error of its own.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._size = spec.batch_size

    def run(self, items: Sequence[Item], net: Callable[[Sequence[Item]], Result]) -> Iterator[tuple[slice, Result]]:
        """Yield the net's results in order, each with the part of the items that it is of."""
        self._size = self._size or (ON_PROCESSOR if device_of(self._spec).type == "cpu" else ELSEWHERE)
        start = 0
        while start < len(items):
            part = slice(start, min(start + self._size, len(items)))
            try:
                result = net(items[part])
            except (MemoryError, RuntimeError) as error:
                if part.stop - start == 1 or not _is_out_of_memory(error):
                    raise
                self._size = (part.stop - start) // 2
                log.warning("memory ran out with %d pictures at once; going on with %d", part.stop - start, self._size)
                continue
            yield part, result
            start = part.stop


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether torch, on any device, or Python had no memory left. Torch's own class is a RuntimeError as well."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said
