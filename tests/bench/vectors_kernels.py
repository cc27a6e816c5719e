"""Hold the loops over codes against FAISS's and NumKong's: python tests/bench/vectors_kernels.py [--rows N] [--write]

One thread; each does the same by turns, and what is told is the median time a code or row. ``--write`` puts the table
into docs/adr/0016.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(ROOT)]

import faiss  # noqa: E402
import numkong  # noqa: E402
import numpy as np  # noqa: E402
from bench.vectors import machine  # noqa: E402
from bench.vectors_costs import between  # noqa: E402
from bench.vectors_data import VectorData  # noqa: E402

from search.vectors import kernels  # noqa: E402
from search.vectors.codes import EVERYTHING, Wanted, trained  # noqa: E402

ADR = ROOT / "docs" / "adr" / "0016-loops-compiled-here.md"
WANTED = 1600
ROUNDS = 15
Ways = dict[str, tuple[int, Callable[[], object], Callable[[], object]]]


def ways(count: int) -> Ways:
    """Return what is compared: how many codes or rows it is about, what others do, and what we do."""
    rows = np.concatenate([rows for _, rows in VectorData(count).blocks()])
    coder = trained(rows[:50_000].astype(np.float32))
    codes = np.concatenate([coder.encode(rows[at : at + 16_384].astype(np.float32)) for at in range(0, count, 16_384)])
    query = rows[7].astype(np.float32)
    asked = coder.asked(query)
    rotated = kernels.dots(coder.rotation, query)[None]
    flat, picked = coder.scanner(), coder.scanner()
    flat.add_sa_codes(codes)
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(count)[: count // 10]).astype(np.int32)
    mask = np.isin(np.arange(count), some)
    bits = np.packbits(mask, bitorder="little")
    start, size = np.zeros(1, np.int64), np.array([count])
    half = query.astype(np.float16)[None]

    def theirs(index: faiss.IndexRaBitQ, **options: object) -> object:
        return index.search(rotated, WANTED, params=faiss.RaBitQSearchParameters(qb=4, **options))

    def copied() -> object:
        picked.reset()
        picked.add_sa_codes(codes[some])
        return theirs(picked)

    return {
        "all codes, a run": (
            count,
            lambda: theirs(flat),
            lambda: kernels.scanned(codes, start, size, asked, WANTED, EVERYTHING),
        ),
        "a tenth of them, by a bitmap (a code, also those left out)": (
            count,
            lambda: theirs(flat, sel=faiss.IDSelectorBitmap(bits)),
            lambda: kernels.scanned(codes, start, size, asked, WANTED, Wanted(bits, 0)),
        ),
        "a tenth of them, listed (a code that is wanted)": (
            len(some),
            copied,
            lambda: kernels.picked(codes, some, asked, WANTED),
        ),
        "rows in half precision, listed": (
            len(some),
            lambda: numkong.cdist(half, rows[some], "dot"),
            lambda: kernels.half_dots(rows, some, query),
        ),
    }


def timed(function: Callable[[], object]) -> float:
    began = time.thread_time()
    function()
    return time.thread_time() - began


def table(found: Ways) -> str:
    lines = ["| nanoseconds for each | FAISS, NumKong | here |", "|---|---|---|"]
    for name, (count, theirs, ours) in found.items():
        took = np.array([(timed(theirs), timed(ours)) for _ in range(ROUNDS)][1:])
        they, we = np.median(took, axis=0) / count * 1e9
        lines.append(f"| {name} | {they:.1f} | {we:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    text = f"{options.rows:,} rows, {machine()['processor']}:\n\n{table(ways(options.rows))}"
    if options.write:
        ADR.write_text(between(ADR.read_text(encoding="utf-8"), "kernels", text), encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
