"""What every vector index does, run on all of them."""

import threading
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from search.protocols import VectorIndex
from search.types import EmbeddingSpace, Matrix
from search.vectors.exact_index import ExactIndex
from search.vectors.faiss_index import FaissIndex

DIM = 64
SPACE = EmbeddingSpace("test", DIM, "f" * 32)
ANN_FROM = 500


def unit(vectors: np.ndarray) -> Matrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(count: int, seed: int = 0) -> Matrix:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(50, DIM))
    return unit(centres[rng.integers(0, 50, count)] + 0.6 * rng.normal(size=(count, DIM)))


def axes(*numbers: int) -> Matrix:
    return np.eye(DIM, dtype=np.float32)[list(numbers)]


def ordinals(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint32)


@pytest.fixture(params=["exact", "scan", "rabitq"])
def index(request: pytest.FixtureRequest) -> VectorIndex:
    if request.param == "exact":
        return ExactIndex(SPACE)
    return FaissIndex(SPACE, ann_from=10**9 if request.param == "scan" else ANN_FROM)


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
    recall = np.mean(
        [len(set(f.tolist()) & set(w.tolist())) / 10 for (f, _), (w, _) in zip(found, wanted, strict=True)]
    )
    assert recall >= 0.95
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


def test_an_index_comes_back_from_its_file(tmp_path: Path) -> None:
    index, again = FaissIndex(SPACE), FaissIndex(SPACE)
    index.add(np.arange(5, 305, dtype=np.uint32), clustered(300))
    index.remove(BitMap([7]))
    index.save(tmp_path / "vectors.bin", 42)
    assert again.load(tmp_path / "vectors.bin") == 42
    query = clustered(1, seed=9)
    assert again.search(query, 10)[0][0].tolist() == index.search(query, 10)[0][0].tolist()
    again.add(ordinals(7), axes(0))
    assert len(again) == 300


@pytest.mark.parametrize("damage", ["absent", "cut", "flipped", "foreign", "other space"])
def test_a_file_that_is_not_ours_gives_an_empty_index(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "vectors.bin"
    index = FaissIndex(SPACE)
    index.add(ordinals(1), axes(0))
    index.save(path, 1)
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif damage == "foreign":
        path.write_bytes(b"\x80\x04pickle" * 100)
    other = FaissIndex(EmbeddingSpace("test", DIM, "0" * 32) if damage == "other space" else SPACE)
    assert other.load(path) == 0
    assert len(other) == 0
