import numpy as np
import pytest

from search.shuffle import MAX_SEED, keys

ORDINALS = np.arange(1000, dtype=np.uint32)


def test_keys_depend_on_ordinal_and_seed_alone_and_are_whole_in_a_double() -> None:
    assert 0 <= min(keys(ORDINALS, 7)) < max(keys(ORDINALS, 7)) < 2**53
    assert keys(ORDINALS[::-1], 7).tolist() == keys(ORDINALS, 7)[::-1].tolist()
    assert len(set(keys(ORDINALS, 7).tolist())) == len(ORDINALS)


@pytest.mark.parametrize("length", [3, 10, 100])
def test_every_image_is_as_often_at_every_place(length: int) -> None:
    seeds = 4000
    firsts = np.array([np.argsort(keys(ORDINALS[:length], seed))[[0, -1]] for seed in range(seeds)])
    for column in firsts.T:
        counts = np.bincount(column, minlength=length)
        chi_square = float(((counts - seeds / length) ** 2 / (seeds / length)).sum())
        freedom = length - 1
        assert chi_square < freedom + 4 * np.sqrt(2 * freedom)


def test_orders_of_neighbouring_seeds_have_nothing_to_do_with_each_other() -> None:
    for seed in (0, 1, MAX_SEED - 1):
        one, other = (np.argsort(np.argsort(keys(ORDINALS, s))) for s in (seed, seed + 1))
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
