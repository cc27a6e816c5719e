"""The random order of images: a number for each, by its ordinal and a seed, which is the same in every store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.types import Ordinals

MAX_SEED = 2**32 - 1

# SplitMix64 (Steele, Lea and Flood 2014). Its state is started from the mixed seed, not from the seed: otherwise the
# order of one seed would be that of the seed before, moved by one.
_STEP, _FIRST, _SECOND = 0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB
_UNUSED_BITS = 11
"""What is left is whole and below 2**53, so that stores that compare doubles compare the same."""

_U64 = NDArray[np.uint64]


def keys(ordinals: Ordinals, seed: int) -> NDArray[np.int64]:
    """Return what the images are sorted by: evenly spread numbers from 0 to 2**53 - 1."""
    counted = ordinals.astype(np.uint64) * np.uint64(_STEP) + np.uint64(_start(seed))
    return (_mixed(counted) >> np.uint64(_UNUSED_BITS)).astype(np.int64)


def _start(seed: int) -> int:
    return int(_mixed(np.array([seed], np.uint64) + np.uint64(_STEP))[0])


def _mixed(state: _U64) -> _U64:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(_SECOND)
    return state ^ (state >> np.uint64(31))


def painless(field: str, seed: int) -> dict[str, object]:
    """Return `keys` as a script of OpenSearch over a field that holds ordinals."""
    source = f"""
long state = doc['{field}'].value * {_signed(_STEP)}L + params.start;
state = (state ^ (state >>> 30)) * {_signed(_FIRST)}L;
state = (state ^ (state >>> 27)) * {_signed(_SECOND)}L;
return (double) ((state ^ (state >>> 31)) >>> {_UNUSED_BITS});
"""
    return {"lang": "painless", "source": source, "params": {"start": _signed(_start(seed))}}


def _signed(number: int) -> int:
    """Return the number that has the same 64 bits in Java, where the highest is a sign."""
    return number - 2**64 if number >= 2**63 else number
