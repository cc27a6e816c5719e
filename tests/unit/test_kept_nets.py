from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from search.encoders.converted import compiled
from search.encoders.kept_vectors import kept_vectors
from search.encoders.openvino_runtime import LATENCY, core, ov


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    core.cache_clear()
    yield tmp_path / "snapseek"
    core.cache_clear()


def doubled() -> ov.Model:
    """A net whose nodes are named anew each time, as those of one that is changed after it is read."""
    given = ov.opset13.parameter([1, 8], np.float32)
    return ov.Model([ov.opset13.multiply(given, ov.opset13.constant(np.float32(2)))], [given])


def test_a_changed_net_is_compiled_once_for_all_starts(cache: Path) -> None:
    for _ in range(3):
        core.cache_clear()
        net = compiled("doubled", doubled, LATENCY)
        assert net(np.ones((1, 8), np.float32))[0].sum() == 16
        assert len(list(cache.rglob("*.blob"))) == 1


def test_vectors_that_took_long_are_read_and_those_that_did_not_are_made(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def encode(texts: object) -> np.ndarray:
        asked.append(1)
        return np.ones((2, 3), np.float32)

    for _ in range(2):
        kept_vectors("a", ["x", "y"], encode)
    assert len(asked) == 2
    monkeypatch.setattr("search.encoders.kept_vectors.SLOW_S", -1)
    for model in ("a", "a", "b"):
        assert kept_vectors(model, ["x", "y"], encode).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert len(asked) == 4
