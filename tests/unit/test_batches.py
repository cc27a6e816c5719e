import pytest

from search.batches import Batches
from search.profile_file import ModelSpec

pytest.importorskip("torch", reason="needs torch: make setup")


def batches(size: int = 0) -> Batches:
    return Batches(ModelSpec(library="open_clip", device="cpu", batch_size=size))


class Net:
    """A net whose memory holds some pictures at once."""

    def __init__(self, holds: int, message: str = "CUDA out of memory. Tried to allocate 2 GiB") -> None:
        self.holds = holds
        self.message = message
        self.sizes: list[int] = []

    def __call__(self, items: object) -> list[int]:
        self.sizes.append(len(items))
        if len(items) > self.holds:
            raise RuntimeError(self.message)
        return [2 * item for item in items]


def test_every_item_is_run_once_and_in_order() -> None:
    found = list(batches(4).run(range(10), Net(holds=9)))
    assert [item for _, items in found for item in items] == [2 * item for item in range(10)]
    assert [(part.start, part.stop) for part, _ in found] == [(0, 4), (4, 8), (8, 10)]


def test_the_size_is_halved_until_it_fits_and_stays_so() -> None:
    some, net = batches(8), Net(holds=3)
    assert [item for _, items in some.run(range(10), net) for item in items] == [2 * item for item in range(10)]
    assert net.sizes == [8, 4, 2, 2, 2, 2, 2]
    net.sizes.clear()
    list(some.run(range(4), net))
    assert net.sizes == [2, 2]


def test_other_errors_and_a_single_item_too_large_are_raised() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        list(batches(4).run(range(8), Net(holds=1, message="a shape is wrong")))
    net = Net(holds=0)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(batches(4).run(range(8), net))
    assert net.sizes == [4, 2, 1]


def test_no_items_run_nothing() -> None:
    net = Net(holds=1)
    assert list(batches().run([], net)) == []
    assert net.sizes == []
