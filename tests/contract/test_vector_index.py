"""What every vector index does, run on all of them."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from search import mapped_files as files
from search.planner import COSTS, Costs, Lookup
from search.protocols import VectorIndex
from search.types import EmbeddingSpace, Matrix
from search.vectors import faiss_index, rows
from search.vectors.codes import Cells
from search.vectors.exact_index import ExactIndex
from search.vectors.faiss_index import FaissIndex

DIM = 64
SPACE = EmbeddingSpace("test", DIM, "f" * 32)
CODED_FROM = 500

Found = tuple[np.ndarray, np.ndarray]


def unit(vectors: np.ndarray) -> Matrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(count: int, seed: int = 0, *, around: int = 0) -> Matrix:
    centres = np.random.default_rng([around]).normal(size=(50, DIM))
    rng = np.random.default_rng(seed)
    return unit(centres[rng.integers(0, 50, count)] + 0.6 * rng.normal(size=(count, DIM)))


def recall(found: list[Found], wanted: list[Found]) -> float:
    shared = [len(set(f.tolist()) & set(w.tolist())) / len(w) for (f, _), (w, _) in zip(found, wanted, strict=True)]
    return float(np.mean(shared))


def axes(*numbers: int) -> Matrix:
    return np.eye(DIM, dtype=np.float32)[list(numbers)]


def ordinals(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint32)


class Settled(FaissIndex):
    """Is saved and opened again after its first changes and some later ones, so that most of its rows are in cells."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(SPACE, **options)
        self._home, self._changes = folder, 0

    def _settle(self) -> None:
        self._changes += 1
        if self._changes > 3 and self._changes % 8:
            return
        self.save(self._home, self._changes)

    def add(self, ordinals: np.ndarray, vectors: Matrix) -> None:
        super().add(ordinals, vectors)
        self._settle()

    def remove(self, ordinals: BitMap) -> int:
        count = super().remove(ordinals)
        self._settle()
        return count


def only(lookup: Lookup) -> Costs:
    """Return costs by which one lookup is always the cheapest."""
    never = {str(one): 1e12 for one in Lookup if one is not lookup}
    return replace(COSTS, **never)


def coded(lookup: Lookup, coded_from: int = CODED_FROM) -> FaissIndex:
    return FaissIndex(SPACE, coded_from=coded_from, costs=only(lookup))


def settled(folder: Path, lookup: Lookup = Lookup.CELLS, coded_from: int = CODED_FROM) -> Settled:
    return Settled(folder, coded_from=coded_from, cells_from=coded_from, costs=only(lookup))


@pytest.fixture(params=["reference", "exact", "gathered", "segments", "cells", "gathered from cells"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> VectorIndex:
    made: dict[str, Callable[[], VectorIndex]] = {
        "reference": lambda: ExactIndex(SPACE),
        "exact": lambda: FaissIndex(SPACE),
        "gathered": lambda: coded(Lookup.GATHER),
        "segments": lambda: coded(Lookup.CELLS),
        "cells": lambda: settled(tmp_path / "vectors"),
        "gathered from cells": lambda: settled(tmp_path / "vectors", Lookup.GATHER),
    }
    return made[request.param]()


def test_the_nearest_come_first_with_their_cosines(index: VectorIndex) -> None:
    near = unit(axes(0) + 0.5 * axes(1))
    index.add(ordinals(7, 3, 9), np.concatenate([axes(1), near, axes(0)]))
    ((found, scores),) = index.search(axes(0), 3)
    assert found.tolist() == [9, 3, 7]
    assert scores == pytest.approx([1, 2 / np.sqrt(5), 0], abs=1e-3)


def test_ties_go_to_the_lower_ordinal(index: VectorIndex) -> None:
    index.add(ordinals(5, 2, 8), axes(1, 1, 1))
    assert index.search(axes(1), 2)[0][0].tolist() == [2, 5]


def test_only_what_is_allowed_is_found(index: VectorIndex) -> None:
    index.add(ordinals(1, 2, 3), axes(0, 1, 2))
    ((found, _),) = index.search(axes(0), 10, allowed=BitMap([2, 3, 99]))
    assert sorted(found.tolist()) == [2, 3]
    assert index.search(axes(0), 10, allowed=BitMap())[0][0].tolist() == []


def test_an_empty_index_answers_with_nothing(index: VectorIndex) -> None:
    ((found, scores),) = index.search(axes(0), 5)
    assert (len(found), len(scores), len(index)) == (0, 0, 0)
    assert np.isnan(index.scores(axes(0), ordinals(1))).all()


def test_several_queries_are_answered_in_their_order(index: VectorIndex) -> None:
    index.add(ordinals(1, 2), axes(0, 1))
    assert [found.tolist() for found, _ in index.search(axes(1, 0), 1)] == [[2], [1]]


def test_a_vector_is_replaced(index: VectorIndex) -> None:
    index.add(ordinals(1, 2), axes(0, 1))
    index.add(ordinals(1), axes(2))
    assert len(index) == 2
    assert index.scores(axes(2), ordinals(1)).tolist() == [1]
    assert index.search(axes(0), 2)[0][1].tolist() == [0, 0]


def test_of_two_vectors_for_one_ordinal_the_last_counts(index: VectorIndex) -> None:
    index.add(ordinals(4, 4), axes(0, 1))
    assert len(index) == 1
    assert index.scores(axes(1), ordinals(4)).tolist() == [1]


def test_removed_vectors_are_not_found(index: VectorIndex) -> None:
    index.add(ordinals(1, 2, 3), axes(0, 1, 2))
    assert index.remove(BitMap([1, 2, 77])) == 2
    assert index.search(axes(0), 5)[0][0].tolist() == [3]
    assert len(index) == 1
    assert index.remove(BitMap([1])) == 0


def test_scores_come_in_the_order_asked_and_are_nan_for_the_unknown(index: VectorIndex) -> None:
    index.add(ordinals(1, 2), axes(0, 1))
    scores = index.scores(axes(1)[0], ordinals(2, 50, 1))
    assert scores[[0, 2]].tolist() == [1, 0]
    assert np.isnan(scores[1])


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2, 0.01])
def test_the_nearest_ten_are_those_of_the_reference(index: VectorIndex, share: float) -> None:
    vectors, queries = clustered(5000), clustered(30, seed=1)
    reference = ExactIndex(SPACE)
    numbers = np.arange(10, 5010, dtype=np.uint32)
    index.add(numbers, vectors)
    reference.add(numbers, vectors)
    chosen = np.random.default_rng(2).choice(numbers, int(share * len(numbers)), replace=False)
    allowed = None if share == 1 else BitMap(chosen.tolist())
    found, wanted = (which.search(queries, 10, allowed=allowed) for which in (index, reference))
    assert recall(found, wanted) >= 0.97
    exact = index.search(queries, 10, allowed=allowed, exact=True)
    assert all(np.allclose(e[1], w[1], atol=1e-3) for e, w in zip(exact, wanted, strict=True))


def test_adding_and_removing_for_long_ends_where_it_should(index: VectorIndex) -> None:
    rng = np.random.default_rng(3)
    pool = clustered(400, seed=4)
    known: dict[int, int] = {}
    for _ in range(60):
        numbers = rng.integers(1, 3000, 120).astype(np.uint32)
        picks = rng.integers(0, len(pool), 120)
        index.add(numbers, pool[picks])
        known.update(zip(numbers.tolist(), picks.tolist(), strict=True))
        gone = rng.choice(list(known), 60, replace=False).tolist()
        index.remove(BitMap(gone))
        for number in gone:
            del known[number]
    assert len(index) == len(known)
    numbers = np.array(sorted(known), np.uint32)
    expected = pool[[known[n] for n in numbers.tolist()]] @ pool[0]
    assert np.allclose(index.scores(pool[0], numbers), expected, atol=2e-3)
    everything = index.search(pool[:1], len(known) + 5, exact=True)[0][0]
    assert sorted(everything.tolist()) == numbers.tolist()


def test_threads_may_search_while_others_add(index: VectorIndex) -> None:
    vectors = clustered(1500, seed=5)
    index.add(np.arange(1, 101, dtype=np.uint32), vectors[:100])
    failed: list[BaseException] = []

    def search() -> None:
        try:
            for query in vectors[:60]:
                found, scores = index.search(query[None], 5)[0]
                assert len(found) == 5
                assert (np.diff(scores) <= 1e-6).all()
        except BaseException as error:
            failed.append(error)

    searching = [threading.Thread(target=search) for _ in range(3)]
    for thread in searching:
        thread.start()
    if isinstance(index, FaissIndex):  # the reference is for one thread
        for start in range(100, 1500, 100):
            index.add(np.arange(start + 1, start + 101, dtype=np.uint32), vectors[start : start + 100])
    for thread in searching:
        thread.join()
    assert not failed


def test_a_search_sees_the_index_before_or_after_a_change_never_between(tmp_path: Path) -> None:
    """Each of ten images is moved between two places, all at once; whoever looks finds ten in one of them."""
    index = settled(tmp_path / "vectors", Lookup.EXACT)
    crowd = clustered(700, seed=6)
    crowd[:, :2] = 0
    index.add(np.arange(100, 800, dtype=np.uint32), unit(crowd))
    ten = np.arange(10, dtype=np.uint32)
    index.add(ten, np.repeat(axes(0), 10, axis=0))
    failed: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                scores = index.search(axes(0), 10, allowed=BitMap(range(10)))[0][1]
                assert len(scores) == 10
                assert scores.min() == scores.max()
        except BaseException as error:
            failed.append(error)

    looking = [threading.Thread(target=look) for _ in range(3)]
    for thread in looking:
        thread.start()
    for turn in range(1, 200):
        FaissIndex.add(index, ten, np.repeat(axes(turn % 2), 10, axis=0))
        if turn % 50 == 0:
            index.save(tmp_path / "vectors", 1000 + turn)
    done.set()
    for thread in looking:
        thread.join()
    assert not failed


def test_queries_from_where_no_row_is_are_answered_too(index: VectorIndex) -> None:
    index.add(np.arange(5000, dtype=np.uint32), clustered(5000))
    strangers = clustered(30, seed=1, around=9)
    assert recall(index.search(strangers, 10), index.search(strangers, 10, exact=True)) >= 0.9


def test_recall_stays_when_much_is_deleted_and_what_comes_is_different(tmp_path: Path) -> None:
    index = settled(tmp_path / "vectors")
    index.add(np.arange(20_000, dtype=np.uint32), clustered(20_000))
    queries = np.concatenate([clustered(20, seed=1), unit(clustered(20, seed=2) + axes(3))])
    gone = np.random.default_rng(3).permutation(20_000)[:4_000]
    FaissIndex.remove(index, BitMap(gone.tolist()))
    FaissIndex.add(index, np.arange(20_000, 24_000, dtype=np.uint32), unit(clustered(4_000, seed=4) + axes(3)))
    for allowed in (None, BitMap(range(0, 24_000, 2)), BitMap(range(19_000, 24_000))):
        found, exact = (index.search(queries, 10, allowed=allowed, exact=exact) for exact in (False, True))
        assert recall(found, exact) >= 0.97
        assert not any(set(gone.tolist()) & set(ordinals.tolist()) for ordinals, _ in found)


def test_a_query_far_from_everything_has_more_compared(tmp_path: Path) -> None:
    """A text lies where no picture does: its estimates are worse, and the nearest are not among the first."""
    index = settled(tmp_path / "vectors", Lookup.GATHER)
    index.add(np.arange(20_000, dtype=np.uint32), clustered(20_000))
    far = unit(0.3 * clustered(40, seed=5) + 3 * axes(63))
    assert recall(index.search(far, 10), index.search(far, 10, exact=True)) >= 0.99


def test_a_search_that_looks_farther_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = settled(tmp_path / "vectors")
    index.add(np.arange(20_000, dtype=np.uint32), clustered(20_000))
    looks: list[list[int]] = []
    passed: dict[int, list[int]] = {}
    search = Cells.search

    def seen(cells: Cells, rotated: Matrix, near: np.ndarray, count: int, *others: Any) -> Any:
        looks.append(near.tolist())
        passed.setdefault(count, []).extend(near.tolist())
        return search(cells, rotated, near, count, *others)

    monkeypatch.setattr(Cells, "search", seen)
    monkeypatch.setattr(faiss_index, "cores", lambda: 1)
    widened = 0
    for query in unit(clustered(20, seed=2) + 2 * axes(3)):
        looks.clear()
        passed.clear()
        index.search(query[None], 10)
        assert all(len(cells) == len(set(cells)) for cells in passed.values())
        widened += len(looks) > len(passed)
    assert widened


def test_cells_that_lie_beyond_their_codes_are_not_looked_at(tmp_path: Path) -> None:
    index = settled(tmp_path / "vectors")
    index.add(np.arange(2000, dtype=np.uint32), clustered(2000))
    assert index._state.cells is not None
    arrays = index._state.cells.arrays
    for wrong in ({"sizes": arrays.sizes + 2000}, {"starts": arrays.starts - 1}, {"codes": arrays.codes[:100]}):
        with pytest.raises(ValueError, match="cells beyond"):
            Cells(replace(arrays, **wrong))


def test_one_replaced_picture_leaves_the_others_where_they_were(tmp_path: Path) -> None:
    """So that a filter is still told to a scan by its bitmap, not image by image."""
    index = settled(tmp_path / "vectors")
    index.add(np.arange(7, 2007, dtype=np.uint32), clustered(2000))
    FaissIndex.add(index, ordinals(30, 2007), axes(0, 1))
    assert (index._state.shift, set(index._state.moved)) == (7, {30, 2007})
    assert index.search(axes(0), 1, allowed=BitMap(range(20, 2000)))[0][0].tolist() == [30]
    assert index.search(axes(1), 1, allowed=BitMap([*range(500), 2007]))[0][0].tolist() == [2007]
    assert index.scores(axes(0), ordinals(30)).tolist() == [1]


def test_rows_that_are_too_many_for_memory_go_to_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 2 * DIM * 1500)
    index = FaissIndex(SPACE, folder=tmp_path)
    vectors = clustered(6000)
    for start in range(0, 6000, 500):
        index.add(np.arange(start, start + 500, dtype=np.uint32), vectors[start : start + 500])
        held = index.scores(vectors[0], np.arange(start + 500, dtype=np.uint32))
        assert np.allclose(held, vectors[: start + 500] @ vectors[0], atol=2e-3)
    assert list(tmp_path.iterdir()) == []
    index.save(tmp_path / "vectors", 1)
    assert index.search(vectors[5:6], 1)[0][0].tolist() == [5]


def test_vectors_that_are_others_are_counted() -> None:
    index = FaissIndex(SPACE)
    index.add(ordinals(1, 2, 3), axes(0, 1, 2))
    assert index.differing(ordinals(1, 2, 3), axes(0, 1, 2)) == 0
    assert index.differing(ordinals(1, 2, 3, 4, 99), axes(0, 5, 2, 4, 0)) == 3


@pytest.mark.parametrize("count", [0, 300, 3000])
def test_an_index_comes_back_from_its_folder(tmp_path: Path, count: int) -> None:
    index, again = (FaissIndex(SPACE, coded_from=CODED_FROM, cells_from=2000) for _ in range(2))
    index.add(np.arange(5, 5 + count, dtype=np.uint32), clustered(count))
    index.remove(BitMap([7]))
    index.save(tmp_path / "vectors", 42)
    assert again.load(tmp_path / "vectors") == 42
    query = clustered(1, seed=9)
    assert again.search(query, 10)[0][0].tolist() == index.search(query, 10)[0][0].tolist()
    again.add(ordinals(7), axes(0))
    assert len(again) == max(1, count)
    again.save(tmp_path / "vectors", 43)
    assert index.load(tmp_path / "vectors") == 43
    assert index.scores(axes(0), ordinals(7)).tolist() == [1]


def test_saving_again_appends_to_the_rows_and_leaves_no_file_behind(tmp_path: Path) -> None:
    index = FaissIndex(SPACE, coded_from=CODED_FROM, cells_from=2000)
    index.add(np.arange(3000, dtype=np.uint32), clustered(3000))
    index.save(tmp_path, 1)
    kept = next(tmp_path.glob("rows-*"))
    before = kept.stat().st_ino
    index.add(np.arange(3000, 3100, dtype=np.uint32), clustered(100, seed=1))
    index.save(tmp_path, 2)
    assert kept.stat().st_ino == before
    assert kept.stat().st_size == 3100 * 2 * DIM
    kinds = sorted(path.name.split("-")[0] for path in tmp_path.iterdir())
    assert kinds == ["cells", "lock", "rest", "rows", "state.json"]
    index.remove(BitMap(range(1500)))
    index.save(tmp_path, 3)
    assert sum(path.stat().st_size for path in tmp_path.glob("rows-*")) == 1600 * 2 * DIM
    assert len(list(tmp_path.iterdir())) == 4  # too few for cells now


def test_what_another_process_kept_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    one, other = FaissIndex(SPACE), FaissIndex(SPACE)
    one.add(ordinals(1), axes(0))
    one.save(tmp_path, 1)
    assert other.load(tmp_path) == 1
    one.add(ordinals(2), axes(1))
    one.save(tmp_path, 2)
    other.add(ordinals(2), axes(1))
    other.save(tmp_path, 2)  # as far as the one: nothing to do
    other.add(ordinals(3), axes(2))
    other.save(tmp_path, 3)  # farther, from an older beginning: all of it is written
    assert one.search(axes(1), 1)[0][0].tolist() == [2]  # its rows are still mapped, though deleted
    assert one.load(tmp_path) == 3
    assert [one.scores(axes(number), ordinals(number + 1)).item() for number in range(3)] == [1, 1, 1]


DAMAGE = ["absent", "cut", "flipped", "foreign"]


@pytest.mark.parametrize("file", ["state.json", "rows-*", "rest-*", "cells-*"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_files_that_are_not_as_they_were_give_an_empty_index(tmp_path: Path, damage: str, file: str) -> None:
    index = FaissIndex(SPACE, coded_from=CODED_FROM, cells_from=1000)
    index.add(np.arange(1000, dtype=np.uint32), clustered(1000))
    index.save(tmp_path / "own", 1)
    folder = shutil.copytree(tmp_path / "own", tmp_path / "copy")  # the index has its own files mapped
    path = next(folder.glob(file))
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif damage == "foreign":
        path.write_bytes(b"\x80\x04pickle" * 100)
    other = FaissIndex(SPACE)
    assert other.load(folder) == 0
    assert len(other) == 0
    other.add(ordinals(1), axes(0))
    other.save(folder, 2)
    assert FaissIndex(SPACE).load(folder) == 2


@pytest.mark.parametrize("other", [{"fingerprint": "0" * 32}, {"dim": 32}, {"format": 99}])
def test_another_version_or_space_gives_an_empty_index(
    tmp_path: Path, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FaissIndex(SPACE)
    index.add(ordinals(1), axes(0))
    index.save(tmp_path, 1)
    if "format" in other:
        monkeypatch.setattr(files, "FORMAT", other.pop("format"))
    read = FaissIndex(replace(SPACE, **other))
    assert read.load(tmp_path) == 0
    assert len(read) == 0


SAVES = """
import sys
from pathlib import Path
import numpy as np
from search.types import EmbeddingSpace
from search.vectors.faiss_index import FaissIndex

index = FaissIndex(EmbeddingSpace("test", 64, "f" * 32), coded_from=500, cells_from=1000)
folder = Path(sys.argv[1])
done = index.load(folder)
while True:
    index.add(np.arange(done * 50, done * 50 + 50, dtype=np.uint32), np.eye(64, dtype=np.float32)[[done % 64] * 50])
    done += 1
    index.save(folder, done)
    print(done, flush=True)
"""


def test_a_process_that_is_killed_while_it_saves_leaves_what_it_saved_before(tmp_path: Path) -> None:
    for delay in (0.0, 0.013, 0.027, 0.041):
        with subprocess.Popen(
            [sys.executable, "-c", SAVES, str(tmp_path)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
        ) as process:
            assert process.stdout is not None
            for _ in range(12):
                said = int(process.stdout.readline())
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            said = max([said, *map(int, process.stdout.read().split())])
        index = FaissIndex(SPACE)
        applied = index.load(tmp_path)
        assert applied in (said, said + 1)
        assert len(index) == 50 * applied
        for turn in range(applied):
            numbers = np.arange(turn * 50, turn * 50 + 50, dtype=np.uint32)
            assert (index.scores(axes(turn % 64), numbers) == 1).all()


Step = tuple[str, list[int], int]


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "remove", "save", "load"]),
            st.lists(st.integers(0, 2500), min_size=1, max_size=900),
            st.integers(0, 1000),
        ),
        min_size=1,
        max_size=12,
    ),
    lookup=st.sampled_from(list(Lookup)),
)
def test_whatever_happens_it_holds_what_the_reference_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], lookup: Lookup
) -> None:
    folder = tmp_path_factory.mktemp("index")
    index = FaissIndex(SPACE, coded_from=600, cells_from=900, costs=only(lookup))
    reference, kept = ExactIndex(SPACE), ExactIndex(SPACE)
    for number, (do, numbers, seed) in enumerate(steps, 1):
        if do == "add":
            vectors = clustered(len(numbers), seed=seed)
            index.add(np.array(numbers, np.uint32), vectors)
            reference.add(np.array(numbers, np.uint32), vectors)
        elif do == "remove":
            assert index.remove(BitMap(numbers)) == reference.remove(BitMap(numbers))
        elif do == "save":
            index.save(folder, number)
            kept = ExactIndex(SPACE)
            kept._vectors = dict(reference._vectors)
        else:
            index.load(folder)
            reference = ExactIndex(SPACE)
            reference._vectors = dict(kept._vectors)
    assert len(index) == len(reference)
    everything = np.arange(2600, dtype=np.uint32)
    query = clustered(1, seed=77)
    assert np.allclose(index.scores(query, everything), reference.scores(query, everything), atol=2e-3, equal_nan=True)
    for allowed in (None, BitMap(range(0, 2600, 3))):
        found, wanted = (which.search(query, 5, allowed=allowed)[0] for which in (index, reference))
        assert len(found[0]) == len(wanted[0])
        assert np.allclose(np.sort(found[1])[-1:], np.sort(wanted[1])[-1:], atol=2e-3)
