from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from search.catalog.rows import Changed


@given(st.lists(st.integers(1, 9)).map(sorted), st.integers(1, 4))
def test_after_each_part_every_change_up_to_its_number_is_in(at: list[int], size: int) -> None:
    changed = Changed(upto=10, upserted=list(range(len(at))), at=at, deleted=BitMap())
    seen: list[int] = []
    for part, upto in changed.parts(size):
        seen += part
        assert {number for number, change in enumerate(at) if change <= upto} <= set(seen)
    assert seen == list(changed.upserted)
    if at:
        assert upto == changed.upto
