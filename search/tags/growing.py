"""An array that grows at its end, at the cost of what is added."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class Growing:
    """A column of numbers with room to spare; places that were never written hold ``empty``."""

    def __init__(self, dtype: DTypeLike, empty: float) -> None:
        self._empty = empty
        self._data: NDArray[Any] = np.full(1024, empty, dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int | slice) -> Any:
        return self._data[place]

    def __setitem__(self, place: int | slice, value: float) -> None:
        self._own()
        self._data[place] = value

    def over(self, values: NDArray[Any]) -> None:
        """Hold these values in place of those there are; they are copied when they are first written to."""
        self._data, self._size = values, len(values)

    def filled(self) -> NDArray[Any]:
        """Return a view of what has been written."""
        return self._data[: self._size]

    def at(self, places: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = self._data[places]
        return found

    def extend(self, values: NDArray[Any]) -> None:
        """Write values after the last one."""
        start = self._size
        self._reserve(start + len(values))
        self._data[start : self._size] = values

    def put(self, places: NDArray[Any], values: ArrayLike) -> None:
        """Write values at places, which may lie beyond the end."""
        if len(places):
            self._reserve(int(places.max()) + 1)
            self._data[places] = values

    def keep(self, places: NDArray[np.int64]) -> None:
        """Keep only some values, in the order given."""
        self._data, self._size = self._data[places], len(places)

    def _reserve(self, size: int) -> None:
        """Make room for ``size`` values: at least half as many again, so that growing stays cheap on the whole."""
        if size > len(self._data):
            grown = np.full(max(size, len(self._data) * 3 // 2), self._empty, dtype=self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._own()
        self._size = max(self._size, size)

    def _own(self) -> None:
        if not self._data.flags.writeable:
            self._data = self._data.copy()
